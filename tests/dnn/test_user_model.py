"""Networks by name: built because the user says so, never because a file does."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from phyemu.dnn import UserModel, build_architecture, check_classifier
from phyemu.errors import ConfigError

_FACTORIES = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes, in_channels, width=4, wide=False):
        super().__init__()
        self.front = nn.Conv2d(in_channels, width * (1 + wide), 1)
        self.back = nn.Linear(width * (1 + wide), num_classes)

    def forward(self, x):
        return self.back(self.front(x).mean((2, 3)))

def in_timms_words(num_classes, in_chans):
    return Net(num_classes, in_chans)

def in_torchvisions_words(*, weights=None, **kwargs):
    return Net(in_channels=1, **kwargs)

def deaf():
    return Net(3, 1)

def broken(num_classes):
    raise KeyError("no such backbone")

def no_module(num_classes):
    return "Net"

class Zoo:
    net = Net

NUMBER = 3
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the current one and holds the module `users_nets`."""
    (tmp_path / "users_nets.py").write_text(_FACTORIES, encoding="utf-8")
    (tmp_path / "users_bad.py").write_text("import nothing_like_this\n", encoding="utf-8")
    (tmp_path / "users_typo.py").write_text("def f(:\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("users_nets", "users_bad", "users_typo"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def model(name: str, **options: Any) -> UserModel:
    return UserModel(name=name, num_classes=3, in_channels=1, options=options)


@pytest.mark.parametrize(
    "factory", ["Net", "in_timms_words", "in_torchvisions_words", "Zoo.net", "deaf"]
)
def test_a_factory_of_the_current_folder_is_given_the_sizes_it_takes(
    nets: Path, factory: str
) -> None:
    path = list(sys.path)
    built = model(f"users_nets:{factory}").build()
    assert sys.path == path
    check_classifier(built, name=factory, image_shape=(1, 4, 4), num_classes=3)


def test_a_file_of_the_current_folder_stands_in_for_no_library(nets: Path) -> None:
    (nets / "colorsys.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    sys.modules.pop("colorsys", None)
    with pytest.raises(ConfigError, match=r"failed when called with .*missing"):
        model("colorsys:rgb_to_hsv").build()
    assert str(nets) not in sys.path


def test_options_are_its_keywords_and_a_seed_its_weights(nets: Path) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (
        model("users_nets:Net", width=2, wide=True).build(seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.front.weight.shape[0] == 4
    assert torch.equal(first.front.weight, again.front.weight)
    assert not torch.equal(first.front.weight, other.front.weight)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("users_nets:Nothing", {}, "has no factory 'Nothing'"),
        ("users_nets:NUMBER", {}, "has no factory 'NUMBER'"),
        ("users_nets:broken", {}, "failed when called with num_classes=3 .*no such backbone"),
        ("users_nets:no_module", {}, "returned str, no nn.Module"),
        ("users_nets:Net", {"depth": 3}, "unexpected keyword argument 'depth'"),
        ("users_bad:net", {}, "cannot be imported .*nothing_like_this"),
        ("users_absent.py:net", {}, "name the module, not its file: users_absent:net"),
        ("users_typo:net", {}, "cannot be imported .*SyntaxError"),
        ("users_absent.nets:net", {}, "cannot be imported .*users_absent"),
        ("users_nets", {}, "write timm:MODEL"),
        ("users_nets:Net()", {}, "write timm:MODEL"),
        ("__import__('os').system:x", {}, "write timm:MODEL"),
        ("timm:", {}, "write timm:MODEL"),
        ("users_nets:Net", {"width": {"a": 1}}, "option 'width' must be"),
        ("users_nets:Net", {"width": None}, "option 'width' must be"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(
    nets: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        model(name, **options).build()
    assert "\n" not in str(caught.value)


def test_timm_is_asked_for_by_its_model_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def create_model(**arguments: Any) -> nn.Module:
        asked.append(arguments)
        return nn.Linear(1, 3)

    stand_in = types.ModuleType("timm")
    stand_in.__dict__.update(
        __version__="9",
        create_model=create_model,
        is_model=lambda name: name == "tiny",
        list_models=lambda: ["tiny_patch4", "tiny"],
    )
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    model("timm:tiny", img_size=32).build()
    assert asked == [{"model_name": "tiny", "num_classes": 3, "in_chans": 1, "img_size": 32}]
    with pytest.raises(ConfigError, match=r"timm:tin: timm 9 has none such; near names: tiny"):
        model("timm:tin").build()


def test_without_timm_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="pip install timm"):
        model("timm:resnet18").build()


def test_a_timm_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reason = "operator torchvision::nms does not exist"
    (tmp_path / "timm.py").write_text(f"raise RuntimeError('{reason}' + chr(10) + 'more')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(ConfigError, match=reason) as caught:
        model("timm:resnet18").build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image_shape", "num_classes", "message"),
    [
        ((1, 4, 4), 5, r"must give \(5,\) logits .* but gives \(3,\)"),
        ((3, 4, 4), 3, r"takes no images of \(3, 4, 4\)"),
    ],
)
def test_a_network_of_other_images_or_classes_is_refused(
    nets: Path, image_shape: tuple[int, int, int], num_classes: int, message: str
) -> None:
    built = model("users_nets:Net").build()
    with pytest.raises(ConfigError, match=message) as caught:
        check_classifier(built, name="n", image_shape=image_shape, num_classes=num_classes)
    assert "\n" not in str(caught.value)


def test_a_description_says_all_but_where_the_first_weights_came_from(nets: Path) -> None:
    description = model("users_nets:Net", width=2, pretrained=True, weights="x").describe()
    assert description["options"] == {"width": 2}
    assert UserModel.from_description(description).describe() == description
    built = build_architecture(description, model="users_nets:Net")
    assert built.get_parameter("front.weight").shape == (2, 1, 1, 1)


def test_nothing_is_imported_because_a_card_names_it(nets: Path) -> None:
    (nets / "users_trap.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    hostile = {"name": "users_trap:net", "num_classes": 3, "in_channels": 1}
    with pytest.raises(ConfigError, match="say so: --model users_trap:net"):
        build_architecture(hostile)
    with pytest.raises(ConfigError, match="of the network 'users_trap:net', but 'users_nets:Net'"):
        build_architecture(hostile, model="users_nets:Net")
    assert "users_trap" not in sys.modules


@pytest.mark.parametrize("option", ["checkpoint_path", "pretrained", "weights", "cache_dir"])
def test_a_card_cannot_make_a_trusted_factory_load_other_weights(option: str, nets: Path) -> None:
    card = {"name": "users_nets:in_torchvisions_words", "num_classes": 3, "in_channels": 1}
    with pytest.raises(ConfigError, match=f"option {option} would load other weights"):
        build_architecture({**card, "options": {option: "evil.pt"}}, model=card["name"])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "num_classes", "in_channels", "options", "depth"]), _JSON
    )
)
def test_any_description_is_read_or_refused(description: dict[str, Any]) -> None:
    try:
        read = UserModel.from_description(description)
    except ConfigError:
        return
    assert read.describe()["name"] == description["name"]

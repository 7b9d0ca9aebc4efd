"""The device between two links: exported, loaded alone, held to its neighbours."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from phyemu.dnn import (
    ArtefactInfo,
    Lookup,
    MultiHopPhyDnn,
    Normalise,
    ResNetConfig,
    describe_architecture,
    evaluating,
    export_head,
    export_relay,
    export_tail,
    load_head,
    load_relay,
    load_tail,
    resnet,
)
from phyemu.errors import CheckpointError, ConfigError

M = 4
POINTS = [[math.cos(math.pi * m / 2), math.sin(math.pi * m / 2)] for m in range(M)]


@pytest.fixture
def model(generator: torch.Generator) -> MultiHopPhyDnn:
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator
    )
    return MultiHopPhyDnn.from_backbone(
        backbone,
        splits=["layer1", "layer2"],
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=M,
        generator=generator,
    )


def info(split: str) -> ArtefactInfo:
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=torch.Generator()
    )
    return ArtefactInfo(
        architecture=describe_architecture(backbone),
        split=split,
        image_shape=(1, 8, 8),
        class_names=tuple("abcde"),
        constellation={"name": "psk", "order": M, "points": POINTS},
        frame={"samples_per_symbol": 2},
        provenance={"seed": 1},
    )


@pytest.fixture
def exported(model: MultiHopPhyDnn, tmp_path: Path) -> Path:
    export_head(model.hop(0), tmp_path / "head.safetensors", info("layer1"))
    export_relay(model, 0, tmp_path / "relay.safetensors", info("layer1"), info("layer2"))
    export_tail(model.hop(1), tmp_path / "tail.safetensors", info("layer2"))
    return tmp_path


def test_three_parts_infer_as_the_model_does(
    model: MultiHopPhyDnn, exported: Path, generator: torch.Generator
) -> None:
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8, generator=generator)
    head = load_head(exported / "head.safetensors")
    relay = load_relay(exported / "relay.safetensors")
    tail = load_tail(exported / "tail.safetensors")
    relay.check_partner(head.card)
    tail.check_partner(relay.card.sending)
    assert not relay.training
    with evaluating(model):
        first = posteriors(head(images))
        assert torch.equal(head(images), model.encode(images))
        assert torch.equal(relay(first), model.relay(0, first))
        second = posteriors(relay(first))
        torch.testing.assert_close(tail(second), model.decode(second))


def test_a_relay_looks_up_as_in_training_unless_told_otherwise(
    model: MultiHopPhyDnn, tmp_path: Path, generator: torch.Generator
) -> None:
    soft = [dataclasses.replace(info(split), lookup=Lookup.SOFT) for split in ("layer1", "layer2")]
    path = tmp_path / "relay.safetensors"
    export_relay(model, 0, path, *soft)
    relay = load_relay(path)
    received = torch.rand((3, 64, M), generator=generator).softmax(-1)
    with evaluating(model):
        expected = {mode: model.relay(0, received, mode) for mode in (Lookup.SOFT, Lookup.HARD)}
        assert not torch.equal(*expected.values())
        assert torch.equal(relay(received), expected[Lookup.SOFT])
        assert torch.equal(relay(received, Lookup.HARD), expected[Lookup.HARD])


def posteriors(symbols: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(symbols, M).float() * 0.7 + 0.075


def test_a_relay_holds_its_segment_alone(exported: Path) -> None:
    relay = load_relay(exported / "relay.safetensors")
    names = {name.partition(".")[0] for name in relay.segment.state_dict()}
    assert names == {"layer2"}
    card = json.loads((exported / "relay.json").read_text())
    assert (card["arriving"]["split"], card["sending"]["split"]) == ("layer1", "layer2")
    assert card["arriving"]["feature_shape"] == [4, 8, 8]


def test_parts_of_other_exports_and_other_kinds_are_refused(
    model: MultiHopPhyDnn, exported: Path
) -> None:
    relay = load_relay(exported / "relay.safetensors")
    with pytest.raises(CheckpointError, match="different dictionaries"):
        relay.check_partner(relay.card.sending)
    with pytest.raises(CheckpointError, match="is of a relay between two links"):
        load_head(exported / "relay.safetensors")
    with pytest.raises(CheckpointError, match="is no card of a relay"):
        load_relay(exported / "head.safetensors")
    with pytest.raises(ConfigError, match=r"2 hops have relays 0\.\.0, got 1"):
        export_relay(model, 1, exported / "r.safetensors", info("layer1"), info("layer2"))


@pytest.mark.parametrize(
    ("side", "changes", "message"),
    [
        ("arriving", {"part": "head"}, "hears as a tail and sends as a head"),
        ("sending", {"image_shape": [1, 9, 9]}, "differ in image_shape"),
        ("arriving", {"split": "layer2"}, "named 2 times"),
        ("sending", {"split": "layer3"}, "lacks layer3"),
        ("sending", {"num_embeddings": 8}, "constellation must list"),
        ("both", {"architecture": {"name": "os:system"}}, "nothing is imported because a card"),
        ("both", {"weights_sha256": "0"}, "is damaged"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    exported: Path, side: str, changes: dict[str, Any], message: str
) -> None:
    path = exported / "relay.json"
    card = json.loads(path.read_text())
    for name in ("arriving", "sending") if side == "both" else (side,):
        card[name] |= changes
    path.write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_relay(exported / "relay.safetensors")
    assert "\n" not in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(["part", "arriving", "sending", "extra"]),
        st.none() | st.text(max_size=5) | st.dictionaries(st.text(max_size=5), st.integers()),
    )
)
def test_any_json_is_refused_in_one_line(content: dict[str, Any]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "relay.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(CheckpointError) as caught:
            load_relay(path.with_suffix(".safetensors"))
    assert "\n" not in str(caught.value)


def test_a_network_of_the_users_is_relayed_by_an_instance(
    generator: torch.Generator, tmp_path: Path
) -> None:
    def network() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 3, 1), nn.Conv2d(3, 2, 2, 2), nn.ReLU(inplace=True), nn.Flatten(),
            nn.Linear(32, 5),
        )  # fmt: skip

    model = MultiHopPhyDnn.from_backbone(
        network(),
        splits=["0", "1"],
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=M,
        generator=generator,
    )
    cards = [dataclasses.replace(info(split), architecture={"name": "mine:net"}) for split in "01"]
    path = tmp_path / "relay.safetensors"
    export_relay(model, 0, path, *cards)
    with pytest.raises(CheckpointError, match="backbone="):
        load_relay(path)
    symbols = torch.randint(0, M, (2, 64), generator=generator)
    with evaluating(model):
        relay = load_relay(path, backbone=network())
        assert torch.equal(relay(posteriors(symbols)), model.relay(0, posteriors(symbols)))

"""Networks that the user brings, by name: one of timm's, or what a factory of theirs returns.

A name is `timm:MODEL`, or `package.module:factory` as in `torchvision.models:resnet18`. Either runs
code of whoever wrote it, so a name is built only when the user gave it, never because a file says
so.
"""

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phyemu.errors import ConfigError

from .modes import evaluating

__all__ = ["UserModel", "check_classifier"]

_TIMM = "timm:"
_TIMM_NAME = re.compile(r"timm:[\w./@:-]{1,200}")
_FACTORY_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_CHANNEL_NAMES = ("in_channels", "in_chans")
_MAX_CLASSES = 100_000
_MAX_CHANNELS = 1024
# What makes a factory read weights from a file or the network; an export brings its own.
_WEIGHT_OPTIONS = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "weights",
    }
)
_PLAIN = (bool, int, float, str)
# What a factory or an import may fail with, where the cause is what the user asked for.
_FAILURES = (
    ImportError,
    SyntaxError,
    AttributeError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UserModel:
    """A network that phyemu does not hold.

    Attributes:
        name: `timm:MODEL` or `package.module:factory`; the latter is looked for among the
            installed packages, then in the current folder.
        num_classes: Outputs, >= 2; the factory is given it as `num_classes`, where it takes that.
        in_channels: Of the images, >= 1; given as `in_channels` or `in_chans`, where it takes that.
        options: Further keyword arguments: numbers, strings, booleans and lists of them.

    Raises:
        ConfigError: The name has neither form, or a value is out of range.
    """

    name: str
    num_classes: int
    in_channels: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = self.name if isinstance(self.name, str) else ""  # cards are JSON of anybody
        pattern = _TIMM_NAME if text.startswith(_TIMM) else _FACTORY_NAME
        if pattern.fullmatch(text) is None:
            raise ConfigError(
                f"model {self.name!r}: write timm:MODEL (timm:resnet18) or package.module:factory "
                "(torchvision.models:resnet18)"
            )
        for name, value, limit in (
            ("num_classes", self.num_classes, _MAX_CLASSES),
            ("in_channels", self.in_channels, _MAX_CHANNELS),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                raise ConfigError(f"model {self.name}: {name} must be in 1..{limit}, got {value!r}")
        for key, value in self.options.items():
            items = value if isinstance(value, list) else [value]
            if not isinstance(key, str) or not all(isinstance(item, _PLAIN) for item in items):
                raise ConfigError(
                    f"model {self.name}: option {key!r} must be a number, string, boolean or a "
                    f"list of them, got {value!r}"
                )

    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network: all but where its first weights came from."""
        options = {k: v for k, v in self.options.items() if k not in _WEIGHT_OPTIONS}
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "options": options,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "UserModel":
        """Return the network that a card describes; nothing is imported.

        Raises:
            ConfigError: The description is malformed, or would read weights from elsewhere.
        """
        settings = dict(description)
        unknown = set(settings) - {"name", "num_classes", "in_channels", "options"}
        missing = {"name", "num_classes", "in_channels"} - set(settings)
        options = settings.get("options", {})
        if unknown or missing or not isinstance(options, Mapping):
            raise ConfigError(
                f"architecture {settings.get('name')!r} is described by name, num_classes, "
                f"in_channels and options, got {', '.join(map(str, settings))}"
            )
        loading = sorted(_WEIGHT_OPTIONS & set(options))
        if loading:
            raise ConfigError(
                f"architecture {settings['name']!r}: option {loading[0]} would load other weights "
                "than the file's; export again"
            )
        return cls(**{**settings, "options": dict(options)})

    def build(self, *, seed: int = 0) -> nn.Module:
        """Return the network, by calling the factory: this runs its code.

        Args:
            seed: Of its random weights; torch's global generator is set to it meanwhile and then
                given its own state back.

        Raises:
            ConfigError: The factory cannot be found or called, or returns no module.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.name.startswith(_TIMM):
                return self._from_timm()
            with _current_folder():
                return self._from_factory()

    def _from_timm(self) -> nn.Module:
        try:
            import timm
        except Exception as exc:  # torchvision of another torch raises RuntimeError
            reason = next(iter(str(exc).splitlines()), type(exc).__name__)
            raise ConfigError(
                f"model {self.name} needs timm, which cannot be imported ({reason}); pip install "
                "timm, and the torchvision of the very torch that is here: docs/phydnn.md"
            ) from exc
        name = self.name.removeprefix(_TIMM)
        sizes = {"num_classes": self.num_classes, "in_chans": self.in_channels}
        if ":" not in name and not timm.is_model(name):
            near = difflib.get_close_matches(name, timm.list_models(), n=3)
            hint = f"near names: {', '.join(near)}" if near else "see timm.list_models()"
            raise ConfigError(f"model {self.name}: timm {timm.__version__} has none such; {hint}")
        return self._called(timm.create_model, {"model_name": name, **sizes, **self.options})

    def _from_factory(self) -> nn.Module:
        module_name, _, path = self.name.partition(":")
        try:
            found: Any = importlib.import_module(module_name)
        except _FAILURES as exc:
            if module_name.endswith(".py"):
                module = module_name.removesuffix(".py")
                raise ConfigError(
                    f"model {self.name}: name the module, not its file: {module}:{path}"
                ) from exc
            raise ConfigError(
                f"model {self.name}: {module_name} cannot be imported ({_reason(exc)}); it is "
                "looked for among the installed packages and in the current folder"
            ) from exc
        for part in path.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise ConfigError(f"model {self.name}: {module_name} has no factory {path!r} to call")
        return self._called(found, {**self._sizes_for(found), **self.options})

    def _sizes_for(self, factory: Callable[..., Any]) -> dict[str, int]:
        """Return those of the sizes that the factory takes by name."""
        try:
            parameters = inspect.signature(factory).parameters
        except (TypeError, ValueError):  # of a builtin
            return {}
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        sizes = {}
        if "num_classes" in parameters or takes_any:
            sizes["num_classes"] = self.num_classes
        for name in _CHANNEL_NAMES:
            if name in parameters:
                sizes[name] = self.in_channels
        return sizes

    def _called(self, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> nn.Module:
        try:
            model = factory(**arguments)
        except _FAILURES as exc:
            given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            raise ConfigError(
                f"model {self.name}: its factory failed when called with {given} ({_reason(exc)})"
            ) from exc
        if not isinstance(model, nn.Module):
            raise ConfigError(
                f"model {self.name}: its factory returned {type(model).__name__}, no nn.Module"
            )
        return model


def check_classifier(
    model: nn.Module,
    *,
    name: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    remedy: str = "set what it needs in [backbone.options]",
) -> None:
    """Raise ConfigError unless the model makes (batch, num_classes) logits of such images."""
    try:
        with evaluating(model):
            logits = model(torch.zeros((2, *image_shape)))
    except _FAILURES as exc:
        raise ConfigError(
            f"model {name} takes no images of {image_shape} (channels, height, width): "
            f"{_reason(exc)}; {remedy}"
        ) from exc
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != (2, num_classes):
        raise ConfigError(
            f"model {name} must give ({num_classes},) logits an image of {image_shape}, but gives "
            f"{found[1:] if isinstance(found, tuple) else found}; {remedy}"
        )


@contextmanager
def _current_folder() -> Iterator[None]:
    """Let modules of the current folder be found, behind those that are installed.

    Behind, so that a file which happens to lie there stands in for no library.
    """
    folder = str(Path.cwd())
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.reverse()  # the last one is ours; the folder may have been there before
        sys.path.remove(folder)
        sys.path.reverse()


def _reason(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return f"{type(exc).__name__}: {lines[0]}" if lines else type(exc).__name__

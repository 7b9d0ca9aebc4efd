"""Channels by what a user types: a spec, a file, a shipped name."""

import dataclasses
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from phyemu.channel.awgn import Awgn, AwgnRange
from phyemu.channel.distribution import Distribution
from phyemu.channel.empirical import EmpiricalChannel
from phyemu.channel.measured import MeasuredChannel
from phyemu.channel.mixture import Mixture
from phyemu.channel.model import ChannelModel
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.store import load_model
from phyemu.channel.tapped_delay_line import TappedDelayLine, tdl, tgn
from phyemu.channel.widened import Widened
from phyemu.channel.worlds import world
from phyemu.errors import ConfigError
from phyemu.library import find_in_library

__all__ = ["load_channel", "with_snr"]

_FORMS = (
    "awgn:SNR_DB, awgn:LOWEST..HIGHEST, tgn-a[-los] ... tgn-f[-los]:SNR_DB[:DOPPLER_HZ], "
    "tdl-a ... tdl-e:SNR_DB[:RMS_DELAY_SPREAD_NS[:DOPPLER_HZ]], world:NAME, "
    "mixture:SPEC,SPEC... or mixture:WEIGHT*SPEC,WEIGHT*SPEC..., widen:FACTOR:SPEC, an .h5 file, "
    "or the name of a shipped channel"
)


_WEIGHTED = re.compile(r"(?P<weight>[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*\*\s*(?P<spec>.+)")


def load_channel(
    spec: str, *, load_scenario: Callable[[str], ChannelModel] | None = None
) -> ChannelModel:
    """Return the channel model of a spec.

    Args:
        spec: "awgn:SNR_DB" ("awgn:inf" is no noise); "awgn:LOWEST..HIGHEST", where each link draws
            its SNR (`AwgnRange`); "tgn-a" to "tgn-f", with "-los" for the line
            of sight, as "tgn-b:SNR_DB[:DOPPLER_HZ]"; "tdl-a" to "tdl-e" as
            "tdl-a:SNR_DB[:RMS_DELAY_SPREAD_NS[:DOPPLER_HZ]]" (100 ns, 5 Hz where left out);
            "world:NAME"; "mixture:SPEC,SPEC" in equal shares, or "mixture:0.7*SPEC,0.3*SPEC";
            "widen:FACTOR:SPEC" (`Widened`; of a mixture too); the path of an .h5 file; a name on
            the library's channel shelf.
        load_scenario: Loads what begins with "scenario:", alone or in a mixture: links of Colosseum
            scenarios, which a higher room knows (`phyemu.colosseum.load_channel_or_link`).

    Raises:
        ConfigError: No such form or name; the message says which there are.
        StoreError: The file is not what it should be.

    >>> load_channel("awgn:12").name
    'awgn:12'
    """
    kind, _, rest = spec.strip().partition(":")
    word = kind.lower()
    if Path(spec).is_file():
        return load_model(spec)
    if word == "scenario" and load_scenario is not None:
        return load_scenario(spec.strip())
    if word == "awgn":
        return _awgn(spec, rest)
    if word == "mixture":
        return _mixture(spec, rest, partial(load_channel, load_scenario=load_scenario))
    if word == "widen":
        factor, _, widened = rest.partition(":")
        if not widened.strip():
            raise ConfigError(f"{spec}: write widen:FACTOR:SPEC, as in widen:1.5:office-nlos")
        base = load_channel(widened, load_scenario=load_scenario)
        return Widened(base, _numbers(spec, factor, "FACTOR:SPEC")[0])
    if word == "world":
        return world(rest).model
    if word.startswith("tgn-"):
        letter = word.removeprefix("tgn-").removesuffix("-los")
        snr_db, *doppler = _numbers(spec, rest, "SNR_DB", "DOPPLER_HZ")
        line_of_sight = word.endswith("-los")
        if doppler:
            return tgn(letter, snr_db=snr_db, line_of_sight=line_of_sight, doppler_hz=doppler[0])
        return tgn(letter, snr_db=snr_db, line_of_sight=line_of_sight)
    if word.startswith("tdl-"):
        values = _numbers(spec, rest, "SNR_DB", "RMS_DELAY_SPREAD_NS", "DOPPLER_HZ")
        spread_ns = values[1] if len(values) > 1 else 100.0
        doppler_hz = values[2] if len(values) > 2 else 5.0
        return tdl(
            word.removeprefix("tdl-"),
            rms_delay_spread_s=spread_ns / 1e9,
            snr_db=values[0],
            doppler_hz=doppler_hz,
        )
    try:
        return load_model(find_in_library(spec, "channels"))
    except ConfigError as exc:
        raise ConfigError(f"{exc}; a channel is {_FORMS}") from exc


def _awgn(spec: str, text: str) -> Awgn | AwgnRange:
    lowest, dots, highest = text.partition("..")
    if not dots:
        return Awgn(*_numbers(spec, text, "SNR_DB"))
    try:
        return AwgnRange(float(lowest), float(highest))
    except ValueError as exc:  # of float, and a ConfigError
        reason = f" ({exc})" if isinstance(exc, ConfigError) else ""
        raise ConfigError(
            f"channel {spec}: is no range of SNR{reason}; write awgn:LOWEST..HIGHEST in dB, as in "
            "awgn:4..20"
        ) from exc


def channel_files(spec: str) -> tuple[Path, ...]:
    """Return the files that a spec names by their paths, in its order; names are none.

    Args:
        spec: As `load_channel` takes it, links of scenarios included.
    """
    kind, _, rest = spec.strip().partition(":")
    word = kind.lower()
    if Path(spec).is_file():
        return (Path(spec),)
    if word == "mixture":
        pairs = [(_WEIGHTED.fullmatch(part), part) for part in _parts_of_mixture(rest)]
        specs = [part if pair is None else pair["spec"] for pair, part in pairs]
        return tuple(path for part in specs for path in channel_files(part))
    if word == "widen":
        return channel_files(rest.partition(":")[2])
    if word == "scenario":
        path = Path(rest.partition(":")[0])
        return (path,) if path.is_file() else ()
    return ()


def _parts_of_mixture(text: str) -> list[str]:
    """Return comma-separated specs; a file's name may hold commas itself."""
    words = text.split(",")
    parts: list[str] = []
    while words:
        ends = [end for end in range(len(words), 1, -1) if _is_file(",".join(words[:end]))]
        taken = ends[0] if ends else 1
        parts.append(",".join(words[:taken]).strip())
        words = words[taken:]
    return [part for part in parts if part]


def _mixture(spec: str, text: str, load: Callable[[str], ChannelModel]) -> Mixture:
    parts = _parts_of_mixture(text)
    if not parts:
        raise ConfigError(f"{spec}: a mixture needs channels, as in mixture:awgn:12,tgn-b:15")
    pairs = [_WEIGHTED.fullmatch(part) for part in parts]
    weighted = [pair for pair in pairs if pair is not None]
    if not weighted:
        return Mixture(tuple(load(part) for part in parts))
    if len(weighted) < len(parts):
        raise ConfigError(f"{spec}: give every channel of a mixture a weight, or none")
    return Mixture(
        tuple(load(pair["spec"]) for pair in weighted),
        tuple(float(pair["weight"]) for pair in weighted),
    )


def _is_file(text: str) -> bool:
    pair = _WEIGHTED.fullmatch(text.strip())
    return Path(pair["spec"] if pair else text.strip()).is_file()


def _numbers(spec: str, text: str, *names: str, least: int = 1) -> list[float]:
    """Return the numbers that stand in a spec for these names, of which the first ones must."""
    words = text.split(":") if text else []
    kind = spec.strip().partition(":")[0]
    optional = "".join(f"[:{name}" for name in names[least:]) + "]" * len(names[least:])
    form = f"{':'.join((kind, *names[:least]))}{optional}"
    if names[0] == "SNR_DB":
        form += f", as in {kind}:12"
    if kind.lower() == "awgn":
        form += " (awgn:4..20 draws from a range)"
    try:
        values = [float(word) for word in words]
    except ValueError as exc:
        raise ConfigError(f"channel {spec}: {text!r} is no list of numbers; write {form}") from exc
    if any(math.isnan(value) for value in values):
        raise ConfigError(f"channel {spec}: NaN is no number; write {form}")
    if not least <= len(values) <= len(names):
        problem = f"lacks {names[len(values)]}" if len(values) < least else "has too many numbers"
        raise ConfigError(f"channel {spec}: {problem}; write {form}")
    return values


def with_snr(model: ChannelModel, snr_db: float) -> ChannelModel:
    """Return the model at another SNR [dB], everything else as it was.

    The SNR is the link's, peak symbol power over noise variance when the response has power one;
    fading then moves around it, and so do the variants of a widened channel.

    Raises:
        ConfigError: The model is of a foreign type.
    """
    noise = NoiseLevel.of_snr_db(snr_db)
    match model:
        case Awgn() | AwgnRange():
            return Awgn(snr_db)
        case TappedDelayLine() | MeasuredChannel():
            return dataclasses.replace(model, noise=noise)
        case EmpiricalChannel():
            return dataclasses.replace(model, snr_db=Distribution.constant(snr_db), cn0_dbhz=None)
        case Mixture():
            return Mixture(tuple(with_snr(part, snr_db) for part in model.models), model.weights)
        case Widened():
            return Widened(with_snr(model.model, snr_db), model.factor)
        case _ if isinstance(getattr(model, "noise", None), NoiseLevel):
            # Models of higher rooms, such as links of scenarios, state their noise alike.
            return cast(ChannelModel, dataclasses.replace(cast(Any, model), noise=noise))
        case _:
            raise ConfigError(f"a {type(model).__name__} has no SNR to set")

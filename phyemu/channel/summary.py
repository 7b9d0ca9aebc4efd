"""A channel model in a few numbers, for people and for --json."""

from typing import Any

from phyemu.channel.empirical import EmpiricalChannel
from phyemu.channel.measured import MeasuredChannel
from phyemu.channel.model import ChannelModel
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.tapped_delay_line import TappedDelayLine
from phyemu.units import power_to_db

__all__ = ["summarise_model"]


def summarise_model(model: ChannelModel) -> dict[str, Any]:
    """Return name, type, paths and noise of a model as JSON values.

    Returns:
        name, model, paths [{delay_s, gain_db, k_factor_db}] (mean powers, over one), and whichever
        of snr_db and cn0_dbhz the model states (its mean).
    """
    result: dict[str, Any] = {"name": model.name, "model": type(model).__name__}
    match model:
        case EmpiricalChannel():
            result["paths"] = _paths(model.delays_s, model.powers, model.k_factor)
            result["doppler_hz"] = max(model.doppler_hz)
        case TappedDelayLine():
            profile = model.profile
            result["paths"] = _paths(profile.delays_s, profile.powers, profile.k_factor)
            result["doppler_hz"] = model.doppler_hz
        case MeasuredChannel():
            delays_s, powers = model.responses.power_delay_profile()
            total = float(powers.sum())
            result["paths"] = [
                {"delay_s": delay_s, "gain_db": power_to_db(power / total)}
                for delay_s, power in zip(delays_s.tolist(), powers.tolist(), strict=True)
            ]
            result["responses"] = model.responses.num_steps
        case _:
            pass
    noise = getattr(model, "noise", None)
    if isinstance(noise, NoiseLevel):
        if noise.snr_db is not None:
            result["snr_db"] = noise.snr_db.mean
        if noise.cn0_dbhz is not None:
            result["cn0_dbhz"] = noise.cn0_dbhz.mean
    return result


def _paths(
    delays_s: tuple[float, ...], powers: tuple[float, ...], k_factor: tuple[float, ...]
) -> list[dict[str, float]]:
    return [
        {"delay_s": delay_s, "gain_db": power_to_db(power), "k_factor_db": power_to_db(k)}
        for delay_s, power, k in zip(delays_s, powers, k_factor, strict=True)
    ]

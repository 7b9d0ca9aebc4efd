"""A figure of what a channel does: its power delay profile, and its response over time."""

from pathlib import Path

import torch

from phyemu.channel.model import ChannelModel, draw_of
from phyemu.errors import ConfigError

__all__ = ["plot_realisation"]


def plot_realisation(model: ChannelModel, path: Path, *, seed: int, sample_rate_hz: float) -> Path:
    """Write the power delay profile and the first second's response of a realisation.

    Args:
        model: The channel.
        path: Figure file; its suffix says the format (.png, .pdf, .svg).
        seed: The realisation's, as in `ChannelStream`.
        sample_rate_hz: Width of the frequency axis [Hz].

    Raises:
        ConfigError: The format is unknown.
    """
    from matplotlib.figure import Figure

    generator = torch.Generator().manual_seed(seed)
    realisation = model.realise(symbol_rate_hz=sample_rate_hz, generator=generator)
    response = draw_of(realisation, num_steps=200, interval_s=5e-3).response
    frequencies_hz = torch.linspace(-0.5, 0.5, 257, dtype=torch.float64) * sample_rate_hz
    transfer = response.frequency_response(frequencies_hz)[0].abs().square().clamp(min=1e-12)
    delays_s, powers = response.power_delay_profile()
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.stem(delays_s.numpy() * 1e9, 10 * powers.clamp(min=1e-12).log10().numpy(), bottom=-60)
    left.set(xlabel="delay [ns]", ylabel="mean power [dB]", ylim=(-60, 5), title=model.name)
    image = right.imshow(
        10 * transfer.log10().numpy(),
        aspect="auto",
        origin="lower",
        extent=(-sample_rate_hz / 2e6, sample_rate_hz / 2e6, 0.0, 1.0),
        vmin=-30,
        vmax=10,
    )
    right.set(xlabel="frequency [MHz]", ylabel="time [s]", title="response [dB]")
    figure.colorbar(image, ax=right)
    try:
        figure.savefig(path)
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    return path

"""Soundings of known worlds, made without the sounder: the truth plus noise of known variance."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from phyemu.channel import FadingProcess, ImpulseResponse
from phyemu.sounding import Estimate, FrontEndEstimate, Sounding

NOISE_DENSITY = 1e-14  # [full scale^2 / Hz]

MakeSounding = Callable[..., Sounding]


@pytest.fixture
def make_sounding() -> MakeSounding:
    """Return a function that sounds a fading process as an ideal sounder would."""
    return sound_process


def sound_process(
    fading: FadingProcess,
    delays_s: tuple[float, ...],
    *,
    num_frames: int,
    interval_s: float = 5e-3,
    cn0_dbhz: float = 100.0,
    bandwidth_hz: float = 16e6,
    num_frequencies: int = 64,
    bin_noise_hz: float = 20e3,
    independent: bool = False,
    drift_db: np.ndarray | None = None,
    transmitter: int = 0,
    cfo_hz: float = 1200.0,
    probe: str = "sounder",
    front_end: FrontEndEstimate | None = None,
    seed: int = 0,
) -> Sounding:
    """Return N frames of a world; the phase common to all paths is new in each frame.

    Each response value has the noise of `bin_noise_hz`: N0 times that over the power per hertz.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    if independent:
        gains = fading.draw(num_frames, num_steps=1, interval_s=1.0, generator=generator)[:, 0]
    else:
        gains = fading.draw(1, num_steps=num_frames, interval_s=interval_s, generator=generator)[0]
    power = NOISE_DENSITY * 10.0 ** (cn0_dbhz / 10.0)
    scale = np.sqrt(power * 10.0 ** ((drift_db if drift_db is not None else 0.0) / 10.0))
    turned = gains.numpy() * np.exp(2j * np.pi * rng.random((num_frames, 1)))
    turned = turned * np.broadcast_to(scale, (num_frames,))[:, None]
    frequencies_hz = (np.arange(num_frequencies) - num_frequencies // 2) * (
        bandwidth_hz / num_frequencies
    )
    truth = turned @ np.exp(-2j * np.pi * np.outer(delays_s, frequencies_hz))
    noise = np.full(truth.shape, NOISE_DENSITY * bin_noise_hz * num_frequencies)
    error = rng.standard_normal((2, *truth.shape))
    transfer = truth + (error[0] + 1j * error[1]) * np.sqrt(noise / 2.0)
    received = 10.0 * np.log10(np.maximum((np.abs(transfer) ** 2 - noise).mean(axis=1), 1e-30))
    known = Estimate(value=0.0, std=1e-6)
    return Sounding(
        probe=probe,
        sample_rate_hz=20e6,
        bandwidth_hz=bandwidth_hz,
        center_frequency_hz=2.437e9,
        transmitter=transmitter,
        sample_start=np.arange(num_frames) * int(interval_s * 20e6),
        time_s=np.arange(num_frames) * interval_s,
        frequencies_hz=frequencies_hz,
        transfer=transfer.astype(np.complex64),
        noise_variance=noise,
        cfo_hz=cfo_hz + 10.0 * rng.standard_normal(num_frames),
        sfo_ppm=np.full(num_frames, 0.5),
        cn0_dbhz=received - 10.0 * np.log10(NOISE_DENSITY),
        received_power_dbfs=received,
        noise_floor_dbfs=np.full(num_frames, 10.0 * np.log10(NOISE_DENSITY * 20e6)),
        confidence=np.ones(num_frames),
        paths=ImpulseResponse(
            torch.from_numpy(turned.astype(np.complex64)),
            torch.tensor(delays_s, dtype=torch.float64),
            interval_s,
        ),
        front_end=front_end
        or FrontEndEstimate(
            dc_offset_i=known,
            dc_offset_q=known,
            iq_gain_db=known,
            iq_phase_rad=known,
            linewidth_hz=known,
        ),
        recording_name="synthetic.sigmf",
    )

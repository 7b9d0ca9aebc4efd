"""What the receiver takes for a frame where there is none of ours."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.sync_interferers import captures, single_carrier
from benchmarks.wifi_traffic import data_octets, stream_of, transmitter
from phyemu.receiver import FrameReceiver, ReceiverConfig
from phyemu.waveform import FrameFormat, psk

__all__ = ["SOURCES", "Alarms", "count_alarms"]

BLOCK = 1 << 20
RATE_HZ = 20e6


def _noise(rng: np.random.Generator, count: int = BLOCK) -> NDArray[np.complex64]:
    return rng.standard_normal(2 * count, dtype=np.float32).view(np.complex64)


def _white(rng: np.random.Generator) -> NDArray[np.complex64]:
    return _noise(rng)


def _filtered(rng: np.random.Generator) -> NDArray[np.complex64]:
    """Noise behind a filter of 8 MHz, less than our own band."""
    spectrum = np.fft.fft(_noise(rng))
    spectrum[np.abs(np.fft.fftfreq(BLOCK)) > 0.2] = 0
    return np.fft.ifft(spectrum).astype(np.complex64)


def _tone(rng: np.random.Generator) -> NDArray[np.complex64]:
    """A tone that sweeps 100 kHz in each block, 20 dB above the noise, and DC at its level."""
    start = rng.uniform(-8e6, 8e6)
    phase = np.cumsum(np.linspace(start, start + 100e3, BLOCK)) / RATE_HZ
    tone = np.exp(2j * np.pi * phase) + 1.0
    return (14.0 * tone + _noise(rng)).astype(np.complex64)


def _psk(rng: np.random.Generator) -> NDArray[np.complex64]:
    order = int(rng.choice([2, 4, 8]))
    return single_carrier(BLOCK, rng, samples_per_symbol=2, order=order, square=False)


def _qam(rng: np.random.Generator) -> NDArray[np.complex64]:
    return single_carrier(BLOCK, rng, samples_per_symbol=3, order=16, square=True)


def _narrow(rng: np.random.Generator) -> NDArray[np.complex64]:
    """4-PSK of 1.25 Msym/s anywhere in the band."""
    iq = single_carrier(BLOCK, rng, samples_per_symbol=16, order=4, square=False)
    return (iq * np.exp(2j * np.pi * rng.uniform(-0.25, 0.25) * np.arange(BLOCK))).astype("c8")


_TRAFFIC: list[NDArray[np.complex64]] = []


def _wifi(rng: np.random.Generator) -> NDArray[np.complex64]:
    """802.11n frames of all modes, from the tests' transmitter, at another offset each block."""
    if not _TRAFFIC:
        frames = [transmitter().ht_frame(data_octets(400), mode) for mode in range(8)]
        _TRAFFIC.append(stream_of(frames, snr_db=30.0, seed=1))
    iq = _TRAFFIC[0]
    turns = rng.uniform(-250e3, 250e3) / RATE_HZ * np.arange(len(iq))
    return (iq * np.exp(2j * np.pi * turns)).astype(np.complex64)


def _captures(rng: np.random.Generator) -> NDArray[np.complex64]:
    """The real captures, as they are the first time, then turned by up to 250 kHz."""
    pieces = [iq / np.abs(iq).max() for iq in captures().values()]
    iq = np.concatenate(pieces)
    turns = rng.uniform(-250e3, 250e3) / RATE_HZ * np.arange(len(iq))
    return (iq * np.exp(2j * np.pi * turns)).astype(np.complex64)


SOURCES = {
    "white noise": _white,
    "noise in 8 MHz": _filtered,
    "tone and DC, 20 dB above noise": _tone,
    "2-, 4-, 8-PSK, 10 Msym/s, no noise": _psk,
    "16-QAM, 6.7 Msym/s, no noise": _qam,
    "4-PSK, 1.25 Msym/s, no noise": _narrow,
    "802.11n traffic, made": _wifi,
    "802.11 captures, real": _captures,
}


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """What was counted.

    Attributes:
        alarms: Frames reported, whatever their status.
        samples: Searched.
    """

    alarms: int
    samples: int

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the rate per sample (of Poisson counts, exact)."""
        low = chi2.ppf(0.025, 2 * self.alarms) / 2 if self.alarms else 0.0
        return low / self.samples, float(chi2.ppf(0.975, 2 * self.alarms + 2)) / 2 / self.samples


def _blocks(
    name: str, num_samples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.complex64]]:
    sent = 0
    while sent < num_samples:
        block = SOURCES[name](rng)
        sent += len(block)
        yield block


def count_alarms(
    name: str, *, num_samples: int, seed: int, false_alarm_rate: float | None = None
) -> Alarms:
    """Return what the receiver reports on a source, at the default rate or another."""
    config = (
        ReceiverConfig()
        if false_alarm_rate is None
        else ReceiverConfig(false_alarm_rate=false_alarm_rate)
    )
    # Payloads no longer than one symbol, so that a wrong header does not end the search.
    receiver = FrameReceiver(FrameFormat(max_payload_symbols=1), psk(4), config)
    rng = np.random.Generator(np.random.SFC64(seed))
    alarms = 0
    for block in _blocks(name, num_samples, rng):
        alarms += len(receiver.process(block))
    return Alarms(alarms=alarms + len(receiver.finish()), samples=receiver.num_samples)

"""What else may be on the air: tones, other modulations, Wi-Fi, a neighbour's channel."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.iq import open_recording
from phyemu.waveform import psk, qam
from phyemu.waveform.pulse import rrc_taps, shape_pulses

__all__ = ["CAPTURES", "KINDS", "Interferer", "captures", "single_carrier"]

CAPTURES = Path(__file__).parents[2] / "shared" / "data" / "captures"
KINDS = ("tone", "4-PSK, same rate", "Wi-Fi", "neighbour")
SAMPLE_RATE_HZ = 20e6


@functools.lru_cache(maxsize=1)
def captures() -> dict[str, NDArray[np.complex64]]:
    """Return the real Wi-Fi captures of the shared data, by name; none where they are absent."""
    found = {}
    for path in sorted(CAPTURES.glob("*.sigmf-meta")):
        with open_recording(path) as recording:
            found[path.stem] = np.concatenate(list(recording.blocks()))
    return found


def single_carrier(
    count: int, rng: np.random.Generator, *, samples_per_symbol: int, order: int, square: bool
) -> NDArray[np.complex64]:
    """Return symbols without end in root-raised-cosine pulses, unit power."""
    points = (qam(order) if square else psk(order)).points.numpy()
    symbols = points[rng.integers(0, order, count // samples_per_symbol + 40)]
    taps = rrc_taps(samples_per_symbol, 0.25, 16)
    shaped = shape_pulses(torch.from_numpy(symbols), taps, samples_per_symbol=samples_per_symbol)
    iq = shaped.numpy()[16 * samples_per_symbol :][:count]
    return (iq / np.sqrt(np.square(np.abs(iq)).mean())).astype(np.complex64)


def _turned(iq: NDArray[np.complex64], frequency_hz: float) -> NDArray[np.complex64]:
    turns = frequency_hz / SAMPLE_RATE_HZ * np.arange(len(iq))
    return (iq * np.exp(2j * np.pi * (turns % 1.0))).astype(np.complex64)


@dataclass(frozen=True, kw_only=True)
class Interferer:
    """Another signal on the air.

    Attributes:
        kind: "tone" (anywhere within 5 MHz, another for each call), "4-PSK, same rate" (our own
            pulses and rate, other symbols, up to 100 kHz away), "Wi-Fi" (stretches of the real
            captures), "neighbour" (4-PSK of 2.5 Msym/s 8 MHz away: 6.4 to 9.6 MHz).
        sir_db: Our power over its [dB].
    """

    kind: str
    sir_db: float

    def samples(self, count: int, power: float, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Return samples of it beside a signal of that mean power."""
        match self.kind:
            case "tone":
                pieces = [
                    _turned(np.ones(min(1700, count - at), np.complex64), rng.uniform(-5e6, 5e6))
                    for at in range(0, count, 1700)
                ]
                iq = np.concatenate(pieces)
            case "4-PSK, same rate":
                iq = single_carrier(count, rng, samples_per_symbol=2, order=4, square=False)
                iq = _turned(iq, rng.uniform(-100e3, 100e3))
            case "neighbour":
                iq = single_carrier(count, rng, samples_per_symbol=8, order=4, square=False)
                iq = _turned(iq, 8e6)
            case "Wi-Fi":
                iq = self._wifi(count, rng)
            case _:
                raise ValueError(f"no interferer {self.kind!r}; there are {', '.join(KINDS)}")
        return iq * np.float32(np.sqrt(power * 10 ** (-self.sir_db / 10)))

    @staticmethod
    def _wifi(count: int, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Return stretches of captures between other carriers, their bursts at unit power."""
        kept = list(captures().values())
        pieces: list[NDArray[np.complex64]] = []
        while sum(map(len, pieces)) < count:
            piece = kept[rng.integers(len(kept))]
            squares = np.square(np.abs(piece))
            active = squares > 0.1 * squares.max()
            piece = piece / np.sqrt(squares[active].mean())
            pieces.append(_turned(piece, rng.uniform(-1e6, 1e6)))
        return np.concatenate(pieces)[:count].astype(np.complex64)

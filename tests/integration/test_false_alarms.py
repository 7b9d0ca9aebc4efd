"""Ten seconds of white noise at 20 Msps hold no frame of any kind."""

from collections.abc import Iterator

import numpy as np
import pytest

from phyemu.receiver import FrameReceiver
from phyemu.waveform import ChipDetector, FrameFormat, psk
from phyemu.waveform.sounder import SounderFormat, chip_sounder
from phyemu.waveform.sounder_detection import SounderDetector
from phyemu.wifi.detection import WifiDetector

NUM_SAMPLES = 200_000_000
BLOCK = 2_000_000


def noise(seed: int) -> Iterator[np.ndarray]:
    rng = np.random.Generator(np.random.SFC64(seed))
    for _ in range(NUM_SAMPLES // BLOCK):
        yield 0.1 * rng.standard_normal(2 * BLOCK, dtype=np.float32).view(np.complex64)


def chips(gap_samples: int | None) -> ChipDetector:
    sounder = chip_sounder(
        20e6,
        "glfsr",
        degree=8,
        index=0,
        samples_per_chip=2,
        repetitions=8,
        gap_samples=gap_samples,
    )
    return ChipDetector(sounder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frames", "sounder", "chips", "chips without end", "wifi"])
def test_ten_seconds_of_noise_hold_no_frame(kind: str) -> None:
    detector = {
        "frames": lambda: FrameReceiver(FrameFormat(), psk(16)),
        "sounder": lambda: SounderDetector(SounderFormat(sample_rate_hz=20e6)),
        "chips": lambda: chips(None),
        "chips without end": lambda: chips(0),
        "wifi": WifiDetector,
    }[kind]()
    found = [found for block in noise(20) for found in detector.process(block)]
    assert [*found, *detector.finish()] == []

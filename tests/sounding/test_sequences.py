"""Known channels through every sequence, from the recording to the paths, and what it costs."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from phyemu.channel import (
    Distribution,
    FrontEnd,
    ImpulseResponse,
    MeasuredChannel,
    NoiseLevel,
)
from phyemu.channel.stream import ChannelStream
from phyemu.iq import Recording, RecordingWriter, open_recording
from phyemu.sounding import Sounding, sound_recording
from phyemu.waveform.sounder import SounderFormat, chip_sounder, sounder_period, sounder_waveform

Maker = Callable[..., Recording]
RATE = 20e6
AMPLITUDE = 0.2
DELAYS_NS = [0.0, 163.0, 490.0, 1010.0]
GAINS = [1.0, 0.6j, -0.35, 0.1]


def _fields(sounder: SounderFormat) -> dict[str, Any]:
    return {"phyemu:waveform": "sounder", "phyemu:sounder": sounder.to_dict()}


def _received(sounder: SounderFormat, num_bursts: int, *, cfo_hz: float, sfo_ppm: float) -> Any:
    front_end = FrontEnd(
        cfo_hz=Distribution.constant(cfo_hz), sfo_ppm=Distribution.constant(sfo_ppm)
    )
    response = ImpulseResponse(
        torch.tensor([GAINS], dtype=torch.complex64),
        torch.tensor(DELAYS_NS, dtype=torch.float64) * 1e-9,
        1e-3,
    )
    model = MeasuredChannel(
        name="static",
        responses=response,
        noise=NoiseLevel.of_snr_db(20.0),
        front_end=front_end,
    )
    stream = ChannelStream(
        model,
        sample_rate_hz=RATE,
        symbol_rate_hz=RATE,
        reference_power=AMPLITUDE**2,
        seed=3,
    )
    burst = np.concatenate(
        [
            AMPLITUDE * sounder_waveform(sounder).numpy(),
            np.zeros(sounder.gap_samples, np.complex64),
        ]
    )
    # The emulator delays what it sends: silence at the end keeps the last burst whole.
    silence = np.zeros(6000, np.complex64)
    sent = np.concatenate([silence[:900], *[burst] * num_bursts, silence])
    return np.asarray(stream.process(sent))


def _check(link: Sounding, *, cfo_hz: float) -> None:
    np.testing.assert_allclose(1e9 * link.paths.delays_s.numpy(), DELAYS_NS, atol=1.0)
    scale = AMPLITUDE**2 / np.sum(np.square(np.abs(GAINS)))
    level = 10 * np.log10(link.paths.powers().numpy() / scale)
    # The last path lies at the 20 dB of the noise, which some 100 000 samples average.
    np.testing.assert_allclose(level, 20 * np.log10(np.abs(GAINS)), atol=0.15)
    noise_dbfs = 20 * np.log10(AMPLITUDE) - 20.0
    assert np.median(link.noise_floor_dbfs) == pytest.approx(noise_dbfs, abs=0.1)
    assert np.median(link.cn0_dbhz) == pytest.approx(20.0 + 10 * np.log10(RATE), abs=0.3)
    assert np.median(link.cfo_hz) == pytest.approx(cfo_hz, abs=30.0)


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize(
    ("kind", "degree", "hold"),
    [("glfsr", 8, 2), ("glfsr", 9, 1), ("gold", 7, 4), ("golay", 8, 2), ("ga128", 7, 2)],
)
def test_a_known_channel_is_measured_with_every_sequence(
    make_recording: Maker, kind: str, degree: int, hold: int, continuous: bool
) -> None:
    sounder = chip_sounder(
        RATE,
        kind,
        degree=degree,
        index=0,
        samples_per_chip=hold,
        repetitions=8,
        gap_samples=0 if continuous else None,
    )
    iq = _received(sounder, 60, cfo_hz=-61_300.0, sfo_ppm=7.7)
    (link,) = sound_recording(make_recording(iq, RATE, global_fields=_fields(sounder)))
    # Without end, the frames in which sending begins and ends are left out.
    assert 57 <= link.num_frames <= 60
    assert continuous or link.num_frames == 60
    _check(link, cfo_hz=-61_300.0)
    assert link.sfo_ppm[0] == pytest.approx(7.7, abs=0.15)
    assert np.isnan(link.front_end.dc_offset_i.value) == continuous
    imbalance = link.front_end.iq_gain_db
    assert abs(imbalance.value) < 4 * imbalance.std < 0.2


def test_any_number_of_workers_gives_the_same_sounding(make_recording: Maker) -> None:
    for gap in (None, 0):
        sounder = chip_sounder(
            RATE, "glfsr", degree=8, index=0, samples_per_chip=2, repetitions=8, gap_samples=gap
        )
        iq = np.tile(_received(sounder, 75, cfo_hz=1e3, sfo_ppm=0.0), 2)
        recording = make_recording(iq, RATE, global_fields=_fields(sounder))
        (one,) = sound_recording(recording)
        (many,) = sound_recording(recording, num_workers=3)
        np.testing.assert_array_equal(one.sample_start, many.sample_start)
        np.testing.assert_array_equal(one.transfer, many.transfer)
        np.testing.assert_array_equal(one.paths.gains, many.paths.gains)


def test_metadata_of_the_reference_name_what_a_foreign_recording_holds(
    make_recording: Maker,
) -> None:
    # CaST's radio: 255 chips of one sample each, without end, and both radios on one clock.
    sounder = chip_sounder(
        RATE, "glfsr", degree=8, index=0, samples_per_chip=1, repetitions=8, gap_samples=0
    )
    recording = make_recording(_received(sounder, 60, cfo_hz=0.0, sfo_ppm=0.0), RATE)
    sent = make_recording(sounder_waveform(sounder).numpy(), RATE, global_fields=_fields(sounder))
    (link,) = sound_recording(recording, reference=sent)
    assert link.probe == "sounder"
    _check(link, cfo_hz=0.0)


@pytest.mark.parametrize("periods", [3, 40])
def test_a_reference_that_repeats_is_measured_once_per_stretch(
    make_recording: Maker, periods: int
) -> None:
    # CaST's own recordings: the sequence over and over, and no metadata that name it.
    sounder = chip_sounder(
        RATE, "glfsr", degree=8, index=0, samples_per_chip=2, repetitions=8, gap_samples=0
    )
    recording = make_recording(_received(sounder, 60, cfo_hz=5e3, sfo_ppm=0.0), RATE)
    period = 0.5 * sounder_period(sounder).numpy()
    reference = make_recording(np.tile(period, periods), RATE)
    (link,) = sound_recording(recording, reference=reference)
    stretch = min(periods * sounder.length, 8192)
    assert np.diff(link.sample_start).min() >= stretch
    assert link.num_frames >= 0.9 * 60 * sounder.burst_samples // (stretch + sounder.length)
    np.testing.assert_allclose(1e9 * link.paths.delays_s.numpy(), DELAYS_NS, atol=2.0)


def test_memory_is_that_of_a_block_and_of_the_frames_found(tmp_path: Path) -> None:
    # 40 M samples, 320 MB as complex64, with a burst every 2 M.
    sounder = SounderFormat(sample_rate_hz=RATE, length=256, gap_samples=2_000_000 - 9 * 256)
    burst = np.concatenate(
        [
            AMPLITUDE * sounder_waveform(sounder).numpy(),
            np.zeros(sounder.gap_samples, np.complex64),
        ]
    )
    path = tmp_path / "long.sigmf"
    with RecordingWriter(
        path, sample_rate_hz=RATE, datatype="ci8", global_fields=_fields(sounder)
    ) as writer:
        for _ in range(20):
            writer.write(burst)
    with open_recording(path) as recording:
        tracemalloc.start()
        (link,) = sound_recording(recording, num_workers=2)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert link.num_frames == 20
    # Blocks of 2 MB; at most six windows of 0.6 MB wait for two threads, each with some copies.
    assert peak < 25e6

"""A recording through a channel."""

import math
from pathlib import Path

import numpy as np
import pytest

from phyemu.channel import Awgn, ChannelStream, emulate, load_channel, world
from phyemu.channel.emulate import emulate_recording, reference_level
from phyemu.errors import ConfigError, RecordingError, SignalError
from phyemu.iq import Annotation, RecordingWriter, open_recording, write_recording

RATE_HZ = 20e6


def record(path: Path, iq: np.ndarray, **settings: object) -> Path:
    arguments = {"sample_rate_hz": RATE_HZ, "datatype": "cf32_le"} | settings
    return write_recording(path, iq.astype(np.complex64), **arguments)


def bursts(active_power: float) -> np.ndarray:
    """Return noise bursts of 4096 samples with silence of 4096 between."""
    rng = np.random.default_rng(1)
    iq = (rng.standard_normal(65536) + 1j * rng.standard_normal(65536)) / np.sqrt(2)
    return iq * np.sqrt(active_power) * (np.arange(65536) // 4096 % 2)


def test_reference_comes_from_the_metadata(tmp_path: Path) -> None:
    path = record(
        tmp_path / "tx.sigmf-meta",
        bursts(0.01),
        global_fields={
            "phyemu:reference_power": 0.125,
            "phyemu:frame_format": {"sample_rate_hz": RATE_HZ, "samples_per_symbol": 4},
        },
    )
    with open_recording(path) as recording:
        level = reference_level(recording)
    assert (level.power, level.symbol_rate_hz, level.measured) == (0.125, 5e6, False)


def test_reference_is_measured_over_the_active_samples(tmp_path: Path) -> None:
    with open_recording(record(tmp_path / "tx.sigmf-meta", bursts(0.01))) as recording:
        level = reference_level(recording)
    assert level.measured
    assert level.symbol_rate_hz == RATE_HZ
    assert level.power == pytest.approx(0.01, rel=5 / 32768**0.5)


def test_silence_has_no_reference(tmp_path: Path) -> None:
    path = record(tmp_path / "tx.sigmf-meta", np.zeros(4096))
    with open_recording(path) as recording, pytest.raises(SignalError, match="silent"):
        reference_level(recording)


def test_a_noise_free_single_path_returns_the_samples_and_annotations(tmp_path: Path) -> None:
    iq = bursts(0.01)
    source = record(
        tmp_path / "tx.sigmf-meta",
        iq,
        annotations=[Annotation(sample_start=4096, sample_count=4096, label="frame")],
    )
    with open_recording(source) as recording:
        emulation = emulate_recording(recording, Awgn(math.inf), tmp_path / "rx.sigmf-meta", seed=1)
    assert emulation.num_samples == len(iq)
    with open_recording(emulation.output) as received:
        np.testing.assert_allclose(received.read(), iq, atol=1e-6)
        assert [(a.sample_start, a.label) for a in received.annotations] == [(4096, "frame")]
        assert received.global_fields["phyemu:channel"] == "awgn:inf"
        assert received.global_fields["phyemu:reference_power"] == pytest.approx(0.01, rel=0.05)


def test_latency_is_taken_out(tmp_path: Path) -> None:
    # TDL-D at 40 dB has one dominant path at delay 0.
    iq = bursts(0.01)
    path = record(tmp_path / "tx.sigmf-meta", iq)
    with open_recording(path) as recording:
        emulation = emulate_recording(
            recording,
            load_channel("tdl-e:40:30:0"),
            tmp_path / "rx.sigmf-meta",
            seed=3,
        )
    assert emulation.latency_samples > 0
    with open_recording(emulation.output) as received:
        y = received.read()
    correlation = np.fft.ifft(np.fft.fft(y) * np.fft.fft(iq).conj())
    assert int(np.abs(correlation).argmax()) == 0


def test_a_recording_shorter_than_the_latency_keeps_its_length(tmp_path: Path) -> None:
    path = record(tmp_path / "tx.sigmf-meta", np.full(700, 0.1))
    with open_recording(path) as recording:
        emulation = emulate_recording(
            recording, world("office-los").model, tmp_path / "rx.sigmf-meta", seed=3
        )
    assert emulation.latency_samples > 700
    assert emulation.num_samples == 700


def test_another_sample_rate_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = record(tmp_path / "tx.sigmf-meta", bursts(0.01), sample_rate_hz=8e6)
    with (
        open_recording(path) as recording,
        pytest.raises(ConfigError, match=r"recorded at 8 MHz.*measured at 20 MHz.*phyemu fit"),
    ):
        emulate_recording(recording, world("office-los").model, tmp_path / "rx.sigmf-meta", seed=3)


def test_blocks_that_are_written_beside_the_next_stay_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulate, "_BLOCK", 1000)
    iq = bursts(0.01)[:9500]
    path = record(tmp_path / "tx.sigmf-meta", iq)
    model = load_channel("tdl-a:20:30:5")
    with open_recording(path) as recording:
        reference = reference_level(recording)
        emulation = emulate_recording(recording, model, tmp_path / "rx.sigmf-meta", seed=3)
    stream = ChannelStream(
        model,
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=reference.power,
        seed=3,
    )
    at_once = np.concatenate([stream.process(iq.astype(np.complex64)), stream.flush()])
    with open_recording(emulation.output) as received:
        np.testing.assert_array_equal(received.read(), at_once[stream.latency_samples :])


def test_a_failure_while_a_block_is_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulate, "_BLOCK", 1000)
    path = record(tmp_path / "tx.sigmf-meta", bursts(0.01)[:9500])
    whole = RecordingWriter.write

    def write(writer: RecordingWriter, iq: np.ndarray) -> None:
        if writer.num_samples > 4000:
            raise RecordingError("disk full")
        whole(writer, iq)

    monkeypatch.setattr(RecordingWriter, "write", write)
    with open_recording(path) as recording, pytest.raises(RecordingError, match="disk full"):
        emulate_recording(recording, Awgn(10.0), tmp_path / "rx.sigmf-meta", seed=3)
    assert {entry.name for entry in tmp_path.iterdir()} == {"tx.sigmf-meta", "tx.sigmf-data"}

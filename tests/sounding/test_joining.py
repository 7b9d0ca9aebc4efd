"""Soundings of one link become one, wherever each began to count its delays."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from phyemu.errors import SignalError
from phyemu.iq import Recording
from phyemu.sounding import Sounding, sound_recording
from phyemu.sounding.joining import join_soundings
from phyemu.waveform import SounderFormat
from phyemu.waveform.sounder import sounder_waveform

RATE_HZ = 20e6


def sounded(
    make_recording: Callable[..., Recording], gains: list[float], seed: int, length: int = 127
) -> Sounding:
    """Return the sounding of two paths 300 ns apart, in noise."""
    form = SounderFormat(sample_rate_hz=RATE_HZ, length=length, repetitions=4, gap_samples=512)
    burst = 0.3 * sounder_waveform(form).numpy()
    sent = np.tile(np.concatenate([np.zeros(512), burst, np.zeros(512)]), 4)
    heard = gains[0] * sent + gains[1] * np.roll(sent, 6)
    parts = np.random.default_rng(seed).normal(size=(2, len(heard))) * 1e-4
    fields = {"phyemu:waveform": "sounder", "phyemu:sounder": form.to_dict()}
    return sound_recording(
        make_recording(heard + parts[0] + 1j * parts[1], RATE_HZ, global_fields=fields)
    )[0]


def test_paths_powers_and_times_come_together(make_recording: Callable[..., Recording]) -> None:
    # The first path of the second stretch is too weak to be found there.
    one = sounded(make_recording, [0.5, 1.0], 1)
    two = sounded(make_recording, [0.005, 1.0], 2)
    assert two.paths.num_paths == 1
    joined = join_soundings([two, one], [10.0, 3.0])
    assert joined.num_frames == one.num_frames + two.num_frames
    assert np.allclose(joined.time_s[: one.num_frames], one.time_s)
    assert np.allclose(joined.time_s[one.num_frames :], two.time_s + 7.0)
    assert np.allclose(joined.received_power_dbfs[: one.num_frames], one.received_power_dbfs)
    assert 1e9 * joined.paths.delays_s.numpy() == pytest.approx([0, 300], abs=0.5)
    amplitude = np.abs(joined.paths.gains.numpy())
    assert amplitude[: one.num_frames] == pytest.approx(0.3 * np.array([[0.5, 1.0]] * 4), rel=0.01)
    assert amplitude[one.num_frames :, 0].max() < 0.01
    assert amplitude[one.num_frames :, 1] == pytest.approx(0.3, rel=0.01)


def test_joining_one_gives_its_paths_again(make_recording: Callable[..., Recording]) -> None:
    one = sounded(make_recording, [1.0, 0.5], 1)
    joined = join_soundings([one], [0.0])
    assert joined.paths.num_paths == one.paths.num_paths
    assert np.allclose(joined.paths.delays_s, one.paths.delays_s, atol=1e-10)
    gains = [np.abs(item.paths.gains.numpy()) for item in (joined, one)]
    assert np.allclose(*gains, rtol=1e-3)
    assert joined.recording_sha512 == one.recording_sha512


def test_different_probes_cannot_be_joined(make_recording: Callable[..., Recording]) -> None:
    one = sounded(make_recording, [1.0, 0.5], 1)
    with pytest.raises(SignalError, match="cannot be joined"):
        join_soundings([one, sounded(make_recording, [1.0, 0.5], 1, length=255)], [0.0, 1.0])
    with pytest.raises(SignalError, match="cannot be joined"):
        join_soundings([one, replace(one, probe="wifi")], [0.0, 1.0])
    with pytest.raises(SignalError, match="0 soundings"):
        join_soundings([], [])

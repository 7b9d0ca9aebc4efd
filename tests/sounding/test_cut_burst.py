"""A recording may end within a burst, by any number of samples."""

from collections.abc import Callable

import numpy as np
import pytest

from phyemu.iq import Recording
from phyemu.sounding import sound_recording
from phyemu.waveform import SounderFormat
from phyemu.waveform.sounder import sounder_waveform


@pytest.mark.parametrize("missing", [0, 1, 17])
@pytest.mark.parametrize("offset", [0.0, 0.0007])
def test_a_burst_that_is_cut_is_left_out(
    make_recording: Callable[..., Recording], missing: int, offset: float
) -> None:
    # The settings of a batch job at 1 Msps: its windows end anywhere.
    form = SounderFormat(sample_rate_hz=1e6, length=1024, repetitions=9, gap_samples=3072)
    burst = 0.7 * sounder_waveform(form).numpy()
    sent = np.tile(np.concatenate([np.zeros(1536), burst, np.zeros(1536)]), 3)
    sent = sent[: len(sent) - 1536 - missing]
    heard = sent * np.exp(2j * np.pi * offset * np.arange(len(sent)))
    parts = np.random.default_rng(1).normal(size=(2, len(sent))) * 1e-4
    fields = {"phyemu:waveform": "sounder", "phyemu:sounder": form.to_dict()}
    recording = make_recording(heard + parts[0] + 1j * parts[1], 1e6, global_fields=fields)
    (link,) = sound_recording(recording)
    assert link.num_frames == (3 if missing == 0 else 2)
    assert (link.sample_start + form.burst_samples <= recording.num_samples).all()

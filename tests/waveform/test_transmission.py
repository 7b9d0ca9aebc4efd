"""Recordings to transmit hold what their metadata say."""

from pathlib import Path

import numpy as np
import pytest

from phyemu.errors import ConfigError
from phyemu.iq import open_recording
from phyemu.waveform.constellation import psk
from phyemu.waveform.frame import transmit_waveform
from phyemu.waveform.frame_format import FrameFormat
from phyemu.waveform.modulation import modulate
from phyemu.waveform.sounder import SounderFormat, sounder_waveform
from phyemu.waveform.transmission import random_symbols, write_frames, write_sounder


def test_a_sounder_recording_holds_its_bursts(tmp_path: Path) -> None:
    sounder = SounderFormat(sample_rate_hz=5e6, length=64, repetitions=4, gap_samples=130)
    path = write_sounder(tmp_path / "tx.sigmf", sounder, num_bursts=3, amplitude=0.5)
    with open_recording(path) as recording:
        assert recording.sample_rate_hz == 5e6
        assert recording.num_samples == 3 * sounder.interval_samples
        assert recording.global_fields["phyemu:waveform"] == "sounder"
        assert SounderFormat.from_dict(recording.global_fields["phyemu:sounder"]) == (
            SounderFormat.from_dict(sounder.to_dict())
        )
        starts = [item.sample_start for item in recording.annotations]
        assert starts == [65 + k * sounder.interval_samples for k in range(3)]
        burst = recording.read(starts[1], sounder.burst_samples)
        # 16-bit samples: half a step of rounding in either part.
        np.testing.assert_allclose(burst, 0.5 * sounder_waveform(sounder).numpy(), atol=3e-5)
        assert np.abs(recording.read(0, 65)).max() == 0
        power = float(np.mean(np.abs(burst) ** 2))
        assert recording.global_fields["phyemu:reference_power"] == pytest.approx(power, rel=1e-3)


def test_a_frame_recording_is_reproduced_by_its_seed(tmp_path: Path) -> None:
    frame_format = FrameFormat()
    path = write_frames(
        tmp_path / "tx.sigmf",
        frame_format,
        constellation_name="psk",
        order=8,
        num_symbols=3000,
        amplitude=0.4,
        gap_samples=500,
        seed=11,
    )
    with open_recording(path) as recording:
        fields = recording.global_fields
        assert fields["phyemu:constellation"] == {"name": "psk", "order": 8}
        symbols = random_symbols(
            fields["phyemu:payload"]["num_symbols"],
            order=fields["phyemu:constellation"]["order"],
            seed=fields["phyemu:seed"],
        )
        expected, placements = transmit_waveform(
            modulate(symbols, psk(8)),
            frame_format=FrameFormat.from_dict(fields["phyemu:frame_format"]),
            amplitude=0.4,
            gap_samples=500,
        )
        np.testing.assert_allclose(recording.read(), expected.numpy(), atol=3e-5)
        assert [item.sample_start for item in recording.annotations] == [
            placement.sample_start for placement in placements
        ]


def test_what_would_clip_is_refused_with_the_largest_amplitude(tmp_path: Path) -> None:
    sounder = SounderFormat(sample_rate_hz=20e6, bandwidth_hz=10e6)
    with pytest.raises(ConfigError, match=r"would clip; use at most 0\.\d+"):
        write_sounder(tmp_path / "tx.sigmf", sounder, num_bursts=1, amplitude=1.0)
    with pytest.raises(ConfigError, match="amplitude must be within"):
        write_sounder(tmp_path / "tx.sigmf", sounder, num_bursts=1, amplitude=2.0)
    with pytest.raises(ConfigError, match="num_bursts"):
        write_sounder(tmp_path / "tx.sigmf", sounder, num_bursts=0, amplitude=0.1)
    with pytest.raises(ConfigError, match="would clip"):
        write_frames(
            tmp_path / "tx.sigmf",
            FrameFormat(),
            constellation_name="psk",
            order=4,
            num_symbols=100,
            amplitude=1.0,
            gap_samples=10,
            seed=0,
        )
    with pytest.raises(ConfigError, match="order"):
        random_symbols(10, order=1, seed=0)
    assert list(tmp_path.iterdir()) == []

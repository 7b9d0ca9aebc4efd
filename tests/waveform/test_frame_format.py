"""Settings and layout of frames."""

import json

import pytest
import torch

from phyemu.errors import ConfigError
from phyemu.waveform import FrameFormat, frame_layout, pilot_points, preamble_points


def test_a_batch_of_64_images_costs_at_most_256_bytes() -> None:
    frame_format = FrameFormat()
    # Four frames of 16384 QPSK symbols hold 64 images of 1024; 1024 symbols are 256 bytes.
    assert 4 * frame_format.overhead_symbols(16384) <= 1024


@pytest.mark.parametrize("payload", [1, 2, 63, 319, 320, 321, 5000, 16384])
def test_positions_fill_the_frame_once(payload: int) -> None:
    frame_format = FrameFormat()
    layout = frame_layout(frame_format, payload)
    body = torch.cat([layout.payload_positions, layout.pilot_positions]).sort().values
    first = frame_format.preamble_symbols + 72
    assert body.tolist() == list(range(first, layout.num_symbols))
    assert len(layout.payload_positions) == payload
    assert int(layout.pilot_positions[-1]) == layout.num_symbols - 1
    gaps = layout.pilot_positions.diff()
    assert not len(gaps) or int(gaps.max()) <= frame_format.pilot_interval + 1


@pytest.mark.parametrize(
    ("payload", "pilots"), [(1, 1), (32, 1), (33, 2), (1000, 32), (4000, 56), (16384, 56)]
)
def test_short_payloads_get_pilots_as_far_as_they_can_afford(payload: int, pilots: int) -> None:
    assert FrameFormat().num_pilots(payload) == pilots
    assert FrameFormat(pilots_wanted=1).num_pilots(payload) == -(-payload // 320)


def test_nine_symbols_with_two_pilots_are_cut_into_four_and_five() -> None:
    layout = frame_layout(FrameFormat(pilot_interval=8), 9)
    assert (layout.payload_positions - 200).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert (layout.pilot_positions - 200).tolist() == [4, 10]


def test_known_symbols_have_unit_amplitude() -> None:
    torch.testing.assert_close(preamble_points(FrameFormat()).abs(), torch.ones(128))
    assert set(pilot_points(500).real.tolist()) == {-1.0, 1.0}


def test_a_format_survives_json() -> None:
    frame_format = FrameFormat(sample_rate_hz=1e6, samples_per_symbol=4, rolloff=0.5)
    assert FrameFormat.from_dict(json.loads(json.dumps(frame_format.to_dict()))) == frame_format
    assert frame_format.symbol_rate_hz == 250e3
    assert frame_format.bandwidth_hz == 375e3
    assert frame_format.reference_power(0.5) == pytest.approx(0.0625)


def test_bad_settings_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="did you mean rolloff"):
        FrameFormat.from_dict({"roll_off": 0.2})
    with pytest.raises(ConfigError, match="must be a number"):
        FrameFormat.from_dict({"samples_per_symbol": 2.5})
    with pytest.raises(ConfigError, match="sample_rate_hz"):
        FrameFormat(sample_rate_hz=0.0)
    with pytest.raises(ConfigError, match="samples_per_symbol must be 2"):
        FrameFormat(samples_per_symbol=1)
    with pytest.raises(ConfigError, match="coprime"):
        FrameFormat(preamble_root=4)
    with pytest.raises(ConfigError, match="even"):
        FrameFormat(pulse_span_symbols=15)
    with pytest.raises(ConfigError, match="split_payload"):
        frame_layout(FrameFormat(), 16385)

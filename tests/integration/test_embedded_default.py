"""What the embedded default promises, on the embedded default."""

from pathlib import Path

import pytest

from phyemu.loop import LoopConfig, run_loop


@pytest.mark.slow
def test_training_through_the_fitted_channel_beats_white_noise_in_the_world(
    tmp_path: Path,
) -> None:
    result = run_loop(LoopConfig(), tmp_path / "run")
    ours, paper = result.row("fitted", "world"), result.row("awgn", "world")
    assert ours.accuracy > paper.accuracy
    # The fitted channel predicts the accuracy through the world within two points.
    assert abs(result.row("fitted", "fitted").accuracy - ours.accuracy) <= 2.0
    assert all(row.frames_lost == 0 for row in result.phydnn)
    assert result.backbone_accuracy > 95.0

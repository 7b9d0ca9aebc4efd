from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.evaluation import Evaluation, plot_sweep


def result(ser: float) -> Evaluation:
    return Evaluation(
        channel="awgn",
        fidelity="symbol",
        num_images=10,
        accuracy=90.0,
        ser=ser,
        frames_sent=0,
        frames_lost=0,
        bytes_on_air_per_batch_of_64=100.0,
        snr_db=4.0,
    )


def test_a_sweep_becomes_a_picture_also_where_no_error_occurs(tmp_path: Path) -> None:
    path = tmp_path / "sweep.png"
    plot_sweep({"M = 4": [result(0.1), result(0.0)]}, (4.0, 8.0), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"one of \.png"):
        plot_sweep({}, (), tmp_path / "sweep.gif")

"""The figure of a recording."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from phyemu.errors import ConfigError
from phyemu.iq import SampleSurvey, open_recording, survey_samples, write_recording
from phyemu.iq.figure import save_survey_figure


@pytest.fixture
def survey(tmp_path: Path, noise: np.ndarray) -> SampleSurvey:
    """Return the survey of some noise."""
    path = write_recording(tmp_path / "r", np.tile(noise, 9), sample_rate_hz=1e6)
    with open_recording(path) as recording:
        return survey_samples(recording)


def test_a_figure_is_written_in_the_format_of_its_suffix(
    survey: SampleSurvey, tmp_path: Path
) -> None:
    path = save_survey_figure(survey, tmp_path / "f.png", title="noise")
    pixels = imread(path)
    assert pixels.shape[0] > 400
    assert pixels.std() > 0.05
    for suffix, magic in ((".pdf", b"%PDF"), (".svg", b"<?xml")):
        path = save_survey_figure(survey, tmp_path / f"f{suffix}", title="noise")
        assert path.read_bytes().startswith(magic)


def test_silence_and_a_single_sample_can_be_drawn(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "r", np.zeros(1, np.complex64), sample_rate_hz=1e6)
    with open_recording(path) as recording:
        save_survey_figure(survey_samples(recording), tmp_path / "f.png", title="")


@pytest.mark.parametrize("name", ["f.nothing", "none/f.png"])
def test_a_figure_that_cannot_be_written_is_refused(
    survey: SampleSurvey, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written .*use \.png, \.pdf or \.svg"):
        save_survey_figure(survey, tmp_path / name, title="noise")

"""The page of a fit."""

from pathlib import Path

import pytest

from phyemu.channel import FadingProcess
from phyemu.errors import ConfigError
from phyemu.fitting import FitConfig, FitMethod, fit_channel
from phyemu.fitting.figure import fit_figure, save_fit_figure
from phyemu.fitting.summary import describe

FADING = FadingProcess(powers=(0.8, 0.2), k_factor=(3.0, 0.0), doppler_hz=(10.0, 10.0))


@pytest.fixture
def fit(make_sounding):
    sounding = make_sounding(FADING, (0.0, 150e-9), num_frames=80)
    return fit_channel([sounding], FitConfig(num_resamples=20, method=FitMethod.MEASURED))


def test_the_page_has_four_drawings_and_a_legend_each(fit) -> None:
    axes = fit_figure(fit).axes
    assert axes[0].get_title() == "power delay profile"
    assert all(axis.get_legend() is not None for axis in axes[:4])


def test_a_suffix_that_is_no_figure_is_refused(fit, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, \.svg"):
        save_fit_figure(fit, tmp_path / "page.txt")


def test_the_text_has_a_line_for_each_path_and_each_warning(fit) -> None:
    lines = describe(fit)
    assert sum(line.startswith("  path ") for line in lines) == len(fit.paths)
    assert [line[6:] for line in lines if line.startswith("note: ")] == list(fit.warnings)

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


def test_the_page_holds_nine_drawings_of_measurement_and_model(fit) -> None:
    axes = fit_figure(fit).axes
    assert len(axes) == 9
    titles = [axis.get_title() for axis in axes]
    assert titles[0].startswith("power delay profile")
    assert "Q-Q" in titles[5]
    # Both curves of each distribution, the amplitudes' once per path.
    assert [len(axes[index].lines) for index in (3, 4)] == [2, 2]
    assert "nothing was held out" in fit_figure(fit).get_suptitle()


def test_held_out_frames_are_what_the_page_compares_with(make_sounding) -> None:
    sounding = make_sounding(FADING, (0.0, 150e-9), num_frames=200)
    fit = fit_channel([sounding], FitConfig(num_resamples=20, holdout=0.3))
    axes = fit_figure(fit).axes
    assert fit.holdout is not None
    assert f"KS {fit.holdout.rms_delay_spread:.2f}" in axes[3].get_title()
    assert f"KS {fit.holdout.coherence_time:.2f}" in axes[7].get_title()
    # A bar for the fit and each alternative, the fit's of no length.
    bars = axes[8].patches
    assert len(bars) == len(fit.holdout.log_likelihood)
    assert min(abs(bar.get_width()) for bar in bars) == 0
    # Of the page's measured curves, as many steps as frames were held out.
    assert len(axes[3].lines[0].get_xdata()) == fit.holdout.num_frames


def test_a_suffix_that_is_no_figure_is_refused(fit, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, \.svg"):
        save_fit_figure(fit, tmp_path / "page.txt")


def test_the_text_has_a_line_for_each_path_and_each_warning(fit) -> None:
    lines = describe(fit)
    assert sum(line.startswith("  path ") for line in lines) == len(fit.paths)
    assert [line[6:] for line in lines if line.startswith("note: ")] == list(fit.warnings)

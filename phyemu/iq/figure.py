"""The figure of a recording: its spectrogram above its mean power spectral density."""

from pathlib import Path

from matplotlib.figure import Figure

from phyemu.errors import ConfigError
from phyemu.iq.survey import SampleSurvey

__all__ = ["save_survey_figure"]

_RANGE_DB = 70.0


def save_survey_figure(survey: SampleSurvey, path: Path, *, title: str) -> Path:
    """Write the figure to `path`, in the format of its suffix, and return it.

    Raises:
        ConfigError: The suffix is no known format, or the file cannot be written.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    top = float(survey.spectrogram_db.max())
    frequencies_mhz = survey.frequencies_hz * 1e-6
    image = above.imshow(
        survey.spectrogram_db,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        vmin=top - _RANGE_DB,
        vmax=top,
        # The first and the last column are centred half a column inside.
        extent=(
            0.0,
            1e3 * float(survey.times_s[0] + survey.times_s[-1]),
            frequencies_mhz[0],
            frequencies_mhz[-1],
        ),
    )
    figure.colorbar(image, ax=above, label="dBFS per bin")
    above.set(title=title, xlabel="time [ms]", ylabel="frequency [MHz]")
    below.plot(frequencies_mhz, survey.density_db_per_hz, linewidth=0.9)
    below.set(xlabel="frequency [MHz]", ylabel="density [dBFS/Hz]")
    below.grid(alpha=0.3)
    below.margins(x=0)
    try:
        figure.savefig(path, dpi=130)
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: cannot be written ({error}); use .png, .pdf or .svg") from error
    return path

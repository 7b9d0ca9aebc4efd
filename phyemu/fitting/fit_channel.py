"""From soundings to a channel model."""

from collections.abc import Sequence

from phyemu.errors import FitError
from phyemu.fitting.config import FitConfig
from phyemu.fitting.fit import Fit
from phyemu.progress import ProgressCallback, no_progress
from phyemu.sounding import Sounding

__all__ = ["fit_channel"]


def fit_channel(
    soundings: Sequence[Sounding],
    config: FitConfig | None = None,
    *,
    progress: ProgressCallback = no_progress,
) -> Fit:
    """Return the channel model that the soundings support.

    Args:
        soundings: Of one link or several; those of `config.transmitter` are used, pooled.
        config: Settings; by default those of `FitConfig()`.
        progress: Called as the work goes on.

    Raises:
        FitError: No sounding of that transmitter, or soundings that do not belong together.
    """
    if not soundings:
        raise FitError("no soundings to fit; sound a recording first (phyemu sound)")
    raise FitError("fitting is being written")

"""The figure of an SNR sweep."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from phyemu.errors import ConfigError

from .result import Evaluation

__all__ = ["plot_sweep"]

_SUFFIXES = (".png", ".pdf", ".svg")


def plot_sweep(
    curves: Mapping[str, Sequence[Evaluation]], snrs_db: Sequence[float], path: Path
) -> None:
    """Draw accuracy and symbol error rate over the SNR.

    Args:
        curves: Results by name, one for each SNR.
        snrs_db: The SNRs [dB].
        path: Picture to write (.png, .pdf, .svg).

    Raises:
        ConfigError: Another suffix.
    """
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"{path}: a figure is one of {', '.join(_SUFFIXES)}")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for name, results in curves.items():
        above.plot(snrs_db, [result.accuracy for result in results], marker="o", label=name)
        # A rate of 0 has no place on a logarithmic axis; it shows as a gap.
        rates = [result.ser if result.ser > 0 else float("nan") for result in results]
        below.plot(snrs_db, rates, marker="o", label=name)
    above.set_ylabel("accuracy [%]")
    below.set_ylabel("symbol error rate")
    below.set_yscale("log")
    below.set_xlabel("SNR: peak symbol power over noise variance [dB]")
    for axes in (above, below):
        axes.grid(visible=True, alpha=0.3)
    above.legend()
    figure.savefig(path, dpi=150)

"""The report of a run: one self-contained HTML page with its table and figures."""

from phyemu.report.figures import (
    constellation_figure,
    loss_figure,
    power_delay_profile_figure,
    spectrogram_figure,
)
from phyemu.report.page import ReportPage, Section, write_report

__all__ = [
    "ReportPage",
    "Section",
    "constellation_figure",
    "loss_figure",
    "power_delay_profile_figure",
    "spectrogram_figure",
    "write_report",
]

"""The tables and figures of the paper's Sec. IV."""

from enum import StrEnum

from phyemu.errors import ConfigError

__all__ = ["Exhibit", "exhibits_of"]


class Exhibit(StrEnum):
    """A table or figure, in the paper's numbering."""

    TABLE_1 = "table-1"
    """Accuracy in the office."""
    TABLE_2 = "table-2"
    """Accuracy at 12 dB over the bytes sent."""
    TABLE_3 = "table-3"
    """DT-JSCC and PhyDNN."""
    FIGURE_6 = "figure-6"
    """Latency and bytes, office."""
    FIGURE_7 = "figure-7"
    """Latency and bytes, conference room."""
    FIGURE_8 = "figure-8"
    """Latency and bytes, Colosseum."""
    FIGURE_9 = "figure-9"
    """Energy, office."""
    FIGURE_10 = "figure-10"
    """Error rate over SNR."""
    FIGURE_11 = "figure-11"
    """Latency and energy of DT-JSCC and PhyDNN."""

    @property
    def heading(self) -> str:
        """Return the name and what is shown."""
        kind, number = self.value.split("-")
        numeral = ("", "I", "II", "III")[int(number)] if kind == "table" else number
        return f"{kind.capitalize()} {numeral}: {_CONTENT[self]}"


_CONTENT = {
    Exhibit.TABLE_1: "accuracy in the office",
    Exhibit.TABLE_2: "accuracy at 12 dB over the bytes sent",
    Exhibit.TABLE_3: "DT-JSCC and PhyDNN",
    Exhibit.FIGURE_6: "latency and bytes, office",
    Exhibit.FIGURE_7: "latency and bytes, conference room",
    Exhibit.FIGURE_8: "latency and bytes, Colosseum, urban",
    Exhibit.FIGURE_9: "energy of the device, office",
    Exhibit.FIGURE_10: "error rate over the SNR",
    Exhibit.FIGURE_11: "latency and energy of DT-JSCC and PhyDNN",
}


def exhibits_of(text: str) -> tuple[Exhibit, ...]:
    """Return the exhibits that "table-2,figure-10" names, in the paper's order.

    Raises:
        ConfigError: A name is unknown; the message lists them.

    >>> [str(item) for item in exhibits_of("figure-10,table-2")]
    ['table-2', 'figure-10']
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(Exhibit):
            raise ConfigError(f"{name!r} is no table or figure; there are {', '.join(Exhibit)}")
    if not names:
        raise ConfigError(f"name tables and figures: {', '.join(Exhibit)}")
    return tuple(item for item in Exhibit if item in names)

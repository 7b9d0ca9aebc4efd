"""How closely a link follows the radio."""

from enum import StrEnum

__all__ = ["Fidelity"]


class Fidelity(StrEnum):
    """What stands between the symbols of the head and the posteriors of the tail in training."""

    SYMBOL = "symbol"
    """The equivalent one-tap channel of each symbol behind the equaliser; costs as AWGN does."""

    WAVEFORM = "waveform"
    """Pulses, the channel on samples, synchronisation and equalisation."""

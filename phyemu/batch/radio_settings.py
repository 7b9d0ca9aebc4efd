"""Settings of the radios of a batch, as Colosseum recommends them.

Source: Colosseum user documentation, "Optimizing SRN USRP Performance".
"""

import math
from dataclasses import dataclass

from phyemu.errors import ConfigError
from phyemu.node.radio_conf import RadioSection

__all__ = ["RadioSettings"]

# Centre frequency [Hz] -> gain of transmitter and receiver [dB], for two UBX boards.
_GAINS_DB = {1.0e9: (20.0, 7.0), 2.4e9: (23.0, 8.0), 5.8e9: (28.0, 15.0)}


@dataclass(frozen=True, kw_only=True, slots=True)
class RadioSettings:
    """Radios of all nodes of a batch.

    Attributes:
        usrp: UHD's device arguments; empty: the only device.
        sample_rate_hz: Rate of the samples [Hz].
        gain_db: Of receivers [dB]; None: recommended at the nearest of 1, 2.4 and 5.8 GHz.
        tx_gain_db: Of transmitters [dB]; None: recommended.
        lo_offset_hz: Distance of the local oscillator from the centre [Hz]: below it where a node
            transmits, above it where it receives. Direct conversion leaves a spike at the
            oscillator's frequency; 42 MHz away it is outside of the signal. 0: at the centre.
    """

    usrp: str = ""
    sample_rate_hz: float = 20e6
    gain_db: float | None = None
    tx_gain_db: float | None = None
    lo_offset_hz: float = 42e6

    def __post_init__(self) -> None:
        """Refuse an offset with a sign: the direction has one.

        Raises:
            ConfigError: It is negative or not finite.
        """
        if not 0 <= self.lo_offset_hz < math.inf:
            raise ConfigError(
                f"lo_offset_hz must be at least 0, got {self.lo_offset_hz:g}: transmitters get it "
                "below, receivers above the centre"
            )

    def section(self, center_frequency_hz: float, *, transmits: bool) -> RadioSection:
        """Return the settings of one node's radio.

        Args:
            center_frequency_hz: Of the scenario [Hz].
            transmits: Whether the node transmits; else it listens.

        Raises:
            ConfigError: A value is out of range.
        """
        nearest = min(_GAINS_DB, key=lambda known_hz: abs(known_hz - center_frequency_hz))
        recommended = _GAINS_DB[nearest][0 if transmits else 1]
        chosen = self.tx_gain_db if transmits else self.gain_db
        return RadioSection(
            usrp=self.usrp,
            sample_rate_hz=self.sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
            gain_db=recommended if chosen is None else chosen,
            lo_offset_hz=-self.lo_offset_hz if transmits else self.lo_offset_hz,
        )

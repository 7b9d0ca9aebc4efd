"""What a USRP is asked to do."""

import math
from dataclasses import dataclass, field, replace
from typing import TypeVar

from phyemu.errors import ConfigError

__all__ = ["UsrpConfig", "UsrpPort", "default_lo_offset_hz", "with_device_defaults"]

# Colosseum's advice for its X310 with UBX: keep the LO spike out of the band.
_UBX_LO_OFFSET_HZ = 42e6
_UBX_BANDWIDTH_HZ = 160e6


@dataclass(frozen=True, kw_only=True, slots=True)
class UsrpPort:
    """The front end of one direction.

    Attributes:
        gain_db: Gain [dB], within what the device offers; one for all channels, or one for each.
        antenna: Name of the connector, such as "RX2" or "TX/RX"; one for all channels, or one
            for each; None: the device's default.
        bandwidth_hz: Analog filter [Hz]; None: the device's default.
        lo_offset_hz: Distance of the LO from the center frequency [Hz]; None: what suits the
            device (`default_lo_offset_hz`).
        subdev: Front ends behind the channels, as UHD writes them ("A:A A:B"); None: the
            device's default.
    """

    gain_db: float | tuple[float, ...] = 0.0
    antenna: str | tuple[str, ...] | None = None
    bandwidth_hz: float | None = None
    lo_offset_hz: float | None = None
    subdev: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that no device could mean."""
        gains = self.gain_db if isinstance(self.gain_db, tuple) else (self.gain_db,)
        if not all(math.isfinite(gain) for gain in gains):
            raise ConfigError(f"gain_db must be finite, got {self.gain_db}")
        if self.bandwidth_hz is not None and not 0 < self.bandwidth_hz < math.inf:
            raise ConfigError(f"bandwidth_hz must be positive, got {self.bandwidth_hz}")
        if self.lo_offset_hz is not None and not math.isfinite(self.lo_offset_hz):
            raise ConfigError(f"lo_offset_hz must be finite, got {self.lo_offset_hz}")

    def gains_db(self, num_channels: int) -> tuple[float, ...]:
        """Return the gain of each channel [dB]."""
        return _of_each_channel("gain_db", self.gain_db, num_channels)

    def antennas(self, num_channels: int) -> tuple[str | None, ...]:
        """Return the connector of each channel."""
        return _of_each_channel("antenna", self.antenna, num_channels)


_Value = TypeVar("_Value")


def _of_each_channel(
    name: str, value: _Value | tuple[_Value, ...], num_channels: int
) -> tuple[_Value, ...]:
    if not isinstance(value, tuple):
        return (value,) * num_channels
    if len(value) != num_channels:
        raise ConfigError(
            f"{name} has {len(value)} values for {num_channels} channels; give one, or one for each"
        )
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class UsrpConfig:
    """A USRP and its settings; the device's own answers go into the metadata.

    Attributes:
        sample_rate_hz: Rate in both directions [Hz]; the device may round it.
        center_frequency_hz: Frequency to receive on [Hz].
        transmit_frequency_hz: Frequency to transmit on [Hz]; None: `center_frequency_hz`.
        args: UHD's device arguments, such as "type=b200,serial=31C9237"; empty: the only device.
        channels: Channels to use, by number.
        tx_channels: Channels to transmit on; None: `channels`.
        rx: The receiving front end.
        tx: The transmitting front end; it is set up with the first transmission.
        clock_source: "internal", "external", "gpsdo"; None: leave it.
        time_source: As the clock source.
        start_at_s: Device time of the first sample [s], which is UTC since 1970; None: at once.
        stall_s: Time after which a device that takes no sample counts as gone [s].
    """

    sample_rate_hz: float
    center_frequency_hz: float
    transmit_frequency_hz: float | None = None
    args: str = ""
    channels: tuple[int, ...] = (0,)
    tx_channels: tuple[int, ...] | None = None
    rx: UsrpPort = field(default_factory=UsrpPort)
    tx: UsrpPort = field(default_factory=UsrpPort)
    clock_source: str | None = None
    time_source: str | None = None
    start_at_s: float | None = None
    stall_s: float = 3.0

    def __post_init__(self) -> None:
        """Refuse values that no device could mean."""
        if not 0 < self.sample_rate_hz < math.inf:
            raise ConfigError(f"sample_rate_hz must be positive, got {self.sample_rate_hz}")
        for name in ("center_frequency_hz", "transmit_frequency_hz"):
            frequency_hz = getattr(self, name)
            if frequency_hz is not None and not 0 <= frequency_hz < math.inf:
                raise ConfigError(f"{name} must not be negative, got {frequency_hz}")
        for channels in (self.channels, self.transmit_channels):
            if not channels or len(set(channels)) < len(channels):
                raise ConfigError(f"channels must be different numbers, got {channels}")
            if min(channels) < 0:
                raise ConfigError(f"channels are counted from 0, got {channels}")
        if not self.stall_s > 0:
            raise ConfigError(f"stall_s must be positive, got {self.stall_s}")
        if self.start_at_s is not None and not 0 <= self.start_at_s < math.inf:
            raise ConfigError(f"start_at_s must not be negative, got {self.start_at_s}")
        for port, channels in ((self.rx, self.channels), (self.tx, self.transmit_channels)):
            port.gains_db(len(channels))
            port.antennas(len(channels))

    def frequency_hz(self, direction: str) -> float:
        """Return the frequency of a direction, "rx" or "tx" [Hz]."""
        if direction == "tx" and self.transmit_frequency_hz is not None:
            return self.transmit_frequency_hz
        return self.center_frequency_hz

    def tuned(self, center_frequency_hz: float) -> "UsrpConfig":
        """Return it with one frequency for both directions [Hz], and no time to start at."""
        return replace(
            self,
            center_frequency_hz=center_frequency_hz,
            transmit_frequency_hz=None,
            start_at_s=None,
        )

    @property
    def transmit_channels(self) -> tuple[int, ...]:
        """Return the channels to transmit on."""
        return self.channels if self.tx_channels is None else self.tx_channels


def with_device_defaults(args: str, device_type: str, clock_hz: float | None = None) -> str:
    """Return device arguments with what the device type needs to stream without losses.

    A B200 family device gets more USB frames than UHD's 16, because at 20 Msps these, of 8 KB
    each, cover 1.6 ms; 512 cover 52 ms. An X310 keeps what UHD 4 chooses by itself: frames of
    8000 bytes where the network card takes them, and the largest socket buffers that the system
    allows. What the user gave stays as it is.

    >>> with_device_defaults("serial=31C9237", "b200")
    'serial=31C9237,num_recv_frames=512,num_send_frames=512'
    >>> with_device_defaults("addr=192.168.40.2", "x300", 184.32e6)
    'addr=192.168.40.2,master_clock_rate=184320000'
    """
    given = {pair.split("=", 1)[0].strip() for pair in args.split(",")}
    wanted: dict[str, str] = {}
    if device_type == "b200":
        wanted |= {"num_recv_frames": "512", "num_send_frames": "512"}
    if clock_hz is not None:
        wanted["master_clock_rate"] = f"{clock_hz:.15g}"
    added = [f"{key}={value}" for key, value in wanted.items() if key not in given]
    return ",".join(([args] if args else []) + added)


def default_lo_offset_hz(
    motherboard: str, front_end: str, sample_rate_hz: float, *, transmit: bool
) -> float:
    """Return the LO offset [Hz] that keeps the LO spike of a device out of the band.

    Colosseum recommends +42 MHz (receive) and -42 MHz (transmit) for its X310 with UBX. Other
    devices tune well without one, and so does an X310 whose band would leave its analog filter.

    >>> default_lo_offset_hz("X310", "UBX RX", 20e6, transmit=False)
    42000000.0
    """
    fits = sample_rate_hz / 2 + _UBX_LO_OFFSET_HZ <= _UBX_BANDWIDTH_HZ / 2
    if not (motherboard.upper().startswith("X3") and "UBX" in front_end.upper() and fits):
        return 0.0
    return -_UBX_LO_OFFSET_HZ if transmit else _UBX_LO_OFFSET_HZ

"""A USRP, driven through UHD's Python API."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError
from phyemu.radio.radio import Radio, receive_buffer
from phyemu.radio.stream import ReceivedBlock, TransmitSource, transmit_blocks
from phyemu.radio.usrp_config import (
    UsrpConfig,
    UsrpPort,
    default_lo_offset_hz,
    with_device_defaults,
)
from phyemu.radio.usrp_driver import driver_version, load_driver
from phyemu.radio.usrp_receive import UsrpReceiver
from phyemu.radio.usrp_transmit import UsrpTransmission

__all__ = ["UsrpRadio"]

# A timed burst needs this long to reach the device before its start [s].
_TRANSMIT_LEAD_S = 0.1


class UsrpRadio(Radio):
    """A real radio. What the device says it has set, not what was asked, goes into the metadata."""

    def __init__(self, config: UsrpConfig, *, uhd: Any = None) -> None:
        """Open the device and set up its receiver.

        Args:
            config: The device and its settings.
            uhd: The driver; the installed one where it is not given.

        Raises:
            RadioError: UHD or the device is missing, the device is in use, or it refuses a
                setting.
        """
        self._uhd = load_driver() if uhd is None else uhd
        self._config = config
        self._device = self._open()
        self._receiver: UsrpReceiver | None = None
        # Those that may be under way: the next one follows them.
        self._transmissions: list[UsrpTransmission] = []
        self._tx_streamer: Any = None
        self._tx_lo_offset_hz = 0.0
        self._closed = False
        with self._driver_errors("be asked what it is"):
            self._info = dict(self._device.get_usrp_rx_info(0))
        for kind in ("clock", "time"):
            source = getattr(config, f"{kind}_source")
            if source is not None:
                self._set(f"{kind}_source", getattr(self._device, f"set_{kind}_source"), source)
        self._lo_offset_hz = self._configure("rx", config.rx)
        with self._driver_errors("be asked for its rate and frequency"):
            self._sample_rate_hz = float(self._device.get_rx_rate(config.channels[0]))
            self._center_frequency_hz = float(self._device.get_rx_freq(config.channels[0]))

    @staticmethod
    @contextmanager
    def _driver_errors(what: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as exc:
            message = " ".join(str(exc).split())
            raise RadioError(f"the USRP cannot {what}: {message}") from exc

    def _open(self) -> Any:
        args = self._config.args
        try:
            found = self._uhd.find(args)
            kind = dict(found[0].to_dict()).get("type", "") if found else ""
            return self._uhd.usrp.MultiUSRP(with_device_defaults(args, kind))
        except (RuntimeError, TypeError) as exc:
            what = f"USRP {args!r}" if args else "USRP"
            message = " ".join(str(exc).split())
            if "No devices found" in message:
                raise RadioError(
                    f"no {what} answers; check power and cable, `phyemu devices` lists those that "
                    "answer, and `uhd_usrp_probe` shows the driver's own view"
                ) from exc
            if "claim" in message.lower():
                raise RadioError(f"{what} is in use by another program; close it first") from exc
            raise RadioError(f"{what} cannot be opened: {message}") from exc

    def _configure(self, direction: str, port: UsrpPort) -> float:
        """Set up one direction on its channels; return the LO offset that was asked for [Hz]."""
        config, device = self._config, self._device
        channels = config.transmit_channels if direction == "tx" else config.channels
        offset = port.lo_offset_hz
        if offset is None:
            offset = default_lo_offset_hz(
                str(self._info.get("mboard_id", "")),
                self._front_end(direction, channels[0]),
                config.sample_rate_hz,
                transmit=direction == "tx",
            )
        types = self._uhd.types
        request = types.TuneRequest(config.center_frequency_hz)
        if offset:
            request = types.TuneRequest(config.center_frequency_hz, offset)

        def apply(setting: str, value: Any, channel: int) -> None:
            setter = getattr(device, f"set_{direction}_{setting}")
            self._set(f"{direction} {setting} of channel {channel}", setter, value, channel)

        for channel in channels:
            apply("rate", config.sample_rate_hz, channel)
            if port.antenna is not None:
                apply("antenna", port.antenna, channel)
            apply("freq", request, channel)
            apply("gain", port.gain_db, channel)
            if port.bandwidth_hz is not None:
                apply("bandwidth", port.bandwidth_hz, channel)
        return offset

    def _front_end(self, direction: str, channel: int) -> str:
        """Return the name of the front end; each direction is asked for its own."""
        with self._driver_errors(f"be asked for its {direction} front end"):
            info = dict(getattr(self._device, f"get_usrp_{direction}_info")(channel))
        return str(info.get(f"{direction}_subdev_name", ""))

    def _set(self, what: str, setter: Callable[..., Any], *values: Any) -> None:
        try:
            setter(*values)
        except (RuntimeError, IndexError, LookupError, ValueError) as exc:
            shown = values[0] if isinstance(values[0], str | float) else "the frequency"
            message = " ".join(str(exc).split())
            raise RadioError(f"the USRP refuses {shown} as {what}: {message}") from exc

    @property
    def name(self) -> str:
        """Return the motherboard and its serial number."""
        board = self._info.get("mboard_id", "USRP")
        return f"{board} {self._info.get('mboard_serial', '')}".strip()

    @property
    def sample_rate_hz(self) -> float:
        """Return the rate that the device really runs at [Hz]."""
        return self._sample_rate_hz

    @property
    def center_frequency_hz(self) -> float | None:
        """Return the frequency that the device really is tuned to [Hz]."""
        return self._center_frequency_hz

    @property
    def num_channels(self) -> int:
        """Return the number of channels."""
        return len(self._config.channels)

    @property
    def live(self) -> bool:
        """Return True."""
        return True

    def metadata(self) -> Mapping[str, Any]:
        """Return `core:hw` and, under `phyemu:radio`, every setting as the device reports it."""
        radio: dict[str, Any] = {
            "driver": f"UHD {driver_version(self._uhd)}",
            "serial": str(self._info.get("mboard_serial", "")),
            "args": self._config.args,
            "sample_rate_hz": self._sample_rate_hz,
            "requested_sample_rate_hz": self._config.sample_rate_hz,
            "requested_center_frequency_hz": self._config.center_frequency_hz,
            "lo_offset_hz": self._lo_offset_hz,
            "channels": list(self._config.channels),
        }
        radio |= self._port_answers("rx", self._config.channels)
        for source in ("clock_source", "time_source"):
            radio[source] = self._ask(getattr(self._device, f"get_{source}"), 0)
        known = {key: value for key, value in radio.items() if value is not None}
        board, front_end = (str(self._info.get(key, "")) for key in ("mboard_id", "rx_subdev_name"))
        antenna = "/".join(str(value) for value in known.get("antenna", []))
        hardware = f"USRP {board} {front_end}, receive antenna {antenna}"
        return {"core:hw": " ".join(hardware.split()), "phyemu:radio": known}

    def _port_answers(self, direction: str, channels: tuple[int, ...]) -> dict[str, list[Any]]:
        """Return what the device says of one direction's front end, channel by channel."""
        keys = {
            "freq": "center_frequency_hz",
            "gain": "gain_db",
            "antenna": "antenna",
            "bandwidth": "bandwidth_hz",
        }
        return {
            key: [
                self._ask(getattr(self._device, f"get_{direction}_{setting}"), channel)
                for channel in channels
            ]
            for setting, key in keys.items()
        }

    def _ask(self, getter: Callable[[int], Any], channel: int) -> Any:
        """Return an answer of the device, or None: not every device can tell everything."""
        try:
            return getter(channel)
        except RuntimeError:
            return None

    def receive(self, num_samples: int, out: NDArray[np.complex64] | None = None) -> ReceivedBlock:
        """Return the next samples, with what the driver reported, as `Radio.receive` says.

        Tens of packets per call keep the driver's work out of Python: ask for 1e5 samples.

        Raises:
            SignalError: `num_samples` or `out` does not fit.
            RadioError: The radio is closed, or refuses to stream.
        """
        self._check_open()
        buffer = receive_buffer(num_samples, self.num_channels, out)
        if self._receiver is None:
            self._receiver = UsrpReceiver(
                self._uhd, self._device, self._config.channels, self._sample_rate_hz
            )
        return self._receiver.receive(num_samples, buffer)

    @property
    def num_transmit_channels(self) -> int:
        """Return the number of channels it transmits on."""
        return len(self._config.transmit_channels)

    def prepare_transmission(self) -> None:
        """Set up the transmitter, as `Radio.prepare_transmission` says.

        Raises:
            RadioError: The radio is closed, or refuses a setting of its transmitter.
        """
        self._check_open()
        if self._tx_streamer is None:
            self._tx_streamer = self._open_transmitter()

    def transmit_settings(self) -> Mapping[str, Any]:
        """Return every setting of the transmitter as the device reports it.

        Raises:
            RadioError: As `prepare_transmission`.
        """
        self.prepare_transmission()
        channels = self._config.transmit_channels
        settings: dict[str, Any] = {
            "serial": str(self._info.get("mboard_serial", "")),
            "args": self._config.args,
            "channels": list(channels),
            "sample_rate_hz": self._ask(self._device.get_tx_rate, channels[0]),
            "lo_offset_hz": self._tx_lo_offset_hz,
            **self._port_answers("tx", channels),
        }
        for source in ("clock_source", "time_source"):
            settings[source] = self._ask(getattr(self._device, f"get_{source}"), 0)
        return {key: value for key, value in settings.items() if value is not None}

    def transmit(
        self, iq: TransmitSource, *, delay_s: float = 0.0, at_s: float | None = None
    ) -> UsrpTransmission:
        """Start a burst at `delay_s` from now (at least 0.1 s), from a thread of its own.

        Args:
            iq: (num_samples,), the same on each channel, or (channels, num_samples), or an
                iterable of such blocks, which is read as the device takes them.
            delay_s: Time to the first sample [s], measured by the device's clock.
            at_s: The device's time of the first sample [s], in place of `delay_s`.

        Raises:
            RadioError: The radio is closed, or refuses a setting of its transmitter.
            ConfigError: `delay_s` is out of range, or `at_s` has passed.
        """
        self._check_open()
        if not 0 <= delay_s < math.inf:
            raise ConfigError(f"delay_s must not be negative, got {delay_s}")
        self.prepare_transmission()
        under_way = [earlier for earlier in self._transmissions if not earlier.done]
        transmission = UsrpTransmission(
            self._uhd,
            self._tx_streamer,
            transmit_blocks(iq, self.num_transmit_channels),
            sample_rate_hz=self._sample_rate_hz,
            num_channels=self.num_transmit_channels,
            start_time=self._schedule(delay_s, at_s),
            time_now=self.time_now,
            index_of=self.index_of,
            stall_s=self._config.stall_s,
            after=under_way,
        )
        self._transmissions = [*under_way, transmission]
        return transmission

    def _schedule(self, delay_s: float, at_s: float | None) -> Callable[[Any], Any]:
        """Return what tells the start of a burst from the time when it could begin."""
        types = self._uhd.types
        lead = types.TimeSpec(_TRANSMIT_LEAD_S)
        if at_s is None:
            delay = types.TimeSpec(max(delay_s, _TRANSMIT_LEAD_S))
            return lambda now: now + delay
        if not 0 <= at_s < math.inf:
            raise ConfigError(f"at_s must be a time of the device's clock, got {at_s}")
        with self._driver_errors("be asked for its time"):
            earliest = (self.time_now() + lead).get_real_secs()
        if at_s < earliest:
            raise ConfigError(
                f"{self.name}: second {at_s:.6f} is too soon, the device's clock is at "
                f"{earliest - _TRANSMIT_LEAD_S:.6f}; start at {earliest:.1f} or later"
            )
        # Whole seconds and the rest, so that a clock that counts since 1970 keeps its precision.
        start = types.TimeSpec(math.floor(at_s), at_s % 1)
        return lambda now: start

    @property
    def time_s(self) -> float:
        """Return the device's time now [s]."""
        with self._driver_errors("be asked for its time"):
            return float(self.time_now().get_real_secs())

    def time_now(self) -> Any:
        """Return the device's time, as UHD keeps times."""
        return self._device.get_time_now()

    def index_of(self, time_spec: Any) -> int | None:
        """Return the position on the receive timeline of a device time; None before it began."""
        return None if self._receiver is None else self._receiver.index_of(time_spec)

    def _open_transmitter(self) -> Any:
        self._tx_lo_offset_hz = self._configure("tx", self._config.tx)
        channels = list(self._config.transmit_channels)
        with self._driver_errors("be asked for its transmit rate"):
            rate = float(self._device.get_tx_rate(channels[0]))
        if not math.isclose(rate, self._sample_rate_hz, rel_tol=1e-9):
            raise RadioError(
                f"{self.name}: the transmitter runs at {rate:.0f} Hz, the receiver at "
                f"{self._sample_rate_hz:.0f} Hz; choose a rate that both can have"
            )
        arguments = self._uhd.usrp.StreamArgs("sc16", "sc16")
        arguments.channels = channels
        with self._driver_errors(f"transmit on channels {channels}"):
            return self._device.get_tx_stream(arguments)

    def _check_open(self) -> None:
        if self._closed:
            raise RadioError(f"{self.name}: the radio is closed")

    def close(self) -> None:
        """End the burst, stop the stream, and let go of the device."""
        if self._closed:
            return
        self._closed = True
        for transmission in self._transmissions:
            transmission.stop()
        for transmission in self._transmissions:
            transmission.close()
        if self._receiver is not None:
            self._receiver.close()
        self._tx_streamer = self._receiver = self._device = None

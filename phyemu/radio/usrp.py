"""A USRP, driven through UHD's Python API."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError
from phyemu.radio.radio import Radio, receive_buffer
from phyemu.radio.stream import ReceivedBlock, TransmitSource, transmit_blocks
from phyemu.radio.usrp_answers import front_ends_chosen, port_answers
from phyemu.radio.usrp_config import UsrpConfig, UsrpPort, default_lo_offset_hz
from phyemu.radio.usrp_driver import (
    ask,
    driver_errors,
    driver_version,
    load_driver,
    open_usrp,
    set_or_refuse,
)
from phyemu.radio.usrp_receive import UsrpReceiver
from phyemu.radio.usrp_time import (
    await_start,
    check_start,
    set_device_time,
    use_references,
    wait_for_clocks,
    wait_for_los,
)
from phyemu.radio.usrp_transmit import UsrpTransmission
from phyemu.radio.usrp_tuning import agreed, tune

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
            RadioError: UHD or the device is missing, the device is in use, it refuses a
                setting or cannot have it, a clock or LO does not lock, or the time to start at
                has passed.
        """
        self._uhd = load_driver() if uhd is None else uhd
        self._config = config
        self._device = open_usrp(self._uhd, config)
        self._receiver: UsrpReceiver | None = None
        # Those that may be under way: the next one follows them.
        self._transmissions: list[UsrpTransmission] = []
        self._tx_streamer: Any = None
        self._tx_lo_offset_hz: list[float] = []
        self._closed = False
        with driver_errors("be asked what it is"):
            self._info = dict(self._device.get_usrp_rx_info(0))
        use_references(self._device, config.clock_source, config.time_source)
        self._lo_offset_hz = self._configure("rx", config.rx)
        with driver_errors("be asked for its rate and frequency"):
            self._sample_rate_hz = self._agreed("rate")
            self._center_frequency_hz = self._agreed("freq")
        with driver_errors("be synchronised"):
            wait_for_clocks(self._device)
            wait_for_los(self._device, "rx", config.channels)
            # After the rates, because a change of the master clock disturbs the time.
            self._time_set_by = set_device_time(self._uhd, self._device)
            if config.start_at_s is not None:
                check_start(self._device, config.start_at_s)

    def _agreed(self, setting: str) -> float:
        return agreed(self._device, self.name, setting, self._config.channels, self._config)

    def _configure(self, direction: str, port: UsrpPort) -> list[float]:
        """Set up one direction on its channels; return the LO offset that each took [Hz]."""
        config, device = self._config, self._device
        if port.subdev is not None:
            spec, set_spec = (
                self._uhd.usrp.SubdevSpec,
                getattr(device, f"set_{direction}_subdev_spec"),
            )
            set_or_refuse(f"{direction} subdev", lambda subdev: set_spec(spec(subdev)), port.subdev)
        channels = config.transmit_channels if direction == "tx" else config.channels
        offset = self._lo_offset(direction, port)

        def apply(setting: str, value: Any, channel: int) -> Any:
            setter = getattr(device, f"set_{direction}_{setting}")
            return set_or_refuse(
                f"{direction} {setting} of channel {channel}", setter, value, channel
            )

        offsets = []
        num_channels = len(channels)
        gains_db, antennas = port.gains_db(num_channels), port.antennas(num_channels)
        # The rate of one channel may change the master clock, and with it that of the others.
        for channel in channels:
            apply("rate", config.sample_rate_hz, channel)
        for channel, gain_db, antenna in zip(channels, gains_db, antennas, strict=True):
            if antenna is not None:
                apply("antenna", antenna, channel)
            wanted_hz = config.frequency_hz(direction)
            offsets.append(tune(self._uhd, device, direction, channel, wanted_hz, offset))
            apply("gain", gain_db, channel)
            if port.bandwidth_hz is not None:
                apply("bandwidth", port.bandwidth_hz, channel)
        return offsets

    def _lo_offset(self, direction: str, port: UsrpPort) -> float:
        """Return the LO offset to ask for [Hz]."""
        if port.lo_offset_hz is not None:
            return port.lo_offset_hz
        transmit = direction == "tx"
        channels = self._config.transmit_channels if transmit else self._config.channels
        return default_lo_offset_hz(
            str(self._info.get("mboard_id", "")),
            self._front_end(direction, channels[0]),
            self._config.sample_rate_hz,
            transmit=transmit,
        )

    def retune(self, center_frequency_hz: float) -> None:
        """Go to another frequency in both directions, as `Radio.retune` says.

        The stream is stopped; the next `receive` starts another, its timeline at 0.

        Raises:
            RadioError: The radio is closed, still transmits, refuses the frequency or does not
                lock to it.
            ConfigError: It is no frequency.
        """
        self._check_open()
        if not all(transmission.done for transmission in self._transmissions):
            raise RadioError(f"{self.name}: still transmits; stop that before it is tuned")
        config = self._config.tuned(center_frequency_hz)
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None
        self._config = config
        for direction, port, channels, offsets in (
            ("rx", config.rx, config.channels, self._lo_offset_hz),
            ("tx", config.tx, config.transmit_channels, self._tx_lo_offset_hz),
        ):
            if direction == "tx" and self._tx_streamer is None:
                continue
            offset = self._lo_offset(direction, port)
            with driver_errors(f"be tuned to {center_frequency_hz:.6g} Hz"):
                offsets[:] = [
                    tune(self._uhd, self._device, direction, number, center_frequency_hz, offset)
                    for number in channels
                ]
                wait_for_los(self._device, direction, channels)
        with driver_errors("be asked for its frequency"):
            self._center_frequency_hz = self._agreed("freq")

    def _front_end(self, direction: str, channel: int) -> str:
        """Return the name of the front end; each direction is asked for its own."""
        with driver_errors(f"be asked for its {direction} front end"):
            info = dict(getattr(self._device, f"get_usrp_{direction}_info")(channel))
        return str(info.get(f"{direction}_subdev_name", ""))

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
        radio |= port_answers(self._device, "rx", self._config.channels)
        for setting in ("clock_source", "time_source", "master_clock_rate"):
            name = "master_clock_rate_hz" if setting == "master_clock_rate" else setting
            radio[name] = ask(getattr(self._device, f"get_{setting}"), 0)
        radio["time_set_by"] = self._time_set_by
        radio["subdev"] = front_ends_chosen(self._device, "rx")
        radio["start_at_s"] = self._config.start_at_s
        known = {key: value for key, value in radio.items() if value is not None}
        board = self._info.get("mboard_id", "")
        front_ends = [self._front_end("rx", channel) for channel in self._config.channels]
        front_end = "/".join(dict.fromkeys(front_ends))
        antenna = "/".join(str(value) for value in known.get("antenna", []))
        hardware = f"USRP {board} {front_end}, receive antenna {antenna}"
        return {"core:hw": " ".join(hardware.split()), "phyemu:radio": known}

    @property
    def start_at_s(self) -> float | None:
        """Return the device time at which it was asked to start receiving [s]."""
        return self._config.start_at_s

    def await_start(self) -> None:
        """Return half a second before `start_at_s`, or at once; `receive` would wait too.

        Raises:
            RadioError: The device's clock stands still.
        """
        if self._receiver is None and self.start_at_s is not None:
            with driver_errors("be asked for its time"):
                await_start(self._device, self.start_at_s)

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
            self.await_start()
            self._receiver = UsrpReceiver(
                self._uhd,
                self._device,
                self._config.channels,
                self._sample_rate_hz,
                start_at_s=self._config.start_at_s,
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
            "sample_rate_hz": ask(self._device.get_tx_rate, channels[0]),
            "lo_offset_hz": self._tx_lo_offset_hz,
            "subdev": front_ends_chosen(self._device, "tx"),
            **port_answers(self._device, "tx", channels),
        }
        for source in ("clock_source", "time_source"):
            settings[source] = ask(getattr(self._device, f"get_{source}"), 0)
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
        with driver_errors("be asked for its time"):
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
        with driver_errors("be asked for its time"):
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
        with driver_errors("be asked for its transmit rate"):
            rate = float(self._device.get_tx_rate(channels[0]))
        if not math.isclose(rate, self._sample_rate_hz, rel_tol=1e-9):
            raise RadioError(
                f"{self.name}: the transmitter runs at {rate:.0f} Hz, the receiver at "
                f"{self._sample_rate_hz:.0f} Hz; choose a rate that both can have"
            )
        arguments = self._uhd.usrp.StreamArgs("sc16", "sc16")
        arguments.channels = channels
        with driver_errors("be asked whether its transmitter is ready"):
            wait_for_los(self._device, "tx", self._config.transmit_channels)
        with driver_errors(f"transmit on channels {channels}"):
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

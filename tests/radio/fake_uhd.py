"""A driver that follows UHD's protocol and a script of faults, sample by sample.

Sample t of the device's timeline carries t itself as its 32-bit word, so that whoever receives it
can tell which sample it is, whatever its label says.

What it follows, from UHD 4's receive path and from the driver itself with its simulator
(`test_usrp_contract.py` asks both): an error that is met after samples is kept for the next call,
a timeout is not; the time stamp is that of the first packet, also where the call begins in its
middle; a clock that is set does not end a call. Where time plays a part, the host's clock is the
script's own (`FakeUhd.monotonic`), which goes on as samples arrive and calls wait.
"""

import enum
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

ErrorCode = enum.Enum(
    "ErrorCode", ["none", "timeout", "late", "broken_chain", "overflow", "alignment", "bad_packet"]
)
EventCode = enum.Enum(
    "EventCode",
    [
        "burst_ack",
        "underflow",
        "seq_error",
        "time_error",
        "underflow_in_packet",
        "seq_error_in_packet",
        "user_payload",
    ],
)
StreamMode = enum.Enum("StreamMode", ["start_cont", "stop_cont", "num_done", "num_more"])
# After these a real device sends nothing until it is started again.
STOPS = {"late", "broken_chain"}
# pybind11's name for a number that is none of the enumeration's.
UNKNOWN = SimpleNamespace(name="???")


class TimeSpec:
    """Seconds as UHD keeps them: whole ones, and the rest."""

    def __init__(self, full: float = 0.0, frac: float | None = None) -> None:
        self.full, self.frac = (int(full // 1), full % 1) if frac is None else (int(full), frac)

    @staticmethod
    def from_ticks(ticks: int, rate: float) -> "TimeSpec":
        full = int(ticks // rate)
        return TimeSpec(full, (ticks - full * rate) / rate)

    def to_ticks(self, rate: float) -> int:
        whole = int(rate)
        return self.full * whole + round(self.full * (rate - whole) + self.frac * rate)

    def get_full_secs(self) -> int:
        return self.full

    def get_real_secs(self) -> float:
        return self.full + self.frac

    def __add__(self, other: "TimeSpec") -> "TimeSpec":
        carry, frac = divmod(self.frac + other.frac, 1)
        return TimeSpec(self.full + other.full + int(carry), frac)

    def __sub__(self, other: "TimeSpec") -> "TimeSpec":
        carry, frac = divmod(self.frac - other.frac, 1)
        return TimeSpec(self.full - other.full + int(carry), frac)


@dataclass
class RXMetadata:
    error_code: ErrorCode = ErrorCode.none
    out_of_sequence: bool = False
    has_time_spec: bool = False
    time_spec: TimeSpec = field(default_factory=TimeSpec)
    start_of_burst: bool = False
    end_of_burst: bool = False

    more_fragments: bool = False

    def strerror(self) -> str:
        return f"ERROR_CODE_{self.error_code.name.upper()}"


@dataclass
class TXMetadata:
    start_of_burst: bool = False
    end_of_burst: bool = False
    has_time_spec: bool = False
    time_spec: TimeSpec = field(default_factory=TimeSpec)


@dataclass
class TXAsyncMetadata:
    event_code: EventCode = EventCode.user_payload
    channel: int = 0


@dataclass
class StreamCMD:
    mode: StreamMode
    stream_now: bool = True
    time_spec: TimeSpec = field(default_factory=TimeSpec)


@dataclass
class StreamArgs:
    cpu_format: str
    otw_format: str
    channels: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Data:
    """So many samples arrive, in packets of which the last one may be short."""

    count: int
    stamped: bool = True


@dataclass(frozen=True)
class Lose:
    """So many samples are lost; the driver reports `code`, or says nothing.

    Nothing is said only between two calls: inside one, UHD would join both sides without a sign.
    """

    count: int
    code: str | None = "overflow"
    out_of_sequence: bool = False


@dataclass(frozen=True)
class Fault:
    """The driver reports `code`; nothing is lost unless the device stops until it is restarted."""

    code: str


@dataclass(frozen=True)
class Flagged:
    """A packet of samples that comes together with a report, after so many lost ones."""

    lost: int
    code: str = "none"
    out_of_sequence: bool = True


@dataclass(frozen=True)
class Pause:
    """Nothing arrives for longer than any timeout."""


@dataclass(frozen=True)
class Halt:
    """The device stops without a word until it is started again."""


@dataclass(frozen=True)
class Nothing:
    """A call returns at once, with no sample and no reason."""


@dataclass(frozen=True)
class ClockSet:
    """The device's clock is set ahead by so many samples, or back."""

    count: int


@dataclass(frozen=True)
class Disconnect:
    """The device vanishes."""

    error: type[Exception] = RuntimeError


@dataclass(frozen=True)
class Seam:
    """So many samples were not taken because the device stood still; it puts them there itself."""

    count: int


Action = Seam | Data | Lose | Fault | Flagged | Pause | Halt | Nothing | ClockSet | Disconnect


class RxStreamer:
    def __init__(self, device: "MultiUSRP", args: StreamArgs) -> None:
        assert (args.cpu_format, args.otw_format) == ("sc16", "sc16")
        self.device = device
        self.uhd = device.uhd
        self.num_channels = len(args.channels)
        self.tick = self.uhd.first_tick
        self.streaming = self.started = False
        self.gone: Disconnect | None = None
        self.left: int | None = None
        # Samples of the packet that the last call took a part of, and how many it took.
        self.packet_left = self.packet_taken = 0
        self.kept: tuple[Any, bool, bool] | None = None
        # Samples that still come after the device was told to stop.
        self.in_flight = 0

    def get_num_channels(self) -> int:
        return self.num_channels

    def get_max_num_samps(self) -> int:
        return self.uhd.packet_samples

    def issue_stream_cmd(self, command: StreamCMD) -> None:
        self._check_there()
        if command.mode is StreamMode.start_cont:
            assert not (command.stream_now and self.num_channels > 1)
            # While it stood still the device's time went on. What was sent before comes first, and
            # nothing tells where it ends.
            if not self.streaming and self.started:
                self.uhd.script.appendleft(Seam(self.uhd.restart_samples))
                if self.in_flight:
                    self.uhd.script.appendleft(Data(self.in_flight))
            self.left = None
            self.streaming = self.started = True
            self.in_flight = 0
        else:
            if self.streaming:
                self.in_flight = self.uhd.in_flight_samples
            self.streaming = False
        self.uhd.commands.append(command)

    def recv(self, words: np.ndarray, metadata: RXMetadata, timeout: float = 0.1) -> int:
        # The real driver does not reliably refuse a wrong buffer; this one does.
        assert words.dtype == np.uint32
        assert words.ndim == 2
        assert words.shape[0] == self.num_channels
        assert words.flags.c_contiguous
        assert words.flags.writeable
        self._check_there()
        metadata.__init__()
        if self.kept is not None:
            (metadata.error_code, metadata.out_of_sequence, stamped), self.kept = self.kept, None
            self._stamp(metadata, stamped)
            return 0
        if not self.streaming:
            return self._flush(words, metadata, timeout)
        filled = 0
        while filled < words.shape[1]:
            action: Action = self.uhd.script[0] if self.uhd.script else Data(1 << 40)
            if isinstance(action, Data):
                filled += self._deliver(action, words, metadata, filled)
                continue
            if isinstance(action, Seam):
                self.tick += action.count
                self._done()
                continue
            if isinstance(action, ClockSet):
                self.uhd.clock_offset += action.count
                self._done()
                continue
            if isinstance(action, Lose) and action.code is None:
                if filled:
                    return filled
                self.tick += action.count
                self._done()
                continue
            if isinstance(action, Flagged | Nothing | Disconnect) and filled:
                return filled
            self._done()
            if isinstance(action, Flagged):
                self.tick += action.lost
                metadata.error_code = ErrorCode[action.code]
                metadata.out_of_sequence = action.out_of_sequence
                self.uhd.script.appendleft(Data(self.uhd.packet_samples))
                size = self.uhd.packet_samples
                return self._deliver(self.uhd.script[0], words[:, :size], metadata, 0)
            if isinstance(action, Nothing):
                return 0
            if isinstance(action, Disconnect):
                self.gone = action
                self._check_there()
            if isinstance(action, Halt):
                self.streaming = False
            if isinstance(action, Pause | Halt):
                break
            self._report(metadata, action)
            if not filled:
                return 0
            # An error that is met after samples is kept for the next call.
            self.kept = (metadata.error_code, metadata.out_of_sequence, True)
            metadata.error_code, metadata.out_of_sequence = ErrorCode.none, False
            return filled
        if filled < words.shape[1]:
            self.uhd.host_s += timeout
        if filled == 0:
            metadata.error_code = ErrorCode.timeout
        return filled

    def _check_there(self) -> None:
        if self.gone is not None:
            raise self.gone.error("usb rx6 transfer status: LIBUSB_TRANSFER_NO_DEVICE")

    def _deliver(self, data: Data, words: np.ndarray, metadata: RXMetadata, filled: int) -> int:
        """Hand over what fits; return how many samples."""
        left = data.count if self.left is None else self.left
        count = min(left, words.shape[1] - filled)
        if filled == 0:
            self._stamp(metadata, data.stamped)
        if count:
            self._fill(words[:, filled : filled + count])
            if self.uhd.cable is not None:
                self.uhd.cable.heard(self.tick - count, words[:, filled : filled + count])
            self.uhd.delivered.append((self.tick - count, count))
        self._cut_packets(count, left)
        self.left = left - count
        if not self.left:
            self._done()
        return count

    def _fill(self, words: np.ndarray) -> None:
        count = words.shape[1]
        ticks = np.arange(self.tick, self.tick + count, dtype=np.uint64)
        for channel in range(self.num_channels):
            words[channel] = (ticks + channel) & 0xFFFFFFFF
        self.tick += count
        # No sample arrives before it was taken.
        taken_s = (self.tick - self.uhd.first_tick) / self.uhd.rate
        self.uhd.host_s = max(self.uhd.host_s, taken_s)

    def _cut_packets(self, count: int, available: int) -> None:
        """Follow where in a packet the next call will begin."""
        size = self.uhd.packet_samples
        while count:
            if not self.packet_left:
                self.packet_left, self.packet_taken = min(size, available), 0
            piece = min(count, self.packet_left)
            self.packet_left -= piece
            self.packet_taken += piece
            count -= piece
            available -= piece
        if not self.packet_left:
            self.packet_taken = 0

    def _flush(self, words: np.ndarray, metadata: RXMetadata, timeout: float) -> int:
        """Hand over what was under way when the device was stopped."""
        count = min(self.in_flight, words.shape[1])
        self.in_flight -= count
        if count:
            self._stamp(metadata, True)
            self._fill(words[:, :count])
            self.uhd.flushed.append((self.tick - count, count))
            self.left = self.packet_left = self.packet_taken = 0
            self.left = None
        else:
            metadata.error_code = ErrorCode.timeout
            self.uhd.host_s += timeout
        return count

    def _done(self) -> None:
        self.left = None
        self.packet_left = self.packet_taken = 0
        if self.uhd.script:
            self.uhd.script.popleft()

    def _stamp(self, metadata: RXMetadata, stamped: bool) -> None:
        if not (self.uhd.time_stamps and stamped):
            return
        self.uhd.stamps += 1
        self.uhd.stamped_offset = self.uhd.clock_offset
        metadata.has_time_spec = True
        # In the middle of a packet UHD 4.3 counts on from its start with the master clock rate.
        within = round(self.packet_taken * self.uhd.rate / self.uhd.master_clock_hz)
        metadata.time_spec = TimeSpec.from_ticks(
            self.tick - self.packet_taken + within + self.uhd.clock_offset, self.uhd.rate
        )

    def _report(self, metadata: RXMetadata, action: Lose | Fault) -> None:
        code = action.code or "none"
        metadata.error_code = UNKNOWN if code == UNKNOWN.name else ErrorCode[code]
        metadata.out_of_sequence = isinstance(action, Lose) and action.out_of_sequence
        if isinstance(action, Lose):
            self.tick += action.count
        if code in STOPS:
            self.streaming = False


class TxStreamer:
    """Takes samples as `FakeUhd.accept` says, call by call: see there."""

    def __init__(self, device: "MultiUSRP", args: StreamArgs) -> None:
        assert (args.cpu_format, args.otw_format) == ("sc16", "sc16")
        self.uhd = device.uhd
        self.num_channels = len(args.channels)

    def get_max_num_samps(self) -> int:
        return 2000

    def send(self, words: np.ndarray, metadata: TXMetadata, timeout: float = 0.1) -> int:
        assert words.dtype == np.uint32
        assert words.ndim == 2
        assert words.shape[0] == self.num_channels
        assert words.shape[1]  # an empty end of burst would send a zero sample
        assert words.flags.c_contiguous
        while self.uhd.accept and isinstance(self.uhd.accept[0], str):
            self.uhd.async_events.append(self.uhd.accept.popleft())
        limit = self.uhd.accept.popleft() if self.uhd.accept else words.shape[1]
        if limit is None:
            raise RuntimeError("usb tx transfer failed")
        if isinstance(limit, BaseException):
            raise limit
        count = min(limit, words.shape[1])
        if count:
            self.uhd.sent.append(words[:, :count].copy())
            start = metadata.time_spec.get_real_secs() if metadata.has_time_spec else None
            ends = metadata.end_of_burst and count == words.shape[1]
            self.uhd.bursts.append((metadata.start_of_burst, ends, start))
            if self.uhd.cable is not None:
                time = metadata.time_spec if metadata.has_time_spec else None
                if time is not None:
                    time = time - TimeSpec.from_ticks(self.uhd.clock_offset, self.uhd.rate)
                self.uhd.cable.take(words[:, :count], time, ends)
            if ends and self.uhd.acknowledges:
                self.uhd.async_events.extend(["burst_ack"] * self.num_channels)
        return count

    def recv_async_msg(self, metadata: TXAsyncMetadata, timeout: float = 0.1) -> bool:
        if not self.uhd.async_events:
            return False
        name = self.uhd.async_events.popleft()
        if isinstance(name, BaseException):
            raise name
        known = name in EventCode.__members__
        metadata.event_code = EventCode[name] if known else UNKNOWN
        return True


class Cable:
    """From a transmitter to a receiver, `delay` samples long, both on one clock.

    The receiver's clock is at the last sample that it gave; the transmitter's is ahead of it by
    `ahead` samples. After its first samples the receiver waits for a transmitter that asks for the
    time, and it gives no sample of which nobody knows yet what is sent.
    """

    def __init__(self, rate: float, delay: int = 0, ahead: int = 0) -> None:
        self.rate = rate
        self.delay = delay
        self.ahead = ahead
        self.now = 0
        self.position = 0
        self.began = False
        self.horizon: int | None = None
        self.pieces: list[tuple[int, np.ndarray]] = []
        self.changed = threading.Condition()

    def time_now(self, transmitter: bool) -> TimeSpec:
        with self.changed:
            if transmitter and self.began:
                self.horizon = max(self.horizon or 0, self.now + round(0.1 * self.rate))
                self.changed.notify_all()
            return TimeSpec.from_ticks(self.now + self.ahead * transmitter, self.rate)

    def take(self, words: np.ndarray, start: TimeSpec | None, ends: bool) -> None:
        with self.changed:
            if start is not None:
                self.position = start.to_ticks(self.rate) - self.ahead
                assert self.position >= self.now, "the burst came too late for its start"
            # A device takes no more than it can hold; without a receiver, time goes on by itself.
            self.changed.wait_for(lambda: self.position - self.now < 200_000, 0.05)
            self.pieces.append((self.position, words.copy()))
            self.position += words.shape[1]
            self.horizon = None if ends else self.position
            self.changed.notify_all()

    def heard(self, tick: int, out: np.ndarray) -> None:
        """Fill `out` (channels, count) with what arrives from `tick` on."""
        count = out.shape[1]
        with self.changed:
            known = self.changed.wait_for(
                lambda: self.horizon is None or tick + count - self.delay <= self.horizon, 10
            )
            assert known, "nobody transmits, and the receiver waits"
            out[:] = 0
            for start, words in self.pieces:
                begin = max(tick, start + self.delay)
                end = min(tick + count, start + self.delay + words.shape[1])
                if begin < end:
                    shift = start + self.delay
                    out[:, begin - tick : end - tick] = words[:, begin - shift : end - shift]
            self.now = tick + count
            if not self.began:
                self.began, self.horizon = True, self.now
            self.changed.notify_all()


class MultiUSRP:
    def __init__(self, uhd: "FakeUhd", args: str) -> None:
        if not uhd.devices:
            raise RuntimeError("LookupError: KeyError: No devices found for ----->\nAddress: x")
        # In one process UHD would hand out the same device twice; this one refuses, so that a test
        # sees who still holds on to it.
        if uhd.claimed or (uhd.device is not None and uhd.device() is not None):
            raise RuntimeError("RuntimeError: Someone tried to claim this device again (From: x)")
        self.uhd = uhd
        uhd.device = weakref.ref(self)
        uhd.opened.append(args)
        self.transmits = False
        self.values: dict[str, Any] = {"gain": 0.0, "antenna": "RX2", "bandwidth": 40e6}

    def get_usrp_rx_info(self, channel: int = 0) -> dict[str, str]:
        return {
            "mboard_id": self.uhd.board,
            "mboard_serial": "F4KE",
            "rx_subdev_name": f"{self.uhd.front_ends.get(channel, self.uhd.front_end)} RX",
        }

    def get_usrp_tx_info(self, channel: int = 0) -> dict[str, str]:
        return {
            "mboard_id": self.uhd.board,
            "mboard_serial": "F4KE",
            "tx_subdev_name": f"{self.uhd.front_end} TX",
        }

    def __getattr__(self, name: str) -> Any:
        verb, _, what = name.partition("_")
        direction, _, setting = what.partition("_")
        if direction not in ("rx", "tx"):
            raise AttributeError(name)
        if verb == "set":
            return lambda value, channel=0: self._set(direction, setting, value, channel)
        return lambda channel=0: self._get(direction, setting, channel)

    def _set(self, direction: str, setting: str, value: Any, channel: int) -> None:
        self.uhd.settings.append((direction, setting, value, channel))
        if channel >= self.uhd.num_channels:
            raise RuntimeError(f"LookupError: IndexError: multi_usrp: invalid channel {channel}")
        if setting == "antenna" and value not in ("RX2", "TX/RX"):
            raise RuntimeError(f"ValueError: Requesting invalid {direction} antenna: {value}")
        if setting == "gain":
            value = min(max(value, 0.0), 76.0)
        self.values[f"{direction}_{setting}", channel] = value
        if setting == "freq":
            offset = value.lo_offset or 0.0
            return SimpleNamespace(
                actual_rf_freq=value.target_freq + offset + self.uhd.lo_error_hz,
                actual_dsp_freq=-offset,
            )
        return None

    def _get(self, direction: str, setting: str, channel: int) -> Any:
        if setting == "rate":
            rate = self.uhd.rate if direction == "rx" else self.uhd.tx_rate
            return rate + channel * self.uhd.rate_step_hz
        if setting == "freq":
            return self.values[f"{direction}_freq", channel].target_freq + self.uhd.tune_error_hz
        return self.values.get((f"{direction}_{setting}", channel), self.values.get(setting))

    def get_rx_rates(self, channel: int = 0) -> "Rates":
        return Rates(self.uhd.rates)

    def get_rx_freq_range(self, channel: int = 0) -> "Rates":
        return Rates((50e6, 6e9))

    def get_rx_subdev_spec(self, mboard: int = 0) -> Any:
        return SimpleNamespace(to_string=lambda: self.uhd.subdev)

    def set_rx_subdev_spec(self, spec: str) -> None:
        if spec not in ("A:A", "A:B", "A:A A:B"):
            raise RuntimeError(f"RuntimeError: The front end specification {spec} does not exist")
        self.uhd.subdev = spec

    def get_tx_subdev_spec(self, mboard: int = 0) -> Any:
        return SimpleNamespace(to_string=lambda: self.uhd.tx_subdev)

    def set_tx_subdev_spec(self, spec: str) -> None:
        if spec not in ("A:A", "A:B", "A:A A:B"):
            raise RuntimeError(f"RuntimeError: The front end specification {spec} does not exist")
        # UHD numbers the channels anew, so what was set before would be another front end's.
        assert not any(direction == "tx" for direction, *_ in self.uhd.settings)
        self.uhd.tx_subdev = spec

    def get_master_clock_rate(self, mboard: int = 0) -> float:
        return self.uhd.master_clock_hz

    def get_num_mboards(self) -> int:
        return self.uhd.num_boards

    def set_clock_source(self, source: str) -> None:
        if source not in self.get_clock_sources(0):
            raise RuntimeError(f"ValueError: no such clock source: {source}")
        self.uhd.clock_source = source

    def set_time_source(self, source: str) -> None:
        if source not in self.get_time_sources(0):
            raise RuntimeError(f"ValueError: no such time source: {source}")
        self.uhd.time_source = source

    def get_clock_sources(self, mboard: int) -> list[str]:
        return ["internal", "external", "gpsdo"]

    get_time_sources = get_clock_sources

    def get_clock_source(self, mboard: int) -> str:
        return self.uhd.clock_source

    def get_time_source(self, mboard: int) -> str:
        if self.uhd.time_source is None:
            raise RuntimeError("RPC: get_time_source() not available on this device!")
        return self.uhd.time_source

    def get_mboard_sensor_names(self, mboard: int = 0) -> list[str]:
        return [name for name in self.uhd.sensors if "lo_locked" not in name]

    def get_tx_sensor_names(self, channel: int = 0) -> list[str]:
        return ["lo_locked"] if "tx_lo_locked" in self.uhd.sensors else []

    def get_tx_sensor(self, name: str, channel: int = 0) -> "Sensor":
        return Sensor(self.uhd.sensors[f"tx_{name}"])

    def get_rx_sensor_names(self, channel: int = 0) -> list[str]:
        return [name for name in self.uhd.sensors if name == "lo_locked"]

    def get_mboard_sensor(self, name: str, mboard: int = 0) -> "Sensor":
        return Sensor(self.uhd.sensors[name])

    def get_rx_sensor(self, name: str, channel: int = 0) -> "Sensor":
        return Sensor(self.uhd.sensors[name])

    def get_time_now(self) -> TimeSpec:
        if self.uhd.cable is not None:
            offset = TimeSpec.from_ticks(self.uhd.clock_offset, self.uhd.rate)
            return self.uhd.cable.time_now(transmitter=self.transmits) + offset
        return TimeSpec.from_ticks(self.uhd.now_ticks, self.uhd.rate)

    def set_time_now(self, spec: TimeSpec) -> None:
        self.uhd.times_set.append(("now", spec.get_real_secs()))
        if self.uhd.clock_runs:
            self.uhd.clock_offset += spec.to_ticks(self.uhd.rate) - self.uhd.now_ticks

    def get_time_last_pps(self, mboard: int = 0) -> TimeSpec:
        uhd = self.uhd
        edges = int(uhd.host_s + 0.3) - uhd.edges
        if uhd.pulses and edges:
            begin = uhd.last_pulse + 1 if uhd.next_pulse is None else uhd.next_pulse
            uhd.last_pulse, uhd.next_pulse = begin + edges - 1, None
            uhd.edges += edges
        return TimeSpec(uhd.last_pulse + mboard * uhd.board_skew_s)

    def set_time_next_pps(self, spec: TimeSpec) -> None:
        self.uhd.times_set.append(("pps", spec.get_real_secs()))
        self.uhd.next_pulse = spec.get_real_secs()

    def get_rx_stream(self, args: StreamArgs) -> RxStreamer:
        if self.uhd.streamer is not None and self.uhd.streamer() is not None:
            raise RuntimeError("Attempting to reconnect output port")
        streamer = RxStreamer(self, args)
        self.uhd.streamer = weakref.ref(streamer)
        return streamer

    def get_tx_stream(self, args: StreamArgs) -> TxStreamer:
        self.transmits = True
        return TxStreamer(self, args)


@dataclass(frozen=True)
class TuneRequest:
    target_freq: float
    lo_offset: float | None = None


class Rates:
    """A range of single values that tells as little as UHD's: its ends, and the nearest value."""

    def __init__(self, values: tuple[float, ...]) -> None:
        self.values = values

    def start(self) -> float:
        return min(self.values)

    def stop(self) -> float:
        return max(self.values)

    def clip(self, value: float) -> float:
        return min(self.values, key=lambda rate: abs(rate - value))


@dataclass
class Sensor:
    """Answers from a list, the last one for ever."""

    answers: list[Any]

    def value(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    to_bool = to_int = value


@dataclass
class FakeUhd:
    """The module `uhd`, and everything it saw."""

    script: deque[Action] = field(default_factory=deque)
    rate: float = 1e6
    tx_rate: float = 1e6
    time_stamps: bool = True
    first_tick: int = 123_456
    restart_samples: int = 50
    packet_samples: int = 20
    in_flight_samples: int = 0
    clock_offset: int = 0
    host_s: float = 0.0
    opened_s: float = 2.0
    utc_s: float = 1.8e9 + 0.25
    clock_runs: bool = True
    master_clock_hz: float = 32e6
    rates: tuple[float, ...] = (0.5e6, 1e6, 2e6)
    rate_step_hz: float = 0.0
    lo_error_hz: float = 0.25
    subdev: str = "A:A"
    num_boards: int = 1
    clock_source: str = "internal"
    time_source: str | None = None
    sensors: dict[str, list[Any]] = field(default_factory=dict)
    pulses: bool = True
    board_skew_s: float = 0.0
    edges: int = 0
    last_pulse: float = 7.0
    next_pulse: float | None = None
    times_set: list[tuple[str, float]] = field(default_factory=list)
    board: str = "B210"
    front_end: str = "FE"
    front_ends: dict[int, str] = field(default_factory=dict)
    tx_subdev: str = "A:A"
    kind: str = "b200"
    num_channels: int = 2
    tune_error_hz: float = 0.25
    claimed: bool = False
    devices: int = 1
    # What each call of `send` does: takes so many samples at most, 0 being a timeout; None or an
    # exception: raises. A name is an asynchronous event that comes before the call.
    accept: deque[int | str | BaseException | None] = field(default_factory=deque)
    async_events: deque[str | BaseException] = field(default_factory=deque)
    acknowledges: bool = True
    cable: Cable | None = None
    opened: list[str] = field(default_factory=list)
    commands: list[StreamCMD] = field(default_factory=list)
    settings: list[tuple[str, str, Any, int]] = field(default_factory=list)
    delivered: list[tuple[int, int]] = field(default_factory=list)
    sent: list[np.ndarray] = field(default_factory=list)
    bursts: list[tuple[bool, bool, float | None]] = field(default_factory=list)
    stamps: int = 0
    stamped_offset: int | None = None
    flushed: list[tuple[int, int]] = field(default_factory=list)
    device: "weakref.ref[MultiUSRP] | None" = None
    streamer: "weakref.ref[RxStreamer] | None" = None

    def __post_init__(self) -> None:
        if self.cable is not None:
            self.cable.now = self.first_tick
        self.script = deque(self.script)
        self.types = SimpleNamespace(
            RXMetadata=RXMetadata,
            TXMetadata=TXMetadata,
            TXAsyncMetadata=TXAsyncMetadata,
            StreamCMD=StreamCMD,
            StreamMode=StreamMode,
            TimeSpec=TimeSpec,
            TuneRequest=TuneRequest,
        )
        self.usrp = SimpleNamespace(
            StreamArgs=StreamArgs,
            MultiUSRP=lambda args="": MultiUSRP(self, args),
            SubdevSpec=str,
        )

    @property
    def now_ticks(self) -> int:
        """The device's time, in samples."""
        if not self.clock_runs:
            return 0
        return round((self.opened_s + self.host_s) * self.rate) + self.clock_offset

    @property
    def now_s(self) -> float:
        """The device's time [s]."""
        return self.now_ticks / self.rate

    def time(self) -> float:
        """The host's clock, as UTC [s]."""
        return self.utc_s + self.host_s

    def monotonic(self) -> float:
        """The host's clock [s]."""
        return self.host_s

    def sleep(self, seconds: float) -> None:
        """Let the host's clock go on."""
        self.host_s += seconds

    def find(self, args: str) -> list[Any]:
        fields = {"type": self.kind, "serial": "F4KE", "product": self.board}
        return [SimpleNamespace(to_dict=lambda: fields)] * self.devices

    def get_version_string(self) -> str:
        return "4.3.0.0-fake"

    @property
    def delivered_ticks(self) -> np.ndarray:
        """The samples handed over, in order."""
        runs = [np.arange(tick, tick + count) for tick, count in self.delivered]
        return np.concatenate(runs) if runs else np.empty(0, np.int64)

    @property
    def sent_words(self) -> np.ndarray:
        """The samples taken, (channels, num_samples), uint32."""
        return np.concatenate(self.sent, axis=1)

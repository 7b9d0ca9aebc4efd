"""A driver that follows UHD's protocol and a script of faults, sample by sample.

Sample t of the device's timeline carries t itself as its 32-bit word, so that whoever receives it
can tell which sample it is, whatever its label says.
"""

import enum
import threading
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
# The binding calls a code that it does not know so.
UNKNOWN_EVENT = SimpleNamespace(name="???")
StreamMode = enum.Enum("StreamMode", ["start_cont", "stop_cont", "num_done", "num_more"])
# After these a real device sends nothing until it is started again.
STOPS = {"late", "broken_chain", "alignment"}


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
    """So many samples arrive."""

    count: int


@dataclass(frozen=True)
class Lose:
    """So many samples are lost; the driver reports `code`, or says nothing."""

    count: int
    code: str | None = "overflow"
    out_of_sequence: bool = False


@dataclass(frozen=True)
class Fault:
    """The driver reports `code`; nothing is lost unless the device stops until it is restarted."""

    code: str


@dataclass(frozen=True)
class Pause:
    """Nothing arrives for longer than any timeout."""


@dataclass(frozen=True)
class ClockBack:
    """The device's clock is set back by so many samples."""

    count: int


@dataclass(frozen=True)
class Disconnect:
    """The device vanishes."""


Action = Data | Lose | Fault | Pause | ClockBack | Disconnect


class RxStreamer:
    def __init__(self, device: "MultiUSRP", args: StreamArgs) -> None:
        assert (args.cpu_format, args.otw_format) == ("sc16", "sc16")
        self.device = device
        self.num_channels = len(args.channels)
        self.script = deque(device.uhd.script)
        self.tick = device.uhd.first_tick
        self.clock_offset = 0
        self.streaming = False
        self.left: int | None = None

    def get_num_channels(self) -> int:
        return self.num_channels

    def get_max_num_samps(self) -> int:
        return self.device.uhd.packet_samples

    def issue_stream_cmd(self, command: StreamCMD) -> None:
        if command.mode is StreamMode.start_cont:
            assert command.stream_now or self.num_channels > 1
            # While it stood still the device's time went on.
            if not self.streaming and self.device.uhd.commands:
                self.tick += self.device.uhd.restart_samples
        self.streaming = command.mode is StreamMode.start_cont
        self.device.uhd.commands.append(command)

    def recv(self, words: np.ndarray, metadata: RXMetadata, timeout: float = 0.1) -> int:
        # The real driver does not reliably refuse a wrong buffer; this one does.
        assert words.dtype == np.uint32
        assert words.ndim == 2
        assert words.shape[0] == self.num_channels
        assert words.flags.c_contiguous
        assert words.flags.writeable
        metadata.__init__()
        filled = 0
        while filled < words.shape[1]:
            if not self.streaming:
                break
            action: Action = self.script[0] if self.script else Data(1 << 40)
            if isinstance(action, Data):
                left = action.count if self.left is None else self.left
                count = min(left, words.shape[1] - filled)
                if count:
                    if filled == 0:
                        self._stamp(metadata)
                    ticks = np.arange(self.tick, self.tick + count, dtype=np.uint64)
                    for channel in range(self.num_channels):
                        words[channel, filled : filled + count] = (ticks + channel) & 0xFFFFFFFF
                    if self.device.uhd.cable is not None:
                        self.device.uhd.cable.heard(self.tick, words[:, filled : filled + count])
                    self.device.uhd.delivered.append((self.tick, count))
                self.tick += count
                filled += count
                self.left = left - count
                if not self.left:
                    self._done()
                continue
            if isinstance(action, ClockBack):
                if filled:
                    return filled
                self.clock_offset -= action.count
                self._done()
                continue
            if isinstance(action, Lose) and action.code is None:
                # A packet that follows with a later time stamp ends the buffer.
                if filled:
                    return filled
                self.tick += action.count
                self._done()
                continue
            if filled:
                # An error is kept for the next call; what is there comes without one.
                if isinstance(action, Pause):
                    self._done()
                return filled
            self._done()
            if isinstance(action, Disconnect):
                self.script.appendleft(action)
                raise RuntimeError("LIBUSB_TRANSFER_NO_DEVICE")
            if isinstance(action, Pause):
                break
            self._report(metadata, action)
            return 0
        if filled == 0:
            metadata.error_code = ErrorCode.timeout
        return filled

    def _done(self) -> None:
        self.left = None
        if self.script:
            self.script.popleft()

    def _stamp(self, metadata: RXMetadata) -> None:
        if self.device.uhd.time_stamps:
            metadata.has_time_spec = True
            metadata.time_spec = TimeSpec.from_ticks(
                self.tick + self.clock_offset, self.device.uhd.rate
            )

    def _report(self, metadata: RXMetadata, action: Lose | Fault) -> None:
        code = action.code or "none"
        metadata.error_code = ErrorCode[code]
        self._stamp(metadata)
        if isinstance(action, Lose):
            metadata.out_of_sequence = action.out_of_sequence
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
        metadata.event_code = EventCode[name] if known else UNKNOWN_EVENT
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
        if uhd.claimed:
            raise RuntimeError("RuntimeError: Someone tried to claim this device again (From: x)")
        self.uhd = uhd
        uhd.opened.append(args)
        self.transmits = False
        self.values: dict[str, Any] = {"gain": 0.0, "antenna": "RX2", "bandwidth": 40e6}

    def get_usrp_rx_info(self, channel: int = 0) -> dict[str, str]:
        return {
            "mboard_id": self.uhd.board,
            "mboard_serial": "F4KE",
            "rx_subdev_name": f"{self.uhd.front_end} RX",
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
        self.values[f"{direction}_{setting}"] = value

    def _get(self, direction: str, setting: str, channel: int) -> Any:
        if setting == "rate":
            return self.uhd.rate if direction == "rx" else self.uhd.tx_rate
        if setting == "freq":
            return self.values[f"{direction}_freq"].target_freq + self.uhd.tune_error_hz
        return self.values.get(f"{direction}_{setting}", self.values[setting])

    def set_clock_source(self, source: str) -> None:
        if source not in ("internal", "external"):
            raise RuntimeError(f"ValueError: no such clock source: {source}")

    def set_time_source(self, source: str) -> None:
        self.set_clock_source(source)

    def get_clock_source(self, mboard: int) -> str:
        return "internal"

    def get_time_source(self, mboard: int) -> str:
        raise RuntimeError("RPC: get_time_source() not available on this device!")

    def get_time_now(self) -> TimeSpec:
        if self.uhd.cable is not None:
            return self.uhd.cable.time_now(transmitter=self.transmits)
        return TimeSpec(self.uhd.now_s)

    def get_rx_stream(self, args: StreamArgs) -> RxStreamer:
        if self.uhd.streamers:
            raise RuntimeError("Attempting to reconnect output port")
        self.uhd.streamers.append(RxStreamer(self, args))
        return self.uhd.streamers[-1]

    def get_tx_stream(self, args: StreamArgs) -> TxStreamer:
        self.transmits = True
        return TxStreamer(self, args)


@dataclass(frozen=True)
class TuneRequest:
    target_freq: float
    lo_offset: float | None = None


@dataclass
class FakeUhd:
    """The module `uhd`, and everything it saw."""

    script: list[Action] = field(default_factory=list)
    rate: float = 1e6
    tx_rate: float = 1e6
    time_stamps: bool = True
    first_tick: int = 123_456
    restart_samples: int = 50
    packet_samples: int = 20
    now_s: float = 2.0
    board: str = "B210"
    front_end: str = "FE"
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
    streamers: list[RxStreamer] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.cable is not None:
            self.cable.now = self.first_tick
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
            StreamArgs=StreamArgs, MultiUSRP=lambda args="": MultiUSRP(self, args)
        )

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

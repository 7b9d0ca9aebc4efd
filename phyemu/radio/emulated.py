"""A transmitter and a receiver joined by a channel, in one process."""

import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import ChannelModel, ChannelStream, load_channel
from phyemu.channel.emulate import check_rate, reference_level
from phyemu.channel.stream_settings import check_level_db
from phyemu.errors import ConfigError, RadioError
from phyemu.iq import Recording
from phyemu.radio.radio import Radio, check_frequency, receive_buffer
from phyemu.radio.stream import (
    ReceivedBlock,
    TransmitEnd,
    TransmitReport,
    TransmitSource,
    transmit_blocks,
)
from phyemu.units import db_to_amplitude

__all__ = ["HEADROOM_GAIN_DB", "EmulatedRadio", "load_world_or_channel"]

# Room for fading above a signal that is sent at the usual half of full scale [dB].
HEADROOM_GAIN_DB = -12.0


def load_world_or_channel(spec: str) -> ChannelModel:
    """Return the channel of an emulated world by its name, or any other channel by its spec.

    Args:
        spec: "office-nlos-world" and the like (`phyemu.channel.world_names`), or what
            `phyemu.channel.load_channel` takes.

    Raises:
        ConfigError: No such world or channel; the message says which there are.
        StoreError: The file is not what it should be.
    """
    name = spec.strip().lower().replace("_", "-")
    return load_channel(f"world:{name.removesuffix('-world')}" if name.endswith("-world") else spec)


class EmulatedRadio(Radio):
    """Receives through a channel what it transmits, and noise alone where nothing is transmitted.

    Its time advances with `receive` only: sample n of the reception is what the receiver hears
    while the transmitter sends sample n. The same seed and transmissions give the same samples,
    however they are divided into blocks. The channel's causal delay (`latency_samples`) stays in
    the reception, as a cable would leave it.
    """

    def __init__(
        self,
        model: ChannelModel,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        center_frequency_hz: float | None = None,
        interval_s: float = 1e-3,
        gain_db: float = 0.0,
    ) -> None:
        """Draw a realisation of the channel.

        Args:
            model: The channel, with its noise and the impairments of both ends.
            sample_rate_hz: Rate of the samples [Hz].
            symbol_rate_hz: Rate of the symbols that the channel's SNR refers to [Hz].
            reference_power: Mean power of the transmitted samples while active, all symbols at
                peak, linear, full scale 1; with the SNR it sets the noise.
            seed: Everything random comes from it.
            center_frequency_hz: Written into recordings; it does not act on the channel.
            interval_s: Time between two updates of the path gains [s].
            gain_db: Gain of the receiver, behind the noise [dB]: a fading channel now and then
                amplifies, so a signal near full scale needs a negative one not to be clipped by
                the file it is written to.

        Raises:
            ConfigError: A rate, the power, the gain or the seed is out of range.
        """
        if seed < 0:
            raise ConfigError(f"seed must not be negative, got {seed}")
        check_level_db("gain_db", gain_db)
        self._stream = ChannelStream(
            model,
            sample_rate_hz=sample_rate_hz,
            symbol_rate_hz=symbol_rate_hz,
            reference_power=reference_power,
            seed=seed,
            interval_s=interval_s,
        )
        self._model = model
        self._seed = seed
        self._gain_db = gain_db
        self._sample_rate_hz = float(sample_rate_hz)
        self._center_frequency_hz = center_frequency_hz
        self._queue: deque[_EmulatedTransmission] = deque()
        self._num_received = 0
        self._closed = False

    @classmethod
    def for_recording(
        cls,
        recording: Recording,
        model: ChannelModel,
        *,
        seed: int,
        gain_db: float = HEADROOM_GAIN_DB,
        center_frequency_hz: float | None = None,
    ) -> "EmulatedRadio":
        """Return the radio whose SNR refers to what `recording` would transmit.

        Its metadata says how strong that is and how fast its symbols are; without metadata the
        power of its active samples and the sample rate are taken.

        Args:
            recording: What would be transmitted.
            model: The channel.
            seed: Everything random comes from it.
            gain_db: Gain of the receiver, behind the noise [dB].
            center_frequency_hz: Written into recordings [Hz]; None: that of `recording`, if any.

        Raises:
            ConfigError: The channel was measured at another sample rate.
            SignalError: The recording is silent, so that there is no power to refer to.
        """
        check_rate(recording, model)
        reference = reference_level(recording)
        return cls(
            model,
            sample_rate_hz=recording.sample_rate_hz,
            symbol_rate_hz=reference.symbol_rate_hz,
            reference_power=reference.power,
            seed=seed,
            center_frequency_hz=(
                recording.center_frequency_hz
                if center_frequency_hz is None
                else center_frequency_hz
            ),
            gain_db=gain_db,
        )

    @property
    def name(self) -> str:
        """Return "emulated" and the name of the channel."""
        return f"emulated {self._model.name}"

    @property
    def sample_rate_hz(self) -> float:
        """Return the sample rate [Hz]."""
        return self._sample_rate_hz

    @property
    def center_frequency_hz(self) -> float | None:
        """Return the frequency written into recordings [Hz]."""
        return self._center_frequency_hz

    @property
    def num_channels(self) -> int:
        """Return 1."""
        return 1

    @property
    def live(self) -> bool:
        """Return False: the same seed gives the same recording at any date."""
        return False

    @property
    def time_s(self) -> float:
        """Return the time that has been received so far [s]."""
        return self._num_received / self._sample_rate_hz

    @property
    def latency_samples(self) -> int:
        """Return the delay that the channel adds to its own path delays by now [samples].

        It changes slowly where the sampling clocks differ.
        """
        return self._stream.latency_samples - self._stream.clock_lead_samples

    def metadata(self) -> Mapping[str, Any]:
        """Return SigMF global fields that name the channel and the seed."""
        return {
            "core:hw": f"phyemu emulated radio, channel {self._model.name}",
            "phyemu:world": self._model.name,
            "phyemu:seed": self._seed,
            "phyemu:receive_gain_db": self._gain_db,
        }

    def receive(self, num_samples: int, out: NDArray[np.complex64] | None = None) -> ReceivedBlock:
        """Return the next `num_samples` samples; the stream never ends and has no gaps.

        Raises:
            SignalError: `num_samples` or `out` does not fit.
            RadioError: The radio is closed.
        """
        if self._closed:
            raise RadioError(f"{self.name}: the radio is closed")
        iq = receive_buffer(num_samples, 1, out)[:, :num_samples]
        sent = np.zeros(num_samples, np.complex64)
        filled = 0
        while self._queue and filled < num_samples:
            filled += self._queue[0].send(sent[filled:], self._num_received + filled)
            if self._queue[0].finished:
                self._queue.popleft()
        np.multiply(self._stream.process(sent), np.float32(db_to_amplitude(self._gain_db)), iq[0])
        block = ReceivedBlock(iq=iq, sample_index=self._num_received)
        self._num_received += num_samples
        return block

    def skip(self, num_samples: int) -> None:
        """Let time pass in silence without computing what is received.

        Raises:
            RadioError: The radio is closed, or a transmission is still under way.
            ConfigError: `num_samples` is negative.
        """
        if self._closed:
            raise RadioError(f"{self.name}: the radio is closed")
        # A transmission that sent its last sample is dropped when the next one begins.
        while self._queue and self._queue[0].exhausted():
            self._queue.popleft()
        if self._queue:
            raise RadioError(f"{self.name}: receive what is being transmitted before skipping")
        self._stream.skip(num_samples)
        self._num_received += num_samples

    def transmit(
        self, iq: TransmitSource, *, delay_s: float = 0.0, at_s: float | None = None
    ) -> "_EmulatedTransmission":
        """Queue samples: they go out with the next `receive`, after those queued before.

        Another thread may call it while this one receives; an iterable is read by the thread that
        receives, which waits for it.

        Args:
            iq: (num_samples,) or (1, num_samples), or an iterable of such blocks, which is read
                while the samples go out; samples beyond full scale are limited to it, as a
                converter would.
            delay_s: Silence before the first sample, from the next sample to be received or from
                the end of what is queued [s], rounded to samples, >= 0.
            at_s: Time of the first sample since the first one received [s], in place of `delay_s`.

        Raises:
            RadioError: The radio is closed.
            ConfigError: `delay_s` is negative, or `at_s` has passed.
        """
        if self._closed:
            raise RadioError(f"{self.name}: the radio is closed")
        if not 0 <= delay_s < math.inf:
            raise ConfigError(f"delay_s must not be negative, got {delay_s}")
        at_index = None
        if at_s is not None:
            if not self.time_s <= at_s < math.inf:
                raise ConfigError(
                    f"{self.name}: second {at_s:.6f} is too soon, its time is {self.time_s:.6f}"
                )
            at_index = round(at_s * self._sample_rate_hz)
        transmission = _EmulatedTransmission(
            iter(transmit_blocks(iq, 1)),
            sample_rate_hz=self._sample_rate_hz,
            silence=round(delay_s * self._sample_rate_hz),
            at_index=at_index,
        )
        self._queue.append(transmission)
        return transmission

    def retune(self, center_frequency_hz: float) -> None:
        """Note another frequency for recordings, as `Radio.retune` says; time and channel go on."""
        if self._closed:
            raise RadioError(f"{self.name}: the radio is closed")
        if not all(transmission.exhausted() for transmission in self._queue):
            raise RadioError(f"{self.name}: still transmits; stop that before it is tuned")
        check_frequency(center_frequency_hz)
        self._center_frequency_hz = center_frequency_hz

    def close(self) -> None:
        """Drop what is queued."""
        self._closed = True
        self._queue.clear()


class _EmulatedTransmission:
    """A transmission that advances as the radio receives."""

    def __init__(
        self,
        blocks: Iterator[NDArray[np.complex64]],
        *,
        sample_rate_hz: float,
        silence: int,
        at_index: int | None,
    ) -> None:
        self._blocks = blocks
        self._rest = np.empty(0, np.complex64)
        self._sample_rate_hz = sample_rate_hz
        self._silence = silence
        self._at_index = at_index
        self._num_samples = 0
        self._clipped = 0
        self._start_index: int | None = None
        self._ended_by = TransmitEnd.COMPLETE
        self._detail = ""
        # The receiving thread may be waiting for the next block when another asks for the report.
        self._reading = threading.Lock()
        self.finished = False

    def send(self, out: NDArray[np.complex64], sample_index: int) -> int:
        """Fill `out`, zeros so far, with the next samples; return how many of it are used up."""
        if self._at_index is not None:
            self._silence = self._at_index - sample_index
            self._at_index = None
            if self._silence < 0:
                self._end(TransmitEnd.LATE, "the transmission before it ended after its start")
        position = min(max(0, self._silence), out.size)
        self._silence -= position
        while position < out.size and not self.finished:
            with self._reading:
                self._fetch()
            # It may have been stopped in the meantime.
            if self.finished:
                break
            if self._start_index is None:
                self._start_index = sample_index + position
            piece = self._rest[: out.size - position]
            target = out[position : position + piece.size]
            target[:] = piece
            self._limit(target.view(np.float32))
            self._rest = self._rest[piece.size :]
            position += piece.size
            self._num_samples += piece.size
        return position

    def _fetch(self) -> None:
        """Read the next block where the last one is used up; finish where there is none."""
        if self.finished or self._rest.size:
            return
        block = next(self._blocks, None)
        if block is None:
            self.finished = True
        else:
            self._rest = block[0]

    def _limit(self, parts: NDArray[np.float32]) -> None:
        """Limit I and Q to full scale, and count the samples."""
        if parts.max() > 1 or parts.min() < -1:
            beyond = np.abs(parts) > 1
            self._clipped += int((beyond[0::2] | beyond[1::2]).sum())
            np.clip(parts, -1, 1, out=parts)

    def _end(self, ended_by: TransmitEnd, detail: str) -> None:
        if not self.finished:
            self.finished = True
            self._silence = 0
            self._ended_by, self._detail = ended_by, detail

    @property
    def num_samples(self) -> int:
        """Return the samples that went out so far."""
        return self._num_samples

    def exhausted(self) -> bool:
        """Return whether there is nothing more to send; looks at the next block if need be."""
        # Not while the receiving thread reads: it may wait for blocks that the caller is to make.
        if self._silence <= 0 and self._at_index is None and self._reading.acquire(blocking=False):
            try:
                self._fetch()
            finally:
                self._reading.release()
        return self.finished

    def wait(self, timeout_s: float | None = None) -> TransmitReport:
        """Return what went out so far; emulated time stands still while nothing is received."""
        start = self._start_index
        return TransmitReport(
            num_samples=self._num_samples,
            start_index=start,
            start_time_s=None if start is None else start / self._sample_rate_hz,
            clipped=self._clipped,
            late=int(self._ended_by is TransmitEnd.LATE),
            acknowledged=self.exhausted() and self._ended_by is TransmitEnd.COMPLETE,
            ended_by=self._ended_by,
            detail=self._detail,
        )

    def stop(self) -> None:
        """Send nothing more."""
        if not self.exhausted():
            self._end(TransmitEnd.STOPPED, "")

"""A radio whose samples a test hands over, and keeps those that it sends."""

import queue
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.radio import Radio, ReceivedBlock, StreamEvent, TransmitEnd, TransmitReport
from phyemu.radio.radio import receive_buffer

Samples = NDArray[np.complex64]


class FakeTransmission:
    """Takes blocks until it has enough, and waits for its end then."""

    def __init__(self, radio: "FakeRadio", blocks: Iterable[Samples]) -> None:
        self.samples: list[Samples] = []
        self.stopped = threading.Event()
        self._radio = radio
        self._blocks = iter(blocks)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def num_samples(self) -> int:
        return sum(part.size for part in self.samples)

    def _run(self) -> None:
        while self.num_samples < self._radio.enough and not self.stopped.is_set():
            self.samples.append(np.array(next(self._blocks)[0]))
        self._radio.sent_enough.set()
        self.stopped.wait(60)

    def wait(self, timeout_s: float | None = None) -> TransmitReport | None:
        self._thread.join(timeout_s)
        if self._thread.is_alive() and not self._radio.gone.is_set():
            return None
        ended_by = TransmitEnd.STOPPED
        if self._radio.gone.is_set():
            ended_by = TransmitEnd.DISCONNECTED
        return TransmitReport(num_samples=self.num_samples, ended_by=ended_by, detail="pulled")

    def stop(self) -> None:
        self.stopped.set()


class FakeRadio(Radio):
    """Receives what `feed` was given, and vanishes when told to."""

    def __init__(self, rate_hz: float, center_frequency_hz: float) -> None:
        self.rate_hz = rate_hz
        self.frequencies = [center_frequency_hz]
        self.transmissions: list[FakeTransmission] = []
        self.enough = 1 << 20
        self.sent_enough = threading.Event()
        self.gone = threading.Event()
        self.closed = False
        self._fed: queue.SimpleQueue[Samples] = queue.SimpleQueue()
        self._rest = np.zeros(0, np.complex64)
        self._index = 0

    def feed(self, iq: Samples) -> None:
        self._fed.put(iq)

    @property
    def name(self) -> str:
        return "fake radio"

    @property
    def sample_rate_hz(self) -> float:
        return self.rate_hz

    @property
    def center_frequency_hz(self) -> float:
        return self.frequencies[-1]

    @property
    def num_channels(self) -> int:
        return 1

    @property
    def live(self) -> bool:
        return True

    def metadata(self) -> Mapping[str, Any]:
        return {"core:hw": "fake"}

    def receive(self, num_samples: int, out: Samples | None = None) -> ReceivedBlock:
        iq = receive_buffer(num_samples, 1, out)
        if not len(self._rest):
            try:
                self._rest = self._fed.get(timeout=0.02)
            except queue.Empty:
                event = StreamEvent.DISCONNECTED if self.gone.is_set() else StreamEvent.TIMEOUT
                return ReceivedBlock(
                    iq=iq[:, :0], sample_index=self._index, event=event, detail="pulled"
                )
        count = min(num_samples, len(self._rest))
        iq[0, :count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._index += count
        return ReceivedBlock(iq=iq[:, :count], sample_index=self._index - count)

    def transmit(
        self, iq: Any, *, delay_s: float = 0.0, at_s: float | None = None
    ) -> FakeTransmission:
        self.sent_enough.clear()
        self.transmissions.append(FakeTransmission(self, iq))
        return self.transmissions[-1]

    def retune(self, center_frequency_hz: float) -> None:
        self.frequencies.append(center_frequency_hz)

    def close(self) -> None:
        self.closed = True

"""What the simulated device receives from its antenna, and what becomes of what it sends."""

import collections
import json
import time

import numpy as np

# What a LoopSink has taken and a LoopSource has not yet given; both live in one process.
CABLE = collections.deque()
# Number of the wiring that is connected.
CONNECTED = [0]


def _wired(wiring, end):
    with open(wiring) as text:  # noqa: PTH123 - run by the simulator, not by pytest
        found = json.load(text)
    if found["number"] != CONNECTED[0]:
        CONNECTED[0] = found["number"]
        CABLE.clear()
    arguments = dict(found[end])
    return globals()[arguments.pop("class")](**arguments)


def wired_source(wiring):
    """Return the source that the file `wiring` names at the start of a stream."""
    return _wired(wiring, "source")


def wired_sink(wiring):
    """Return the sink that the file `wiring` names at the start of a stream."""
    return _wired(wiring, "sink")


class CountingSource:
    """Sample n carries the number n, whatever is lost: `lost_packets` before every `lose_every`th.

    The same convention as the fake driver's, so that a test can tell which sample it holds.
    """

    def __init__(self, lose_every="0", lost_packets="0"):
        self.lose_every, self.lost_packets = int(lose_every), int(lost_packets)
        self.next = self.packets = 0

    def read(self, size):
        self.packets += 1
        lost = self.lost_packets if self.lose_every and self.packets % self.lose_every == 0 else 0
        count = size // 4
        self.next += lost * count
        payload = np.arange(self.next, self.next + count, dtype="<u4").tobytes()
        self.next += count
        return payload, lost


class FileSource:
    """The samples of a file of sc16, over and over."""

    def __init__(self, file):
        with open(file, "rb") as samples:  # noqa: PTH123
            self.data = samples.read()
        self.position = 0

    def read(self, size):
        payload = b""
        while len(payload) < size:
            piece = self.data[self.position : self.position + size - len(payload)]
            self.position = (self.position + len(piece)) % len(self.data)
            payload += piece
        return payload, 0


class LoopSource:
    """What the transmitter sent, after zeros until the cable holds `lead_samples` of it.

    The transmitter is not as steady as a real one; the lead keeps its pauses out of the signal.
    `taps` are paths on the way: "0:0.5,9:0.25" halves it and adds an echo 9 samples later.
    `noise` is the standard deviation of I and of Q, in steps of the 16 bits.
    """

    def __init__(self, lead_samples="0", taps="", noise="0"):
        self.lead = 4 * int(lead_samples)
        self.rest = b""
        self.air = bool(taps) or float(noise) > 0
        self.noise, self.random = float(noise), np.random.default_rng(1)
        pairs = [tap.split(":") for tap in (taps or "0:1").split(",")]
        self.taps = [(int(delay), float(gain)) for delay, gain in pairs]
        self.past = np.zeros((max(delay for delay, _ in self.taps), 2), np.int16)

    def read(self, size):
        if sum(map(len, CABLE)) < self.lead:
            return bytes(size), 0
        self.lead = 0
        while len(self.rest) < size and CABLE:
            self.rest += CABLE.popleft()
        payload, self.rest = self.rest[:size], self.rest[size:]
        payload += bytes(size - len(payload))
        return (self._through_air(payload) if self.air else payload), 0

    def _through_air(self, payload):
        both = np.concatenate([self.past, np.frombuffer(payload, np.int16).reshape(-1, 2)])
        count, longest = len(payload) // 4, len(self.past)
        self.past = both[count:]
        heard = sum(gain * both[longest - delay :][:count] for delay, gain in self.taps)
        heard = heard + self.noise * self.random.standard_normal(heard.shape)
        return np.rint(heard).clip(-32768, 32767).astype(np.int16).tobytes()


class LoopSink:
    """A cable to the LoopSource."""

    def accept_packet(self, packet):
        CABLE.append(bytes(packet.get_payload_bytes()))

    def close(self):
        pass


class FileSink:
    """Writes what was transmitted to a file, packet by packet."""

    def __init__(self, file):
        self.file = open(file, "wb", buffering=0)  # noqa: PTH123

    def accept_packet(self, packet):
        self.file.write(bytes(packet.get_payload_bytes()))

    def close(self):
        self.file.close()


class TimingSink:
    """Drops what was transmitted; at the start and at the end of a burst it adds a line to a file:
    samples so far, and the time [s].
    """

    def __init__(self, file):
        self.file, self.samples = file, 0

    def accept_packet(self, packet):
        first = self.samples == 0
        self.samples += len(packet.get_payload_bytes()) // 4
        if first or packet.get_header().eob:
            with open(self.file, "a") as result:  # noqa: PTH123
                result.write(f"{self.samples} {time.monotonic()}\n")

    def close(self):
        pass

"""What the simulated device receives from its antenna, and what becomes of what it sends."""

import collections
import struct

# What a LoopSink has taken and a LoopSource has not yet given; both live in one process.
CABLE = collections.deque()


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
        payload = struct.pack(f"<{count}I", *range(self.next, self.next + count))
        self.next += count
        return payload, lost


class FileSource:
    """The samples of a file of sc16, over and over."""

    def __init__(self, file):
        with open(file, "rb") as samples:  # noqa: PTH123 - run by the simulator, not by pytest
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
    """

    def __init__(self, lead_samples="0"):
        self.lead = 4 * int(lead_samples)
        self.rest = b""

    def read(self, size):
        if sum(map(len, CABLE)) < self.lead:
            return bytes(size), 0
        self.lead = 0
        while len(self.rest) < size and CABLE:
            self.rest += CABLE.popleft()
        payload, self.rest = self.rest[:size], self.rest[size:]
        return payload + bytes(size - len(payload)), 0


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

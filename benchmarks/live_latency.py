"""End-to-end latency of a paced live stream, by transport and rate.

One process sends blocks of a millisecond when they are due and takes what comes back; a block's
latency is from the moment it was handed to the transport to the moment its first sample is there
again. Sender, emulator, receiver and the transports of both sides share the machine.
`python -m benchmarks.live_latency MSPS TRANSPORT...` measures one rate, and these transports only.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import zmq
from phyemu_cli.main import main

from benchmarks.live import CHANNEL
from phyemu.live import ScheduledChannel, parse_schedule

RATES_MSPS = (1, 5, 20)
SECONDS = 2.0
BLOCK_S = 1e-3
TRANSPORTS = ("pipes", "PUSH/PULL", "PUB/SUB", "REP/REQ", "UDP")
PAYLOAD_SAMPLES = 1000
PERCENTILES = (50, 90, 99, 100)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stream:
    """Sends blocks when they are due, and notes when their samples are back."""

    def __init__(self, rate_hz: float) -> None:
        self.block = round(rate_hz * BLOCK_S)
        self.count = round(SECONDS / BLOCK_S)
        rng = np.random.default_rng(1)
        parts = rng.standard_normal((self.block, 2), np.float32) * np.float32(0.1)
        self.data = parts.tobytes()
        self.sent_s = np.full(self.count, np.nan)
        self.back_s = np.full(self.count, np.nan)
        self.came = 0

    def due(self) -> Iterator[int]:
        """Yield the blocks, each when it is due."""
        begun = time.monotonic()
        for index in range(self.count):
            time.sleep(max(0.0, begun + index * BLOCK_S - time.monotonic()))
            self.sent_s[index] = time.monotonic()
            yield index

    def back(self, num_bytes: int) -> bool:
        """Note samples that are back; return whether more are to come."""
        now = time.monotonic()
        first = max(0, -(-self.came // self.block))
        self.came += num_bytes // 8
        last = max(0, -(-self.came // self.block))
        self.back_s[first:last] = now
        return self.came < (self.count - 1) * self.block

    def row(self) -> list[float]:
        """Return the percentiles [ms], of all but the first tenth; NaN where samples were lost.

        Blocks are found by their place, which is wrong behind a loss.
        """
        if self.came < (self.count - 1) * self.block:
            return [np.nan] * len(PERCENTILES)
        latency_s = (self.back_s - self.sent_s)[self.count // 10 : -1]
        return [float(value) * 1e3 for value in np.nanpercentile(latency_s, PERCENTILES)]


def measure(transport: str, rate_hz: float) -> list[float]:
    """Return the percentiles of one transport."""
    stream = Stream(rate_hz)
    with contextlib.ExitStack() as stack:
        ports = free_port(), free_port()
        specs = {
            "pipes": ("-", "-"),
            "PUSH/PULL": ("zmq+pull://:{}", "zmq+push://:{}"),
            "PUB/SUB": ("zmq+sub://:{}", "zmq+pub://:{}"),
            "REP/REQ": ("zmq+req://:{}", "zmq+rep://:{}"),
            "UDP": ("udp://:{}?sequence", f"udp://:{{}}?payload={8 * PAYLOAD_SAMPLES}"),
        }[transport]
        arguments = [
            *("emulate", "--live", specs[0].format(ports[0]), "-o", specs[1].format(ports[1])),
            *("--channel", CHANNEL, "--rate", str(rate_hz), "--quiet"),
        ]
        process = Emulator(arguments)
        try:
            if transport == "pipes":
                send, receive = pipes(stream, process)
            else:
                send, receive = OPENERS[transport](stack, stream, *ports)
                await_bound(ports[1] if transport != "UDP" else ports[0], transport == "UDP")
            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            while (num_bytes := receive()) is not None and stream.back(num_bytes):
                pass
            sender.join()
        finally:
            process.kill()
    return stream.row()


class Emulator:
    """`phyemu` in a process forked from this one, which has loaded and compiled everything."""

    def __init__(self, arguments: list[str]) -> None:
        into, out_of = os.pipe(), os.pipe()
        self._id = os.fork()
        if self._id == 0:
            os.dup2(into[0], 0)
            os.dup2(out_of[1], 1)
            for descriptor in (*into, *out_of):
                os.close(descriptor)
            with contextlib.suppress(BaseException):
                main(arguments)
            os._exit(0)
        os.close(into[0])
        os.close(out_of[1])
        self.stdin, self.stdout = into[1], out_of[0]

    def kill(self) -> None:
        """End it."""
        os.kill(self._id, signal.SIGKILL)
        os.waitpid(self._id, 0)
        os.close(self.stdin)
        os.close(self.stdout)


def await_bound(port: int, datagrams: bool) -> None:
    """Wait until the emulator has bound its port."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                break
        time.sleep(0.1)
    # Sockets that have been there before find each other within a few tries.
    time.sleep(0.5)


Peers = tuple[Callable[[], None], Callable[[], int | None]]


def pipes(stream: Stream, process: Emulator) -> Peers:
    """Return what sends to standard input and takes from standard output."""

    def write() -> None:
        rest = memoryview(stream.data)
        while rest:
            rest = rest[os.write(process.stdin, rest) :]

    # A block ahead of all says when the emulator has begun.
    write()
    stream.came = len(os.read(process.stdout, 1 << 20)) // 8 - stream.block

    def send() -> None:
        for _ in stream.due():
            write()

    return send, lambda: len(os.read(process.stdout, 1 << 20)) or None


def zeromq(kinds: tuple[int, int]) -> Callable[..., Peers]:
    """Return what opens a pair of ZeroMQ sockets."""

    def opened(stack: contextlib.ExitStack, stream: Stream, here: int, there: int) -> Peers:
        context = zmq.Context()
        stack.callback(context.destroy, linger=0)
        sender, receiver = (context.socket(kind) for kind in kinds)
        sender.bind(f"tcp://127.0.0.1:{here}")
        receiver.connect(f"tcp://127.0.0.1:{there}")
        receiver.setsockopt(zmq.RCVTIMEO, 3000)
        if kinds[1] == zmq.SUB:
            receiver.subscribe(b"")
        asks = kinds[1] == zmq.REQ

        def send() -> None:
            for _ in stream.due():
                if asks:
                    sender.recv()
                sender.send(stream.data)

        def receive() -> int | None:
            if asks:
                receiver.send(stream.block.to_bytes(4, "little"))
            try:
                return len(receiver.recv(copy=False).buffer)
            except zmq.Again:
                return None

        return send, receive

    return opened


def datagrams(stack: contextlib.ExitStack, stream: Stream, here: int, there: int) -> Peers:
    """Open a pair of UDP sockets."""
    sender, receiver = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for opened in (sender, receiver):
        stack.callback(opened.close)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    receiver.bind(("127.0.0.1", there))
    receiver.settimeout(3.0)
    size = 8 * PAYLOAD_SAMPLES

    def send() -> None:
        number = 0
        for _ in stream.due():
            for begin in range(0, len(stream.data), size):
                number += 1
                head = number.to_bytes(8, "little")
                sender.sendto(head + stream.data[begin : begin + size], ("127.0.0.1", here))

    def receive() -> int | None:
        try:
            return len(receiver.recv(1 << 16))
        except TimeoutError:
            return None

    return send, receive


OPENERS: dict[str, Callable[..., Any]] = {
    "PUSH/PULL": zeromq((zmq.PUSH, zmq.PULL)),
    "PUB/SUB": zeromq((zmq.PUB, zmq.SUB)),
    "REP/REQ": zeromq((zmq.REP, zmq.REQ)),
    "UDP": datagrams,
}


def run(
    rates_msps: tuple[float, ...] = RATES_MSPS, transports: tuple[str, ...] = TRANSPORTS
) -> str:
    """Return the table."""
    torch.set_num_threads(1)
    ScheduledChannel(
        parse_schedule(CHANNEL),
        sample_rate_hz=1e6,
        symbol_rate_hz=1e6,
        reference_power=1.0,
        seed=0,
    )
    rows = [
        "| Msps | transport | median [ms] | 90 % | 99 % | at most | load |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rate in rates_msps:
        for transport in transports:
            measured = measure(transport, rate * 1e6)
            values = " | ".join("-" if np.isnan(value) else f"{value:.2f}" for value in measured)
            rows.append(f"| {rate:g} | {transport} | {values} | {os.getloadavg()[0]:.1f} |")
            print(rows[-1], file=sys.stderr, flush=True)
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(run((float(sys.argv[1]),), tuple(sys.argv[2:]) or TRANSPORTS))

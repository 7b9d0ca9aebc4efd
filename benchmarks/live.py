"""Live streams under load: a soak through pipes, and the rate between flowgraphs of GNU Radio.

The soak compares every sample that comes back with the channel applied here, and follows the
emulator's memory. `python -m benchmarks.live GIGABYTES` makes it longer. The rate between two
flowgraphs is measured with the emulator between them and without.
"""

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import ChannelStream, load_channel

PHYEMU = [sys.executable, "-c", "from phyemu_cli.main import main; main()"]
PEER = Path(__file__).parents[1] / "tests" / "live" / "gnuradio_peer.py"
CHANNEL = "tgn-d:15"
RATE_HZ = 20e6
BLOCK = 1 << 20
PORTS = (5655, 5656)
# From the sender's socket to the receiver's: with the emulator between them.
SOAK_GIGABYTES = 2.0
NUM_SAMPLES = 10_000_000
ROUNDS = 2
LINKS = {
    "PUSH/PULL": ("push", "pull", "push", "pull", ""),
    "PUB/SUB": ("pub", "sub", "pub", "sub", ""),
    "REP/REQ": ("rep", "req", "rep", "req", ""),
    "REP/REQ, longer answers": ("rep", "req", "rep", "req", "?samples=65536"),
}


def noise(num_samples: int) -> NDArray[np.complex64]:
    """Return complex noise, -17 dBFS."""
    parts = np.random.default_rng(1).standard_normal((num_samples, 2), np.float32)
    return (parts * np.float32(0.1)).view(np.complex64)[:, 0]


def resident_mib(process_id: int) -> float:
    """Return the memory of a process that is in use [MiB]."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def run() -> str:
    """Run both, and return their tables."""
    parts = ["## Live: a soak through pipes\n", soak(SOAK_GIGABYTES)]
    check = ["/usr/bin/python3", "-c", "import gnuradio.zeromq, gnuradio.network"]
    if not Path(check[0]).exists() or subprocess.run(check, capture_output=True).returncode:
        parts.append("GNU Radio is not installed (apt-get install gnuradio): no second table.")
    else:
        parts += ["## Live: from flowgraph to flowgraph\n", gnuradio(NUM_SAMPLES)]
    return "\n".join(parts) + "\n"


def soak(num_gigabytes: float) -> str:
    """Push so many gigabytes through the emulator's pipes."""
    block = noise(BLOCK)
    num_blocks = round(num_gigabytes * 1e9 / block.nbytes)
    arguments = f"emulate --live - -o - --channel {CHANNEL} --rate 20M --seed 1 --quiet".split()
    process = subprocess.Popen(
        [*PHYEMU, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise RuntimeError("the emulator has no pipes")

    def feed() -> None:
        data = block.tobytes()
        for _ in range(num_blocks):
            stdin.write(data)
        stdin.close()

    feeder = threading.Thread(target=feed)
    torch.set_num_threads(1)
    own = ChannelStream(
        load_channel(CHANNEL),
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=1.0,
        seed=1,
    )
    expected = own.process(block)[own.latency_samples :]
    memory: list[float] = []
    feeder.start()
    begun = None
    differing = 0
    num_samples = 0
    for index in range(num_blocks):
        part = np.frombuffer(stdout.read(expected.nbytes), np.complex64)
        begun = begun or time.monotonic()
        num_samples += len(part)
        differing += int(np.count_nonzero(part != expected[: len(part)]))
        expected = own.process(block) if index + 1 < num_blocks else own.flush()
        memory.append(resident_mib(process.pid))
    part = np.frombuffer(stdout.read(), np.complex64)
    num_samples += len(part)
    differing += int(np.count_nonzero(part != expected[: len(part)]))
    duration_s = time.monotonic() - (begun or 0)
    feeder.join()
    code = process.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = used.ru_utime + used.ru_stime
    settled = memory[len(memory) // 10 :]
    rows = [
        ("gigabytes", f"{num_blocks * block.nbytes / 1e9:.2f}"),
        ("samples in", num_blocks * BLOCK),
        ("samples out", num_samples),
        ("samples that differ", differing),
        ("exit code", code),
        ("seconds", f"{duration_s:.1f}"),
        ("Msamples/s", f"{num_samples / duration_s / 1e6:.1f}"),
        ("processor time of the emulator, its start included [s]", f"{processor_s:.1f}"),
        ("memory after a tenth [MiB]", f"{settled[0]:.1f}"),
        ("memory at most from then on [MiB]", f"{max(settled):.1f}"),
        ("memory at the end [MiB]", f"{memory[-1]:.1f}"),
        (f"load at the end, on {os.cpu_count()} cores", f"{os.getloadavg()[0]:.1f}"),
    ]
    return "\n".join(
        ["| | |", "| --- | ---: |", *(f"| {what} | {value} |" for what, value in rows), ""]
    )


def gnuradio(num_samples: int, links: Iterable[str] = tuple(LINKS)) -> str:
    """Measure the rate from flowgraph to flowgraph, with the emulator and without."""
    rows = [
        "| sockets | direct, Msamples/s | through the emulator | load |",
        "| --- | ---: | ---: | ---: |",
    ]
    with tempfile.NamedTemporaryFile(suffix=".cf32") as file:
        for begin in range(0, num_samples, BLOCK):
            noise(min(BLOCK, num_samples - begin)).tofile(file)
        file.flush()
        for name in links:
            sends, pulls, pushes, receives, options = LINKS[name]
            arguments = (
                f"emulate --live zmq+{pulls}://:{PORTS[0]} -o zmq+{pushes}://:{PORTS[1]}{options} "
                f"--rate 20M --channel {CHANNEL} --quiet --duration {num_samples / RATE_HZ}"
            )
            # They take turns, so that the machine's other work meets both.
            rates = [
                (
                    _between(file.name, num_samples, sends, receives, None),
                    _between(file.name, num_samples, sends, receives, arguments.split()),
                )
                for _ in range(ROUNDS)
            ]
            direct, through = np.median(rates, axis=0)
            load = os.getloadavg()[0]
            rows.append(f"| {name} | {direct:.1f} | {through:.1f} | {load:.1f} |")
    return "\n".join([*rows, ""])


def _between(
    path: str, num_samples: int, sends: str, receives: str, emulator: list[str] | None
) -> float:
    """Return the rate at the receiver [Msps], from its first sample on."""
    peer = ["/usr/bin/python3", str(PEER)]
    ports = (PORTS[0], PORTS[0]) if emulator is None else PORTS
    processes = []
    if emulator is not None:
        processes.append(subprocess.Popen([*PHYEMU, *emulator], stdout=subprocess.DEVNULL))
        # A publisher does not wait for the emulator to start.
        time.sleep(6 if sends == "pub" else 0)
    receiver = subprocess.Popen(
        [*peer, "receive", receives, str(ports[1]), "/dev/null", str(num_samples)],
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(2 if sends == "pub" else 0)
    sender = subprocess.Popen(
        [*peer, "send", sends, str(ports[0]), path], stdout=subprocess.DEVNULL
    )
    try:
        output, _ = receiver.communicate(timeout=120)
    finally:
        for process in (receiver, sender):
            process.kill()
            process.wait()
    for process in processes:
        process.wait(timeout=30)
    return num_samples / float(output.split()[-1]) / 1e6


if __name__ == "__main__":
    print(soak(float(sys.argv[1])))

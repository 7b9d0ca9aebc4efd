"""Flowgraphs that send or receive samples; run by the system's Python, which has GNU Radio.

`gnuradio_peer.py send KIND PORT FILE`: the samples of FILE, until killed.
`gnuradio_peer.py receive KIND PORT FILE NUM_SAMPLES`: so many samples into FILE.
It prints "ready" once the flowgraph runs, and a receiver its duration in seconds when it is done.
"""

import signal
import sys
import time
from typing import Any

# GNU Radio is imported where it is used: the tests' own Python does not have it.
SIZE = 8
# Of a datagram, and its header: 64-bit sequence number.
PAYLOAD_BYTES = 8008
SEQUENCE_HEADER = 1


def sink(kind: str, port: int) -> Any:
    """Return the block that sends."""
    from gnuradio import network, zeromq

    address = f"tcp://127.0.0.1:{port}"
    if kind == "push":
        return zeromq.push_sink(SIZE, 1, address)
    if kind == "pub":
        return zeromq.pub_sink(SIZE, 1, address, 100, False, -1, "", False)
    if kind == "rep":
        return zeromq.rep_sink(SIZE, 1, address)
    return network.udp_sink(SIZE, 1, "127.0.0.1", port, SEQUENCE_HEADER, PAYLOAD_BYTES, False)


def source(kind: str, port: int) -> Any:
    """Return the block that receives."""
    from gnuradio import zeromq

    address = f"tcp://127.0.0.1:{port}"
    if kind == "pull":
        return zeromq.pull_source(SIZE, 1, address)
    if kind == "sub":
        return zeromq.sub_source(SIZE, 1, address)
    return zeromq.req_source(SIZE, 1, address)


def say(word: object) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the flowgraph that the command line names."""
    from gnuradio import blocks, gr

    role, kind, port, path = sys.argv[1:5]
    graph = gr.top_block()
    if role == "send":
        graph.connect(blocks.file_source(SIZE, path, False), sink(kind, int(port)))
        # A publisher begins whether its subscriber is there already or not.
        time.sleep(1.0 if kind == "pub" else 0.0)
        graph.start()
        say("ready")
        signal.pause()
        return
    num_samples = int(sys.argv[5])
    file = blocks.file_sink(SIZE, path)
    graph.connect(source(kind, int(port)), blocks.head(SIZE, num_samples), file)
    graph.start()
    say("ready")
    while file.nitems_read(0) == 0:
        time.sleep(0.001)
    begun = time.monotonic()
    # A source without input does not notice that the flowgraph's end has all it wants.
    while file.nitems_read(0) < num_samples:
        time.sleep(0.001)
    say(time.monotonic() - begun)
    graph.stop()
    graph.wait()


if __name__ == "__main__":
    main()

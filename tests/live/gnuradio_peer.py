"""Flowgraphs that send or receive samples; run by the system's Python, which has GNU Radio.

`gnuradio_peer.py send KIND PORT FILE`: the samples of FILE, until killed.
`gnuradio_peer.py receive KIND PORT FILE NUM_SAMPLES`: so many samples into FILE.
It prints "ready" once the flowgraph runs, and a receiver its duration in seconds when it is done.
"""

import signal
import sys
import time

from gnuradio import blocks, gr, network, zeromq

SIZE = gr.sizeof_gr_complex
# Of a datagram, and its header: 64-bit sequence number.
PAYLOAD_BYTES = 8008
SEQUENCE_HEADER = 1


def sink(kind: str, port: int) -> gr.sync_block:
    """Return the block that sends."""
    address = f"tcp://127.0.0.1:{port}"
    if kind == "push":
        return zeromq.push_sink(SIZE, 1, address)
    if kind == "pub":
        return zeromq.pub_sink(SIZE, 1, address, 100, False, -1, "", False)
    if kind == "rep":
        return zeromq.rep_sink(SIZE, 1, address)
    return network.udp_sink(SIZE, 1, "127.0.0.1", port, SEQUENCE_HEADER, PAYLOAD_BYTES, False)


def source(kind: str, port: int) -> gr.sync_block:
    """Return the block that receives."""
    address = f"tcp://127.0.0.1:{port}"
    if kind == "pull":
        return zeromq.pull_source(SIZE, 1, address)
    if kind == "sub":
        return zeromq.sub_source(SIZE, 1, address)
    if kind == "req":
        return zeromq.req_source(SIZE, 1, address)
    return network.udp_source(SIZE, 1, port, SEQUENCE_HEADER, PAYLOAD_BYTES, True, False, False)


def main() -> None:
    """Run the flowgraph that the command line names."""
    role, kind, port, path = sys.argv[1:5]
    graph = gr.top_block()
    if role == "send":
        graph.connect(blocks.file_source(SIZE, path, False), sink(kind, int(port)))
        graph.start()
        print("ready", flush=True)
        signal.pause()
        return
    counted = blocks.head(SIZE, int(sys.argv[5]))
    graph.connect(source(kind, int(port)), counted, blocks.file_sink(SIZE, path))
    graph.start()
    print("ready", flush=True)
    begun = time.monotonic()
    graph.wait()
    print(time.monotonic() - begun, flush=True)


if __name__ == "__main__":
    main()

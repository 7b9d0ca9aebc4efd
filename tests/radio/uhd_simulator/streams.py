"""Streams between the simulated device and UHD, in place of the ones of UHD 4.3's simulator.

Those run at a quarter of the rate, carry no time stamps and no end of burst, cannot be started
twice, and stall on packets as large as UHD's default.
"""

import select
import socket
import time

from uhd.chdr import ChdrHeader, ChdrPacket, PacketType
from usrp_mpm.simulator import chdr_endpoint, chdr_stream, rfnoc_graph, stream_endpoint_node

BYTES_PER_SAMPLE = 4
MAX_PACKET = 1 << 16
SOCKET_BUFFER = 4 << 20


class TimedOutputStream(chdr_stream.ChdrOutputStream):
    """Sends what a source gives, at the sample rate, with time stamps counted in samples.

    A source has `read(num_bytes)`, which returns the bytes of a packet and the number of packets
    that are lost on the way before it.
    """

    first_sequence = 0

    def _tx_worker(self):
        spec = self.stream_spec
        packet_bytes = spec.packet_samples  # the simulator's name; UHD sets it in bytes
        left = None if spec.is_continuous else spec.total_samples * BYTES_PER_SAMPLE
        tick = spec.init_timestamp if spec.is_timed else 0
        sequence = self.first_sequence
        due = begun = time.time()
        while not self.stop and left != 0:
            size = packet_bytes if left is None else min(packet_bytes, left)
            payload, lost_packets = self.sample_source.read(size)
            tick += lost_packets * (packet_bytes // BYTES_PER_SAMPLE)
            sequence += lost_packets
            left = None if left is None else left - size
            self._wait(due)
            self._send(payload, sequence & 0xFFFF, tick, last=left == 0)
            sequence += 1
            tick += size // BYTES_PER_SAMPLE
            due += (lost_packets + 1) * size / BYTES_PER_SAMPLE / spec.sample_rate
        self.next_sequence = sequence & 0xFFFF
        # At rates that this machine cannot simulate, the stream is slower than it should be.
        late = time.time() - due
        rate = tick / max(1e-9, time.time() - begun)
        self.log.info("stream ended: %d samples, %.0f samples/s, %.3f s late", tick, rate, late)

    def _wait(self, due):
        delay = due - time.time()
        if delay > 0:
            time.sleep(delay)

    def _send(self, payload, sequence, tick, *, last):
        header = ChdrHeader()
        header.dst_epid = self.stream_spec.dst_epid
        header.pkt_type = PacketType.DATA_WITH_TS
        header.seq_num = sequence
        header.eob = last
        data = bytes(ChdrPacket(self.chdr_w, header, payload, tick).serialize())
        while not self._can_fit_packet(len(data)) and not self.stop:
            self._update_recv(self.strs_queue.get().get_payload_strs())
        self.send_wrapper.send_data(data, self.stream_spec.addr)
        self.xfer.count_packet(len(data))


class RestartableEndpoint(stream_endpoint_node.StreamEndpointNode):
    """A stream endpoint that takes any number of stream commands on any number of streamers."""

    last_capacity = None
    sequence = 0

    def ctrl_status_callback_out(self, status):
        if status.cfg_start:  # a new streamer counts its packets from 0
            self._finish_output()
            self.sequence = 0
        return super().ctrl_status_callback_out(status)

    def begin_output(self, stream_spec):
        self._finish_output()
        self.last_capacity = self.downstream_capacity or self.last_capacity
        self.downstream_capacity = self.last_capacity
        TimedOutputStream.first_sequence = self.sequence
        super().begin_output(stream_spec)

    def end_output(self):
        self._finish_output()

    def _finish_output(self):
        stream, self.output_stream = self.output_stream, None
        if stream is not None:
            stream.finish()
            stream.thread.join(1)
            self.sequence = getattr(stream, "next_sequence", 0)

    def _handle_strs_packet(self, packet, **arguments):
        if packet.get_header().dst_epid in self.strs_handlers:
            return super()._handle_strs_packet(packet, **arguments)
        # The status of a stream that has just ended is of no use to anyone.
        if self.output_stream is not None and not self.output_stream.strs_queue.full():
            self.output_stream.queue_packet(packet)
        return None


def serve_socket(endpoint):
    """Pass packets between the network and the device, whatever their size and content."""
    inbound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        inbound.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
    inbound.bind(("127.0.0.1", 49153))
    buffer = bytearray(MAX_PACKET)
    port = (chdr_endpoint.NodeType.XPORT, 0)
    while True:
        for ready in select.select([inbound, endpoint.send_queue], [], [])[0]:
            if ready is not inbound:
                inbound.sendto(*endpoint.send_queue.get())
                continue
            size, sender = inbound.recvfrom_into(buffer)
            packet = ChdrPacket.deserialize(chdr_endpoint.CHDR_W, buffer[:size])
            reply = endpoint.graph.handle_packet(packet, port, sender, sender, size)
            if reply is not None:
                inbound.sendto(bytes(reply.serialize()), sender)


def install():
    """Put these streams in the place of the simulator's."""
    stream_endpoint_node.ChdrOutputStream = TimedOutputStream
    for module in (chdr_endpoint, rfnoc_graph):  # the graph tells nodes apart by their very class
        module.StreamEndpointNode = RestartableEndpoint
    chdr_endpoint.ChdrEndpoint.socket_worker = serve_socket
    # The simulator's window is smaller than one packet of 8000 bytes.
    chdr_stream.ChdrInputStream.CAPACITY_BYTES = 20 * 8000
    chdr_stream.ChdrInputStream.QUEUE_CAP = 256

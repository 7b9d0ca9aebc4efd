"""`phyemu fullstack`: what a payload takes over TCP/IP and IEEE 802.11a."""

import re
from typing import TYPE_CHECKING, Any

import click

from .options import channel_option, echo_json, json_option, seed_option

if TYPE_CHECKING:
    from phyemu.fullstack import TransferSummary

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_RATES = ("6", "9", "12", "18", "24", "36", "48", "54")


class _Size(click.ParamType[int]):
    """A number of bytes: `262144`, `256KB`, `4MB`; a KB is 1024 bytes, as in the paper."""

    name = "BYTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes; a bad one is a usage error that shows the forms allowed."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kKMG]?)(?:i?B)?", str(value))
        size = round(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
        if size < 1:
            self.fail(f"{value!r} is no size; write 262144, 256KB or 4MB", param, ctx)
        return size


@click.command("fullstack")
@click.option(
    "--payload", type=_Size(), required=True, help="What is sent; 256KB are 262144 bytes."
)
@channel_option()
@click.option("--snr", type=float, metavar="DB", help="The channel at another SNR.")
@click.option(
    "--protocol",
    type=click.Choice(["tcp", "udp"]),
    default="tcp",
    show_default=True,
    help="Above IP.",
)
@click.option(
    "--rate",
    type=click.Choice([*_RATES, "auto"]),
    default="auto",
    show_default=True,
    help="In Mbit/s; auto: by the SNR of the last exchange.",
)
@click.option(
    "--mtu",
    type=click.IntRange(128, 2296),
    default=1500,
    show_default=True,
    help="Largest IP datagram.",
)
@click.option(
    "--retry-limit",
    type=click.IntRange(1, 127),
    default=7,
    show_default=True,
    help="How often a frame is sent at most.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "model", "ns-3"]),
    default="auto",
    show_default=True,
    help="Who works it out; auto: ns-3 where it is installed.",
)
@click.option(
    "--transfers",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="How many, each over its own draw of the channel.",
)
@seed_option
@json_option
def command(
    payload: int,
    channel: str,
    snr: float | None,
    protocol: str,
    rate: str,
    mtu: int,
    retry_limit: int,
    engine: str,
    transfers: int,
    seed: int,
    as_json: bool,
) -> None:
    """Send a payload from a mobile device to an edge server over the whole protocol stack."""
    from phyemu.channel import with_snr
    from phyemu.colosseum import load_channel_or_link
    from phyemu.fullstack import Engine, Protocol, run_transfer, summarise, wifi_link

    model = load_channel_or_link(channel)
    if snr is not None:
        model = with_snr(model, snr)
    links = [
        wifi_link(
            model,
            seed=seed + index,
            rate_mbps=None if rate == "auto" else int(rate),
            mtu_bytes=mtu,
            retry_limit=retry_limit,
        )
        for index in range(transfers)
    ]
    chosen = None if engine == "auto" else Engine(engine)
    found = [
        run_transfer(payload, link, Protocol(protocol), seed=seed + index, engine=chosen)
        for index, link in enumerate(links)
    ]
    summary = summarise(found)
    mean_db = sum(float(link.snr.mean_snr_db.mean()) for link in links) / transfers
    if as_json:
        echo_json(
            {
                "channel": model.name,
                "mean_snr_db": mean_db,
                "protocol": protocol,
                "rate_mbps": None if rate == "auto" else int(rate),
                "summary": summary.to_dict(),
                "transfers": [item.to_dict() for item in found],
            }
        )
        return
    click.echo(f"{payload} bytes by {protocol.upper()} over {model.name}, {mean_db:.1f} dB")
    for name, text in _lines(summary):
        click.echo(f"  {name:<13}{text}")


def _lines(summary: "TransferSummary") -> list[tuple[str, str]]:
    count = summary.num_transfers
    engine = "the event model" if summary.engine == "model" else "ns-3"
    origins = ", ".join(
        f"{name} {value:.0f}" for name, value in summary.overhead_bytes.items() if value
    )
    duration = f"none, nothing arrived; {count} transfers by {engine}"
    sent = (
        f"the device sends {1e3 * summary.transmit_s:.2f} ms, the edge server "
        f"{1e3 * summary.receive_s:.2f} ms"
    )
    if summary.duration_s is not None:
        duration = (
            f"{1e3 * summary.duration_s:.2f} ms +- {1e3 * (summary.duration_std_s or 0.0):.2f}, "
            f"{summary.goodput_mbps:.2f} Mbit/s; {count} transfers by {engine}"
        )
        if not summary.num_empty:
            silent_s = max(0.0, summary.duration_s - summary.transmit_s - summary.receive_s)
            sent += f", nobody {1e3 * silent_s:.2f} ms"
    empty = f", nothing in {summary.num_empty}" if summary.num_empty else ""
    return [
        ("duration", duration),
        ("of which", sent),
        (
            "delivered",
            f"{summary.delivered_bytes:.0f} bytes; everything in {summary.num_complete} of {count}"
            f"{empty}",
        ),
        ("overhead", f"{summary.total_overhead_bytes:.0f} bytes: {origins}"),
        (
            "frames",
            f"{summary.num_frames:.1f}; sent again: {summary.mac_retransmissions:.1f} by the MAC, "
            f"{summary.transport_retransmissions:.1f} by the transport",
        ),
    ]

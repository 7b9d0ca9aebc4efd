"""A transfer by ns-3, in a process of its own."""

import subprocess
from collections import Counter

import numpy as np

from phyemu.errors import PhyemuError
from phyemu.fullstack.frame_tally import FrameKind, FrameSort, tally_transfer
from phyemu.fullstack.link import BITS_PER_CARRIER, WifiLink
from phyemu.fullstack.model import check_payload, transfer
from phyemu.fullstack.ns3_program import ns3_program, why_no_ns3
from phyemu.fullstack.protocol import Protocol
from phyemu.fullstack.rates import phy_rate
from phyemu.fullstack.tcp import (
    CONNECTION_TIMEOUT_S,
    DELAYED_ACK_S,
    LEAST_TIMEOUT_S,
    WINDOW_SEGMENTS,
)
from phyemu.fullstack.transfer import Engine, Transfer

__all__ = ["available_engine", "run_transfer", "transfer_ns3"]

# Virtual time: six timeouts that double, or what the slowest link takes for the payload.
_LIMIT_S = 120.0
_LEAST_GOODPUT_MBPS = 0.05
_PROCESS_TIMEOUT_S = 1800
_SNR_LIMITS_DB = (-40.0, 80.0)
_ADAPTIVE_BITS = 4


def transfer_ns3(payload_bytes: int, link: WifiLink, protocol: Protocol, *, seed: int) -> Transfer:
    """Return what ns-3 says of a transfer; arguments and result as those of `transfer`.

    ns-3 knows one SNR at a time. Over a channel that is not flat it gets the one for the
    modulation of the link's rate, and that for 16-QAM where the rate adapts.

    Raises:
        ConfigError: A number is out of range, or ns-3 is not there.
        PhyemuError: ns-3 failed.
    """
    check_payload(payload_bytes, seed)
    bits = _ADAPTIVE_BITS
    if link.rate_mbps is not None:
        bits = phy_rate(link.rate_mbps).mode.bits_per_carrier
    snr_db = np.clip(link.snr.snr_db[:, BITS_PER_CARRIER.index(bits)], *_SNR_LIMITS_DB)
    words = [
        *(protocol.value, payload_bytes, link.rate_mbps or 0, link.mtu_bytes, link.retry_limit),
        *(WINDOW_SEGMENTS, LEAST_TIMEOUT_S, DELAYED_ACK_S, CONNECTION_TIMEOUT_S, seed),
        _LIMIT_S + 8e-6 * payload_bytes / _LEAST_GOODPUT_MBPS,
        *(link.snr.interval_s, len(snr_db), *(f"{value:.6f}" for value in snr_db)),
    ]
    try:
        done = subprocess.run(
            [ns3_program()],
            input=" ".join(map(str, words)),
            capture_output=True,
            text=True,
            timeout=_PROCESS_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise PhyemuError(f"ns-3 did not finish: {exc}") from exc
    if done.returncode:
        said = (done.stderr.splitlines() or ["nothing"])[-1]
        raise PhyemuError(f"ns-3 ended with code {done.returncode} and said: {said}")
    return _read(done.stdout, payload_bytes, protocol)


def _read(output: str, payload_bytes: int, protocol: Protocol) -> Transfer:
    frames: Counter[FrameSort] = Counter()
    delivered, duration_s = None, 0.0
    try:
        for line in output.splitlines():
            match line.split():
                case ["delivered", octets, seconds]:
                    delivered, duration_s = int(octets), float(seconds)
                case ["frame", station, kind, octets, rate, count]:
                    sort = FrameSort(int(station), FrameKind(kind), int(octets), int(rate))
                    frames[sort] += int(count)
                case _:
                    raise PhyemuError(f"ns-3 said what nobody asked for: {line!r}")
    except ValueError as exc:
        raise PhyemuError(f"ns-3 counted what cannot be: {exc}") from exc
    if delivered is None:
        raise PhyemuError("ns-3 ended without a result")
    return tally_transfer(
        frames,
        engine=Engine.NS3,
        protocol=protocol,
        payload_bytes=payload_bytes,
        delivered_bytes=delivered,
        duration_s=duration_s,
    )


def available_engine() -> Engine:
    """Return ns-3 where it can run, the event model elsewhere."""
    return Engine.MODEL if why_no_ns3() else Engine.NS3


def run_transfer(
    payload_bytes: int,
    link: WifiLink,
    protocol: Protocol,
    *,
    seed: int,
    engine: Engine | None = None,
) -> Transfer:
    """Return a transfer by one of the two engines; it tells by which.

    Args:
        payload_bytes: As in `transfer`.
        link: As in `transfer`.
        protocol: As in `transfer`.
        seed: As in `transfer`.
        engine: Who is to work it out; None: `available_engine`.

    Raises:
        ConfigError: A number is out of range, or ns-3 was asked for and is not there.
        PhyemuError: ns-3 failed.
    """
    run = transfer_ns3 if (engine or available_engine()) is Engine.NS3 else transfer
    return run(payload_bytes, link, protocol, seed=seed)

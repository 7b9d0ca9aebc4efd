"""Symbol errors over channels that change within a frame: as is, by decisions, by a genie.

Run as `python -m benchmarks.changing_channel [frames]`; docs/receiver.md has its table. The genie
fits the same filter to the symbols that were sent: what decisions cannot beat.
"""

import math
import sys

import numpy as np
import torch

from phyemu.channel import ChannelStream, load_channel
from phyemu.receiver import FrameStatus, ReceiverConfig, receive_frames
from phyemu.receiver.decision_directed import refine_symbols
from phyemu.waveform import FrameFormat, decide, modulate, psk, transmit_waveform

__all__ = ["symbol_error_rates"]

SIZE = 16384


def symbol_error_rates(
    order: int, snr_db: float, doppler_hz: float | None, *, frames: int, seed: int = 1
) -> tuple[int, float, float, float]:
    """Return the frames received, and the error rates as is, by decisions and by the genie.

    Args:
        order: Of the PSK.
        snr_db: Mean SNR of the channel [dB].
        doppler_hz: Of TGn B's paths [Hz]; None: white noise alone.
        frames: Frames of 16384 symbols, each over a channel of its own.
        seed: Of everything.
    """
    table, frame_format = psk(order), FrameFormat()
    rates = []
    for index in range(frames):
        generator = torch.Generator().manual_seed(1000 * seed + index)
        symbols = torch.randint(order, (SIZE,), generator=generator)
        iq, _ = transmit_waveform(
            modulate(symbols, table), frame_format=frame_format, amplitude=1.0, gap_samples=700
        )
        name = f"awgn:{snr_db:g}" if doppler_hz is None else f"tgn-b:{snr_db:g}:{doppler_hz:g}"
        stream = ChannelStream(
            load_channel(name),
            sample_rate_hz=frame_format.sample_rate_hz,
            symbol_rate_hz=frame_format.symbol_rate_hz,
            reference_power=frame_format.reference_power(1.0),
            seed=1000 * seed + index,
            interval_s=2e-5,
        )
        received = np.concatenate([stream.process(iq.numpy()), stream.flush()])
        points = []
        for follow in (False, True):
            config = ReceiverConfig(decision_directed=follow)
            found = receive_frames(
                [received], frame_format=frame_format, constellation=table, config=config
            )
            whole = [frame for frame in found if frame.status is FrameStatus.OK]
            points += [frame.points for frame in whole]
        if len(points) != 2:
            continue
        sent = table.points.numpy()[symbols.numpy()]
        known = refine_symbols(
            points[0],
            np.arange(SIZE),
            sent,
            np.ones(SIZE, bool),
            table,
            noise_variance=float(np.square(np.abs(points[0] - sent)).mean()),
        )
        points.append(points[0] if known is None else known.symbols)
        decided = [decide(torch.from_numpy(part), table).numpy() for part in points]
        rates.append([float((part != symbols.numpy()).mean()) for part in decided])
    if not rates:
        return 0, math.nan, math.nan, math.nan
    plain, followed, genie = np.mean(rates, axis=0).tolist()
    return len(rates), plain, followed, genie


def main() -> None:
    """Print the table."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    for order, snr_db in ((4, 5.0), (4, 10.0), (8, 15.0), (8, 20.0), (16, 25.0)):
        for doppler_hz in (None, 6.0, 25.0, 100.0):
            count, *rates = symbol_error_rates(order, snr_db, doppler_hz, frames=frames)
            cells = " | ".join(f"{rate:.2e}" for rate in rates)
            print(f"{order}-PSK {snr_db:g} dB {doppler_hz} Hz, {count} frames: {cells}", flush=True)


if __name__ == "__main__":
    main()

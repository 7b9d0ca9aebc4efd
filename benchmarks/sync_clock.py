"""Clock offsets over the longest frame: what they cost, in symbol errors and as SNR."""

import dataclasses
import math
from dataclasses import dataclass

import torch
from scipy.optimize import brentq

from phyemu.channel import Awgn, Distribution, FrontEnd, apply_draw, tgn
from phyemu.receiver import FrameStatus, receive_frames
from phyemu.waveform import FrameFormat, build_frame, decide, modulate, psk, psk_symbol_error_rate

__all__ = ["ClockResult", "long_frames"]

POINTS = psk(8)
SYMBOLS = 16_384
SNR_DB = 12.0
FORMAT = FrameFormat()


@dataclass(frozen=True, kw_only=True)
class ClockResult:
    """What came of the longest frames with a clock offset.

    Attributes:
        frames, read: Sent, and whose header and length were read right.
        symbols, errors: Of the frames read.
        worst_ppm: Largest error of the clock offset reported.
    """

    frames: int
    read: int
    symbols: int
    errors: int
    worst_ppm: float

    def distance_db(self) -> float:
        """Return the SNR above that at which theory makes as many errors; NaN without errors."""
        if not self.errors:
            return math.nan
        share = self.errors / self.symbols
        same = brentq(lambda snr: psk_symbol_error_rate(8, snr) - share, -5.0, 20.0)
        return SNR_DB - float(same)


def long_frames(channel: str, *, sfo_ppm: float, frames: int, seed: int) -> ClockResult:
    """Return what the receiver makes of frames of 16384 symbols, each through a draw of its own.

    At 12 dB in white noise and 25 dB through a TGn model, carrier offset 100 kHz.
    """
    generator = torch.Generator().manual_seed(seed)
    model = Awgn(SNR_DB) if channel == "awgn" else tgn(channel, snr_db=25.0, doppler_hz=0.0)
    front_end = FrontEnd(
        cfo_hz=Distribution.constant(100e3), sfo_ppm=Distribution.constant(sfo_ppm)
    )
    read = errors = 0
    worst = 0.0
    for index in range(frames):
        symbols = torch.randint(POINTS.order, (SYMBOLS,), generator=generator)
        frame = build_frame(modulate(symbols, POINTS), frame_index=index, frame_format=FORMAT)
        iq = torch.nn.functional.pad(frame, (500, 500))[None].to(torch.complex64)
        rate = FORMAT.symbol_rate_hz
        draw = model.draw(1, num_steps=1, interval_s=1e-3, symbol_rate_hz=rate, generator=generator)
        draw = dataclasses.replace(draw, impairments=front_end.draw(1, generator=generator))
        received = apply_draw(
            iq,
            draw,
            sample_rate_hz=FORMAT.sample_rate_hz,
            symbol_rate_hz=rate,
            reference_power=FORMAT.reference_power(1.0),
            generator=generator,
        )[0].numpy()
        for found in receive_frames([received], frame_format=FORMAT, constellation=POINTS):
            if found.status is FrameStatus.OK and found.frame_index == index:
                read += 1
                decided = decide(torch.from_numpy(found.points), POINTS)
                errors += int((decided != symbols).sum())
                # A transmitter's clock that is fast makes frames short.
                worst = max(worst, abs(found.sfo_ppm + sfo_ppm))
    return ClockResult(
        frames=frames, read=read, symbols=read * SYMBOLS, errors=errors, worst_ppm=worst
    )

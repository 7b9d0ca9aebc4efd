"""Frames whose place is known, received in a batch, with gradients: what training needs.

Everything that the receiver estimates - carrier, timing, clock, channel, phase - comes from the
same code as in the stream receiver and is a constant to the gradients: it hangs on the preamble and
the pilots, which no parameter moves. The way of the payload through derotation, equaliser and
phase correction is linear in the samples, and gradients take it back.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from phyemu.errors import SignalError
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.decoding import FrameDecoder
from phyemu.waveform import Constellation, FrameFormat, Header
from phyemu.waveform.detection import PreambleDetector

__all__ = ["AlignedFrames", "receive_aligned"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AlignedFrames:
    """A batch of frames as received.

    Attributes:
        points: Payload after equalisation, (batch, S), complex; zeros where not detected.
        noise_variance: Variance of their error, (batch,), float32; infinite where not detected.
        detected: Where the preamble was found, (batch,), bool.
    """

    points: Tensor
    noise_variance: Tensor
    detected: Tensor


def receive_aligned(
    iq: Tensor,
    *,
    sample_start: int,
    payload_symbols: int,
    frame_index: int,
    frame_format: FrameFormat,
    constellation: Constellation,
    config: ReceiverConfig | None = None,
) -> AlignedFrames:
    """Return the payloads of frames that begin near a known sample; their headers are not read.

    Args:
        iq: One frame a row, (batch, num_samples), complex64; with some 256 samples behind it, as
            the delay spread and the clock offset reach there.
        sample_start: First sample of the frame without any delay, the same in all rows.
        payload_symbols: Length of the payloads.
        frame_index: What the headers state.
        frame_format: The settings.
        constellation: Of the payload.
        config: Settings of the receiver; None for the defaults.

    Returns:
        The payloads; gradients flow from `points` to `iq`.

    Raises:
        SignalError: `iq` has another shape or type, or is too short for the frame.
        ConfigError: A length or an index is out of range.
    """
    count = frame_format.frame_samples(payload_symbols)
    if iq.ndim != 2 or not iq.is_complex() or iq.shape[-1] < sample_start + count:
        raise SignalError(
            f"need iq (batch, num_samples), complex, of at least {sample_start + count} samples, "
            f"got {iq.dtype} {tuple(iq.shape)}"
        )
    config = config or ReceiverConfig()
    decoder = FrameDecoder(frame_format, constellation.to("cpu"), config)
    max_cfo_hz = config.max_cfo_hz
    detector = PreambleDetector(
        frame_format,
        max_cfo_hz=0.01 * frame_format.symbol_rate_hz if max_cfo_hz is None else max_cfo_hz,
        false_alarm_rate=config.false_alarm_rate,
    )
    header = Header(frame_index=frame_index, payload_symbols=payload_symbols)
    # The strongest path may come a little before and later than the first one.
    slack = config.early_symbols * frame_format.samples_per_symbol
    first = max(sample_start - slack, 0)
    num_starts = sample_start + 2 * slack - first
    rows = []
    variances = []
    for row in iq:
        samples = row.detach().cpu().numpy().astype(np.complex64, copy=False)
        window = np.zeros(num_starts + detector.overlap, np.complex64)
        part = samples[first : first + len(window)]
        window[: len(part)] = part
        found = detector.search(window, num_starts)
        if found is None:
            rows.append(torch.zeros(payload_symbols, dtype=iq.dtype, device=iq.device))
            variances.append(float("inf"))
            continue
        start = first + found.sample_start
        with torch.no_grad():
            pending = decoder.read_header(samples, sample_start=start, cfo_hz=found.cfo_hz)
            measured = decoder.measure(
                samples,
                pending,
                header,
                sample_start=start,
                truncated=False,
            )
        spectra = decoder.spectra(
            row.cpu(),
            measured.synchronisation,
            measured.equaliser,
            sample_start=start,
            num_symbols=measured.received,
        )
        symbols = decoder.symbols(
            spectra,
            measured.synchronisation,
            sfo_ppm=measured.sfo_ppm,
            num_symbols=measured.received,
        )
        corrected = symbols * torch.from_numpy(measured.track.correction).to(symbols)
        rows.append(corrected[measured.layout.payload_positions].to(iq.device))
        variances.append(measured.track.noise_variance)
    noise = torch.tensor(variances, dtype=torch.float32, device=iq.device)
    return AlignedFrames(
        points=torch.stack(rows), noise_variance=noise, detected=torch.isfinite(noise)
    )

"""Frames whose place is known, received in a batch, with gradients: what training needs.

Everything that the receiver estimates - carrier, timing, clock, channel, phase - comes from the
same code as in the stream receiver and is a constant to the gradients: it hangs on the preamble and
the pilots, which no parameter moves. The way of the payload through derotation, equaliser and
phase correction is linear in the samples, and gradients take it back.
"""

import dataclasses
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import SignalError
from phyemu.receiver.carrier_tracking import CarrierTrack, track_carrier
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.known_symbols import known_symbols
from phyemu.waveform import (
    Constellation,
    FrameFormat,
    FrameLayout,
    Header,
    frame_layout,
    preamble_points,
)
from phyemu.waveform.detection import Detections, PreambleDetector
from phyemu.waveform.equalisation import (
    BLOCK_HOP_SYMBOLS,
    block_spectra,
    delay_ramps,
    mmse_equaliser,
    symbols_of_spectra,
)
from phyemu.waveform.synchronisation import FrameSynchronisations, carrier, synchronise_frames
from phyemu.waveform.timing_tracking import MIN_BLOCKS, clock_offset_ppm

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
    layout = frame_layout(frame_format, payload_symbols)
    samples = iq.detach().cpu().to(torch.complex64).numpy()
    detections = _detect(samples, sample_start, frame_format, config)
    detected = torch.from_numpy(detections.found).to(iq.device)
    points = iq.new_zeros((len(iq), payload_symbols))
    noise_variance = torch.full((len(iq),), math.inf, dtype=torch.float32, device=iq.device)
    rows = torch.from_numpy(np.flatnonzero(detections.found)).to(iq.device)
    if len(rows) == 0:
        return AlignedFrames(points=points, noise_variance=noise_variance, detected=detected)
    whole = len(rows) == len(iq)
    found = synchronise_frames(
        samples[detections.found],
        preamble_points(frame_format),
        sample_starts=detections.sample_start[detections.found],
        cfo_hz=detections.cfo_hz[detections.found],
        early_symbols=config.early_symbols,
        late_symbols=config.late_symbols,
        frame_format=frame_format,
    )
    frames = _Frames(
        iq if whole else iq.index_select(0, rows),
        found,
        starts=detections.sample_start[detections.found],
        layout=layout,
        frame_format=frame_format,
        constellation=constellation.to("cpu"),
        config=config,
    )
    track = frames.track(Header(frame_index=frame_index, payload_symbols=payload_symbols))
    payload = frames.symbols.index_select(-1, layout.payload_positions.to(iq.device))
    correction = torch.from_numpy(track.correction)[:, layout.payload_positions]
    payload = payload * correction.to(payload)
    variances = torch.from_numpy(track.noise_variance).to(noise_variance)
    if whole:
        return AlignedFrames(points=payload, noise_variance=variances, detected=detected)
    return AlignedFrames(
        points=points.index_copy(0, rows, payload),
        noise_variance=noise_variance.index_copy(0, rows, variances),
        detected=detected,
    )


@lru_cache(maxsize=8)
def _detector(frame_format: FrameFormat, config: ReceiverConfig) -> PreambleDetector:
    max_cfo_hz = config.max_cfo_hz
    return PreambleDetector(
        frame_format,
        max_cfo_hz=0.01 * frame_format.symbol_rate_hz if max_cfo_hz is None else max_cfo_hz,
        false_alarm_rate=config.false_alarm_rate,
    )


def _detect(
    samples: NDArray[np.complex64],
    sample_start: int,
    frame_format: FrameFormat,
    config: ReceiverConfig,
) -> Detections:
    """Return the preambles near a known sample, starts counted in the rows of `samples`."""
    detector = _detector(frame_format, config)
    # The strongest path may come a little before and later than the first one.
    slack = config.early_symbols * frame_format.samples_per_symbol
    first = max(sample_start - slack, 0)
    num_starts = sample_start + 2 * slack - first
    part = samples[:, first : first + num_starts + detector.overlap]
    windows = np.pad(part, ((0, 0), (0, num_starts + detector.overlap - part.shape[1])))
    found = detector.search_each(windows, num_starts)
    return dataclasses.replace(found, sample_start=found.sample_start + first)


class _Frames:
    """The symbols of synchronised frames, equalised, with timing and clock offset taken out."""

    def __init__(
        self,
        iq: Tensor,
        found: FrameSynchronisations,
        *,
        starts: NDArray[np.int64],
        layout: FrameLayout,
        frame_format: FrameFormat,
        constellation: Constellation,
        config: ReceiverConfig,
    ) -> None:
        sps = frame_format.samples_per_symbol
        self._format = frame_format
        self._constellation = constellation
        self._equaliser = mmse_equaliser(
            found.channel.response.to(torch.complex64),
            first_delay=found.first_delay,
            noise_variance=found.channel.noise_variance.float(),
            symbol_power=constellation.mean_power,
            frame_format=frame_format,
        )
        turns = carrier(iq.shape[-1], -found.cfo_hz / frame_format.sample_rate_hz, origin=starts)
        level = torch.from_numpy(found.dc_offset)[:, None].to(iq)
        begins = torch.from_numpy(starts + frame_format.pulse_delay_samples).to(iq.device)
        spectra = block_spectra(
            (iq - level) * torch.from_numpy(turns).to(iq),
            first_peak=begins,
            num_symbols=layout.num_symbols,
            sps=sps,
        )
        weights = self._equaliser.weights[:, None, :].to(spectra)
        timing = found.timing_samples[:, None]
        delays = np.repeat(timing, spectra.shape[-2], axis=1)
        whole = layout.num_symbols // BLOCK_HOP_SYMBOLS
        if whole >= MIN_BLOCKS:
            sfo_ppm = clock_offset_ppm(
                spectra.detach()[:, :whole].cpu().to(torch.complex64).contiguous().numpy(),
                self._equaliser.weights.to(torch.complex64).contiguous().numpy(),
                delay_samples=found.timing_samples,
                frame_format=frame_format,
                max_offset_ppm=config.max_sfo_ppm,
            )
            middles = (np.arange(delays.shape[1]) + 0.5) * (BLOCK_HOP_SYMBOLS * sps)
            delays = delays + sfo_ppm[:, None] * 1e-6 * middles
        # Weights and delays are constants: one product does both.
        ramps = delay_ramps(torch.from_numpy(delays), spectra.shape[-1]).to(spectra)
        self.symbols = symbols_of_spectra(
            spectra * (weights * ramps), num_symbols=layout.num_symbols, sps=sps
        )

    def track(self, header: Header) -> CarrierTrack:
        """Return the correction of the symbols."""
        positions, values = known_symbols(self._format, header)
        # Cramer-Rao bound of a frequency seen over the preamble, and a factor of four.
        length = self._format.preamble_symbols
        snr = self._equaliser.matched_snr.clamp(min=0.1).numpy()
        return track_carrier(
            self.symbols.detach().cpu().numpy(),
            positions,
            values,
            self._constellation,
            noise_variance=self._equaliser.error_variance.numpy(),
            frequency_variance=24.0 / (snr * length**3) + 1e-10,
        )

"""A frame whose first sample is known: header, then payload."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.receiver.carrier_tracking import carrier_drift
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.frame_measurement import HEADER_POWER, FrameMeter
from phyemu.receiver.received_frame import FrameStatus, ReceivedFrame
from phyemu.receiver.stream_equaliser import (
    StreamEqualiser,
    equalised_symbols,
    frame_spectra,
    stream_equaliser,
)
from phyemu.receiver.symbol_decisions import probabilities
from phyemu.waveform import (
    HEADER_SYMBOLS,
    Constellation,
    FrameFormat,
    Header,
    decode_header,
    preamble_points,
)
from phyemu.waveform.equalisation import BLOCK_MARGIN_SYMBOLS
from phyemu.waveform.synchronisation import Synchronisation, synchronise

__all__ = ["FrameDecoder", "PendingFrame"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PendingFrame:
    """A frame whose preamble and header have been read.

    Attributes:
        synchronisation: By the preamble.
        equaliser: Of the channel, for symbols of unit power.
        header: What the header states; None where its check failed or the payload is too long.
    """

    synchronisation: Synchronisation
    equaliser: StreamEqualiser
    header: Header | None


class FrameDecoder:
    """Turns the samples of one frame into symbols."""

    def __init__(
        self, frame_format: FrameFormat, constellation: Constellation, config: ReceiverConfig
    ) -> None:
        """Take note of what is sent.

        Args:
            frame_format: The settings of the transmitter.
            constellation: Of the payload, on the CPU.
            config: Settings of the receiver.
        """
        self._format = frame_format
        self._constellation = constellation
        self._config = config
        self._meter = FrameMeter(frame_format, constellation, config)
        self._sps = frame_format.samples_per_symbol
        self._num_first = frame_format.preamble_symbols + HEADER_SYMBOLS

    @property
    def head_samples(self) -> int:
        """Samples behind the start of a frame that reading its header needs."""
        late = self._config.late_symbols + self._format.pulse_span_symbols + 8
        return (self._num_first + late) * self._sps

    @property
    def tail_samples(self) -> int:
        """Samples behind the last pulse of a frame that its last symbols need."""
        return (self._config.late_symbols + 8) * self._sps

    @property
    def lead_samples(self) -> int:
        """Samples before the start of a frame that decoding it uses."""
        return BLOCK_MARGIN_SYMBOLS * self._sps

    def read_header(
        self, iq: NDArray[np.complex64], *, sample_start: int, cfo_hz: float
    ) -> PendingFrame:
        """Return what preamble and header say of a frame.

        Args:
            iq: Samples around the frame, (num_samples,), complex64.
            sample_start: First sample of the frame in `iq`.
            cfo_hz: Carrier offset as detected [Hz].
        """
        found = synchronise(
            iq,
            preamble_points(self._format),
            sample_start=sample_start,
            cfo_hz=cfo_hz,
            early_symbols=self._config.early_symbols,
            late_symbols=self._config.late_symbols,
            frame_format=self._format,
        )
        equaliser = stream_equaliser(found, symbol_power=HEADER_POWER, frame_format=self._format)
        spectra = frame_spectra(
            iq,
            found,
            sample_start=sample_start,
            num_symbols=self._num_first,
            frame_format=self._format,
        )
        symbols = equalised_symbols(
            spectra,
            found,
            equaliser,
            sfo_ppm=0.0,
            num_symbols=self._num_first,
            frame_format=self._format,
        )
        header = decode_header(torch.from_numpy(symbols[-HEADER_SYMBOLS:].real.copy()))
        if header is not None and header.payload_symbols > self._format.max_payload_symbols:
            header = None
        return PendingFrame(synchronisation=found, equaliser=equaliser, header=header)

    def read_payload(
        self,
        iq: NDArray[np.complex64],
        pending: PendingFrame,
        header: Header,
        *,
        sample_start: int,
        stream_start: int,
        truncated: bool,
        missing: list[tuple[int, int]],
    ) -> ReceivedFrame:
        """Return the frame, its header having been read.

        Args:
            iq: Samples around the frame, (num_samples,), complex64.
            pending: What `read_header` returned.
            header: The header in it.
            sample_start: First sample of the frame in `iq`.
            stream_start: The same in the stream.
            truncated: The stream ends with `iq`, inside the frame.
            missing: Stretches [begin, end) of `iq` that are zeros in place of lost samples.
        """
        found = pending.synchronisation
        measured = self._meter.measure(
            iq,
            found,
            pending.equaliser,
            header,
            sample_start=sample_start,
            truncated=truncated,
            missing=missing,
        )
        disturbance = measured.disturbance
        order = self._constellation.order
        variances = np.array([measured.noise_variance], np.float32)
        if disturbance is not None:
            variances = disturbance.variances
        said = np.empty((len(measured.heard), order), np.float32)
        probabilities(measured.points, self._constellation, variances, out=said)
        erased = np.zeros(header.payload_symbols, bool)
        points, posteriors = measured.points, said
        if len(measured.heard) < header.payload_symbols:
            there = np.searchsorted(measured.layout.payload_positions.numpy(), measured.heard)
            erased[:] = True
            erased[there] = False
            points = np.zeros(header.payload_symbols, np.complex64)
            points[there] = measured.points
            posteriors = np.full((header.payload_symbols, order), 1.0 / order, np.float32)
            posteriors[there] = said
        status = FrameStatus.OK
        if truncated:
            status = FrameStatus.TRUNCATED
        elif erased.any():
            status = FrameStatus.PARTIAL
        error = math.nan
        if len(measured.errors):
            error = float(measured.errors.mean(dtype=np.float64))
        samples = self._format.frame_samples(header.payload_symbols)
        turns_per_symbol = float(measured.track.drift) / (2.0 * math.pi)
        return ReceivedFrame(
            sample_start=stream_start,
            sample_count=min(samples, len(iq) - sample_start),
            status=status,
            frame_index=header.frame_index,
            erased=erased,
            points=points,
            posteriors=posteriors,
            disturbed_symbols=0 if disturbance is None else int(disturbance.disturbed.sum()),
            noise_variance=float(variances.mean(dtype=np.float64)),
            snr_db=_decibels(measured.equaliser.matched_snr),
            cfo_hz=found.cfo_hz + turns_per_symbol * self._format.symbol_rate_hz,
            cfo_drift_hz=carrier_drift(measured.track) * self._format.symbol_rate_hz,
            sfo_ppm=measured.sfo_ppm,
            evm_db=_decibels(error),
            timing_samples=found.timing_samples,
            amplitude=_amplitude(pending),
            response=found.channel.response.numpy().astype(np.complex64),
            response_offset_samples=found.first_delay,
        )

    def failed(
        self,
        pending: PendingFrame,
        *,
        stream_start: int,
        sample_count: int,
        status: FrameStatus,
    ) -> ReceivedFrame:
        """Return the report of a frame whose header failed, or was cut off by the stream's end."""
        found = pending.synchronisation
        return ReceivedFrame(
            sample_start=stream_start,
            sample_count=sample_count,
            status=status,
            frame_index=None,
            erased=np.zeros(0, bool),
            points=np.zeros(0, np.complex64),
            posteriors=np.zeros((0, self._constellation.order), np.float32),
            disturbed_symbols=0,
            noise_variance=pending.equaliser.error_variance,
            snr_db=_decibels(pending.equaliser.matched_snr),
            cfo_hz=found.cfo_hz,
            cfo_drift_hz=0.0,
            sfo_ppm=0.0,
            evm_db=math.nan,
            timing_samples=found.timing_samples,
            amplitude=_amplitude(pending),
            response=found.channel.response.numpy().astype(np.complex64),
            response_offset_samples=found.first_delay,
        )


def _decibels(power: float) -> float:
    """Return the power [dB], -120 dB at least; NaN stays NaN."""
    return 10.0 * math.log10(max(power, 1e-12)) if power == power else math.nan


def _amplitude(pending: PendingFrame) -> float:
    noise = float(pending.synchronisation.channel.noise_variance)
    return math.sqrt(pending.equaliser.matched_snr * noise)

"""A frame whose first sample is known: header, then payload."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.receiver.carrier_tracking import CarrierTrack, carrier_drift, track_carrier
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.decision_directed import refine_symbols
from phyemu.receiver.disturbance import Disturbance, disturbance_of
from phyemu.receiver.erasures import erased_symbols
from phyemu.receiver.received_frame import FrameStatus, ReceivedFrame
from phyemu.receiver.stream_equaliser import StreamEqualiser, frame_spectra, stream_equaliser
from phyemu.receiver.symbol_decisions import nearest_errors, probabilities
from phyemu.waveform import (
    HEADER_SYMBOLS,
    Constellation,
    FrameFormat,
    FrameLayout,
    Header,
    decode_header,
    encode_header,
    frame_layout,
    pilot_points,
    preamble_points,
)
from phyemu.waveform.equalisation import BLOCK_HOP_SYMBOLS, BLOCK_MARGIN_SYMBOLS
from phyemu.waveform.synchronisation import Synchronisation, synchronise
from phyemu.waveform.timing_tracking import clock_offset_ppm

__all__ = ["FrameDecoder", "FrameMeasurement", "PendingFrame", "known_symbols"]

_HEADER_POWER = 1.0  # mean power of preamble and header; PSK has the same


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


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FrameMeasurement:
    """All that the receiver corrects in a frame.

    Attributes:
        synchronisation: By the preamble.
        equaliser: For the payload.
        layout: Where the symbols are.
        sfo_ppm: Sampling clock offset [ppm].
        heard: Positions of the payload symbols received: not behind the stream's end, and not in
            samples that are missing.
        points: These symbols, equalised, the carrier undone, (len(heard),).
        noise_variance: Total complex variance of their error, where nothing stands out.
        track: How the carrier was undone.
        errors: Squared distance of the points from the nearest one of the constellation.
        disturbance: Where their noise stands out; None where it does nowhere.
    """

    synchronisation: Synchronisation
    equaliser: StreamEqualiser
    layout: FrameLayout
    sfo_ppm: float
    heard: NDArray[np.int64]
    points: NDArray[np.complex64]
    noise_variance: float
    track: CarrierTrack
    errors: NDArray[np.float32]
    disturbance: Disturbance | None


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
        self._symbol_power = constellation.mean_power
        self._config = config
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
        equaliser = stream_equaliser(found, symbol_power=_HEADER_POWER, frame_format=self._format)
        spectra = frame_spectra(
            iq,
            found,
            sample_start=sample_start,
            num_symbols=self._num_first,
            frame_format=self._format,
        )
        symbols = self._symbols(spectra, found, equaliser, sfo_ppm=0.0, num_symbols=self._num_first)
        header = decode_header(torch.from_numpy(symbols[-HEADER_SYMBOLS:].real.copy()))
        if header is not None and header.payload_symbols > self._format.max_payload_symbols:
            header = None
        return PendingFrame(synchronisation=found, equaliser=equaliser, header=header)

    def _symbols(
        self,
        spectra: NDArray[np.complex64],
        found: Synchronisation,
        equaliser: StreamEqualiser,
        *,
        sfo_ppm: float,
        num_symbols: int,
    ) -> NDArray[np.complex64]:
        """Return the symbols in block spectra, equalised, timing and clock offset taken out."""
        middles = (np.arange(len(spectra)) + 0.5) * (BLOCK_HOP_SYMBOLS * self._sps)
        delays = (found.timing_samples + sfo_ppm * 1e-6 * middles).astype(np.float64, copy=False)
        return equaliser.symbols(spectra, delays=delays, num_symbols=num_symbols)

    def measure(
        self,
        iq: NDArray[np.complex64],
        pending: PendingFrame,
        header: Header,
        *,
        sample_start: int,
        truncated: bool,
        missing: list[tuple[int, int]],
    ) -> FrameMeasurement:
        """Return the equalised symbols of a frame and their correction.

        Args:
            iq: Samples around the frame, (num_samples,), complex64.
            pending: What `read_header` returned.
            header: Of the frame.
            sample_start: First sample of the frame in `iq`.
            truncated: The stream ends with `iq`, inside the frame.
            missing: Stretches [begin, end) of `iq` that are zeros in place of lost samples.
        """
        layout = frame_layout(self._format, header.payload_symbols)
        total = layout.num_symbols
        found, equaliser = pending.synchronisation, pending.equaliser
        power = self._symbol_power
        if power != _HEADER_POWER:
            equaliser = stream_equaliser(found, symbol_power=power, frame_format=self._format)
        spectra = frame_spectra(
            iq, found, sample_start=sample_start, num_symbols=total, frame_format=self._format
        )
        received = total
        if truncated:
            # The last symbol whose pulse is whole.
            whole = len(iq) - sample_start - 2 * self._format.pulse_delay_samples - 1
            received = min(max(whole // self._sps + 1, self._num_first), total)
        sfo_ppm = float(
            clock_offset_ppm(
                spectra[None, : received // BLOCK_HOP_SYMBOLS],
                equaliser.weights[None],
                delay_samples=np.array([found.timing_samples]),
                frame_format=self._format,
                max_offset_ppm=self._config.max_sfo_ppm,
            )[0]
        )
        symbols = self._symbols(spectra, found, equaliser, sfo_ppm=sfo_ppm, num_symbols=total)
        symbols = symbols[:received]
        payload = layout.payload_positions.numpy()
        if received < total:
            payload = payload[: int(np.searchsorted(payload, received))]
        erased, heard = None, payload
        if missing:
            erased = erased_symbols(
                missing,
                found,
                sample_start=sample_start,
                num_symbols=received,
                frame_format=self._format,
            )
            heard = payload[~erased[payload]]
        track = self._follow(symbols, equaliser, header, ignored=erased)
        points, noise_variance = track.points[heard], float(track.noise_variance)
        errors, disturbance = self._errors(points, noise_variance)
        if disturbance is not None and disturbance.deafening.any():
            # What is lost in interference would only lead the carrier astray.
            deaf = np.zeros(received, bool) if erased is None else erased.copy()
            deaf[heard[disturbance.deafening]] = True
            deaf[1:-1] |= deaf[:-2] & deaf[2:]  # the pilots among them
            track = self._follow(symbols, equaliser, header, ignored=deaf)
            points, noise_variance = track.points[heard], float(track.noise_variance)
            errors, disturbance = self._errors(points, noise_variance)
        if self._config.decision_directed:
            positions, values = known_symbols(self._format, header)
            inside = positions < received
            refined = refine_symbols(
                track.points,
                positions[inside],
                values[inside],
                np.ones(received, bool) if erased is None else ~erased,
                self._constellation,
                noise_variance=noise_variance,
            )
            if refined is not None:
                points, noise_variance = refined.symbols[heard], refined.noise_variance
                errors, disturbance = self._errors(points, noise_variance)
        return FrameMeasurement(
            synchronisation=found,
            equaliser=equaliser,
            layout=layout,
            sfo_ppm=sfo_ppm,
            heard=heard,
            points=points,
            noise_variance=noise_variance,
            track=track,
            errors=errors,
            disturbance=disturbance,
        )

    def _follow(
        self,
        symbols: NDArray[np.complex64],
        equaliser: StreamEqualiser,
        header: Header,
        *,
        ignored: NDArray[np.bool_] | None,
    ) -> CarrierTrack:
        positions, values = known_symbols(self._format, header)
        inside = positions < len(symbols)
        if ignored is not None:
            inside[inside] = ~ignored[positions[inside]]
        if not inside.all():
            positions, values = positions[inside], values[inside]
        # Cramer-Rao bound of a frequency seen over the preamble, and a factor of four.
        length = self._format.preamble_symbols
        snr = max(equaliser.matched_snr, 0.1)
        return track_carrier(
            symbols,
            positions,
            values,
            self._constellation,
            noise_variance=equaliser.error_variance,
            frequency_variance=24.0 / (snr * length**3) + 1e-10,
            ignored=ignored,
        )

    def _errors(
        self, points: NDArray[np.complex64], noise_variance: float
    ) -> tuple[NDArray[np.float32], Disturbance | None]:
        """Return how far points are from the nearest ones of the constellation, and where most."""
        errors = nearest_errors(points, self._constellation)
        return errors, disturbance_of(
            points, errors, self._constellation, noise_variance=noise_variance
        )

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
        measured = self.measure(
            iq, pending, header, sample_start=sample_start, truncated=truncated, missing=missing
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


def known_symbols(
    frame_format: FrameFormat, header: Header
) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    """Return where the known symbols of a frame are, and what they are."""
    positions, values = _known_but_header(frame_format, header.payload_symbols)
    values = values.copy()
    first = frame_format.preamble_symbols
    values[first : first + HEADER_SYMBOLS] = encode_header(header).numpy()
    return positions, values


@lru_cache(maxsize=64)
def _known_but_header(
    frame_format: FrameFormat, payload_symbols: int
) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    """Return what `known_symbols` does, for a header of zeros; do not write to it."""
    layout = frame_layout(frame_format, payload_symbols)
    header = torch.zeros(HEADER_SYMBOLS, dtype=torch.complex64)
    first = torch.cat([preamble_points(frame_format), header])
    pilots = pilot_points(len(layout.pilot_positions))
    positions = torch.cat([torch.arange(len(first)), layout.pilot_positions])
    return positions.numpy(), torch.cat([first, pilots]).numpy()

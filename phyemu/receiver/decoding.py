"""A frame whose first sample is known: header, then payload."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.receiver.carrier_tracking import CarrierTrack, carrier_drift, track_carrier
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.decision_directed import refine_symbols
from phyemu.receiver.disturbance import Disturbance, disturbance_of
from phyemu.receiver.erasures import erased_symbols
from phyemu.receiver.received_frame import FrameStatus, ReceivedFrame
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
    symbol_posteriors,
)
from phyemu.waveform.equalisation import (
    BLOCK_HOP_SYMBOLS,
    BLOCK_SYMBOLS,
    Equaliser,
    block_spectra,
    mmse_equaliser,
    symbols_of_spectra,
)
from phyemu.waveform.modulation import squared_errors
from phyemu.waveform.synchronisation import Synchronisation, carrier, synchronise
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
    equaliser: Equaliser
    header: Header | None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FrameMeasurement:
    """All that the receiver corrects in a frame.

    Attributes:
        synchronisation: By the preamble.
        equaliser: For the payload.
        layout: Where the symbols are.
        received: Symbols of the frame that the samples hold.
        sfo_ppm: Sampling clock offset [ppm].
        symbols: The equalised symbols, (received,), the carrier undone.
        noise_variance: Total complex variance of their error, where nothing stands out.
        heard: Positions of the payload symbols received: not behind the stream's end, and not in
            samples that are missing.
        track: How the carrier was undone.
        errors: Squared distance of these from the nearest point of the constellation.
        disturbance: Where the noise of these stands out; None where it does nowhere.
    """

    synchronisation: Synchronisation
    equaliser: Equaliser
    layout: FrameLayout
    received: int
    sfo_ppm: float
    symbols: NDArray[np.complex64]
    noise_variance: float
    heard: NDArray[np.int64]
    track: CarrierTrack
    errors: NDArray[np.float64]
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
        return (BLOCK_SYMBOLS - BLOCK_HOP_SYMBOLS) // 2 * self._sps

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
        equaliser = self._equaliser(found, symbol_power=_HEADER_POWER)
        spectra = self.spectra(
            torch.from_numpy(iq),
            found,
            equaliser,
            sample_start=sample_start,
            num_symbols=self._num_first,
        )
        symbols = self.symbols(spectra, found, sfo_ppm=0.0, num_symbols=self._num_first)
        header = decode_header(symbols[-HEADER_SYMBOLS:].real.contiguous())
        if header is not None and header.payload_symbols > self._format.max_payload_symbols:
            header = None
        return PendingFrame(synchronisation=found, equaliser=equaliser, header=header)

    def _equaliser(self, found: Synchronisation, *, symbol_power: float) -> Equaliser:
        return mmse_equaliser(
            found.channel.response,
            first_delay=found.first_delay,
            noise_variance=found.channel.noise_variance,
            symbol_power=symbol_power,
            frame_format=self._format,
        )

    def spectra(
        self,
        iq: Tensor,
        found: Synchronisation,
        equaliser: Equaliser,
        *,
        sample_start: int,
        num_symbols: int,
    ) -> Tensor:
        """Return the equalised block spectra of a frame's first symbols, DC and carrier undone.

        Args:
            iq: Samples around the frame, (num_samples,), complex; gradients flow to them.
            found: The synchronisation.
            equaliser: Of the channel.
            sample_start: First sample of the frame in `iq`.
            num_symbols: Symbols wanted.
        """
        begin = max(sample_start - self.lead_samples, 0)
        part = iq[begin : sample_start + (num_symbols + BLOCK_SYMBOLS) * self._sps]
        turns = carrier(
            len(part),
            -found.cfo_hz / self._format.sample_rate_hz,
            origin=sample_start - begin,
        )
        spectra = block_spectra(
            (part - found.dc_offset) * torch.from_numpy(turns).to(part),
            first_peak=sample_start - begin + self._format.pulse_delay_samples,
            num_symbols=num_symbols,
            sps=self._sps,
        )
        return spectra * equaliser.weights.to(spectra)

    def symbols(
        self, spectra: Tensor, found: Synchronisation, *, sfo_ppm: float, num_symbols: int
    ) -> Tensor:
        """Return the symbols in equalised block spectra, timing and clock offset taken out."""
        middles = (torch.arange(len(spectra)) + 0.5) * (BLOCK_HOP_SYMBOLS * self._sps)
        return symbols_of_spectra(
            spectra,
            num_symbols=num_symbols,
            sps=self._sps,
            delays=found.timing_samples + sfo_ppm * 1e-6 * middles,
        )

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
        power = self._constellation.mean_power
        if power != _HEADER_POWER:
            equaliser = self._equaliser(found, symbol_power=power)
        spectra = self.spectra(
            torch.from_numpy(iq), found, equaliser, sample_start=sample_start, num_symbols=total
        )
        received = total
        if truncated:
            # The last symbol whose pulse is whole.
            whole = len(iq) - sample_start - 2 * self._format.pulse_delay_samples - 1
            received = min(max(whole // self._sps + 1, self._num_first), total)
        sfo_ppm = float(
            clock_offset_ppm(
                spectra[: received // BLOCK_HOP_SYMBOLS],
                delay_samples=found.timing_samples,
                frame_format=self._format,
                max_offset_ppm=self._config.max_sfo_ppm,
            )
        )
        symbols = self.symbols(spectra, found, sfo_ppm=sfo_ppm, num_symbols=total)
        erased = erased_symbols(
            missing,
            found,
            sample_start=sample_start,
            num_symbols=received,
            frame_format=self._format,
        )
        mine = symbols.numpy()[:received]
        payload = layout.payload_positions.numpy()
        payload = payload[: int(np.searchsorted(payload, received))]
        heard = payload[~erased[payload]]
        track = self._follow(mine, equaliser, header, ignored=erased)
        errors, disturbance = self._errors(
            mine[heard] * track.correction[heard], float(track.noise_variance)
        )
        if disturbance is not None and disturbance.deafening.any():
            # What is lost in interference would only lead the carrier astray.
            deaf = erased.copy()
            deaf[heard[disturbance.deafening]] = True
            deaf[1:-1] |= deaf[:-2] & deaf[2:]  # the pilots among them
            track = self._follow(mine, equaliser, header, ignored=deaf)
            errors, disturbance = self._errors(
                mine[heard] * track.correction[heard], float(track.noise_variance)
            )
        corrected, noise_variance = mine * track.correction, float(track.noise_variance)
        if self._config.decision_directed:
            positions, values = known_symbols(self._format, header)
            inside = positions < received
            refined = refine_symbols(
                corrected,
                positions[inside],
                values[inside],
                ~erased,
                self._constellation,
                noise_variance=noise_variance,
            )
            if refined is not None:
                corrected, noise_variance = refined.symbols, refined.noise_variance
                errors, disturbance = self._errors(corrected[heard], noise_variance)
        return FrameMeasurement(
            synchronisation=found,
            equaliser=equaliser,
            layout=layout,
            received=received,
            sfo_ppm=sfo_ppm,
            symbols=corrected,
            noise_variance=noise_variance,
            heard=heard,
            track=track,
            errors=errors,
            disturbance=disturbance,
        )

    def _follow(
        self,
        symbols: NDArray[np.complex64],
        equaliser: Equaliser,
        header: Header,
        *,
        ignored: NDArray[np.bool_],
    ) -> CarrierTrack:
        positions, values = known_symbols(self._format, header)
        inside = positions < len(symbols)
        inside[inside] = ~ignored[positions[inside]]
        # Cramer-Rao bound of a frequency seen over the preamble, and a factor of four.
        length = self._format.preamble_symbols
        snr = max(float(equaliser.matched_snr), 0.1)
        return track_carrier(
            symbols,
            positions[inside],
            values[inside],
            self._constellation,
            noise_variance=float(equaliser.error_variance),
            frequency_variance=24.0 / (snr * length**3) + 1e-10,
            ignored=ignored,
        )

    def _errors(
        self, points: NDArray[np.complex64], noise_variance: float
    ) -> tuple[NDArray[np.float64], Disturbance | None]:
        """Return how far points are from the nearest ones of the constellation, and where most."""
        errors = squared_errors(torch.from_numpy(points), self._constellation).numpy()
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
        corrected = measured.symbols
        heard, disturbance = measured.heard, measured.disturbance
        erased = np.ones(header.payload_symbols, bool)
        there = np.searchsorted(measured.layout.payload_positions.numpy(), heard)
        erased[there] = False
        points = np.zeros(header.payload_symbols, np.complex64)
        points[there] = corrected[heard]
        order = self._constellation.order
        posteriors = np.full((header.payload_symbols, order), 1.0 / order, np.float32)
        mine = torch.from_numpy(points[there])
        variance: Tensor | float = measured.noise_variance
        if disturbance is not None:
            variance = torch.from_numpy(disturbance.variances)
        posteriors[there] = symbol_posteriors(
            mine, self._constellation, noise_variance=variance
        ).numpy()
        status = FrameStatus.OK
        if truncated:
            status = FrameStatus.TRUNCATED
        elif erased.any():
            status = FrameStatus.PARTIAL
        error = float(measured.errors.mean()) if len(there) else math.nan
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
            noise_variance=float(np.mean(np.asarray(variance))),
            snr_db=_decibels(float(measured.equaliser.matched_snr)),
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
            noise_variance=float(pending.equaliser.error_variance),
            snr_db=_decibels(float(pending.equaliser.matched_snr)),
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
    return math.sqrt(float(pending.equaliser.matched_snr) * noise)


@lru_cache(maxsize=8)
def known_symbols(
    frame_format: FrameFormat, header: Header
) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    """Return where the known symbols of a frame are, and what they are."""
    layout = frame_layout(frame_format, header.payload_symbols)
    first = torch.cat([preamble_points(frame_format), encode_header(header).to(torch.complex64)])
    pilots = pilot_points(len(layout.pilot_positions))
    positions = torch.cat([torch.arange(len(first)), layout.pilot_positions])
    return positions.numpy(), torch.cat([first, pilots]).numpy()

"""A frame whose first sample is known: header, then payload."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.received_frame import FrameStatus, ReceivedFrame
from phyemu.waveform import (
    HEADER_SYMBOLS,
    Constellation,
    FrameFormat,
    Header,
    decide,
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
from phyemu.waveform.phase_tracking import (
    TrackedPhase,
    posterior_moments,
    refine_phase,
    track_known_phase,
)
from phyemu.waveform.synchronisation import Synchronisation, rotate, synchronise
from phyemu.waveform.timing_tracking import clock_offset_ppm

__all__ = ["FrameDecoder", "PendingFrame"]

_PASSES = 2


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PendingFrame:
    """A frame whose preamble and header have been read.

    Attributes:
        synchronisation: By the preamble.
        equaliser: Of the channel.
        header: What the header states; None where its check failed or the payload is too long.
    """

    synchronisation: Synchronisation
    equaliser: Equaliser
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
            timing_samples=None,
            early_symbols=self._config.early_symbols,
            late_symbols=self._config.late_symbols,
            frame_format=self._format,
        )
        equaliser = mmse_equaliser(
            found.channel.response,
            first_delay=found.first_delay,
            noise_variance=found.channel.noise_variance,
            symbol_power=1.0,
            frame_format=self._format,
        )
        spectra = self._spectra(iq, sample_start, found, equaliser, self._num_first)
        delays = torch.full((len(spectra),), found.timing_samples)
        symbols = symbols_of_spectra(
            spectra, num_symbols=self._num_first, sps=self._sps, delays=delays
        )
        header = decode_header(symbols[-HEADER_SYMBOLS:].real.contiguous())
        if header is not None and header.payload_symbols > self._format.max_payload_symbols:
            header = None
        return PendingFrame(synchronisation=found, equaliser=equaliser, header=header)

    def _spectra(
        self,
        iq: NDArray[np.complex64],
        sample_start: int,
        found: Synchronisation,
        equaliser: Equaliser,
        num_symbols: int,
    ) -> torch.Tensor:
        """Return the equalised block spectra of the first symbols of a frame."""
        begin = max(sample_start - self.lead_samples, 0)
        stop = sample_start + (num_symbols + BLOCK_SYMBOLS) * self._sps
        turned = rotate(
            iq[begin:stop],
            -found.cfo_hz / self._format.sample_rate_hz,
            origin=sample_start - begin,
        )
        spectra = block_spectra(
            torch.from_numpy(turned),
            first_peak=sample_start - begin + self._format.pulse_delay_samples,
            num_symbols=num_symbols,
            sps=self._sps,
        )
        return spectra * equaliser.weights.to(spectra)

    def failed(
        self, pending: PendingFrame, *, sample_start: int, sample_count: int
    ) -> ReceivedFrame:
        """Return the report of a frame whose header failed."""
        order = self._constellation.order
        return self._report(
            pending,
            sample_start=sample_start,
            sample_count=sample_count,
            status=FrameStatus.HEADER_ERROR,
            points=np.zeros(0, np.complex64),
            posteriors=np.zeros((0, order), np.float32),
            noise_variance=float(pending.equaliser.error_variance),
            cfo_hz=pending.synchronisation.cfo_hz,
            sfo_ppm=0.0,
            evm_db=math.nan,
        )

    def _report(
        self,
        pending: PendingFrame,
        *,
        sample_start: int,
        sample_count: int,
        status: FrameStatus,
        points: NDArray[np.complex64],
        posteriors: NDArray[np.float32],
        noise_variance: float,
        cfo_hz: float,
        sfo_ppm: float,
        evm_db: float,
    ) -> ReceivedFrame:
        found = pending.synchronisation
        snr = float(pending.equaliser.matched_snr)
        noise = float(found.channel.noise_variance)
        return ReceivedFrame(
            sample_start=sample_start,
            sample_count=sample_count,
            status=status,
            frame_index=pending.header.frame_index if pending.header else None,
            points=points,
            posteriors=posteriors,
            noise_variance=noise_variance,
            snr_db=10.0 * math.log10(max(snr, 1e-12)),
            cfo_hz=cfo_hz,
            sfo_ppm=sfo_ppm,
            evm_db=evm_db,
            timing_samples=found.timing_samples,
            amplitude=math.sqrt(snr * noise),
            response=found.channel.response.numpy().astype(np.complex64),
            response_offset_samples=found.first_delay,
        )

    def read_payload(
        self,
        iq: NDArray[np.complex64],
        pending: PendingFrame,
        *,
        sample_start: int,
        stream_start: int,
        truncated: bool,
    ) -> ReceivedFrame:
        """Return the frame, its header having been read.

        Args:
            iq: Samples around the frame, (num_samples,), complex64.
            pending: What `read_header` returned; with a header.
            sample_start: First sample of the frame in `iq`.
            stream_start: The same in the stream.
            truncated: The stream ends with `iq`, inside the frame.
        """
        header = pending.header or Header(frame_index=0, payload_symbols=1)
        known = _known_symbols(self._format, header)
        layout = frame_layout(self._format, header.payload_symbols)
        total = layout.num_symbols
        found = pending.synchronisation
        power = self._constellation.mean_power
        equaliser = mmse_equaliser(
            found.channel.response,
            first_delay=found.first_delay,
            noise_variance=found.channel.noise_variance,
            symbol_power=power,
            frame_format=self._format,
        )
        spectra = self._spectra(iq, sample_start, found, equaliser, total)
        received = total
        if truncated:
            # The last symbol whose pulse is whole.
            whole = len(iq) - sample_start - 2 * self._format.pulse_delay_samples - 1
            received = min(max(whole // self._sps + 1, self._num_first), total)
        sfo_ppm = clock_offset_ppm(
            spectra[: received // BLOCK_HOP_SYMBOLS],
            frame_format=self._format,
            max_offset_ppm=self._config.max_sfo_ppm,
        )
        middles = (torch.arange(len(spectra)) + 0.5) * (BLOCK_HOP_SYMBOLS * self._sps)
        symbols = symbols_of_spectra(
            spectra,
            num_symbols=total,
            sps=self._sps,
            delays=found.timing_samples + sfo_ppm * 1e-6 * middles,
        ).numpy()[:received]
        inside = known.positions < received
        points, tracked, noise = self._track(
            symbols,
            known.positions[inside],
            known.values[inside],
            noise_variance=float(equaliser.error_variance),
            start_snr=float(equaliser.matched_snr),
        )
        payload = layout.payload_positions.numpy()
        there = payload < received
        result = np.zeros(header.payload_symbols, np.complex64)
        result[there] = points[payload[there]]
        order = self._constellation.order
        posteriors = np.full((header.payload_symbols, order), 1.0 / order, np.float32)
        mine = torch.from_numpy(result[there])
        posteriors[there] = symbol_posteriors(
            mine, self._constellation, noise_variance=noise
        ).numpy()
        nearest = self._constellation.points[decide(mine, self._constellation)]
        errors = float((mine - nearest).abs().square().mean()) if len(mine) else math.nan
        samples = self._format.frame_samples(header.payload_symbols)
        drift = tracked.walk.drift / (2.0 * math.pi * 32) * self._format.symbol_rate_hz
        return self._report(
            pending,
            sample_start=stream_start,
            sample_count=min(samples, len(iq) - sample_start),
            status=FrameStatus.TRUNCATED if received < total else FrameStatus.OK,
            points=result,
            posteriors=posteriors,
            noise_variance=noise,
            cfo_hz=found.cfo_hz + drift,
            sfo_ppm=sfo_ppm,
            evm_db=10.0 * math.log10(max(errors, 1e-12)),
        )

    def _track(
        self,
        symbols: NDArray[np.complex64],
        positions: NDArray[np.int64],
        values: NDArray[np.complex64],
        *,
        noise_variance: float,
        start_snr: float,
    ) -> tuple[NDArray[np.complex64], TrackedPhase, float]:
        """Return the symbols without carrier phase, that phase, and the variance of their error."""
        noise = max(noise_variance, 1e-9)
        # Cramer-Rao bound of a frequency seen over the preamble, with some slack.
        length = self._format.preamble_symbols
        frequency_variance = 4.0 * 6.0 / (max(start_snr, 0.1) * length**3) + 1e-10
        tracked = track_known_phase(
            symbols, positions, values, noise_variance=noise, frequency_variance=frequency_variance
        )
        is_known = np.zeros(len(symbols), bool)
        is_known[positions] = True
        for _ in range(_PASSES):
            points = _turn_back(symbols, tracked.phase)
            means, uncertainty, energy = posterior_moments(
                points, self._constellation, noise_variance=noise
            )
            means[positions] = values
            uncertainty[positions] = 0.0
            energy[positions] = 1.0
            tracked = refine_phase(
                points, means, uncertainty, is_known, tracked, noise_variance=noise
            )
            points = _turn_back(symbols, tracked.phase)
            scale = float((points * means.conj()).real.sum() / energy.sum())
            spread = np.square(np.abs(points)) + energy - 2.0 * (points * means.conj()).real
            noise = max(float(spread.mean()), 1e-9)
        del scale
        return points, tracked, noise


def _turn_back(
    symbols: NDArray[np.complex64], phase: NDArray[np.float64]
) -> NDArray[np.complex64]:
    angles = phase.astype(np.float32)
    turned: NDArray[np.complex64] = symbols * (np.cos(angles) - 1j * np.sin(angles))
    return turned.astype(np.complex64, copy=False)


@dataclass(frozen=True, eq=False, slots=True)
class _KnownSymbols:
    positions: NDArray[np.int64]
    values: NDArray[np.complex64]


@lru_cache(maxsize=8)
def _known_symbols(frame_format: FrameFormat, header: Header) -> _KnownSymbols:
    """Return where the known symbols of a frame are, and what they are."""
    layout = frame_layout(frame_format, header.payload_symbols)
    first = torch.cat(
        [preamble_points(frame_format), encode_header(header).to(torch.complex64)]
    )
    pilots = pilot_points(len(layout.pilot_positions))
    positions = torch.cat([torch.arange(len(first)), layout.pilot_positions])
    return _KnownSymbols(positions.numpy(), torch.cat([first, pilots]).numpy())

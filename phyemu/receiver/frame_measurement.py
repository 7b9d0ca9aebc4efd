"""What the receiver corrects in a frame whose header it has read: clock, carrier, disturbances."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.receiver.carrier_tracking import CarrierTrack, track_carrier
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.decision_directed import refine_symbols
from phyemu.receiver.disturbance import Disturbance, disturbance_of
from phyemu.receiver.erasures import erased_symbols
from phyemu.receiver.known_symbols import known_symbols
from phyemu.receiver.stream_equaliser import (
    StreamEqualiser,
    equalised_symbols,
    frame_spectra,
    stream_equaliser,
)
from phyemu.receiver.symbol_decisions import nearest_errors
from phyemu.waveform import (
    HEADER_SYMBOLS,
    Constellation,
    FrameFormat,
    FrameLayout,
    Header,
    frame_layout,
)
from phyemu.waveform.equalisation import BLOCK_HOP_SYMBOLS
from phyemu.waveform.synchronisation import Synchronisation
from phyemu.waveform.timing_tracking import clock_offset_ppm

__all__ = ["HEADER_POWER", "FrameMeasurement", "FrameMeter"]

HEADER_POWER = 1.0
"""Mean power of preamble and header; PSK has the same."""


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


class FrameMeter:
    """Equalises and corrects the symbols of frames."""

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

    def measure(
        self,
        iq: NDArray[np.complex64],
        found: Synchronisation,
        equaliser: StreamEqualiser,
        header: Header,
        *,
        sample_start: int,
        truncated: bool,
        missing: list[tuple[int, int]],
    ) -> FrameMeasurement:
        """Return the equalised symbols of a frame and their correction.

        Args:
            iq: Samples around the frame, (num_samples,), complex64.
            found: By the preamble.
            equaliser: Of the channel, for symbols of the power of preamble and header.
            header: Of the frame.
            sample_start: First sample of the frame in `iq`.
            truncated: The stream ends with `iq`, inside the frame.
            missing: Stretches [begin, end) of `iq` that are zeros in place of lost samples.
        """
        layout = frame_layout(self._format, header.payload_symbols)
        total = layout.num_symbols
        power = self._symbol_power
        if power != HEADER_POWER:
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
        symbols = equalised_symbols(
            spectra,
            found,
            equaliser,
            sfo_ppm=sfo_ppm,
            num_symbols=total,
            frame_format=self._format,
        )
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

"""Reception of an 802.11 frame whose preamble was found: SIGNAL fields, data, MAC header.

One stream in 20 MHz with the convolutional code is decoded down to the check sequence: legacy
frames of 6 to 54 Mb/s, HT-mixed frames of MCS 0 to 7. Of all others the format is told, and the
preamble stays the probe that it is. Nothing in a frame can make this fail: what cannot be decoded
is None.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phyemu.wifi.convolutional_code import TAIL_BITS, depunctured, viterbi
from phyemu.wifi.detection import WifiFrame
from phyemu.wifi.mac_frame import MacFrame, read_mac_frame, split_ampdu
from phyemu.wifi.modes import HT_CARRIERS, HT_MODES, SIGNAL_MODE, Mode
from phyemu.wifi.preamble import ht_ltf_values
from phyemu.wifi.response import (
    LEGACY_AMPLITUDE,
    TrainingComparison,
    WifiResponse,
    compare_training,
)
from phyemu.wifi.scrambler import descrambled, pilot_polarity
from phyemu.wifi.signal_field import HtSig, LSig, read_ht_sig, read_l_sig
from phyemu.wifi.symbols import (
    Samples,
    equalised,
    soft_bits,
    track_symbols,
    window_advance,
)

__all__ = ["WifiContent", "WifiFormat", "WifiReception", "receive_wifi_frame"]

Reader = Callable[[int, int], NDArray[np.complex64]]

# Where symbols begin behind their guard, in samples from the first L-LTF symbol.
_L_SIG = 144
_HT_SIG = 224
_HT_LTF = 464
_HT_DATA = 528  # its guard, which may be short
_PREAMBLE = 16 + _HT_DATA  # samples that tell everything but the data
_BEFORE = 32  # samples kept before the first L-LTF symbol
_HT_AMPLITUDE: Final = 64.0 / math.sqrt(56.0)
_HT_TRAINING = ht_ltf_values().numpy().astype(np.complex128) * _HT_AMPLITUDE
_LEGACY_PILOTS = np.array([1.0, 1.0, 1.0, -1.0])
_SERVICE_BITS = 16
_MIN_REPEATED = 0.5  # correlation of L-SIG with its repetition in an HE frame
_SHORT_GUARD = 8


class WifiFormat(StrEnum):
    """What kind of frame follows a legacy preamble."""

    LEGACY = "legacy"
    """802.11a/g."""
    HT = "ht"
    """802.11n, mixed format."""
    VHT = "vht"
    """802.11ac."""
    HE = "he"
    """802.11ax or later: L-SIG is repeated."""
    UNKNOWN = "unknown"
    """L-SIG cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WifiContent:
    """What a frame says of itself.

    Attributes:
        format: Legacy, HT, ...
        rate_mbps: Data rate [Mb/s]; None where unknown.
        mcs: HT modulation and coding scheme; None for other formats.
        length: Octets of the PSDU; None where unknown.
        sample_count: Length of the frame with its preamble, as L-SIG tells it [samples]; None
            where L-SIG cannot be read.
        aggregated: Whether it is an A-MPDU, whose MAC frames share one transmitter.
        mac_frames: MAC frames that were read, in order; empty where none was.
    """

    format: WifiFormat = WifiFormat.UNKNOWN
    rate_mbps: float | None = None
    mcs: int | None = None
    length: int | None = None
    sample_count: int | None = None
    aggregated: bool = False
    mac_frames: tuple[MacFrame, ...] = ()

    @property
    def fcs_ok(self) -> bool | None:
        """Whether all check sequences match; None where the frame was cut or not decoded."""
        checks = [frame.fcs_ok for frame in self.mac_frames]
        if not checks or (None in checks and False not in checks):
            return None
        return all(checks)

    @property
    def frame_control(self) -> int | None:
        """First octet, with the type, of the MAC frame; None where none was read.

        Of several, the first whose check sequence matches counts, or else the first.
        """
        frame = self._leading
        return frame.control if frame is not None else None

    @property
    def transmitter_address(self) -> str | None:
        """Address of the transmitter, by a check sequence that matches; None where there is none.

        An address from a frame that did not pass its check would name a radio that is not there.
        """
        frame = self._leading
        return frame.transmitter_address if frame is not None and frame.fcs_ok else None

    @property
    def receiver_address(self) -> str | None:
        """Address of the receiver, by a check sequence that matches; None where there is none."""
        frame = self._leading
        return frame.receiver_address if frame is not None and frame.fcs_ok else None

    @property
    def _leading(self) -> MacFrame | None:
        verified = [frame for frame in self.mac_frames if frame.fcs_ok]
        return next(iter(verified or self.mac_frames), None)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WifiReception:
    """A frame's content and what all of its training says of the channel.

    Attributes:
        content: What it says of itself.
        response: The best estimate of the response.
        training: HT-LTF beside L-LTF; None where there is no HT-LTF of a single stream.
        clock_ppm: Sampling clock of the transmitter against ours, from the data's pilots [ppm];
            NaN where fewer than 16 symbols of data were decoded.
    """

    content: WifiContent
    response: WifiResponse
    training: TrainingComparison | None = None
    clock_ppm: float = field(default=float("nan"))


def receive_wifi_frame(frame: WifiFrame, read: Reader) -> WifiReception:
    """Return what a frame holds beyond its legacy preamble.

    Args:
        frame: A preamble that was found.
        read: Called with (first sample, count), returns these samples of the stream, complex64,
            or fewer at its end.
    """
    legacy = WifiResponse.of_legacy(frame)
    begin = max(0, frame.ltf_start - _BEFORE)
    origin = frame.ltf_start - begin
    advance = window_advance(legacy.on_bins())

    def read_samples(count: int) -> Samples:
        iq = read(begin, origin + count)
        return Samples.without_offset(iq, origin=origin, cfo_hz=frame.cfo_hz, advance=advance)

    samples = read_samples(_PREAMBLE)
    legacy_bins = legacy.on_bins() * LEGACY_AMPLITUDE
    nothing = WifiReception(content=WifiContent(), response=legacy)
    l_sig = _read_l_sig(samples, legacy_bins)
    if l_sig is None:
        return nothing
    count = 192 + 208 + 80 * l_sig.num_symbols
    content = WifiContent(sample_count=count)
    format_ = _format(samples, legacy_bins, l_sig)
    whole = read_samples(count - 192 + _SHORT_GUARD)
    if format_ is WifiFormat.LEGACY:
        content = replace(
            content, format=format_, rate_mbps=l_sig.mode.rate_mbps(), length=l_sig.length
        )
        octets, clock_ppm = _legacy_data(whole, legacy_bins, l_sig)
        content = replace(content, mac_frames=_mac_frames(octets, content))
        return WifiReception(content=content, response=legacy, clock_ppm=clock_ppm)
    content = replace(content, format=format_)
    ht_sig = _read_ht_sig(samples, legacy_bins) if format_ is WifiFormat.HT else None
    if ht_sig is None:
        return replace(nothing, content=content)
    return _receive_ht(whole, frame, ht_sig, content)


def _decode_signal(
    samples: Samples, bins: NDArray[np.complex128], first: int, count: int, *, turn: complex
) -> NDArray[np.uint8]:
    """Return the 24 bits of each of `count` SIGNAL symbols, coded as one."""
    polarity = pilot_polarity((first - _L_SIG) // 80, count)
    track = track_symbols(samples, bins, polarity[:, None] * _LEGACY_PILOTS, first=first, period=80)
    points, weight = equalised(track.spectra * turn, bins, SIGNAL_MODE.data_carriers)
    soft = soft_bits(points, weight, SIGNAL_MODE)
    return viterbi(depunctured(soft, SIGNAL_MODE.code_rate), terminated=True)


def _read_l_sig(samples: Samples, bins: NDArray[np.complex128]) -> LSig | None:
    if samples.num_symbols(_L_SIG, 80) < 1:
        return None
    return read_l_sig(_decode_signal(samples, bins, _L_SIG, 1, turn=1.0))


def _read_ht_sig(samples: Samples, bins: NDArray[np.complex128]) -> HtSig | None:
    return read_ht_sig(_decode_signal(samples, bins, _HT_SIG, 2, turn=-1j))


def _format(samples: Samples, bins: NDArray[np.complex128], l_sig: LSig) -> WifiFormat:
    """Return the format that the two symbols behind L-SIG show.

    All later formats say 6 Mb/s in L-SIG. HT turns both symbols by 90 degrees, VHT the second; HE
    repeats L-SIG, and its length is no multiple of 3.
    """
    if l_sig.mode is not SIGNAL_MODE or samples.num_symbols(_HT_SIG, 80) < 2:
        return WifiFormat.LEGACY
    pilots = pilot_polarity(0, 3)[:, None] * _LEGACY_PILOTS
    track = track_symbols(samples, bins, pilots, first=_L_SIG, period=80)
    points, weight = equalised(track.spectra, bins, SIGNAL_MODE.data_carriers)
    # Positive where the points lie on the imaginary axis.
    turned = (np.square(points.imag) - np.square(points.real)) @ weight > 0
    if turned[1] and turned[2]:
        return WifiFormat.HT
    if turned[2] and l_sig.length % 3 == 0:
        return WifiFormat.VHT
    alike = float((points[0].conj() * points[1]).real @ weight) / max(float(weight.sum()), 1e-30)
    if alike > _MIN_REPEATED and l_sig.length % 3:
        return WifiFormat.HE
    return WifiFormat.LEGACY


def _legacy_data(
    samples: Samples, bins: NDArray[np.complex128], l_sig: LSig
) -> tuple[bytes, float]:
    first = _HT_SIG
    count = min(l_sig.num_symbols, samples.num_symbols(first, 80))
    pilots = pilot_polarity(1, count)[:, None] * _LEGACY_PILOTS
    return _data_octets(samples, bins, l_sig.mode, l_sig.length, pilots, first=first, period=80)


def _receive_ht(
    samples: Samples, frame: WifiFrame, ht_sig: HtSig, content: WifiContent
) -> WifiReception:
    """Return the content and response of an HT frame."""
    legacy = WifiResponse.of_legacy(frame)
    content = replace(content, mcs=ht_sig.mcs, length=ht_sig.length, aggregated=ht_sig.aggregated)
    if not ht_sig.single_stream or samples.num_symbols(_HT_LTF, 80) < 1:
        return WifiReception(content=content, response=legacy)
    mode = HT_MODES[ht_sig.mcs]
    content = replace(content, rate_mbps=mode.rate_mbps(short_guard=ht_sig.short_guard))
    spectrum = samples.spectra(_HT_LTF, 1)[0, np.array(HT_CARRIERS)]
    training = compare_training(frame, spectrum / _HT_TRAINING)
    same = training.same_channel
    response = training.combined if same else legacy
    if ht_sig.ldpc:
        return WifiReception(content=content, response=response, training=training)
    bins = (training.combined if same else training.ht_only).on_bins() * _HT_AMPLITUDE
    guard = _SHORT_GUARD if ht_sig.short_guard else 2 * _SHORT_GUARD
    samples = replace(samples, advance=window_advance(bins, guard=guard))
    first, period = _HT_DATA + guard, 64 + guard
    bits = _SERVICE_BITS + 8 * ht_sig.length + TAIL_BITS
    count = min(-(-bits // mode.data_bits), samples.num_symbols(first, period))
    # One stream: the signs of the pilots move on by one carrier per symbol, Equation (19-54).
    n = np.arange(count)[:, None] + np.arange(4)
    pilots = pilot_polarity(3, count)[:, None] * _LEGACY_PILOTS[n % 4]
    octets, clock_ppm = _data_octets(
        samples, bins, mode, ht_sig.length, pilots, first=first, period=period
    )
    content = replace(content, mac_frames=_mac_frames(octets, content))
    return WifiReception(content=content, response=response, training=training, clock_ppm=clock_ppm)


def _data_octets(
    samples: Samples,
    bins: NDArray[np.complex128],
    mode: Mode,
    length: int,
    pilots: NDArray[np.float64],
    *,
    first: int,
    period: int,
) -> tuple[bytes, float]:
    """Return the octets of the PSDU as far as the samples go, and the clock offset [ppm]."""
    if len(pilots) == 0:
        return b"", float("nan")
    track = track_symbols(samples, bins, pilots, first=first, period=period)
    points, weight = equalised(track.spectra, bins * track.gain, mode.data_carriers)
    coded = depunctured(soft_bits(points, weight, mode), mode.code_rate)
    needed = _SERVICE_BITS + 8 * length + TAIL_BITS
    complete = len(coded) >= 2 * needed
    bits = viterbi(coded[: 2 * needed], terminated=complete)
    # A cut frame has no tail: its last bits are guesses, as no later ones support them.
    reliable = bits if complete else bits[: max(0, len(bits) - 5 * TAIL_BITS)]
    if len(reliable) < _SERVICE_BITS:
        return b"", track.clock_ppm
    data = descrambled(reliable)[_SERVICE_BITS : _SERVICE_BITS + 8 * length]
    octets = np.packbits(data[: len(data) // 8 * 8], bitorder="little").tobytes()
    return octets, track.clock_ppm


def _mac_frames(octets: bytes, content: WifiContent) -> tuple[MacFrame, ...]:
    complete = len(octets) == content.length
    pieces = split_ampdu(octets, complete=complete) if content.aggregated else [(octets, complete)]
    found = [read_mac_frame(piece, complete=whole) for piece, whole in pieces]
    return tuple(frame for frame in found if frame is not None)

"""A transmitter of 802.11 frames from the equations of IEEE Std 802.11-2020, for tests alone.

It shares nothing with the package: bits are Python integers, loops follow the standard's equations
one by one (17.3.5 for legacy frames, 19.3 for HT), and samples come from an explicit sum of
exponentials. What it sends has unit mean power per 20 Msps sample in every field.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# RATE bits, coded bits per carrier, code rate.
LEGACY = {
    6: ("1101", 1, "1/2"),
    9: ("1111", 1, "3/4"),
    12: ("0101", 2, "1/2"),
    18: ("0111", 2, "3/4"),
    24: ("1001", 4, "1/2"),
    36: ("1011", 4, "3/4"),
    48: ("0001", 6, "2/3"),
    54: ("0011", 6, "3/4"),
}
HT = (
    (1, "1/2"),
    (2, "1/2"),
    (2, "3/4"),
    (4, "1/2"),
    (4, "3/4"),
    (6, "2/3"),
    (6, "3/4"),
    (6, "5/6"),
)
KEPT = {"1/2": "11", "2/3": "1110", "3/4": "111001", "5/6": "1110011001"}
GRAY = {
    1: {"0": -1, "1": 1},
    2: {"0": -1, "1": 1},
    4: {"00": -3, "01": -1, "11": 1, "10": 3},
    6: {
        "000": -7,
        "001": -5,
        "011": -3,
        "010": -1,
        "110": 1,
        "111": 3,
        "101": 5,
        "100": 7,
    },
}
SCALE = {1: 1.0, 2: 2**-0.5, 4: 10**-0.5, 6: 42**-0.5}
PILOTS = (-21, -7, 7, 21)
LTF = (
    [1, 1, -1, -1, 1, 1, -1, 1, -1, 1, 1, 1, 1, 1, 1, -1, -1, 1, 1, -1, 1, -1, 1, 1, 1, 1],
    [1, -1, -1, 1, 1, -1, 1, -1, 1, -1, -1, -1, -1, -1, 1, 1, -1, -1, 1, -1, 1, -1, 1, 1, 1, 1],
)
STF = {-24: 1, -20: -1, -16: 1, -12: -1, -8: -1, -4: 1}
STF |= {4: -1, 8: -1, 12: 1, 16: 1, 20: 1, 24: 1}

Carriers = dict[int, complex]


def scrambler(state: list[int], count: int) -> list[int]:
    """Return the scrambler's output; `state` is x7 .. x1, the bit that leaves first at its head."""
    x7, x6, x5, x4, x3, x2, x1 = state
    out = []
    for _ in range(count):
        bit = x7 ^ x4
        out.append(bit)
        x7, x6, x5, x4, x3, x2, x1 = x6, x5, x4, x3, x2, x1, bit
    return out


def encode(bits: list[int]) -> list[int]:
    """Return the coded bits A1 B1 A2 B2 ... of the generators 133 and 171."""
    past = [0] * 6
    coded = []
    for bit in bits:
        d1, d2, d3, _, d5, d6 = past
        coded += [bit ^ d2 ^ d3 ^ d5 ^ d6, bit ^ d1 ^ d2 ^ d3 ^ d6]
        past = [bit, *past[:5]]
    return coded


def puncture(coded: list[int], rate: str) -> list[int]:
    pattern = KEPT[rate]
    return [bit for k, bit in enumerate(coded) if pattern[k % len(pattern)] == "1"]


def interleave(bits: list[int], per_carrier: int, columns: int) -> list[int]:
    size = len(bits)
    s = max(per_carrier // 2, 1)
    out = [0] * size
    for k in range(size):
        i = (size // columns) * (k % columns) + k // columns
        j = s * (i // s) + (i + size - (columns * i) // size) % s
        out[j] = bits[k]
    return out


def modulate(bits: list[int], per_carrier: int) -> list[complex]:
    points = []
    for first in range(0, len(bits), per_carrier):
        text = "".join(map(str, bits[first : first + per_carrier]))
        half = max(per_carrier // 2, 1)
        real = GRAY[per_carrier][text[:half]]
        imag = 0 if per_carrier == 1 else GRAY[per_carrier][text[half:]]
        points.append(complex(real, imag) * SCALE[per_carrier])
    return points


def polarity(n: int) -> int:
    return 1 - 2 * scrambler([1] * 7, 127)[n % 127]


def data_carriers(edge: int) -> list[int]:
    return [k for k in range(-edge, edge + 1) if k != 0 and k not in PILOTS]


def samples(carriers: Carriers, first: int, count: int) -> NDArray[np.complex128]:
    """Return samples first .. first + count - 1 of a symbol, 0 at the end of its guard."""
    time = np.arange(first, first + count)
    total = sum(value * np.exp(2j * np.pi * k * time / 64) for k, value in carriers.items())
    # Every carrier that is in use counts with unit power, whatever point it carries.
    return np.asarray(total) / np.sqrt(len(carriers))


def legacy_training() -> NDArray[np.complex128]:
    stf = {k: sign * (1 + 1j) / 2**0.5 for k, sign in STF.items()}
    ltf = dict(zip([*range(-26, 0), *range(1, 27)], [*LTF[0], *LTF[1]], strict=True))
    return np.concatenate([samples(stf, 0, 160), samples(ltf, -32, 160)])


def symbol(
    points: list[complex], pilots: list[complex], edge: int, guard: int = 16
) -> NDArray[np.complex128]:
    carriers = dict(zip(data_carriers(edge), points, strict=True))
    carriers |= dict(zip(PILOTS, pilots, strict=True))
    return samples(carriers, -guard, 64 + guard)


def low_bits(value: int, count: int) -> list[int]:
    """Return the bits of a number, the least significant first."""
    return [value >> k & 1 for k in range(count)]


def l_sig_bits(rate_bits: str, length: int) -> list[int]:
    bits = [int(bit) for bit in rate_bits] + [0] + low_bits(length, 12)
    return [*bits, sum(bits) % 2, *[0] * 6]


def signal_symbols(
    bits: list[int], *, first_polarity: int, turn: complex = 1.0
) -> NDArray[np.complex128]:
    coded = encode(bits)
    out = []
    for n in range(len(coded) // 48):
        points = modulate(interleave(coded[48 * n : 48 * n + 48], 1, 16), 1)
        p = polarity(first_polarity + n)
        out.append(symbol([turn * point for point in points], [p, p, p, -p], 26))
    return np.concatenate(out)


def crc8(bits: list[int]) -> list[int]:
    """Return the check bits, c7 first: the shift register of Figure 19-8."""
    c = [1] * 8
    for bit in bits:
        feedback = bit ^ c[7]
        c = [feedback, c[0] ^ feedback, c[1] ^ feedback, *c[2:7]]
    return [1 - c[k] for k in range(7, -1, -1)]


def data_symbols(
    psdu: bytes,
    per_carrier: int,
    rate: str,
    *,
    ht: bool,
    guard: int = 16,
    state: list[int] | None = None,
) -> NDArray[np.complex128]:
    edge = 28 if ht else 26
    coded_per_symbol = per_carrier * len(data_carriers(edge))
    top, bottom = map(int, rate.split("/"))
    per_symbol = coded_per_symbol * top // bottom
    octets = [bit for octet in psdu for bit in low_bits(octet, 8)]
    count = -(-(16 + len(octets) + 6) // per_symbol)
    plain = [0] * 16 + octets + [0] * (count * per_symbol - 16 - len(octets))
    mask = scrambler(state or [1, 0, 1, 1, 1, 0, 1], len(plain))
    mixed = [a ^ b for a, b in zip(plain, mask, strict=True)]
    tail = 16 + len(octets)
    mixed[tail : tail + 6] = [0] * 6
    sent = puncture(encode(mixed), rate)
    out = []
    for n in range(count):
        bits = sent[n * coded_per_symbol : (n + 1) * coded_per_symbol]
        points = modulate(interleave(bits, per_carrier, 13 if ht else 16), per_carrier)
        if ht:
            pattern = [1, 1, 1, -1]
            pilots = [polarity(n + 3) * pattern[(n + k) % 4] for k in range(4)]
        else:
            p = polarity(n + 1)
            pilots = [p, p, p, -p]
        out.append(symbol(points, pilots, edge, guard))
    return np.concatenate(out)


def legacy_frame(psdu: bytes, mbps: int, **options: list[int]) -> NDArray[np.complex64]:
    rate_bits, per_carrier, rate = LEGACY[mbps]
    signal = signal_symbols(l_sig_bits(rate_bits, len(psdu)), first_polarity=0)
    data = data_symbols(psdu, per_carrier, rate, ht=False, **options)
    return np.concatenate([legacy_training(), signal, data]).astype(np.complex64)


@dataclass(frozen=True, kw_only=True)
class HtOptions:
    """What may differ in HT-SIG and the HT part; `ht_shift` delays it cyclically [samples]."""

    short_guard: bool = False
    aggregated: bool = False
    ldpc: bool = False
    wrong_crc: bool = False
    mcs_field: int | None = None
    ht_shift: int = 0


def ht_frame(psdu: bytes, mcs: int, options: HtOptions | None = None) -> NDArray[np.complex64]:
    options = options or HtOptions()
    per_carrier, rate = HT[mcs]
    guard = 8 if options.short_guard else 16
    data = data_symbols(psdu, per_carrier, rate, ht=True, guard=guard)
    field = mcs if options.mcs_field is None else options.mcs_field
    bits = [*low_bits(field, 7), 0, *low_bits(len(psdu), 16)]
    bits += [1, 1, 1, int(options.aggregated), 0, 0, int(options.ldpc), int(options.short_guard)]
    bits += [0, 0]
    check = crc8(bits)
    if options.wrong_crc:
        check[0] ^= 1
    signal = signal_symbols([*bits, *check, *[0] * 6], first_polarity=1, turn=1j)
    # L-SIG tells the duration as octets at 6 Mb/s: 3 of them per 4 us.
    symbols = 4 + -(-len(data) // 80)
    length = 3 * symbols - 3
    legacy = signal_symbols(l_sig_bits("1101", length), first_polarity=0)
    stf = {k: sign * (1 + 1j) / 2**0.5 for k, sign in STF.items()}
    signs = [1, 1, *LTF[0], *LTF[1], -1, -1]
    ltf = dict(zip([*range(-28, 0), *range(1, 29)], map(complex, signs), strict=True))
    if options.ht_shift:
        ltf = {k: v * np.exp(-2j * np.pi * k * options.ht_shift / 64) for k, v in ltf.items()}
        data = np.concatenate(
            [shifted(part, options.ht_shift) for part in data.reshape(-1, 64 + guard)]
        )
    fields = [samples(stf, 0, 80), samples(ltf, -16, 80), data]
    return np.concatenate([legacy_training(), legacy, signal, *fields]).astype(np.complex64)


def shifted(part: NDArray[np.complex128], shift: int) -> NDArray[np.complex128]:
    """Return a symbol delayed cyclically, with the guard that then belongs before it."""
    useful = np.roll(part[-64:], shift)
    return np.concatenate([useful[128 - len(part) :], useful])


def unknown_frame(kind: str) -> NDArray[np.complex64]:
    """Return a frame of a later format ("vht", "he") up to its own signal field, then noise."""
    rng = np.random.default_rng(5)
    length = 300 if kind == "vht" else 301
    l_sig = l_sig_bits("1101", length)
    own = [int(bit) for bit in rng.integers(0, 2, 48)]
    if kind == "vht":
        plain = signal_symbols(own, first_polarity=1)
        fields = [plain[:80], signal_symbols(own, first_polarity=1, turn=1j)[80:]]
    else:
        fields = [signal_symbols(l_sig, first_polarity=1), signal_symbols(own, first_polarity=2)]
    rest = rng.standard_normal((6000, 2)) @ np.array([1.0, 1j]) / 2**0.5
    signal = signal_symbols(l_sig, first_polarity=0)
    return np.concatenate([legacy_training(), signal, *fields, rest]).astype(np.complex64)


def with_fcs(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def data_mpdu(
    transmitter: str, receiver: str, payload: bytes = b"payload", control: int = 0x88
) -> bytes:
    """Return a QoS data frame (or of another frame control) with its check sequence."""
    addresses = b"".join(bytes.fromhex(a.replace(":", "")) for a in (receiver, transmitter))
    header = bytes([control, 0x01, 0x30, 0x00]) + addresses + addresses[:6] + b"\x10\x00\x00\x00"
    return with_fcs(header + payload)


def ack_mpdu(receiver: str) -> bytes:
    return with_fcs(bytes([0xD4, 0, 0, 0]) + bytes.fromhex(receiver.replace(":", "")))


def ampdu(frames: list[bytes]) -> bytes:
    """Return an A-MPDU: a delimiter before each frame, all but the last padded to four octets."""
    out = b""
    for number, frame in enumerate(frames):
        head = len(frame) << 4
        bits = low_bits(head, 16)
        check = sum(bit << k for k, bit in enumerate(crc8(bits)))
        out += head.to_bytes(2, "little") + bytes([check, 0x4E]) + frame
        if number < len(frames) - 1:
            out += bytes(-len(out) % 4)
    return out

"""Power delay profiles from the standards.

TGn A to F: IEEE 802.11-03/940r4 (V. Erceg et al., "TGn Channel Models", May 2004), Appendix C,
Tables I to VI; a tap that belongs to several clusters has the sum of their powers. K factors of
the line-of-sight variants: Sec. 4.3, Table IIa (first tap only). TDL-A to TDL-E: 3GPP TR 38.901
V16.1.0, Tables 7.7.2-1 to 7.7.2-5, delays scaled by the RMS delay spread as in Sec. 7.7.3.
"""

import math
from dataclasses import dataclass

from phyemu.errors import ConfigError

__all__ = ["DelayProfile", "tdl_profile", "tgn_profile"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DelayProfile:
    """Delays, mean powers (sum one) and Rician K factors (linear) of the paths of a link."""

    name: str
    delays_s: tuple[float, ...]
    powers: tuple[float, ...]
    k_factor: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse lists that contradict each other."""
        if not len(self.delays_s) == len(self.powers) == len(self.k_factor) > 0:
            raise ConfigError(
                f"{self.name}: delays, powers and K factors differ in number: "
                f"{len(self.delays_s)}, {len(self.powers)}, {len(self.k_factor)}"
            )

    def rms_delay_spread_s(self) -> float:
        """Return the power-weighted standard deviation of the delay [s]."""
        total = sum(self.powers)
        pairs = list(zip(self.delays_s, self.powers, strict=True))
        mean = sum(delay * power for delay, power in pairs) / total
        return math.sqrt(sum(power * (delay - mean) ** 2 for delay, power in pairs) / total)


# Model: tap delays [ns], then per cluster (index of its first tap, tap powers [dB]).
_TGN: dict[str, tuple[str, tuple[tuple[int, str], ...]]] = {
    "A": (
        "0",
        ((0, "0"),),
    ),
    "B": (
        "0 10 20 30 40 50 60 70 80",
        (
            (0, "0 -5.4 -10.8 -16.2 -21.7"),
            (2, "-3.2 -6.3 -9.4 -12.5 -15.6 -18.7 -21.8"),
        ),
    ),
    "C": (
        "0 10 20 30 40 50 60 70 80 90 110 140 170 200",
        (
            (0, "0 -2.1 -4.3 -6.5 -8.6 -10.8 -13 -15.2 -17.3 -19.5"),
            (6, "-5 -7.2 -9.3 -11.5 -13.7 -15.8 -18 -20.2"),
        ),
    ),
    "D": (
        "0 10 20 30 40 50 60 70 80 90 110 140 170 200 240 290 340 390",
        (
            (0, "0 -0.9 -1.7 -2.6 -3.5 -4.3 -5.2 -6.1 -6.9 -7.8 -9 -11.1 -13.7 -16.3 -19.3 -23.2"),
            (10, "-6.6 -9.5 -12.1 -14.7 -17.4 -21.9 -25.5"),
            (14, "-18.8 -23.2 -25.2 -26.7"),
        ),
    ),
    "E": (
        "0 10 20 30 50 80 110 140 180 230 280 330 380 430 490 560 640 730",
        (
            (0, "-2.6 -3 -3.5 -3.9 -4.5 -5.6 -6.9 -8.2 -9.8 -11.7 -13.9 -16.1 -18.3 -20.5 -22.9"),
            (4, "-1.8 -3.2 -4.5 -5.8 -7.1 -9.9 -10.3 -14.3 -14.7 -18.7 -19.9 -22.4"),
            (8, "-7.9 -9.6 -14.2 -13.8 -18.6 -18.1 -22.8"),
            (14, "-20.6 -20.5 -20.7 -24.6"),
        ),
    ),
    "F": (
        "0 10 20 30 50 80 110 140 180 230 280 330 400 490 600 730 880 1050",
        (
            (0, "-3.3 -3.6 -3.9 -4.2 -4.6 -5.3 -6.2 -7.1 -8.2 -9.5 -11 -12.5 -14.3 -16.7 -19.9"),
            (4, "-1.8 -2.8 -3.5 -4.4 -5.3 -7.4 -7 -10.3 -10.4 -13.8 -15.7 -19.9"),
            (8, "-5.7 -6.7 -10.4 -9.6 -14.1 -12.7 -18.5"),
            (12, "-8.8 -13.3 -18.7"),
            (14, "-12.9 -14.2"),
            (16, "-16.3 -21.2"),
        ),
    ),
}
_TGN_K_DB = {"A": 0.0, "B": 0.0, "C": 0.0, "D": 3.0, "E": 6.0, "F": 6.0}

# Model: normalised delays, powers [dB]. D and E begin with the specular and then the diffuse part
# of their first path.
_TDL: dict[str, tuple[str, str]] = {
    "A": (
        "0 0.3819 0.4025 0.5868 0.461 0.5375 0.6708 0.575 0.7618 1.5375 1.8978 2.2242 2.1718 "
        "2.4942 2.5119 3.0582 4.081 4.4579 4.5695 4.7966 5.0066 5.3043 9.6586",
        "-13.4 0 -2.2 -4 -6 -8.2 -9.9 -10.5 -7.5 -15.9 -6.6 -16.7 -12.4 -15.2 -10.8 -11.3 -12.7 "
        "-16.2 -18.3 -18.9 -16.6 -19.9 -29.7",
    ),
    "B": (
        "0 0.1072 0.2155 0.2095 0.287 0.2986 0.3752 0.5055 0.3681 0.3697 0.57 0.5283 1.1021 "
        "1.2756 1.5474 1.7842 2.0169 2.8294 3.0219 3.6187 4.1067 4.279 4.7834",
        "0 -2.2 -4 -3.2 -9.8 -1.2 -3.4 -5.2 -7.6 -3 -8.9 -9 -4.8 -5.7 -7.5 -1.9 -7.6 -12.2 -9.8 "
        "-11.4 -14.9 -9.2 -11.3",
    ),
    "C": (
        "0 0.2099 0.2219 0.2329 0.2176 0.6366 0.6448 0.656 0.6584 0.7935 0.8213 0.9336 1.2285 "
        "1.3083 2.1704 2.7105 4.2589 4.6003 5.4902 5.6077 6.3065 6.6374 7.0427 8.6523",
        "-4.4 -1.2 -3.5 -5.2 -2.5 0 -2.2 -3.9 -7.4 -7.1 -10.7 -11.1 -5.1 -6.8 -8.7 -13.2 -13.9 "
        "-13.9 -15.8 -17.1 -16 -15.7 -21.6 -22.8",
    ),
    "D": (
        "0 0 0.035 0.612 1.363 1.405 1.804 2.596 1.775 4.042 7.937 9.424 9.708 12.525",
        "-0.2 -13.5 -18.8 -21 -22.8 -17.9 -20.1 -21.9 -22.9 -27.8 -23.6 -24.8 -30 -27.7",
    ),
    "E": (
        "0 0 0.5133 0.544 0.563 0.544 0.7112 1.9092 1.9293 1.9589 2.6426 3.7136 5.4524 12.0034 "
        "20.6519",
        "-0.03 -22.03 -15.8 -18.1 -19.8 -22.9 -22.4 -18.6 -20.8 -22.6 -22.3 -25.6 -20.2 -29.8 "
        "-29.2",
    ),
}


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def tgn_profile(model: str, *, line_of_sight: bool = False) -> DelayProfile:
    """Return the profile of a TGn model.

    Args:
        model: "A" to "F".
        line_of_sight: Closer than the breakpoint distance: the first tap gains a specular part K
            times its diffuse power (Sec. 4.3, Table IIa: 0, 0, 0, 3, 6, 6 dB), and the powers are
            normalised anew; otherwise every tap is Rayleigh.

    Raises:
        ConfigError: No such model.
    """
    letter = model.upper()
    if letter not in _TGN:
        raise ConfigError(f"TGn model {model!r} is unknown; there are A, B, C, D, E, F")
    delays_ns, clusters = _numbers(_TGN[letter][0]), _TGN[letter][1]
    powers = [0.0] * len(delays_ns)
    for start, cluster in clusters:
        for index, power_db in enumerate(_numbers(cluster)):
            powers[start + index] += 10 ** (power_db / 10)
    k_factor = [0.0] * len(delays_ns)
    if line_of_sight:
        k_factor[0] = 10 ** (_TGN_K_DB[letter] / 10)
        powers[0] *= 1 + k_factor[0]
    total = sum(powers)
    return DelayProfile(
        name=f"tgn-{letter.lower()}" + ("-los" if line_of_sight else ""),
        delays_s=tuple(delay * 1e-9 for delay in delays_ns),
        powers=tuple(power / total for power in powers),
        k_factor=tuple(k_factor),
    )


def tdl_profile(model: str, *, rms_delay_spread_s: float) -> DelayProfile:
    """Return the profile of a 3GPP tapped delay line.

    Args:
        model: "A" to "E"; D and E have a specular first path (K of 13.3 dB and 22 dB).
        rms_delay_spread_s: Scales the normalised delays [s], >= 0 (Sec. 7.7.3, Table 7.7.3-1:
            10 ns very short, 30 ns short, 100 ns nominal, 300 ns long, 1 us very long).

    Raises:
        ConfigError: No such model, or a negative spread.
    """
    letter = model.upper()
    if letter not in _TDL:
        raise ConfigError(f"TDL model {model!r} is unknown; there are A, B, C, D, E")
    if not (math.isfinite(rms_delay_spread_s) and rms_delay_spread_s >= 0):
        raise ConfigError(f"rms_delay_spread_s must be >= 0, got {rms_delay_spread_s}")
    delays, powers_db = (_numbers(row) for row in _TDL[letter])
    powers = [10 ** (power_db / 10) for power_db in powers_db]
    k_factor = [0.0] * len(powers)
    if letter in "DE":
        specular = powers.pop(0)
        delays = delays[1:]
        k_factor = [specular / powers[0]] + [0.0] * (len(powers) - 1)
        powers[0] += specular
    total = sum(powers)
    return DelayProfile(
        name=f"tdl-{letter.lower()}",
        delays_s=tuple(delay * rms_delay_spread_s for delay in delays),
        powers=tuple(power / total for power in powers),
        k_factor=tuple(k_factor),
    )

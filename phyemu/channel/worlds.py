"""Emulated worlds: the places of the PhyDNNs paper's Sec. IV-A, as channel models.

They stand in for a radio link where there is none: two USRP B210 at 2.4 GHz and 20 MHz. What the
paper does not state is derived here from published statistics and written into each world.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from phyemu.channel.distribution import Distribution
from phyemu.channel.doppler import DopplerSpectrum
from phyemu.channel.empirical import EmpiricalChannel
from phyemu.channel.impairments import FrontEnd
from phyemu.channel.profiles import tgn_profile
from phyemu.errors import ConfigError

__all__ = ["World", "world", "world_names"]

_CARRIER_HZ = 2.4e9
_SAMPLE_RATE_HZ = 20e6
_WAVELENGTH_M = 299_792_458.0 / _CARRIER_HZ
_NOISE_FIGURE_DB = 8.0
_THERMAL_DBM_HZ = -174.0


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """A place with two radios in it.

    Attributes:
        name: Name, as in "office-nlos".
        description: One sentence.
        distance_m: Between the antennas [m].
        line_of_sight: Whether they see each other.
        parameters: What the model was derived from, by name with its unit.
        derivation: How, in words.
        model: The channel.
    """

    name: str
    description: str
    distance_m: float
    line_of_sight: bool
    parameters: Mapping[str, float | str]
    derivation: str
    model: EmpiricalChannel


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    description: str
    distance_m: float
    line_of_sight: bool
    tgn_model: str
    first_tap_k_db: float
    static_k_db: float
    blocked_taps: int
    blocking_db: float
    obstruction_db: float
    eirp_dbm: float
    cfo_hz: float
    phase_seed: int


_PLACES = {
    "office-los": _Place(
        description="Office, 3.6 m, line of sight between two USRP B210 at 2.4 GHz.",
        distance_m=3.6,
        line_of_sight=True,
        tgn_model="B",
        first_tap_k_db=12.0,
        static_k_db=9.0,
        blocked_taps=0,
        blocking_db=0.0,
        obstruction_db=0.0,
        eirp_dbm=-26.0,
        cfo_hz=5200.0,
        phase_seed=5,
    ),
    "office-nlos": _Place(
        description="Office, 7.8 m, behind a desk divider, two USRP B210 at 2.4 GHz.",
        distance_m=7.8,
        line_of_sight=False,
        tgn_model="D",
        first_tap_k_db=7.0,
        static_k_db=7.0,
        blocked_taps=0,
        blocking_db=0.0,
        obstruction_db=2.0,
        eirp_dbm=-26.0,
        cfo_hz=5200.0,
        phase_seed=1,
    ),
    "conference-los": _Place(
        description="Conference room, 7 m, line of sight between two USRP B210 at 2.4 GHz.",
        distance_m=7.0,
        line_of_sight=True,
        tgn_model="C",
        first_tap_k_db=12.0,
        static_k_db=9.0,
        blocked_taps=0,
        blocking_db=0.0,
        obstruction_db=0.0,
        eirp_dbm=-21.5,
        cfo_hz=-11400.0,
        phase_seed=30,
    ),
    "conference-nlos": _Place(
        description="Conference room, 7 m, direct path blocked by radio-absorbing cones.",
        distance_m=7.0,
        line_of_sight=False,
        tgn_model="C",
        first_tap_k_db=7.0,
        static_k_db=7.0,
        blocked_taps=3,
        blocking_db=15.0,
        obstruction_db=7.0,
        eirp_dbm=-21.5,
        cfo_hz=-11400.0,
        phase_seed=23,
    ),
}

_DERIVATION = (
    "Free-space path loss at 2.4 GHz over the distance, plus the obstruction; C/N0 = EIRP - loss - "
    "(-174 dBm/Hz + noise figure), with the EIRP chosen as an experimenter would set the gain for "
    "an SNR of some 18 dB in line of sight at 10 Msym/s. Delays and mean powers of the IEEE "
    "802.11-03/940r4 model; taps behind the blocking lose its attenuation. The antennas stand "
    "still and people move: every tap has a static part (Rician K, phases drawn once for the "
    "world) and a diffuse one with the bell-shaped Doppler spectrum of Sec. 4.7.1 at 1.2 km/h. "
    "Radios: TCXO within 2 ppm each, carrier and sampling clock from one oscillator; Wiener phase "
    "noise of 8 Hz linewidth (two synthesisers at about -102 dBc/Hz, 100 kHz off); residual IQ "
    "imbalance and DC after the AD9361's calibration; 12 bit converters. Shadowing from run to "
    "run: 0.5 dB."
)


def world_names() -> tuple[str, ...]:
    """Return the names of the worlds."""
    return tuple(_PLACES)


def world(name: str) -> World:
    """Return an emulated world.

    Args:
        name: "office-los", "office-nlos", "conference-los" or "conference-nlos".

    Raises:
        ConfigError: No such world; the message lists them.

    >>> world("office-nlos").distance_m
    7.8
    """
    key = name.lower().replace("_", "-")
    if key not in _PLACES:
        raise ConfigError(f"world {name!r} is unknown; there are {', '.join(_PLACES)}")
    place = _PLACES[key]
    profile = tgn_profile(place.tgn_model)
    powers = list(profile.powers)
    for tap in range(place.blocked_taps):
        powers[tap] *= 10 ** (-place.blocking_db / 10)
    k_db = [place.static_k_db] * len(powers)
    k_db[0] = place.first_tap_k_db
    if place.line_of_sight:
        # As in TGn, the specular part comes on top of the table's diffuse power.
        powers[0] *= 1 + 10 ** (place.first_tap_k_db / 10)
    total = sum(powers)
    generator = torch.Generator().manual_seed(place.phase_seed)
    phases = 2 * math.pi * torch.rand(len(powers), generator=generator, dtype=torch.float64)
    doppler_hz = 1.2 / 3.6 / _WAVELENGTH_M
    free_space_db = 20 * math.log10(4 * math.pi * place.distance_m / _WAVELENGTH_M)
    path_loss_db = free_space_db + place.obstruction_db
    cn0_dbhz = place.eirp_dbm - path_loss_db - (_THERMAL_DBM_HZ + _NOISE_FIGURE_DB)
    parameters: dict[str, float | str] = {
        "carrier_hz": _CARRIER_HZ,
        "sample_rate_hz": _SAMPLE_RATE_HZ,
        "eirp_dbm": place.eirp_dbm,
        "free_space_loss_db": free_space_db,
        "obstruction_db": place.obstruction_db,
        "noise_figure_db": _NOISE_FIGURE_DB,
        "cn0_dbhz": cn0_dbhz,
        "tgn_model": place.tgn_model,
        "first_tap_k_db": place.first_tap_k_db,
        "static_k_db": place.static_k_db,
        "blocked_taps": place.blocked_taps,
        "blocking_db": place.blocking_db,
        "doppler_hz": doppler_hz,
        "cfo_hz": place.cfo_hz,
        "linewidth_hz": 8.0,
    }
    model = EmpiricalChannel(
        name=f"world:{key}",
        delays_s=profile.delays_s,
        powers=tuple(power / total for power in powers),
        k_factor=tuple(10 ** (value / 10) for value in k_db),
        doppler_hz=(doppler_hz,) * len(powers),
        cn0_dbhz=Distribution.normal(cn0_dbhz, 0.5),
        front_end=FrontEnd(
            cfo_hz=Distribution.normal(place.cfo_hz, 150.0),
            linewidth_hz=Distribution.constant(8.0),
            iq_gain_db=Distribution.constant(0.1),
            iq_phase_rad=Distribution.constant(math.radians(0.6)),
            dc_offset=Distribution.constant(10 ** (-52 / 20)),
            clip_level=1.0,
            bits=12,
            center_frequency_hz=_CARRIER_HZ,
        ),
        spectrum=DopplerSpectrum.BELL,
        specular_phase_rad=tuple(phases.tolist()),
        sample_rate_hz=_SAMPLE_RATE_HZ,
        bandwidth_hz=_SAMPLE_RATE_HZ,
        center_frequency_hz=_CARRIER_HZ,
        provenance={"world": key, "emulated": True, "parameters": parameters},
    )
    return World(
        name=key,
        description=place.description,
        distance_m=place.distance_m,
        line_of_sight=place.line_of_sight,
        parameters=parameters,
        derivation=_DERIVATION,
        model=model,
    )

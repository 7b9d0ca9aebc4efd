"""Where the radios stand: a name in the settings, a channel model behind it."""

import re
from functools import lru_cache

from phyemu.channel import ChannelModel, load_channel, world_names
from phyemu.colosseum import MchemChannel, make_scenario, source_of_street
from phyemu.errors import ConfigError

from .config import UrbanConfig

__all__ = [
    "COLOSSEUM",
    "CONFERENCE",
    "NO_CHANNEL",
    "OFFICE",
    "TRAINING_SNR_DB",
    "awgn_name",
    "environment_channel",
    "is_simulation",
]

NO_CHANNEL = "none"
OFFICE = ("office-los", "office-nlos")
CONFERENCE = ("conference-los", "conference-nlos")
COLOSSEUM = ("urban-40db", "urban-80db")
TRAINING_SNR_DB = 12.0
"""Paper, Sec. IV-B; its Table II is at this SNR."""

_AWGN = re.compile(r"awgn-(-?[0-9.]+)")
_URBAN = re.compile(r"urban-([0-9.]+)db")
_SEED = 0  # of the scenario: one street for all, as Colosseum plays it
_MODEL_HZ = 2.4e9
_BANDWIDTH_HZ = 20e6
_EMULATED_HZ = 1e9


def awgn_name(snr_db: float) -> str:
    """Return the name of AWGN at an SNR [dB].

    >>> awgn_name(12.0)
    'awgn-12'
    """
    return f"awgn-{snr_db:g}"


def is_simulation(name: str) -> bool:
    """Return whether the environment is AWGN, which the paper simulates."""
    return _AWGN.fullmatch(name) is not None


def environment_channel(name: str, urban: UrbanConfig) -> ChannelModel:
    """Return the channel of an environment.

    The office and the conference room are the emulated worlds of these names. `urban-40db` is a
    link of the urban street canyon with 40 dB mean path loss, reduced to the emulator's taps, as
    the twin plays it, with the noise of the link budget in `urban`.

    Args:
        name: `office-los`, `office-nlos`, `conference-los`, `conference-nlos`, `urban-40db`,
            `urban-80db` or another loss, `awgn-12` or another SNR.
        urban: Of Colosseum's scenario.

    Raises:
        ConfigError: No such environment.
    """
    if name in world_names():
        return load_channel(f"world:{name}")
    if match := _AWGN.fullmatch(name):
        return load_channel(f"awgn:{match[1]}")
    if match := _URBAN.fullmatch(name):
        return _urban_link(float(match[1]), urban)
    raise ConfigError(
        f"environment {name!r} is unknown; there are {', '.join(world_names())}, urban-40db, "
        "urban-80db and awgn-SNR"
    )


@lru_cache(maxsize=4)
def _urban_link(path_loss_db: float, urban: UrbanConfig) -> MchemChannel:
    source = source_of_street(
        line_of_sight=urban.line_of_sight,
        frequency_hz=_MODEL_HZ,
        path_loss_db=path_loss_db,
        num_nodes=2,
        duration_s=urban.duration_s,
        seed=_SEED,
    )
    scenario = make_scenario(
        source,
        name=f"urban-{path_loss_db:g}db",
        center_frequency_hz=_EMULATED_HZ,
        bandwidth_hz=_BANDWIDTH_HZ,
    ).scenario
    return MchemChannel.of_link(scenario, (1, 2)).with_budget(
        urban.transmit_power_dbm,
        noise_figure_db=urban.noise_figure_db,
        constant_gain_db=scenario.constant_gain_db,
    )

"""radio.conf: what a node of a job does, as TOML; the file that `ModemConfig` of a batch job names.

Every key has its default here and is refused elsewhere: a section belongs to the roles that read
it. The same settings travel to the worker process as a table (`RadioConf.to_table`).
"""

import re
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from phyemu.errors import ConfigError
from phyemu.node.input_file import read_input
from phyemu.toml_config import from_table, table_to_toml, to_table
from phyemu.whole_file import write_whole

__all__ = [
    "CaptureSection",
    "JobSection",
    "PhyDnnSection",
    "RadioConf",
    "RadioSection",
    "ReceiveSection",
    "RestartSection",
    "Role",
    "SoundSection",
    "TransmitSection",
    "load_radio_conf",
    "write_radio_conf",
]

_DATATYPE = re.compile(r"c[iu]8|c(?:[iu](?:16|32)|f(?:32|64))_(?:le|be)")


class Role(StrEnum):
    """What a node does when it is started."""

    TRANSMIT = "transmit"
    """Send a recording over and over."""
    CAPTURE = "capture"
    """Record what is heard."""
    SOUND = "sound"
    """Capture and sound stretches of what is heard."""
    RECEIVE = "receive"
    """Receive frames and keep their symbols."""
    PHYDNN_TRANSMIT = "phydnn-transmit"
    """Encode images with a head and send them as frames."""
    PHYDNN_RECEIVE = "phydnn-receive"
    """Receive frames and classify them with a tail."""
    IDLE = "idle"
    """Nothing: the node answers, and its radio stays silent."""

    @property
    def transmits(self) -> bool:
        """Whether a node with it transmits."""
        return self in (Role.TRANSMIT, Role.PHYDNN_TRANSMIT)


def _require(name: str, value: float, *, low: float, high: float, open_low: bool = False) -> None:
    if not (low < value if open_low else low <= value) or not value <= high:
        bound = "more than" if open_low else "at least"
        raise ConfigError(f"{name} must be {bound} {low:g} and at most {high:g}, got {value:g}")


def _require_line(name: str, value: str) -> None:
    if len(value) > 200 or not value.isprintable():
        raise ConfigError(f"{name} must be one line of at most 200 characters, got {value[:40]!r}")


def _require_content(name: str, value: str) -> None:
    path = PurePosixPath(value)
    if not value or not value.isprintable() or path.is_absolute() or ".." in path.parts:
        raise ConfigError(f"{name} must be a path within /root/phyemu, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobSection:
    """Who this node is; it goes into every product's metadata.

    Attributes:
        name: Of the batch job.
        node: RFNode_ID, from 1.
        scenario: Name or id of the scenario, for the table of results.
    """

    name: str = ""
    node: int = 1
    scenario: str = ""

    def __post_init__(self) -> None:
        """Refuse values that no job has."""
        _require_line("name", self.name)
        _require_line("scenario", self.scenario)
        _require("node", self.node, low=1, high=1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class RadioSection:
    """The radio and its settings.

    Attributes:
        usrp: UHD's device arguments; empty: the only device.
        sample_rate_hz: Rate of the samples [Hz].
        center_frequency_hz: Used where neither colosseum_config.ini nor environment.json says one.
        gain_db: Of the front end in the role's direction [dB].
        antenna: Empty: the device's.
        lo_offset_hz: Of the local oscillator from the centre [Hz]. Colosseum recommends -42e6 to
            transmit and 42e6 to receive.
    """

    usrp: str = ""
    sample_rate_hz: float = 20e6
    center_frequency_hz: float = 1e9
    gain_db: float = 20.0
    antenna: str = ""
    lo_offset_hz: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no radio could mean."""
        _require_line("usrp", self.usrp)
        _require_line("antenna", self.antenna)
        _require("sample_rate_hz", self.sample_rate_hz, low=0, high=1e9, open_low=True)
        _require("center_frequency_hz", self.center_frequency_hz, low=0, high=1e11, open_low=True)
        _require("gain_db", self.gain_db, low=-200, high=200)
        _require("lo_offset_hz", self.lo_offset_hz, low=-1e9, high=1e9)


@dataclass(frozen=True, kw_only=True, slots=True)
class TransmitSection:
    """What a transmitter sends.

    Attributes:
        recording: SigMF recording, within /root/phyemu.
        peak_dbfs: Largest amplitude that is sent [dBFS].
    """

    recording: str = "tx.sigmf"
    peak_dbfs: float = -3.0

    def __post_init__(self) -> None:
        """Refuse what cannot be sent."""
        _require_content("recording", self.recording)
        _require("peak_dbfs", self.peak_dbfs, low=-120, high=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptureSection:
    """What a capture keeps.

    Attributes:
        datatype: SigMF datatype of the recording.
        max_bytes: Size of all captures of a run at which capturing ends; the node stays ACTIVE.
    """

    datatype: str = "ci16_le"
    max_bytes: float = 20e9

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded."""
        if _DATATYPE.fullmatch(self.datatype) is None:
            raise ConfigError(
                f"datatype must be a complex SigMF datatype, such as ci16_le or cf32_le, got "
                f"{self.datatype!r}"
            )
        _require("max_bytes", self.max_bytes, low=0, high=1e15, open_low=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiveSection:
    """What frames are received, and kept.

    Attributes:
        like: For role receive: recording whose metadata say what the frames are, such as the one
            that is sent, within /root/phyemu.
        max_bytes: Size of all symbols and posteriors of a run at which no more are kept; frames are
            received and counted all the same.
    """

    like: str = "tx.sigmf"
    max_bytes: float = 20e9

    def __post_init__(self) -> None:
        """Refuse a recording elsewhere, and no room at all."""
        _require_content("like", self.like)
        _require("max_bytes", self.max_bytes, low=0, high=1e15, open_low=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundSection:
    """How the channel is sounded.

    Attributes:
        reference: What the transmitter sends, within /root/phyemu.
        window_s: Length of a stretch that is captured and sounded [s].
        every_s: From the start of one stretch to that of the next [s].
        keep_samples: Whether the samples are kept, too.
    """

    reference: str = "tx.sigmf"
    window_s: float = 0.2
    every_s: float = 1.0
    keep_samples: bool = False

    def __post_init__(self) -> None:
        """Refuse stretches that cannot be."""
        _require_content("reference", self.reference)
        _require("window_s", self.window_s, low=0, high=3600, open_low=True)
        _require("every_s", self.every_s, low=0, high=86400, open_low=True)
        if self.every_s < self.window_s:
            raise ConfigError(
                f"every_s must be at least window_s ({self.window_s:g}), got {self.every_s:g}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class PhyDnnSection:
    """Where the exported PhyDNN lies.

    Attributes:
        folder: Within /root/phyemu; it holds head/, tail/, images.npz, sent.npz.
    """

    folder: str = "phydnn"

    def __post_init__(self) -> None:
        """Refuse a folder elsewhere."""
        _require_content("folder", self.folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class RestartSection:
    """What happens when the worker process crashes.

    Attributes:
        max_restarts: Restarts of a task; then it is in ERROR.
        delay_s: From the crash to the restart [s].
    """

    max_restarts: int = 3
    delay_s: float = 2.0

    def __post_init__(self) -> None:
        """Refuse a policy that would not end, or not begin."""
        _require("max_restarts", self.max_restarts, low=0, high=1000)
        _require("delay_s", self.delay_s, low=0, high=600)


_PHYDNN = (Role.PHYDNN_TRANSMIT, Role.PHYDNN_RECEIVE)
# Who reads a section; [job], [radio] and [restart] are for every role.
_ROLES: dict[str, tuple[Role, ...]] = {
    "transmit": (Role.TRANSMIT, Role.PHYDNN_TRANSMIT),
    "capture": (Role.CAPTURE,),
    "receive": (Role.RECEIVE, Role.PHYDNN_RECEIVE),
    "sound": (Role.SOUND,),
    "phydnn": _PHYDNN,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RadioConf:
    """What a node does, and with what; sections that its role does not read have their defaults.

    Raises:
        ConfigError: A section that the role does not read is not at its defaults.
    """

    role: Role
    job: JobSection = field(default_factory=JobSection)
    radio: RadioSection = field(default_factory=RadioSection)
    transmit: TransmitSection = field(default_factory=TransmitSection)
    capture: CaptureSection = field(default_factory=CaptureSection)
    receive: ReceiveSection = field(default_factory=ReceiveSection)
    sound: SoundSection = field(default_factory=SoundSection)
    phydnn: PhyDnnSection = field(default_factory=PhyDnnSection)
    restart: RestartSection = field(default_factory=RestartSection)

    def __post_init__(self) -> None:
        """Refuse settings that would be read by nobody."""
        sections = (self.transmit, self.capture, self.receive, self.sound, self.phydnn)
        changed = [
            name
            for name, section in zip(_ROLES, sections, strict=True)
            if section != type(section)()
        ]
        _refuse_unread(self.role, changed)

    def to_table(self) -> dict[str, Any]:
        """Return the settings as a table: the sections that the role reads, every default in it."""
        table = to_table(self)
        return {
            key: value
            for key, value in table.items()
            if key not in _ROLES or self.role in _ROLES[key]
        }

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, where: str = "radio.conf") -> "RadioConf":
        """Return the settings that a table holds.

        Raises:
            ConfigError: An unknown key, a value out of range, or a section for other roles.
        """
        conf = from_table(cls, table, where=where)
        try:
            _refuse_unread(conf.role, table)
        except ConfigError as exc:
            raise ConfigError(f"{where}: {exc}") from exc
        return conf


def _refuse_unread(role: Role, sections: Container[str]) -> None:
    for name, roles in _ROLES.items():
        if name in sections and role not in roles:
            raise ConfigError(
                f"[{name}] is read by role {' or '.join(roles)}, and this is role {role}; "
                "take it out"
            )


def load_radio_conf(path: Path) -> RadioConf:
    """Return the settings in a radio.conf.

    Raises:
        ConfigError: The file is missing, no TOML, or `RadioConf.from_table` refuses it.
    """
    try:
        table = tomllib.loads(read_input(path).decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; name one as ModemConfig in the job, or put one into the image"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read as TOML ({exc})") from exc
    except (RecursionError, ValueError) as exc:  # nested too deep, a number of 5000 digits
        if isinstance(exc, ConfigError):
            raise
        raise ConfigError(f"{path}: cannot be read as TOML ({type(exc).__name__})") from exc
    return RadioConf.from_table(table, where=str(path))


def write_radio_conf(conf: RadioConf, path: Path) -> Path:
    """Write a radio.conf, whole or not at all, and return its path."""
    return write_whole(path, table_to_toml(conf.to_table()))

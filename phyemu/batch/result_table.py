"""The results of a collection as one table: for people, as CSV and as JSON."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["LinkResult", "NodeResult", "accuracy_interval", "csv_text", "link_tables", "node_table"]

_NAN = math.nan
_Z = 1.959963984540054  # 97.5 % of a normal distribution lie below


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkResult:
    """What one receiver measured in one run of a scenario. NaN and None: it does not apply.

    Attributes:
        kind: "phydnn", "receive", "sound" or "capture".
        reservation: Name of the reservation; empty for bare folders.
        job: Name of the job.
        scenario: Name or number of the scenario.
        loop: Which run of the scenario within the job, from 1.
        transmitter: Node that transmitted; None where several did, or it is not known.
        receiver: Node that received; None where the logs do not name it.
        frames_sent: Frames that the transmitter sent in all, whether anyone listened or not.
        frames_received: Frames received, in whole or in part.
        frames_lost: Frames missing between the first and the last one received.
        symbol_error_rate: Share of the symbols of the frames received or lost that were decided
            wrongly or not received, 0..1.
        images: Images scored.
        accuracy: Share of them whose class was found [%].
        accuracy_low: Lower end of its 95 % interval, of as many images as are different [%].
        accuracy_high: Upper end [%].
        snr_db: Mean SNR of the frames, or median SNR of the soundings within their band [dB].
        payload_bytes: Of the symbols of 64 images.
        overhead_bytes: Of preambles, headers and pilots of 64 images.
        head_s: Time of the head for an image, median [s].
        air_s: Time of an image on the air [s].
        tail_s: Time of the tail for an image, median [s].
        soundings: Soundings of the link.
        paths: Paths found.
        path_gain_db: Received power over the power sent, both by their digital samples: gains of
            both radios are in it [dB]. NaN where the power sent is not known.
        scenario_gain_db: Gain of the link in the emulator [dB].
        constant_gain_db: Gain that the scenario adds to its physical paths [dB].
        taps: Taps that the scenario says; None where it says none, or where they are too dense to
            be told apart in the band.
        taps_missed: Those for which no path was found.
        extra_paths: Paths for which there is no tap.
        delay_error_ns: Largest error of a delay [ns].
        gain_error_db: Largest error of a gain relative to the others [dB].
        delay_spread_ns: RMS, median [ns].
        scenario_spread_ns: RMS of the scenario's taps, median over its time [ns].
        received_power_dbfs: Mean of the soundings, or of all samples captured [dBFS].
        cfo_hz: Median [Hz].
        duration_s: Length of the samples captured [s].
        gaps: Gaps in them.
        lost_samples: Samples missing in the gaps; None: not known for one of them.
        clipped_samples: Samples whose I or Q is at the end of the range, of captures or of the
            windows that were sounded.
        scored_by: "node", or "collect" where the receiver could not score itself.
    """

    kind: str
    reservation: str
    job: str
    scenario: str
    loop: int
    transmitter: int | None
    receiver: int | None
    frames_sent: int | None = None
    frames_received: int | None = None
    frames_lost: int | None = None
    symbol_error_rate: float = _NAN
    images: int | None = None
    accuracy: float = _NAN
    accuracy_low: float = _NAN
    accuracy_high: float = _NAN
    snr_db: float = _NAN
    payload_bytes: float = _NAN
    overhead_bytes: float = _NAN
    head_s: float = _NAN
    air_s: float = _NAN
    tail_s: float = _NAN
    soundings: int | None = None
    paths: int | None = None
    path_gain_db: float = _NAN
    scenario_gain_db: float = _NAN
    constant_gain_db: float = _NAN
    taps: int | None = None
    taps_missed: int | None = None
    extra_paths: int | None = None
    delay_error_ns: float = _NAN
    gain_error_db: float = _NAN
    delay_spread_ns: float = _NAN
    scenario_spread_ns: float = _NAN
    received_power_dbfs: float = _NAN
    cfo_hz: float = _NAN
    duration_s: float = _NAN
    gaps: int | None = None
    lost_samples: int | None = None
    clipped_samples: int | None = None
    scored_by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeResult:
    """How a node came through.

    Attributes:
        reservation: Name of the reservation; empty for bare folders.
        job: Name of the job.
        node: Its number; None where the logs do not name it.
        srn: Number of the SRN; None where unknown.
        role: What it was to do; empty where unknown.
        state: Last state; empty where it left none.
        tasks: Runs of its worker.
        problems: What is missing or went wrong.
    """

    reservation: str
    job: str
    node: int | None
    srn: int | None
    role: str
    state: str
    tasks: int
    problems: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return its problems, each as one line that names the node."""
        where = f"reservation {self.reservation}, " if self.reservation else ""
        name = "a node without a number" if self.node is None else f"node {self.node}"
        return [f"{where}{name}: {problem}" for problem in self.problems]


def accuracy_interval(
    right: int, images: int, different: int | None = None
) -> tuple[float, float, float]:
    """Return accuracy and the ends of its 95 % interval (Wilson 1927), in percent.

    Args:
        right: Images whose class was found.
        images: Images scored; 0 gives NaN.
        different: How many different ones there are, where they were sent again and again: as many
            count for the interval, as a repetition says little about other images. None: all.
    """
    if images < 1:
        return math.nan, math.nan, math.nan
    share = right / images
    worth = _Z**2 / min(images, max(1, different or images))
    middle = (share + worth / 2) / (1 + worth)
    half = math.sqrt(worth * share * (1 - share) + worth**2 / 4) / (1 + worth)
    return 100 * share, 100 * (middle - half), 100 * (middle + half)


def csv_text(results: Sequence[LinkResult]) -> str:
    """Return the table as CSV, one line a link; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [item.name for item in fields(LinkResult)], lineterminator="\n", strict=True
    )
    writer.writeheader()
    for result in results:
        writer.writerow({name: _cell(value) for name, value in asdict(result).items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t"):
        return f"'{value}"  # a spreadsheet would run it
    return value


_COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "phydnn": (
        ("sent", "frames_sent"),
        ("received", "frames_received"),
        ("lost", "frames_lost"),
        ("SER", "symbol_error_rate"),
        ("images", "images"),
        ("accuracy [%]", "accuracy"),
        ("95 %", "interval"),
        ("SNR [dB]", "snr_db"),
        ("bytes/64", "bytes"),
        ("head/air/tail [ms]", "latency"),
    ),
    "sound": (
        ("soundings", "soundings"),
        ("paths", "paths"),
        ("taps", "taps_found"),
        ("delay error [ns]", "delay_error_ns"),
        ("gain error [dB]", "gain_error_db"),
        ("path gain [dB]", "path_gain_db"),
        ("scenario [dB]", "scenario_gain_db"),
        ("power [dBFS]", "received_power_dbfs"),
        ("SNR [dB]", "snr_db"),
        ("RMS spread [ns]", "delay_spread_ns"),
        ("scenario [ns]", "scenario_spread_ns"),
        ("CFO [Hz]", "cfo_hz"),
        ("clipped", "clipped_samples"),
    ),
    "capture": (
        ("duration [s]", "duration_s"),
        ("power [dBFS]", "received_power_dbfs"),
        ("gaps", "gaps"),
        ("lost samples", "lost_samples"),
        ("clipped", "clipped_samples"),
    ),
}
_TITLES = {"phydnn": "Frames and images", "sound": "Soundings", "capture": "Captures"}


def link_tables(results: Sequence[LinkResult]) -> "list[Table]":
    """Return a table for each kind of result that there is, in a fixed order."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    tables = []
    for kind, columns in _COLUMNS.items():
        rows = [item for item in results if _table_of(item.kind) == kind]
        if not rows:
            continue
        several = len({item.reservation for item in rows}) > 1
        loops = max(item.loop for item in rows) > 1
        table = Table(title=_TITLES[kind], box=SIMPLE, title_justify="left")
        names = [*(["reservation"] if several else []), "scenario", *(["loop"] if loops else [])]
        for name in (*names, "link"):
            table.add_column(name)
        for title, _ in columns:
            table.add_column(Text(title), justify="right")
        for item in rows:
            front = [item.reservation] if several else []
            front += [item.scenario or item.job] + ([str(item.loop)] if loops else [])
            cells = [*front, _link(item), *(_shown(item, name) for _, name in columns)]
            table.add_row(*map(Text, cells))
        tables.append(table)
    return tables


def _table_of(kind: str) -> str:
    return "phydnn" if kind == "receive" else kind


def _link(item: LinkResult) -> str:
    ends = ["?" if node is None else str(node) for node in (item.transmitter, item.receiver)]
    return ">".join(ends)


def _shown(item: LinkResult, name: str) -> str:
    if name == "interval":
        return _pair(item.accuracy_low, item.accuracy_high, " to ", 1)
    if name == "bytes":
        return _pair(item.payload_bytes, item.overhead_bytes, " + ", 0)
    if name == "latency":
        values = (item.head_s, item.air_s, item.tail_s)
        shown = ["-" if math.isnan(value) else f"{1e3 * value:.2f}" for value in values]
        return "/".join(shown) if shown != ["-"] * 3 else ""
    if name == "taps_found":
        if item.taps is None or item.taps_missed is None:
            return ""
        return f"{item.taps - item.taps_missed} of {item.taps}"
    value = getattr(item, name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    digits = {"symbol_error_rate": 4, "gain_error_db": 2}.get(name, 1)
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _pair(one: float, other: float, between: str, digits: int) -> str:
    if math.isnan(one):
        return ""
    return f"{one:.{digits}f}{between}{other:.{digits}f}"


def node_table(nodes: Sequence[NodeResult]) -> "Table":
    """Return the states of all nodes as a table."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "reservation",
        "node",
        "SRN",
        "role",
        "state",
        "tasks",
        title="Nodes",
        box=SIMPLE,
        title_justify="left",
    )
    for item in nodes:
        cells = (
            item.reservation,
            "?" if item.node is None else str(item.node),
            "" if item.srn is None else str(item.srn),
            item.role,
            item.state or "none",
            str(item.tasks),
        )
        table.add_row(*map(Text, cells))
    return table

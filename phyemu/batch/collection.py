"""Bringing a batch job home: recordings, soundings, frames and predictions, and the results.

What is missing or damaged is named and stops nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from phyemu import __version__
from phyemu.batch.collected_files import MANIFEST_NAME, CollectedFiles, as_json
from phyemu.batch.collected_soundings import LinkSoundings
from phyemu.batch.foreign_files import printable
from phyemu.batch.job_context import JobContext, load_sent_run
from phyemu.batch.link_measurements import SentRun
from phyemu.batch.node_log import NodeLog, TaskLog, read_node_log
from phyemu.batch.plan import PLAN_NAME, Plan, load_plan
from phyemu.batch.receiver_products import Make, ReceiverProducts
from phyemu.batch.result_table import LinkResult, NodeResult, csv_text
from phyemu.batch.results_folder import Reservation, find_results
from phyemu.errors import ConfigError, PhyemuError
from phyemu.progress import ProgressCallback, no_progress

__all__ = ["Collection", "collect"]

_KINDS = {
    "phydnn-receive": "phydnn",
    "receive": "receive",
    "sound": "sound",
    "capture": "capture",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """What was brought home.

    Attributes:
        folder: Where it is.
        results: A row for each link, run and kind.
        nodes: How each node came through.
        files: All files collected, by path.
        problems: What is missing or could not be used beside what nodes say, a sentence each.
    """

    folder: Path
    results: tuple[LinkResult, ...]
    nodes: tuple[NodeResult, ...]
    files: tuple[Path, ...]
    problems: tuple[str, ...] = field(default=())

    def lines(self) -> list[str]:
        """Return all that is missing or went wrong, a line each."""
        lines = [line for node in self.nodes for line in node.lines()] + list(self.problems)
        return [printable(line) for line in lines]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "results": [asdict(item) for item in self.results],
            "nodes": [asdict(item) for item in self.nodes],
            "files": [path.relative_to(self.folder).as_posix() for path in self.files],
            "problems": self.lines(),
        }


def collect(
    sources: Sequence[Path],
    folder: Path,
    *,
    plan: Path | None = None,
    run: Path | None = None,
    reference: Path | None = None,
    sound_captures: bool = False,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> Collection:
    """Collect what batch jobs left behind, and return it.

    Args:
        sources: Folders that hold reservations, or logs of nodes; they are not changed.
        folder: Where everything goes; a second call adds what is new.
        plan: Plan of the batch (or its folder); None: the one in a source or beside it, where there
            is one.
        run: Run folder of the PhyDNN whose images were sent.
        reference: Recording of what was transmitted, where the plan does not tell.
        sound_captures: Sound captures of jobs that sound nothing, too.
        force: Overwrite files that nobody collected.
        progress: Told of reservations done, and of captures that are sounded.

    Raises:
        ConfigError: A source holds no logs, the plan cannot be read, or the folder holds files of
            somebody else.
        CheckpointError, DatasetError: The run cannot be used.
    """
    reservations = [found for source in sources for found in find_results(source, leave_out=folder)]
    if plan is None:
        places = (place for source in sources for place in (source, source.absolute().parent))
        plan = next((path for place in places if (path := place / PLAN_NAME).is_file()), None)
    batch = load_plan(plan) if plan is not None else None
    if folder.is_dir() and not (folder / MANIFEST_NAME).exists() and not force:
        stray = sorted(path.name for path in folder.iterdir() if path.name != "fetched")
        if stray:
            raise ConfigError(
                f"{folder}: holds {stray[0]} and is no collection; name another folder, or give "
                "--force"
            )
    sent_run = load_sent_run(run, batch) if run is not None else None
    files = CollectedFiles(folder, force=force)
    files.clear_scratch()
    collector = _Collector(files, sent_run, reference, sound_captures, progress)
    for done, reservation in enumerate(reservations):
        progress("collect", done, len(reservations), f"reservation {reservation.name or '-'}")
        collector.take(
            reservation,
            batch,
            (plan if plan.is_dir() else plan.parent) if plan is not None else Path(),
        )
    collector.join_links()
    progress("collect", len(reservations), len(reservations))
    found = Collection(
        folder=folder,
        results=tuple(collector.results),
        nodes=tuple(collector.nodes),
        files=tuple(sorted(collector.files)),
        problems=tuple(collector.problems),
    )
    files.write("results.csv", csv_text(found.results))
    files.write("results.json", as_json({"phyemu_version": __version__, **found.to_dict()}))
    return found


class _Collector:
    """Collects one reservation after the other."""

    def __init__(
        self,
        files: CollectedFiles,
        run: SentRun | None,
        reference: Path | None,
        sound_captures: bool,
        progress: ProgressCallback,
    ) -> None:
        self._files, self._run, self._progress = files, run, progress
        self._reference, self._sound_captures = reference, sound_captures
        self.results: list[LinkResult] = []
        self.nodes: list[NodeResult] = []
        self.files: set[Path] = set()
        self.problems: list[str] = []
        self._links = LinkSoundings()

    def take(self, reservation: Reservation, plan: Plan | None, folder: Path) -> None:
        """Collect a reservation."""
        self.problems += reservation.remarks
        logs: dict[int, NodeLog] = {}
        nodes: list[tuple[int | None, int | None, NodeLog, list[str]]] = []
        for entry in reservation.nodes:
            try:
                log = read_node_log(entry.path)
            except ConfigError as exc:
                self.problems.append(str(exc))
                continue
            problems = list(log.problems)
            told = {task.node for task in log.tasks if task.node}
            number = entry.node if entry.node is not None else (min(told) if told else None)
            if told - {number}:
                problems.append(f"its radio.conf says node {min(told - {number})}")
            if number is not None and number in logs:
                problems = [f"is there twice; {entry.path.name} was left out"]
                log = NodeLog(
                    folder=log.folder,
                    events=(),
                    damaged_lines=0,
                    is_cut=False,
                    state=log.state,
                    info=log.info,
                    tasks=(),
                    problems=(),
                )
            elif number is not None:
                logs[number] = log
            nodes.append((number, entry.srn, log, problems))
        context = JobContext(
            reservation=reservation,
            logs=logs,
            plan=plan,
            folder=folder,
            reference=self._reference,
            sound_captures=self._sound_captures,
            problems=self.problems,
        )
        if plan is not None and context.planned is None:
            self.problems.append(
                f"reservation {reservation.name or '-'}: its job "
                f"{context.name or 'without a name'!r} is not in the plan"
            )
        for number, srn, log, problems in nodes:
            problems += self._take_node(context, number, srn, log)
            self.nodes.append(_node_result(context, number, srn, log, problems))
        for number, role in sorted(context.expected().items()):
            if all(number != node for node, *_ in nodes):
                self.nodes.append(
                    NodeResult(
                        reservation=reservation.name,
                        job=context.name,
                        node=number,
                        srn=None,
                        role=role,
                        state="",
                        tasks=0,
                        problems=("left no logs",),
                    )
                )

    def _take_node(
        self, context: JobContext, number: int | None, srn: int | None, log: NodeLog
    ) -> list[str]:
        """Collect what a node left; return what could not be used."""
        problems: list[str] = []
        loops: dict[int, list[TaskLog]] = {}
        for task in log.tasks:
            problems += task.problems
            loops.setdefault(task.loop, []).append(task)

        def keep(
            name: str,
            sources: Sequence[Path],
            make: Make,
            settings: Mapping[str, Any] | None = None,
        ) -> Path | None:
            return self.keep(name, sources, make, problems, settings)

        products = ReceiverProducts(
            context=context,
            srn=srn,
            run=self._run,
            keep=keep,
            links=self._links,
            problems=problems,
            progress=self._progress,
        )
        for loop, tasks in sorted(loops.items()):
            receiving = [task for task in tasks if task.role in _KINDS or task.captures]
            if not receiving:
                continue
            result = LinkResult(
                kind=_KINDS.get(receiving[0].role, "capture"),
                reservation=context.reservation.name,
                job=context.name,
                scenario=context.scenario_name,
                loop=loop,
                transmitter=context.transmitter(number, loop),
                receiver=number,
            )
            self.results += products.measured(result, receiving)
        return problems

    def keep(
        self,
        name: str,
        sources: Sequence[Path],
        make: Make,
        problems: list[str],
        settings: Mapping[str, Any] | None = None,
    ) -> Path | None:
        """Return a file of the collection; None, with the problem named, where it failed."""
        try:
            path, note = self._files.make(name, sources, make, settings)
        except (PhyemuError, OSError) as exc:
            problems.append(" ".join(str(exc).split()))
            return None
        self.files.add(path)
        if note.get("repaired"):
            remarks = note.get("remarks") or []
            self.problems += [f"{path}: repaired ({'; '.join([str(note['repaired']), *remarks])})"]
        return path

    def join_links(self) -> None:
        """Write the soundings of every link to one file each."""
        for name, sources, make, settings in self._links.files():
            self.keep(name, sources, make, self.problems, settings)


def _node_result(
    context: JobContext,
    number: int | None,
    srn: int | None,
    log: NodeLog,
    problems: list[str],
) -> NodeResult:
    roles = [task.role for task in log.tasks if task.role]
    planned = context.expected().get(number, "") if number is not None else ""
    role = roles[-1] if roles else planned
    if role == "idle":
        # A node that has nothing to do has no worker.
        problems = [text for text in problems if not text.startswith("no task")]
    return NodeResult(
        reservation=context.reservation.name,
        job=context.name,
        node=number,
        srn=srn,
        role=role,
        state=log.state,
        tasks=len(log.tasks),
        problems=tuple(dict.fromkeys(problems)),
    )

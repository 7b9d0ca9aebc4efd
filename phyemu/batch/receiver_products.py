"""What one receiver brought home in one run of the scenario: its files, and its row of results."""

import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from phyemu import __version__
from phyemu.batch.collected_recording import (
    JOB_FIELD,
    collect_recording,
    parts_of,
    waveform_fields,
)
from phyemu.batch.collected_soundings import LinkSoundings, file_name
from phyemu.batch.foreign_files import finite, is_plain_file, whole
from phyemu.batch.job_context import JobContext
from phyemu.batch.link_measurements import (
    SentRun,
    measure_captures,
    measure_frames,
    measure_sounding,
)
from phyemu.batch.node_log import TaskLog
from phyemu.batch.result_table import LinkResult
from phyemu.errors import PhyemuError
from phyemu.file_hash import file_sha256
from phyemu.iq import open_recording
from phyemu.iq.unfinished import PARTIAL_EXT
from phyemu.listening import finish_frame_store
from phyemu.listening.stored_frames import StoredFrames
from phyemu.node.radio_conf import Role
from phyemu.progress import ProgressCallback, no_progress
from phyemu.sounding import Sounding, SoundingJob, load_soundings, save_soundings, sound_file
from phyemu.sounding.joining import join_soundings

__all__ = ["Keep", "Make", "ReceiverProducts"]

_CLIPPED = {"sound": "windows", "capture": "captures"}

Make = Callable[[Path], Mapping[str, Any] | None]


class Keep(Protocol):
    """Makes a file of the collection from sources, and returns it; None where that failed."""

    def __call__(
        self,
        name: str,
        sources: Sequence[Path],
        make: Make,
        settings: Mapping[str, Any] | None = None,
    ) -> Path | None:
        """Make it, unless it is there, made of the same sources with the same settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverProducts:
    """Collects what a receiver made, and measures it.

    Attributes:
        context: Its job.
        srn: Number of its SRN; None where unknown.
        run: The run whose images were sent; None where it is not known here.
        keep: Makes a file of the collection.
        links: Where soundings are gathered.
        problems: Takes what could not be used, a sentence each.
        progress: Told of captures that are sounded.
    """

    context: JobContext
    srn: int | None
    run: SentRun | None
    keep: Keep
    links: LinkSoundings
    problems: list[str]
    progress: ProgressCallback = no_progress

    def measured(self, result: LinkResult, tasks: Sequence[TaskLog]) -> list[LinkResult]:
        """Return the rows of a receiver: who and when, with what its tasks hold.

        Args:
            result: Who and when.
            tasks: Runs of its worker within one run of the scenario, by number.
        """
        found = []
        recordings = [
            (task, path)
            for task in tasks
            for capture in _kept_captures(task)
            if (path := self._recording(result, task, capture)) is not None
        ]
        if result.kind in ("phydnn", "receive"):
            found.append(self._frames(result, tasks))
        sounded = self._soundings(result, tasks, recordings)
        if sounded is not None:
            found.append(sounded)
        elif result.kind == "sound":
            self.problems.append("sounded nothing")
        if recordings:
            try:
                captured = measure_captures(
                    replace(result, kind="capture"), [path for _, path in recordings]
                )
                found.append(captured)
                if result.kind != "sound":  # whose windows have been told of
                    self._tell_clipped(captured)
            except PhyemuError as exc:
                self.problems.append(str(exc))
        elif result.kind == "capture":
            self.problems.append("captured nothing")
        return found

    def _tell_clipped(self, result: LinkResult) -> None:
        if result.clipped_samples:
            self.problems.append(
                f"{result.clipped_samples} samples of its {_CLIPPED[result.kind]} are clipped; "
                "lower the transmitter's peak_dbfs or gain_db, or the receiver's gain_db"
            )

    def _name(self, result: LinkResult, task: TaskLog, path: Path) -> str:
        where = f"RES{result.reservation}" if result.reservation else ""
        node = "" if result.receiver is None else f"node{result.receiver}"
        return file_name(result.job, where, node, f"task{task.number}", path.stem)

    def _labels(self, result: LinkResult, task: TaskLog) -> dict[str, Any]:
        labels = {
            "name": result.job,
            "node": result.receiver,
            "scenario": result.scenario,
            "role": task.role,
            "reservation": result.reservation,
            "srn": self.srn,
            "loop": result.loop,
            "task": task.number,
            "transmitter": result.transmitter,
        }
        return {key: value for key, value in labels.items() if value not in (None, "")}

    def _recording(self, result: LinkResult, task: TaskLog, capture: Path) -> Path | None:
        sources = parts_of(capture)
        fields: dict[str, Any] = {JOB_FIELD: self._labels(result, task)}
        sent = self.context.sent
        if sent is not None and result.transmitter is not None:
            try:
                fields |= waveform_fields(sent)
            except PhyemuError as exc:
                self.problems.append(str(exc))

        def make(path: Path) -> Mapping[str, Any]:
            hashes = {source.name: file_sha256(source) for source in sources}
            told = {"by": f"phyemu {__version__}", "sha256": hashes}
            return collect_recording(capture, path, {**fields, "phyemu:collected": told})

        name = f"recordings/{self._name(result, task, capture)}.sigmf"
        return self.keep(name, sources, make, fields)

    def _soundings(
        self,
        result: LinkResult,
        tasks: Sequence[TaskLog],
        recordings: Sequence[tuple[TaskLog, Path]],
    ) -> LinkResult | None:
        parts: list[Sounding] = []
        begins_s: list[float] = []
        sources: list[Path] = []
        clipped: list[int | None] = []
        for task in tasks:
            begin_s = _started_s(task)
            told_clipped: list[int | None] = []
            for path in task.soundings:
                try:
                    links = load_soundings(path)
                except PhyemuError as exc:
                    self.problems.append(f"{path.parent.name}/{path.name}: {exc}")
                    continue
                parts.append(links[0])
                told_clipped.append(whole(links[0].provenance, "clipped_samples"))
                begins_s.append(begin_s + _begin_of(task, path, links[0]))
                sources.append(path)
            summed = whole(task.summary, "clipped_samples")
            if task.role == Role.SOUND:
                clipped += told_clipped if summed is None else [summed]
        sent = self.context.sent
        if not parts and sent is not None and self.context.is_sounded:
            for task, recording in recordings:
                kept = self._sounded(recording, sent)
                if kept is not None:
                    parts.append(load_soundings(kept)[0])
                    begins_s.append(_began_s(task, recording))
                    sources.append(kept)
        if not parts:
            return None
        self.links.add(result, begins_s, parts, sources)
        told = self.context.transmission(result.transmitter, result.loop)
        try:
            known = [count for count in clipped if count is not None]
            result = replace(result, kind="sound", clipped_samples=sum(known) if known else None)
            self._tell_clipped(result)
            return measure_sounding(
                result,
                join_soundings(parts, begins_s),
                scenario=self.context.scenario,
                sent_power_dbfs=_number(told, "power_dbfs"),
            )
        except PhyemuError as exc:
            self.problems.append(str(exc))
            return None

    def _sounded(self, recording: Path, sent: Path) -> Path | None:
        """Return the soundings of a capture, made once."""

        def make(path: Path) -> None:
            job = SoundingJob(recording=recording, reference=sent)
            save_soundings(sound_file(job, self.progress), path)

        sources = [recording, *([sent] if sent.is_file() else [])]
        settings = {"reference": str(sent)}
        return self.keep(f"sounded/{recording.stem}.h5", sources, make, settings)

    def _frames(self, result: LinkResult, tasks: Sequence[TaskLog]) -> LinkResult:
        frames: list[Path] = []
        predictions: list[Path] = []
        for task in tasks:
            for path in task.frames:
                # Whoever wrote it was killed: its part is finished in the copy.
                source = path if is_plain_file(path) else path.with_name(path.name + PARTIAL_EXT)
                name = f"frames/{self._name(result, task, path)}.h5"
                kept = self.keep(name, [source], _copied_frames(source))
                frames += [kept] if kept is not None else []
            if task.predictions is not None:
                source = task.predictions
                kept = self.keep(
                    f"predictions/{self._name(result, task, source)}.jsonl",
                    [source],
                    _copied(source),
                )
                predictions += [kept] if kept is not None else []
        told = self.context.transmission(result.transmitter, result.loop)
        tail_s = [_number(task.summary, "tail_s") for task in tasks if "tail_s" in task.summary]
        # What cannot be scored here, or not be read, leaves what the node itself has counted.
        run = self.run if result.kind == "phydnn" else None
        for scored_with, readable in dict.fromkeys([(run, True), (None, True), (None, False)]):
            try:
                result = measure_frames(
                    result,
                    frames if readable else (),
                    predictions,
                    run=scored_with,
                    summaries=[task.summary for task in tasks],
                    frames_per_pass=whole(told, "frames_per_pass"),
                    pass_samples=finite(told, "pass_samples"),
                    images_per_pass=whole(told, "images_per_pass"),
                )
                break
            except (PhyemuError, OSError) as exc:
                if str(exc) not in self.problems:
                    self.problems.append(str(exc))
        if not frames and not predictions:
            self.problems.append("received nothing")
        told_bytes = told.get("bytes_of_64_images")
        if math.isnan(result.payload_bytes) and isinstance(told_bytes, dict):
            result = replace(
                result,
                payload_bytes=_number(told_bytes, "payload"),
                overhead_bytes=_number(told_bytes, "overhead"),
            )
        return replace(
            result,
            frames_sent=whole(told, "frames"),
            head_s=_number(told, "head_s"),
            air_s=_number(told, "air_s"),
            tail_s=tail_s[-1] if tail_s else math.nan,
        )


def _kept_captures(task: TaskLog) -> list[Path]:
    """Return the captures of a task that are results.

    A sounder records a window, sounds it and deletes it: one that is left was being worked on when
    the node was killed, unless its settings say to keep them.
    """
    if task.role != "sound":
        return list(task.captures)
    conf = task.task.get("radio_conf")
    section = conf.get("sound") if isinstance(conf, dict) else None
    keeps = isinstance(section, dict) and section.get("keep_samples") is True
    return [path for path in task.captures if is_plain_file(path)] if keeps else []


def _started_s(task: TaskLog) -> float:
    return task.started.timestamp() if task.started is not None else 0.0


def _began_s(task: TaskLog, recording: Path) -> float:
    """Return when a capture began, by the node's clock [s]."""
    with open_recording(recording) as opened:
        told = opened.global_fields.get(JOB_FIELD)
        begin_s = finite(told, "begin_s") if isinstance(told, dict) else None
        first = opened.captures[0].datetime
    if begin_s is None and first is not None:
        try:
            return datetime.fromisoformat(first).timestamp()
        except ValueError:
            pass  # somebody else's words
    return _started_s(task) + (begin_s or 0.0)


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = finite(fields, name)
    return math.nan if value is None else value


def _begin_of(task: TaskLog, path: Path, sounding: Sounding) -> float:
    """Return when the recording of a sounding began, from the start of its task [s]."""
    job = sounding.provenance.get("job")
    for fields in (sounding.provenance, job if isinstance(job, dict) else {}):
        told = finite(fields, "begin_s")
        if told is not None:
            return told
    conf = task.task.get("radio_conf")
    section = conf.get("sound") if isinstance(conf, dict) else None
    every_s = finite(section, "every_s") if isinstance(section, dict) else None
    match = re.search(r"(\d+)$", path.stem)
    number = int(match[1]) if match and len(match[1]) < 9 else 1
    return (number - 1) * (1.0 if every_s is None else every_s)


def _copied(source: Path) -> Make:
    def make(path: Path) -> None:
        shutil.copyfile(source, path)

    return make


def _copied_frames(source: Path) -> Make:
    def make(path: Path) -> Mapping[str, Any]:
        cut = source.suffix == PARTIAL_EXT
        shutil.copyfile(source, path.with_name(path.name + PARTIAL_EXT) if cut else path)
        if cut:
            finish_frame_store(path.with_name(path.name + PARTIAL_EXT))
        with StoredFrames(path):  # refuses what is no file of frames
            return {"repaired": "interrupted"} if cut else {}

    return make

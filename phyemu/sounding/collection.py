"""Sounding many recordings, here or on a cluster.

A job is paths and settings. Whoever does it opens the files itself, so a remote worker must see
them under the same paths. What comes back is the soundings as the bytes of an HDF5 file, which are
read with the suspicion of any other file. Every way of running calls `sound_job`, so all give the
same result. A recording that fails is a result too, with the reason, and stops no other.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError, PhyemuError, StoreError
from phyemu.iq import base_name, open_recording, recordings_in, stored_bytes
from phyemu.progress import ProgressCallback, no_progress, renamed
from phyemu.sounding.calibration import Calibration, calibration_of
from phyemu.sounding.cluster import Failure, can_use_dask, num_cores, run_jobs
from phyemu.sounding.config import SoundingConfig
from phyemu.sounding.sound import sound_recording
from phyemu.sounding.sounding import Sounding
from phyemu.sounding.store import load_soundings, save_soundings

__all__ = [
    "SoundedFile",
    "SoundingJob",
    "choose_scheduler",
    "load_calibration",
    "output_names",
    "sound_all",
    "sound_file",
    "sound_job",
    "sources_in",
]

# Starting processes takes some seconds; less than this is sounded sooner than they are up.
_WORTH_PROCESSES_BYTES = 200 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundingJob:
    """One recording to sound.

    Attributes:
        recording: Its path, as the worker sees it.
        config: Settings.
        reference: Recording of what was transmitted, where the recording does not say.
        calibration: Response of the front ends, to be divided out.
        num_workers: Threads within the recording, >= 1; any number gives the same result.
        provenance: JSON values for the file of soundings.
    """

    recording: Path
    config: SoundingConfig = field(default_factory=SoundingConfig)
    reference: Path | None = None
    calibration: Calibration | None = None
    num_workers: int = 1
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundedFile:
    """What became of a job: the soundings as an HDF5 file, or the reason why there are none.

    Attributes:
        recording: Path of the recording.
        content: The bytes of the file; None when it failed.
        error: One line; None when it did not fail.
    """

    recording: Path
    content: bytes | None = None
    error: str | None = None

    def soundings(self) -> list[Sounding]:
        """Return the soundings.

        Raises:
            StoreError: The job failed, or the bytes are not what they should be.
        """
        if self.content is None:
            raise StoreError(f"{self.recording}: {self.error}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.recording.name}.h5"
            path.write_bytes(self.content)
            return load_soundings(path)

    def save(self, path: Path, *, force: bool = False) -> Path:
        """Write the file, whole or not at all, and return its path.

        Raises:
            StoreError: The job failed, or the file cannot be written.
            ConfigError: The file exists.
        """
        if self.content is None:
            raise StoreError(f"{self.recording}: {self.error}")
        if path.exists() and not force:
            raise ConfigError(f"{path}: exists already; give --force to overwrite it")
        partial_path = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial_path.write_bytes(self.content)
            partial_path.replace(path)
        except OSError as exc:
            raise StoreError(f"{path}: cannot be written: {exc}") from exc
        return path


def sources_in(path: Path) -> list[Path]:
    """Return the recordings and the files of soundings (.h5) that a path stands for, by name.

    Raises:
        RecordingError: A folder holds neither; as `recordings_in` does for anything else.
    """
    stored = sorted(path.glob("*.h5")) if path.is_dir() else []
    if stored and not any(path.glob("*.sigmf*")):
        return stored
    return sorted([*recordings_in(path), *stored]) if stored else recordings_in(path)


def sound_file(job: SoundingJob, progress: ProgressCallback = no_progress) -> list[Sounding]:
    """Return the soundings of a job's recording.

    Raises:
        PhyemuError: It cannot be opened or sounded.
    """
    with ExitStack() as stack:
        received = stack.enter_context(open_recording(job.recording))
        sent = None
        if job.reference is not None:
            sent = stack.enter_context(open_recording(job.reference))
        return sound_recording(
            received,
            job.config,
            reference=sent,
            calibration=job.calibration,
            progress=progress,
            num_workers=job.num_workers,
        )


def sound_job(job: SoundingJob, progress: ProgressCallback = no_progress) -> SoundedFile:
    """Return the outcome of a job; a recording that cannot be sounded is one, too."""
    try:
        soundings = sound_file(job, progress)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "soundings.h5"
            save_soundings(soundings, path, provenance=job.provenance)
            return SoundedFile(recording=job.recording, content=path.read_bytes())
    except (PhyemuError, OSError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return SoundedFile(recording=job.recording, error=reason)


def sound_all(
    jobs: Sequence[SoundingJob],
    *,
    scheduler: str = "serial",
    progress: ProgressCallback = no_progress,
) -> Iterator[tuple[int, SoundedFile]]:
    """Yield (index of the job, its outcome) as the jobs get done.

    Args:
        jobs: Recordings to sound.
        scheduler: "serial": one after the other in this process; "local" or "local:N": on a Dask
            cluster of processes on this machine; "tcp://HOST:PORT": on the workers of that one.
        progress: Told of every recording done.

    Raises:
        ConfigError: The scheduler cannot be used or reached.
    """
    progress("sound recordings", 0, len(jobs))
    if scheduler == "serial":
        work = partial(sound_job, progress=renamed(progress, "this recording"))
        outcomes = run_jobs(work, jobs, scheduler=scheduler)
    else:
        outcomes = run_jobs(sound_job, [_absolute(job) for job in jobs], scheduler=scheduler)
    for done, (index, result) in enumerate(outcomes, start=1):
        path = jobs[index].recording
        if isinstance(result, Failure):
            outcome = SoundedFile(recording=path, error=result.reason)
        else:
            outcome = replace(result, recording=path)
        progress("sound recordings", done, len(jobs), note=path.name)
        yield index, outcome


def _absolute(job: SoundingJob) -> SoundingJob:
    """Return the job with paths that do not depend on a worker's folder."""
    return replace(
        job,
        recording=job.recording.absolute(),
        reference=None if job.reference is None else job.reference.absolute(),
    )


def choose_scheduler(recordings: Sequence[Path]) -> str:
    """Return "local" where processes of their own pay for several recordings, else "serial".

    They do when Dask is installed, there are several cores, and the recordings hold 200 MiB.
    """
    if len(recordings) < 2 or not can_use_dask() or num_cores() < 2:
        return "serial"
    sizes = sum(stored_bytes(path) for path in recordings)
    return "local" if sizes >= _WORTH_PROCESSES_BYTES else "serial"


def output_names(recordings: Sequence[Path]) -> list[str]:
    """Return the file name of the soundings of each recording: its base name with .h5.

    Raises:
        ConfigError: Two recordings would have the same.
    """
    names: dict[str, Path] = {}
    for path in recordings:
        name = f"{base_name(path)}.h5"
        if name in names:
            raise ConfigError(
                f"{path}: its soundings would be called {name}, as those of {names[name]}; "
                f"sound them into different folders"
            )
        names[name] = path
    return list(names)


def load_calibration(
    path: Path,
    config: SoundingConfig | None = None,
    *,
    reference: Path | None = None,
    progress: ProgressCallback = no_progress,
) -> Calibration:
    """Return the calibration in a recording through a cable, or in its soundings (.h5).

    Raises:
        PhyemuError: The file cannot be read or sounded, or is no calibration.
    """
    if path.suffix == ".h5":
        return calibration_of(load_soundings(path), name=path.name)
    with ExitStack() as stack:
        cable = stack.enter_context(open_recording(path))
        sent = None if reference is None else stack.enter_context(open_recording(reference))
        soundings = sound_recording(
            cable, config, reference=sent, progress=renamed(progress, "calibrate")
        )
    return calibration_of(soundings, name=path.name)

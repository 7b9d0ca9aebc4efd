"""A recording that sends a run's test images with a real radio."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phyemu.errors import ConfigError
from phyemu.progress import ProgressCallback, no_progress
from phyemu.waveform.transmission import write_symbols

from .exported import load_exported
from .reception_score import SENT_FILE
from .run_images import run_test_images
from .transmission import SentImages, encode_images, save_sent_images

__all__ = ["write_image_frames"]


def write_image_frames(
    run: Path,
    path: Path,
    *,
    order: int | None = None,
    passes: int = 1,
    amplitude: float = 0.4,
    gap_samples: int = 1024,
    limit: int | None = None,
    model: str | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> SentImages:
    """Write the frames of a run's test images to a recording and return what they send.

    The same goes to `sent.npz` in the run folder, by which `score_recording` scores what arrives.

    Args:
        run: Run folder with head, tail and settings.
        path: Recording to write.
        order: M, where the run holds several; None: the smallest.
        passes: How often all images are sent, one pass after the other, >= 1.
        amplitude: Magnitude of the strongest symbols, full scale 1.
        gap_samples: Silence around each frame [samples], >= 0.
        limit: At most so many images; None: as many as the run was limited to.
        model: Name of a network that is not phyemu's, which may be imported.
        force: Overwrite an existing recording and `sent.npz`.
        progress: Told of the images encoded.

    Raises:
        CheckpointError: The run holds no such export.
        ConfigError: A number is out of range, the samples would clip, or a file exists.
        DatasetError: The images cannot be read.
        RecordingError: The recording cannot be written.
    """
    phydnn = load_exported(run, order=order, model=model)
    kept = run / SENT_FILE
    if kept.exists() and not force:
        raise ConfigError(
            f"{kept}: exists already, and recordings of what was sent before are scored by it; "
            f"give --force to overwrite it"
        )
    images = run_test_images(run, phydnn, limit=limit)
    sent = encode_images(phydnn, images, repetitions=passes, progress=progress)
    with _set_aside(kept):
        write_symbols(
            path,
            sent.symbols.flatten(),
            phydnn.constellation,
            phydnn.frame_format,
            amplitude=amplitude,
            gap_samples=gap_samples,
            description="phyemu frames of test images: what a radio should transmit",
            global_fields={
                "phyemu:payload": {
                    "kind": "images",
                    "num_symbols": sent.symbols.numel(),
                    "num_images": len(sent.labels),
                }
            },
            force=force,
        )
    save_sent_images(sent, kept)
    return sent


@contextmanager
def _set_aside(kept: Path) -> Iterator[None]:
    """Hide what was sent before, so that a kill leaves no new recording that is scored by it.

    It is back where the new recording is refused, and gone where it is written.
    """
    aside = kept.with_name(f".{kept.name}.before")
    aside.unlink(missing_ok=True)  # of a call that was killed
    if kept.exists():
        kept.replace(aside)
    try:
        yield
    except ConfigError:  # nothing was written
        if aside.exists():
            aside.replace(kept)
        raise
    aside.unlink(missing_ok=True)

"""Recordings of what a radio should transmit, with all that a receiver must be told of them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phyemu.errors import ConfigError
from phyemu.iq import Annotation, RecordingWriter
from phyemu.waveform.constellation import Constellation, constellation
from phyemu.waveform.frame import transmit_waveform
from phyemu.waveform.frame_format import FrameFormat
from phyemu.waveform.modulation import modulate
from phyemu.waveform.sounder import SounderFormat, sounder_waveform

__all__ = ["random_symbols", "write_frames", "write_sounder", "write_symbols"]


def random_symbols(num_symbols: int, *, order: int, seed: int) -> Tensor:
    """Return the payload of a recording that `write_frames` made: uniform, (num_symbols,), int64.

    Args:
        num_symbols: How many symbols, >= 1.
        order: Size of the constellation, >= 2.
        seed: Seed of a CPU generator; with the order it reproduces the symbols anywhere.

    Raises:
        ConfigError: A number is out of range.
    """
    if num_symbols < 1 or order < 2 or seed < 0:
        raise ConfigError(
            f"need num_symbols >= 1, order >= 2, seed >= 0; got {num_symbols=}, {order=}, {seed=}"
        )
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(order, (num_symbols,), generator=generator)


def write_sounder(
    path: Path | str,
    sounder_format: SounderFormat,
    *,
    num_bursts: int,
    amplitude: float,
    force: bool = False,
) -> Path:
    """Write bursts of the sounder to a recording and return its path.

    The recording begins and ends with half a gap of silence, so that sent again and again it keeps
    its interval, or its sequence without end. Each burst is annotated ("sounding"); the format is
    in `phyemu:sounder`.

    Args:
        path: Recording to write (.sigmf: one archive; else a .sigmf-meta/-data pair).
        sounder_format: What to send.
        num_bursts: How many bursts, >= 1.
        amplitude: Root mean square of the samples, full scale 1, within 0..1.
        force: Overwrite an existing recording.

    Raises:
        ConfigError: A number is out of range, the samples would clip, or the recording exists.
        RecordingError: The recording cannot be written.
    """
    if num_bursts < 1:
        raise ConfigError(f"num_bursts must be at least 1, got {num_bursts}")
    burst = sounder_waveform(sounder_format)
    _check_amplitude(amplitude, peak=float(burst.abs().max()))
    samples = (amplitude * burst).numpy()
    lead = sounder_format.gap_samples // 2
    tail = sounder_format.gap_samples - lead
    with RecordingWriter(
        path,
        sample_rate_hz=sounder_format.sample_rate_hz,
        description="phyemu sounder: what a radio should transmit",
        global_fields={
            "phyemu:waveform": "sounder",
            "phyemu:sounder": sounder_format.to_dict(),
            "phyemu:reference_power": amplitude**2,
        },
        force=force,
    ) as writer:
        for index in range(num_bursts):
            writer.write(np.zeros(lead, np.complex64))
            start = writer.num_samples
            writer.write(samples)
            writer.write(np.zeros(tail, np.complex64))
            writer.annotate(
                Annotation(
                    sample_start=start,
                    sample_count=len(samples),
                    label="sounding",
                    fields={"phyemu:frame_index": index},
                )
            )
    return Path(path)


def write_frames(
    path: Path | str,
    frame_format: FrameFormat,
    *,
    constellation_name: str,
    order: int,
    num_symbols: int,
    amplitude: float,
    gap_samples: int,
    seed: int,
    force: bool = False,
) -> Path:
    """Write frames of random payload symbols to a recording and return its path.

    The symbols are `random_symbols(num_symbols, order=order, seed=seed)`; what reproduces them is
    in the metadata (`phyemu:payload`, `phyemu:seed`, `phyemu:constellation`,
    `phyemu:frame_format`), and each frame is annotated ("frame").

    Args:
        path: Recording to write.
        frame_format: How the payload is framed.
        constellation_name: "psk" or "qam".
        order: Size of the constellation.
        num_symbols: Payload symbols in all, split over as many frames as they need.
        amplitude: Magnitude of the strongest symbols, full scale 1.
        gap_samples: Silence around each frame [samples], >= 0.
        seed: Seed of the payload.
        force: Overwrite an existing recording.

    Raises:
        ConfigError: A number is out of range, the samples would clip, or the recording exists.
        RecordingError: The recording cannot be written.
    """
    return write_symbols(
        path,
        random_symbols(num_symbols, order=order, seed=seed),
        constellation(constellation_name, order),
        frame_format,
        amplitude=amplitude,
        gap_samples=gap_samples,
        description="phyemu frames of random symbols: what a radio should transmit",
        global_fields={
            "phyemu:payload": {"kind": "random", "num_symbols": num_symbols},
            "phyemu:seed": seed,
        },
        force=force,
    )


def write_symbols(
    path: Path | str,
    symbols: Tensor,
    table: Constellation,
    frame_format: FrameFormat,
    *,
    amplitude: float,
    gap_samples: int,
    description: str,
    global_fields: Mapping[str, Any],
    force: bool = False,
) -> Path:
    """Write frames of given payload symbols to a recording and return its path.

    What a receiver must know is in the metadata (`phyemu:waveform`, `phyemu:frame_format`,
    `phyemu:constellation`, `phyemu:reference_power`), and each frame is annotated ("frame").

    Args:
        path: Recording to write.
        symbols: The payload, split over as many frames as it needs, (num_symbols,), int64.
        table: Point m is sent for symbol m.
        frame_format: How the payload is framed.
        amplitude: Magnitude of the strongest symbols, full scale 1.
        gap_samples: Silence around each frame [samples], >= 0.
        description: Of the recording, for people.
        global_fields: Further metadata, on the payload.
        force: Overwrite an existing recording.

    Raises:
        ConfigError: A number is out of range, the samples would clip, or the recording exists.
        RecordingError: The recording cannot be written.
    """
    _check_amplitude(amplitude, peak=0.0)
    iq, placements = transmit_waveform(
        modulate(symbols, table),
        frame_format=frame_format,
        amplitude=amplitude,
        gap_samples=gap_samples,
    )
    samples = iq.detach().numpy().astype(np.complex64)
    peak = float(np.abs(samples).max())
    if peak > 1.0:
        raise ConfigError(
            f"amplitude {amplitude:g} gives peaks of {peak:.2f} of full scale, which would clip; "
            f"use at most {amplitude / peak:.2f}"
        )
    with RecordingWriter(
        path,
        sample_rate_hz=frame_format.sample_rate_hz,
        description=description,
        global_fields={
            "phyemu:waveform": "frames",
            "phyemu:frame_format": frame_format.to_dict(),
            "phyemu:constellation": table.to_dict(),
            **global_fields,
            "phyemu:reference_power": frame_format.reference_power(amplitude),
        },
        force=force,
    ) as writer:
        writer.write(samples)
        for placement in placements:
            writer.annotate(
                Annotation(
                    sample_start=placement.sample_start,
                    sample_count=placement.sample_count,
                    label="frame",
                    fields={
                        "phyemu:frame_index": placement.frame_index,
                        "phyemu:payload_symbols": placement.payload_symbols,
                    },
                )
            )
    return Path(path)


def _check_amplitude(amplitude: float, *, peak: float) -> None:
    if not (math.isfinite(amplitude) and 0 < amplitude <= 1):
        raise ConfigError(f"amplitude must be within 0..1 of full scale, got {amplitude}")
    if amplitude * peak > 1.0:
        raise ConfigError(
            f"amplitude {amplitude:g} gives peaks of {amplitude * peak:.2f} of full scale, which "
            f"would clip; use at most {1.0 / peak:.2f}"
        )

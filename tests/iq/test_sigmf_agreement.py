"""The sigmf package reads what we write, and we read what it writes, sample for sample."""

from pathlib import Path

import numpy as np
import pytest
import sigmf
from sigmf import SigMFFile

from phyemu.iq import Annotation, RecordingWriter, open_recording

DATATYPES = [
    "ci8", "cu8", "ci16_le", "ci16_be", "cu16_le", "cu16_be", "ci32_le", "ci32_be",
    "cf32_le", "cf32_be", "cf64_le", "cf64_be",
]  # fmt: skip
SUFFIXES = [".sigmf-meta", ".sigmf", ".sigmf.gz", ".sigmf.xz", ".sigmf.zip"]


def stored_values(datatype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return components (..., 2) over the whole range of the type."""
    rng = np.random.default_rng(seed)
    order = ">" if datatype.endswith("_be") else "<"
    dtype = np.dtype(f"{order}{datatype[1]}{int(datatype[2:].partition('_')[0]) // 8}")
    if dtype.kind == "f":
        return rng.uniform(-2, 2, (*shape, 2)).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, (*shape, 2), np.int64, endpoint=True).astype(dtype)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("datatype", DATATYPES)
def test_we_read_what_sigmf_writes(tmp_path: Path, datatype: str, suffix: str) -> None:
    num_channels = 1 if datatype != "ci16_le" else 3
    raw = stored_values(datatype, (257, num_channels))
    data = tmp_path / "source.sigmf-data"
    raw.tofile(data)
    theirs = SigMFFile(
        data_file=data,
        global_info={
            sigmf.DATATYPE_KEY: datatype,
            sigmf.SAMPLE_RATE_KEY: 48000,
            sigmf.NUM_CHANNELS_KEY: num_channels,
        },
    )
    theirs.add_capture(0, metadata={sigmf.FREQUENCY_KEY: 915e6})
    theirs.add_capture(100, metadata={sigmf.FREQUENCY_KEY: 916e6})
    theirs.add_annotation(50, 20, metadata={sigmf.LABEL_KEY: "burst"})
    path = tmp_path / f"source{suffix}"
    theirs.tofile(path)
    expected = theirs.read_samples().reshape(257, num_channels)
    with open_recording(path, verify=True) as ours:
        assert np.array_equal(ours.read_channels(), expected.T)
        assert ours.datatype == datatype
        assert [segment.center_frequency_hz for segment in ours.captures] == [915e6, 916e6]
        assert ours.annotations == (Annotation(sample_start=50, sample_count=20, label="burst"),)


@pytest.mark.parametrize(
    ("suffix", "num_channels", "size"),
    [(".sigmf-meta", 1, 257), (".sigmf-meta", 2, 2), (".sigmf", 1, 1), (".sigmf", 2, 300)],
)
@pytest.mark.parametrize("datatype", DATATYPES)
def test_sigmf_validates_and_reads_what_we_write(
    tmp_path: Path, datatype: str, num_channels: int, suffix: str, size: int
) -> None:
    path = tmp_path / f"ours{suffix}"
    rng = np.random.default_rng(size)
    iq = (rng.uniform(-1, 1, (2, num_channels, size)).T @ [1, 1j]).T.astype(np.complex64)
    with RecordingWriter(
        path,
        sample_rate_hz=20e6,
        datatype=datatype,
        num_channels=num_channels,
        center_frequency_hz=2.4e9,
        global_fields={"phyemu:waveform": "frames"},
    ) as writer:
        writer.write(iq[:, : size // 2])
        if size > 1:
            writer.start_segment(global_index=1000, fields={"phyemu:gap": "overflow"})
        writer.write(iq[:, size // 2 :])
        writer.annotate(Annotation(sample_start=0, sample_count=size, label="frame"))
    theirs = sigmf.fromfile(path)  # checks the hash
    theirs.validate()
    samples = theirs.read_samples().reshape(size, num_channels).T
    with open_recording(path, verify=True) as ours:
        assert np.array_equal(ours.read_channels(), samples)
    step = 0.0 if datatype[1] == "f" else 2.0 ** (1 - int(datatype[2:].partition("_")[0]))
    # A full-scale component saturates one step lower; single precision rounds on top.
    error = samples - iq
    bound = max(step, 2.0**-24 * (step > 0))
    assert max(np.abs(error.real).max(), np.abs(error.imag).max()) <= bound
    assert theirs.get_global_field("phyemu:waveform") == "frames"
    assert theirs.get_annotations()[0]["core:label"] == "frame"

"""Reading recordings, and refusing those whose metadata and samples disagree."""

import hashlib
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import RecordingError
from phyemu.iq import open_recording

MakePair = Callable[..., Path]
RAMP = np.arange(200, dtype="<i2")  # I = 0, 2, 4, ...; Q = 1, 3, 5, ...


def test_metadata_are_plain_attributes(make_pair: MakePair) -> None:
    path = make_pair(
        data=RAMP.tobytes(),
        globals_={"core:sample_rate": 2e6, "core:num_channels": 2, "core:hw": "USRP"},
        captures=[
            {"core:sample_start": 0, "core:frequency": 2.4e9, "core:global_index": 10},
            {"core:sample_start": 20, "core:global_index": 35, "phyemu:gap": "overflow"},
        ],
        annotations=[{"core:sample_start": 5, "core:sample_count": 45, "core:label": "frame"}],
    )
    with open_recording(path) as recording:
        assert recording.path == path
        assert (recording.num_samples, recording.num_channels) == (50, 2)
        assert (recording.sample_rate_hz, recording.duration_s) == (2e6, 25e-6)
        assert recording.center_frequency_hz == 2.4e9
        assert recording.datatype == "ci16_le"
        assert recording.global_fields["core:hw"] == "USRP"
        assert recording.captures[1].fields == {"phyemu:gap": "overflow"}
        assert recording.annotations[0].label == "frame"
        assert recording.lost_samples == 35 - 10 - 20
        assert recording.sha512 is None
        assert recording.verify() is None


def test_lost_samples_are_unknown_without_global_indices(make_pair: MakePair) -> None:
    path = make_pair(captures=[{"core:sample_start": 0}, {"core:sample_start": 20}])
    with open_recording(path) as recording:
        assert recording.lost_samples is None


def test_channels_are_interleaved(make_pair: MakePair) -> None:
    path = make_pair(data=RAMP.tobytes(), globals_={"core:num_channels": 4})
    scaled = (RAMP.astype(np.float32) / 2**15).reshape(25, 4, 2)
    expected = scaled[..., 0] + 1j * scaled[..., 1]
    with open_recording(path) as recording:
        assert np.array_equal(recording.read_channels(), expected.T)
        for channel in range(4):
            assert np.array_equal(recording.read(channel=channel), expected[:, channel])
        assert np.array_equal(recording.read_channels(3, 4), expected.T[:, 3:7])
        assert recording.read_channels().flags.c_contiguous


@settings(max_examples=50)
@given(start=st.integers(0, 100), data=st.data())
def test_random_access_equals_a_slice_of_all(
    tmp_path_factory: pytest.TempPathFactory, start: int, data: st.DataObject
) -> None:
    base = tmp_path_factory.getbasetemp() / "ramp"
    if not base.with_suffix(".sigmf-data").exists():
        base.with_suffix(".sigmf-data").write_bytes(RAMP.tobytes())
        base.with_suffix(".sigmf-meta").write_text(
            '{"global": {"core:datatype": "ci16_le", "core:sample_rate": 1, "core:version": '
            '"1.2.0"}, "captures": [], "annotations": []}'
        )
    count = data.draw(st.none() | st.integers(0, 100 - start))
    with open_recording(base) as recording:
        whole = recording.read()
        stop = None if count is None else start + count
        assert np.array_equal(recording.read(start, count), whole[start:stop])


@pytest.mark.parametrize("block_samples", [1, 7, 100, 1000])
def test_blocks_join_to_the_whole(make_pair: MakePair, block_samples: int) -> None:
    with open_recording(make_pair(data=RAMP.tobytes())) as recording:
        blocks = list(recording.blocks(block_samples))
        assert all(len(block) == block_samples for block in blocks[:-1])
        assert np.array_equal(np.concatenate(blocks), recording.read())


def test_a_recording_is_never_loaded_whole(make_pair: MakePair) -> None:
    # A sparse file of 64 GiB: more than any machine that runs this would give.
    path = make_pair(data=b"")
    with path.with_suffix(".sigmf-data").open("r+b") as file:
        file.truncate(64 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_recording(path) as recording:
        assert recording.num_samples == 1 << 34
        assert not recording.read((1 << 34) - 1000).any()
        assert len(next(recording.blocks(1 << 16))) == 1 << 16
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 << 10


def test_samples_that_were_read_outlive_the_recording(make_pair: MakePair) -> None:
    with open_recording(make_pair(data=RAMP.tobytes())) as recording:
        iq = recording.read()
    assert iq[-1] == np.complex64((198 + 199j) / 2**15)
    for use in (recording.read, recording.read_channels, recording.verify):
        with pytest.raises(RecordingError, match="is closed; open it again"):
            use()
    recording.close()


def test_the_hash_is_checked_only_when_asked(make_pair: MakePair) -> None:
    data = RAMP.tobytes()
    right, wrong = hashlib.sha512(data).hexdigest(), hashlib.sha512(b"else").hexdigest()
    with open_recording(make_pair(data=data, globals_={"core:sha512": right.upper()})) as recording:
        assert recording.verify() is True
    open_recording(recording.path, verify=True).close()
    with open_recording(make_pair(data=data, globals_={"core:sha512": wrong})) as recording:
        assert recording.verify() is False
    with pytest.raises(
        RecordingError, match=r"its samples do not match core:sha512.*copy it again"
    ):
        open_recording(recording.path, verify=True)


def test_the_hash_covers_header_and_trailing_bytes(make_pair: MakePair) -> None:
    data = b"head" + RAMP.tobytes() + b"tail!"
    path = make_pair(
        data=data,
        globals_={
            "core:sha512": hashlib.sha512(data).hexdigest(),
            "core:trailing_bytes": 5,
            "core:dataset": "made.sigmf-data",
        },
        captures=[{"core:sample_start": 0, "core:header_bytes": 4}],
    )
    with open_recording(path, verify=True) as recording:
        assert recording.num_samples == 100
        assert recording.read(99)[0] == np.complex64((198 + 199j) / 2**15)


@pytest.mark.parametrize("datatype", ["cf32_le", "cf64_be"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1j * np.nan])
def test_reading_a_bad_sample_names_its_index(
    make_pair: MakePair, datatype: str, bad: complex
) -> None:
    iq = np.full(300, 1 + 1j)
    iq[123] = bad
    dtype = {"cf32_le": "<c8", "cf64_be": ">c16"}[datatype]
    path = make_pair(data=iq.astype(dtype).tobytes(), globals_={"core:datatype": datatype})
    with open_recording(path) as recording:
        assert np.all(recording.read(0, 123) == 1 + 1j)
        assert np.all(recording.read(124) == 1 + 1j)
        for read in (
            recording.read,
            lambda: recording.read(100, 50),
            recording.read_channels,
            lambda: list(recording.blocks(10)),
        ):
            with pytest.raises(RecordingError, match="sample 123 is NaN, infinite"):
                read()


def test_doubles_beyond_single_precision_are_refused(make_pair: MakePair) -> None:
    data = np.array([1, 1e300 - 1e300j]).tobytes()
    with (
        open_recording(make_pair(data=data, globals_={"core:datatype": "cf64_le"})) as recording,
        pytest.raises(RecordingError, match=r"sample 1 is .*beyond single precision"),
    ):
        recording.read()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"data": b""}, "its data file holds no samples"),
        ({"data": bytes(399)}, "399 bytes, no whole number of ci16_le samples in 1 channels"),
        (
            {"globals_": {"core:num_channels": 3}},
            r"400 bytes, no whole number of ci16_le samples in 3 channels \(12 bytes each\): trunc",
        ),
        ({"globals_": {"core:num_channels": 2**62}}, "no whole number of"),
        (
            {"globals_": {"core:datatype": "cf64_le"}, "data": bytes(408)},
            "408 bytes, no whole number of cf64_le.*core:datatype",
        ),
        ({"globals_": {"core:datatype": "ri16_le"}}, "core:datatype: ri16_le samples are real"),
        ({"globals_": {"core:datatype": "ci16"}}, "core:datatype: ci16 lacks its byte order"),
        ({"globals_": {"core:datatype": "mu-law"}}, "core:datatype: 'mu-law' breaks SigMF's rule"),
        ({"globals_": {"core:sample_rate": None}}, "core:sample_rate must be a positive.*got None"),
        ({"globals_": {"core:sample_rate": 0}}, "core:sample_rate must be a positive.*got 0"),
        ({"captures": [{"core:sample_start": 101}]}, "captures/0 starts at sample 101.*truncated"),
        (
            {"annotations": [{"core:sample_start": 90, "core:sample_count": 11}]},
            "annotations/0 ends at sample 101, but the data ends at 100: the data is truncated",
        ),
        ({"globals_": {"core:trailing_bytes": 400}}, "holds no samples"),
        ({"globals_": {"core:trailing_bytes": 2**60}}, "holds no samples"),
        ({"captures": [{"core:sample_start": 0, "core:header_bytes": 2**60}]}, "holds no samples"),
        (
            {
                "captures": [
                    {"core:sample_start": 0},
                    {"core:sample_start": 9, "core:header_bytes": 4},
                ]
            },
            "captures/1: core:header_bytes between segments is not supported; convert",
        ),
        ({"text": "{"}, "is no JSON"),
        ({"text": b"\0" * 64}, "is no JSON"),
    ],
)
def test_metadata_that_do_not_fit_the_samples_are_refused(
    make_pair: MakePair, made: dict[str, object], message: str
) -> None:
    with pytest.raises(RecordingError, match=rf"made\.sigmf-meta: .*{message}"):
        open_recording(make_pair(**made))


def test_stretches_that_are_not_there_are_refused(make_pair: MakePair) -> None:
    with open_recording(make_pair()) as recording:
        for start, count in [(-1, 1), (0, 101), (101, None), (100, 1), (5, -1), (2**70, 1)]:
            with pytest.raises(RecordingError, match=r"were asked for, it has 100"):
                recording.read(start, count)
            with pytest.raises(RecordingError, match=r"were asked for, it has 100"):
                recording.read_channels(start, count)
        assert recording.read(100).shape == (0,)
        for channel in (-1, 1):
            with pytest.raises(RecordingError, match=f"no channel {channel}; it has 1"):
                recording.read(channel=channel)
        with pytest.raises(RecordingError, match="block_samples must be >= 1, got 0"):
            list(recording.blocks(0))


def test_the_real_captures_open_and_match_their_hashes(shared_data: Path) -> None:
    paths = sorted((shared_data / "captures").glob("*.sigmf-meta"))
    assert paths
    for path in paths:
        stored = np.fromfile(path.with_suffix(".sigmf-data"), "<i2").astype(np.float64) / 2**15
        with open_recording(path, verify=True) as recording:
            assert recording.sample_rate_hz == 20e6
            assert np.array_equal(recording.read(), stored[0::2] + 1j * stored[1::2])

"""Stored components and complex64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import RecordingError
from phyemu.iq.sample_format import first_non_finite, sample_format

INTEGERS = ["ci8", "ci16_le", "ci16_be", "ci32_le", "cu8", "cu16_le", "cu16_be", "cu32_be"]
EXACT = [name for name in INTEGERS if "32" not in name]


@pytest.mark.parametrize("datatype", INTEGERS)
def test_integer_full_scale_is_one(datatype: str) -> None:
    layout = sample_format(datatype, where="here")
    info = np.iinfo(layout.component)
    middle = (int(info.min) + int(info.max) + 1) // 2
    stored = np.array([[info.min, middle], [info.max, middle]], layout.component)
    first, last = layout.decode(stored)
    assert first == -1.0
    # The largest value is one step below full scale, to single precision.
    step = 2.0 / (int(info.max) - int(info.min) + 1)
    assert last == np.complex64(1.0 - step)


@pytest.mark.parametrize("datatype", EXACT)
def test_every_stored_value_survives_decoding_and_encoding(datatype: str) -> None:
    layout = sample_format(datatype, where="here")
    info = np.iinfo(layout.component)
    values = np.arange(info.min, int(info.max) + 1)
    stored = np.stack([values, values[::-1]], axis=-1).astype(layout.component)
    encoded, clipped = layout.encode(layout.decode(stored))
    assert clipped == 0
    assert encoded.dtype == layout.component
    assert np.array_equal(encoded, stored)


@pytest.mark.parametrize("datatype", INTEGERS)
@settings(max_examples=40)
@given(values=st.lists(st.complex_numbers(max_magnitude=3.0, allow_nan=False), max_size=20))
def test_encoding_saturates_counts_and_is_off_by_half_a_step(
    datatype: str, values: list[complex]
) -> None:
    layout = sample_format(datatype, where="here")
    iq = np.array(values, np.complex64)
    stored, clipped = layout.encode(iq)
    parts = np.stack([iq.real, iq.imag], axis=-1).astype(np.float64)
    step = 1.0 / layout.full_scale
    # A component is clipped when the nearest step lies outside what can be stored.
    codes = np.rint(parts / step)
    outside = (codes > layout.full_scale - 1) | (codes < -layout.full_scale)
    assert clipped == np.count_nonzero(outside.any(axis=-1))
    decoded = layout.decode(stored)
    got = np.stack([decoded.real, decoded.imag], axis=-1)
    expected = np.clip(parts, -1.0, 1.0 - step)
    # Half a step, and the rounding of single precision at full scale.
    assert np.all(np.abs(got - expected) <= 0.5 * step + 2.0**-24)


def test_a_clipped_sample_is_counted_once_however_many_components_clip() -> None:
    iq = np.array([2 + 2j, 2 + 0j, 0 - 2j, 0.5 + 0.5j, -1 - 1j], np.complex64)
    _, clipped = sample_format("ci16_le", where="here").encode(iq)
    assert clipped == 3  # -1 can be stored


def test_double_precision_is_rounded_to_single() -> None:
    layout = sample_format("cf64_be", where="here")
    stored = np.array([[0.1, -0.2], [1e300, np.nan]], ">f8")
    first, last = layout.decode(stored)
    assert first == np.complex64(0.1 - 0.2j)
    assert np.isinf(last.real)
    assert np.isnan(last.imag)


@pytest.mark.parametrize(
    ("datatype", "message"),
    [
        ("rf32_le", "real.*cf32_le.*baseband"),
        ("ri8", "real.*ci8"),
        ("ci16", "byte order; write ci16_le or ci16_be"),
        ("ci24_le", "unknown datatype 'ci24_le'; known are ci8"),
        ("cf16_le", "unknown datatype"),
        ("ci64_le", "unknown datatype"),
        ("ci16_le; rm", "unknown datatype"),
        (7, "unknown datatype 7"),
    ],
)
def test_other_datatypes_are_refused_with_what_is_known(datatype: object, message: str) -> None:
    with pytest.raises(RecordingError, match=f"^here: .*{message}"):
        sample_format(datatype, where="here")


@settings(max_examples=50)
@given(
    rows=st.integers(1, 3),
    columns=st.integers(0, 40),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, complex(0, np.nan), complex(1, -np.inf)]),
    data=st.data(),
)
def test_the_first_bad_sample_is_found(
    rows: int, columns: int, bad: complex, data: st.DataObject
) -> None:
    iq = np.full((rows, columns), 0.5 - 0.5j, np.complex64)
    assert first_non_finite(iq) is None
    if columns:
        places = data.draw(st.lists(st.integers(0, columns - 1), min_size=1, max_size=3))
        for place in places:
            iq[data.draw(st.integers(0, rows - 1)), place] = bad
        assert first_non_finite(iq) == min(places)

"""The coded header."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erfc

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform import Header, decode_header, encode_header
from phyemu.waveform.header import _golay_words


@given(index=st.integers(0, 4095), length=st.integers(1, 16384))
def test_every_header_comes_back(index: int, length: int) -> None:
    header = Header(frame_index=index, payload_symbols=length)
    symbols = encode_header(header)
    assert symbols.shape == (72,)
    assert decode_header(symbols) == header
    assert decode_header(0.01 * symbols) == header


def test_the_code_has_the_weights_of_the_extended_golay_code() -> None:
    weights = (_golay_words() < 0).sum(axis=1)
    # MacWilliams and Sloane, The Theory of Error-Correcting Codes, ch. 2.
    counts = {0: 1, 8: 759, 12: 2576, 16: 759, 24: 1}
    assert {int(w): int((weights == w).sum()) for w in np.unique(weights)} == counts


def test_three_errors_in_each_word_are_corrected(generator: torch.Generator) -> None:
    header = Header(frame_index=1234, payload_symbols=567)
    symbols = encode_header(header).reshape(3, 24)
    for word in symbols:
        word[torch.randperm(24, generator=generator)[:3]] *= -1
    assert decode_header(symbols.flatten()) == header


def test_the_error_rate_stays_below_the_union_bound(generator: torch.Generator) -> None:
    trials, snr_db = 3000, 1.0
    sigma = math.sqrt(0.5 * 10 ** (-snr_db / 10))
    symbols = encode_header(Header(frame_index=77, payload_symbols=16384))
    noise = sigma * torch.randn(trials, 72, generator=generator)
    failed = sum(decode_header(symbols + row) is None for row in noise)
    snr = 10 ** (snr_db / 10)

    def q(x: float) -> float:
        return 0.5 * float(erfc(x / math.sqrt(2)))

    word = 759 * q(math.sqrt(16 * snr)) + 2576 * q(math.sqrt(24 * snr))
    bound = 3 * word
    assert bound < 0.01  # 99 % at 1 dB
    assert failed / trials < bound + 5 * math.sqrt(bound / trials)


def test_noise_passes_the_check_about_once_in_1024(generator: torch.Generator) -> None:
    passed = sum(
        decode_header(row) is not None for row in torch.randn(4000, 72, generator=generator)
    )
    expected = 4000 / 1024
    assert passed <= expected + 5 * math.sqrt(expected)


def test_headers_differ_in_at_least_eight_symbols() -> None:
    headers = [Header(frame_index=i, payload_symbols=16384) for i in range(40)]
    for first, second in itertools.combinations([encode_header(h) for h in headers], 2):
        assert int((first != second).sum()) >= 8


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="frame_index"):
        Header(frame_index=4096, payload_symbols=1)
    with pytest.raises(ConfigError, match="payload_symbols"):
        Header(frame_index=0, payload_symbols=0)
    with pytest.raises(SignalError, match="72"):
        decode_header(torch.zeros(71))

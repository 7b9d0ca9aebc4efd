"""The legacy preamble against the tables of IEEE Std 802.11-2020, Annex I."""

import numpy as np

from phyemu.wifi.preamble import L_LTF_CARRIERS, l_ltf, l_ltf_values, l_stf, legacy_preamble

# Annex I, Tables I-2 and I-5 print the samples of one symbol to three digits, at a mean power of
# 52 / 64^2 (a plain inverse FFT of the carriers): rounding leaves up to 0.0005 in either part.
_STF_START = [0.046 + 0.046j, -0.132 + 0.002j, -0.013 - 0.079j, 0.143 - 0.013j]
_LTF_START = [0.156 + 0.000j, -0.005 - 0.120j, 0.040 - 0.111j, 0.097 + 0.083j]
_SCALE = np.sqrt(52) / 64


def test_samples_are_those_printed_in_the_standard() -> None:
    np.testing.assert_allclose(l_stf().numpy()[:4] * _SCALE, _STF_START, atol=7.1e-4)
    np.testing.assert_allclose(l_ltf().numpy()[32:36] * _SCALE, _LTF_START, atol=7.1e-4)


def test_periods_and_unit_power_hold() -> None:
    stf, ltf = l_stf().numpy(), l_ltf().numpy()
    np.testing.assert_allclose(stf[16:], stf[:-16], atol=1e-6)
    np.testing.assert_allclose(ltf[64:], ltf[:-64], atol=1e-6)
    np.testing.assert_allclose(np.mean(np.abs(stf) ** 2), 1.0, rtol=1e-6)
    np.testing.assert_allclose(np.mean(np.abs(ltf[32:]) ** 2), 1.0, rtol=1e-6)
    assert len(legacy_preamble()) == 320


def test_ltf_occupies_52_carriers_with_its_signs() -> None:
    spectrum = np.fft.fft(l_ltf().numpy()[32:96]) / (64 / np.sqrt(52))
    expected = np.zeros(64, complex)
    expected[np.array(L_LTF_CARRIERS)] = l_ltf_values().numpy()
    np.testing.assert_allclose(spectrum, expected, atol=1e-6)

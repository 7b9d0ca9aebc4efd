import pytest

from phyemu.channel import Awgn, load_channel
from phyemu.datasets import ImageSet
from phyemu.errors import ConfigError
from phyemu.evaluation import (
    EvaluationFidelity,
    ExportedPhyDnn,
    evaluate_phydnn,
    snr_range,
    sweep_snr,
)
from phyemu.waveform import psk_symbol_error_rate


@pytest.mark.parametrize("fidelity", list(EvaluationFidelity))
def test_at_high_snr_every_fidelity_gives_the_same(
    phydnn: ExportedPhyDnn, images: ImageSet, fidelity: EvaluationFidelity
) -> None:
    result = evaluate_phydnn(phydnn, Awgn(35.0), images, fidelity=fidelity, seed=0)
    symbol = evaluate_phydnn(phydnn, Awgn(35.0), images, fidelity=EvaluationFidelity.SYMBOL, seed=3)
    assert result.ser == 0.0
    assert result.accuracy == symbol.accuracy
    assert result.frames_lost == 0
    assert (result.frames_sent > 0) == (fidelity is EvaluationFidelity.FRAMES)
    assert result.to_dict()["bytes_on_air_per_batch_of_64"] > 64 * 256 / 4


def test_the_seed_fixes_the_result(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    model = load_channel("world:office-nlos")
    first, second = (
        evaluate_phydnn(phydnn, model, images, fidelity=EvaluationFidelity.FRAMES, seed=4)
        for _ in range(2)
    )
    assert first == second


def test_a_sweep_follows_theory(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    results = sweep_snr(
        phydnn,
        load_channel("awgn:99"),
        images,
        (0.0, 4.0, 8.0),
        fidelity=EvaluationFidelity.SYMBOL,
        seed=0,
        repetitions=3,
    )
    for snr_db, result in zip((0.0, 4.0, 8.0), results, strict=True):
        expected = psk_symbol_error_rate(4, snr_db)
        spread = (expected / (60 * 256 * 3)) ** 0.5
        assert result.ser == pytest.approx(expected, abs=5 * spread)
        assert result.snr_db == pytest.approx(snr_db)
        assert result.num_images == 180


@pytest.mark.parametrize("text", ["4:20", "a:b:c", "4:8:0", "", "8:4:2", "0:1e6:1e-3", "nan"])
def test_ranges_that_name_nothing_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SNR"):
        snr_range(text)


def test_ranges_include_both_ends() -> None:
    assert snr_range("4:20:2") == tuple(float(x) for x in range(4, 21, 2))
    assert snr_range("0:0.3:0.1") == pytest.approx((0.0, 0.1, 0.2, 0.3))
    assert snr_range("12,4") == (12.0, 4.0)


def test_no_images_are_refused(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    with pytest.raises(ConfigError, match="nothing to evaluate"):
        evaluate_phydnn(
            phydnn,
            Awgn(9.0),
            images,
            fidelity=EvaluationFidelity.SYMBOL,
            seed=0,
            repetitions=0,
        )

"""Channels by spec, file and name."""

import math
from pathlib import Path

import pytest

from phyemu.channel import (
    Awgn,
    AwgnRange,
    Distribution,
    EmpiricalChannel,
    Mixture,
    TappedDelayLine,
    Widened,
    load_channel,
    save_model,
    tdl,
    tgn,
    with_snr,
    world,
)
from phyemu.errors import ConfigError


def test_specs_name_the_standard_channels() -> None:
    assert load_channel("awgn:inf") == Awgn(math.inf)
    assert load_channel("awgn:4..20") == AwgnRange(4.0, 20.0)
    assert load_channel("AWGN:-2.5..+1e1") == AwgnRange(-2.5, 10.0)
    assert load_channel("awgn:-2.5..10").name == "awgn:-2.5..10"
    assert load_channel("tgn-d:15") == tgn("D", snr_db=15.0)
    assert load_channel("TGn-B-los:15:40") == tgn(
        "B", snr_db=15.0, line_of_sight=True, doppler_hz=40.0
    )
    assert load_channel("tdl-c:20:300:70") == tdl(
        "C", rms_delay_spread_s=300e-9, snr_db=20.0, doppler_hz=70.0
    )
    assert load_channel("world:office-los") == world("office-los").model
    mixture = load_channel("mixture:awgn:3,tgn-a:9")
    assert isinstance(mixture, Mixture)
    assert [model.name for model in mixture.models] == ["awgn:3", "tgn-a"]


def test_a_file_and_a_library_name_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_model(Awgn(4.0), tmp_path / "channels" / "quiet_room.h5")
    assert load_channel(str(path)) == Awgn(4.0)
    monkeypatch.setenv("PHYEMU_LIBRARY", str(tmp_path))
    assert load_channel("quiet-room") == Awgn(4.0)


def test_mixtures_take_weights_shipped_names_and_files_with_commas(tmp_path: Path) -> None:
    mixture = load_channel("mixture:0.7*office-nlos, .3*widen:1.5:tgn-b:9")
    assert isinstance(mixture, Mixture)
    assert mixture.weights == (0.7, 0.3)
    assert mixture.name == "mixture:0.7*office-nlos,0.3*widen:1.5:tgn-b"
    path = save_model(Awgn(4.0), tmp_path / "a,b.h5")
    loaded = load_channel(f"mixture:conference-los,{path},awgn:2")
    assert isinstance(loaded, Mixture)
    assert [model.name for model in loaded.models] == ["conference-los", "awgn:4", "awgn:2"]
    weighted = load_channel(f"mixture:2*{path},1*awgn:2")
    assert weighted == Mixture((Awgn(4.0), Awgn(2.0)), (2.0, 1.0))
    ranges = load_channel("mixture:2*awgn:4..20,1*awgn:2")
    assert ranges == Mixture((AwgnRange(4.0, 20.0), Awgn(2.0)), (2.0, 1.0))
    widened = load_channel("widen:2:mixture:awgn:1,awgn:2")
    assert widened == Widened(Mixture((Awgn(1.0), Awgn(2.0))), 2.0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "tgn-b",
            r"channel tgn-b: lacks SNR_DB; write tgn-b:SNR_DB\[:DOPPLER_HZ\], as in tgn-b:12",
        ),
        ("awgn", "channel awgn: lacks SNR_DB; write awgn:SNR_DB, as in awgn:12"),
        ("awgn:loud", "'loud' is no list of numbers; write awgn:SNR_DB"),
        ("awgn:nan", "NaN is no number; write awgn:SNR_DB"),
        ("awgn:1:2", "has too many numbers; write awgn:SNR_DB"),
        ("awgn:4:20", r"awgn:4\.\.20 draws from a range"),
        ("awgn:4..", r"channel awgn:4\.\.: is no range of SNR; write awgn:LOWEST\.\.HIGHEST in dB"),
        ("awgn:..20", "is no range of SNR; write"),
        ("awgn:4..loud", "is no range of SNR; write"),
        ("awgn:4..20..30", "is no range of SNR; write"),
        ("awgn:20..4", r"goes from one finite number of dB up to another, got 20 to 4\); write"),
        ("awgn:4..4", "got 4 to 4"),
        ("awgn:4..inf", "got 4 to inf"),
        ("awgn:-inf..4", "must be at least -200 dB, got -inf"),
        ("awgn:4..nan", "got 4 to nan"),
        (
            "tdl-a:1:2:3:4",
            r"too many numbers; write tdl-a:SNR_DB\[:RMS_DELAY_SPREAD_NS\[:DOPPLER_HZ\]\], as in",
        ),
        ("tgn-z:3", "A, B, C, D, E, F"),
        ("world:moon", "office-los"),
        ("mixture:", "mixture needs channels"),
        ("mixture:0.5*awgn:3,awgn:9", "a weight, or none"),
        ("widen:2", "widen:FACTOR:SPEC"),
        ("widen:0.5:awgn:3", "1 to 10"),
        ("widen:wide:awgn:3", "no list of numbers; write widen:FACTOR:SPEC$"),
        ("widen::awgn:3", "lacks FACTOR:SPEC; write widen:FACTOR:SPEC$"),
        ("widen:2:widen:2:awgn:3", "cannot be widened"),
        ("no-such-place", "a channel is awgn:SNR_DB"),
    ],
)
def test_bad_specs_are_refused_with_the_forms(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_channel(spec)


def test_snr_is_replaced_in_every_model() -> None:
    assert with_snr(Awgn(1.0), 9.0) == Awgn(9.0)
    assert with_snr(AwgnRange(1.0, 2.0), 9.0) == Awgn(9.0)
    changed = with_snr(tgn("B", snr_db=1.0), 9.0)
    assert isinstance(changed, TappedDelayLine)
    assert changed == tgn("B", snr_db=9.0)
    fitted = with_snr(world("office-nlos").model, 9.0)
    assert isinstance(fitted, EmpiricalChannel)
    assert fitted.snr_db == Distribution.constant(9.0)
    assert fitted.cn0_dbhz is None
    both = with_snr(Mixture((Awgn(1.0), Awgn(2.0))), 9.0)
    assert isinstance(both, Mixture)
    assert both.models == (Awgn(9.0), Awgn(9.0))
    assert with_snr(Widened(Awgn(1.0), 1.5), 9.0) == Widened(Awgn(9.0), 1.5)

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.errors import ConfigError
from phyemu.node import RadioConf, Role, load_radio_conf, write_radio_conf
from phyemu.node.radio_conf import (
    CaptureSection,
    JobSection,
    PhyDnnSection,
    RadioSection,
    ReceiveSection,
    RestartSection,
    SoundSection,
    TransmitSection,
)

_lines = st.text(st.characters(blacklist_categories=["C", "Z"]), max_size=40)
_content = st.lists(st.text("abc-_.\\\"'é", min_size=1), min_size=1, max_size=3).filter(
    lambda parts: ".." not in parts
)
_hertz = st.floats(1.0, 1e9)


@st.composite
def confs(draw: st.DrawFn) -> RadioConf:
    role = draw(st.sampled_from(Role))
    sections = {}
    if role in (Role.TRANSMIT, Role.PHYDNN_TRANSMIT):
        sections["transmit"] = TransmitSection(
            recording="/".join(draw(_content)), peak_dbfs=draw(st.floats(-120, 0))
        )
    if role is Role.CAPTURE:
        sections["capture"] = CaptureSection(
            datatype=draw(st.sampled_from(["cf32_le", "ci8", "ci16_be"])),
            max_bytes=draw(st.floats(1, 1e15)),
        )
    if role in (Role.RECEIVE, Role.PHYDNN_RECEIVE):
        sections["receive"] = ReceiveSection(
            like="/".join(draw(_content)), max_bytes=draw(st.floats(1, 1e15))
        )
    if role is Role.SOUND:
        window = draw(st.floats(1e-6, 3600))
        sections["sound"] = SoundSection(
            reference="/".join(draw(_content)),
            window_s=window,
            every_s=draw(st.floats(window, 86400)),
            keep_samples=draw(st.booleans()),
        )
    if role in (Role.PHYDNN_TRANSMIT, Role.PHYDNN_RECEIVE):
        sections["phydnn"] = PhyDnnSection(folder="/".join(draw(_content)))
    return RadioConf(
        role=role,
        job=JobSection(name=draw(_lines), node=draw(st.integers(1, 1000)), scenario=draw(_lines)),
        radio=RadioSection(
            usrp=draw(_lines),
            sample_rate_hz=draw(_hertz),
            center_frequency_hz=draw(_hertz),
            gain_db=draw(st.floats(-200, 200)),
            antenna=draw(_lines),
            lo_offset_hz=draw(st.floats(-1e9, 1e9)),
        ),
        restart=RestartSection(
            max_restarts=draw(st.integers(0, 1000)), delay_s=draw(st.floats(0, 600))
        ),
        **sections,
    )


@given(conf=confs())
def test_what_is_written_is_read_back_equal(
    conf: RadioConf, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_radio_conf(conf, tmp_path_factory.getbasetemp() / "radio.conf")
    assert load_radio_conf(path) == conf
    assert RadioConf.from_table(conf.to_table()) == conf


def test_the_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    path = tmp_path / "radio.conf"
    path.write_text('role = "capture"\n')
    conf = load_radio_conf(path)
    assert conf == RadioConf(role=Role.CAPTURE)
    assert (conf.restart.max_restarts, conf.restart.delay_s) == (3, 2.0)
    assert list(conf.to_table()) == ["role", "job", "radio", "capture", "restart"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "role is missing"),
        ('role = "transmitt"', "must be one of transmit, capture, sound, receive"),
        ('role = "idle"\n[radoi]\n', "unknown key 'radoi'; did you mean radio?"),
        ('role = "idle"\n[radio]\ngain = 3', "radio: unknown key 'gain'; did you mean gain_db?"),
        ('role = "idle"\n[radio]\nsample_rate_hz = nan', "radio: sample_rate_hz must be more than"),
        ('role = "idle"\n[radio]\ngain_db = inf', "gain_db must be at least -200 and at most 200"),
        ('role = "idle"\n[job]\nnode = 0', "job: node must be at least 1"),
        ('role = "idle"\n[job]\nnode = true', "job: node must be of type int"),
        ('role = "idle"\n[job]\nname = "a\\nb"', "name must be one line"),
        ('role = "idle"\nradio = 3', "radio must be a table"),
        (
            'role = "sound"\n[capture]\n',
            "[capture] is read by role capture, and this is role sound",
        ),
        ('role = "transmit"\n[transmit]\nrecording = "../x"', "a path within /root/phyemu"),
        ('role = "transmit"\n[transmit]\nrecording = "/etc/passwd"', "a path within /root/phyemu"),
        ('role = "capture"\n[capture]\ndatatype = "rf32_le"', "a complex SigMF datatype"),
        ('role = "sound"\n[sound]\nevery_s = 0.1', "every_s must be at least window_s (0.2)"),
        ("a = " + "[" * 100_000, "cannot be read as TOML (RecursionError)"),
        ("a = " + "1" * 5000, "cannot be read as TOML"),
        ("\0", "cannot be read as TOML"),
        ("#" * (1 << 20) + "\n", "longer than"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "radio.conf"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_radio_conf(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "\n" not in line


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("pipe", "no regular file"), (".", "cannot be read"), ("no", "no such")):
        with pytest.raises(ConfigError, match=message):
            load_radio_conf(tmp_path / name)


def test_settings_that_nobody_would_read_are_refused_in_python_too() -> None:
    with pytest.raises(ConfigError, match=r"\[transmit\] is read by"):
        RadioConf(role=Role.IDLE, transmit=TransmitSection(peak_dbfs=-1.0))
    with pytest.raises(ConfigError, match=r"\[sound\]"):
        replace(
            RadioConf(role=Role.SOUND, sound=SoundSection(window_s=0.1)), role=Role.PHYDNN_RECEIVE
        )

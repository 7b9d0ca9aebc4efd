"""`phyemu replay`."""

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from phyemu_cli.main import main

from phyemu.evaluation import description
from phyemu.evaluation.description import RecordingDescription
from phyemu.iq import Recording, RecordingWriter, open_recording, write_recording


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(
        tmp_path / "tx.sigmf",
        np.full(3000, 0.5 + 0.5j, np.complex64),
        sample_rate_hz=1e6,
        center_frequency_hz=2.4e9,
    )


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stand in for the detectors; return the lengths of what was described."""
    seen: list[int] = []

    def describe(recording: Recording, **_: Any) -> RecordingDescription:
        seen.append(recording.num_samples)
        return RecordingDescription(kind="frames", summary={"frames": 2}, lines=["two frames"])

    monkeypatch.setattr(description, "describe_recording", describe)
    return seen


def test_it_says_what_a_recording_holds(recording: Path, described: list[int]) -> None:
    result = run(recording)
    assert result.exit_code == 0, result.output
    assert result.stdout == "two frames\n"
    assert json.loads(run(recording, "--json").stdout) == {"kind": "frames", "frames": 2}
    assert described == [3000, 3000]


def test_through_a_channel_it_describes_what_arrives(
    recording: Path, described: list[int], tmp_path: Path
) -> None:
    result = run(recording, "--through", "awgn:20", "--json", "--quiet")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["through"]["channel"] == "awgn:20"
    assert answer["through"]["snr_db"] == 20
    assert described == [answer["through"]["samples"]]
    # The recording of what arrived was for this call only.
    assert [path.name for path in tmp_path.iterdir()] == ["tx.sigmf"]


def test_a_receiver_scores_what_waveform_images_wrote(trained_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained_run, folder)
    sent = tmp_path / "images.sigmf"
    missing = run(trained_run / "none", "--receiver", folder)
    assert missing.exit_code == 2
    arguments = ["waveform", "images", str(folder), "-o", str(sent), "--passes", "2", "--json"]
    written = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert written.exit_code == 0, written.output
    assert json.loads(written.stdout)["images"] == 80
    result = run(sent, "--through", "awgn:15", "--receiver", folder, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["frames_lost"], answer["lost_frames"], answer["num_images"]) == (0, [], 80)
    # 4-PSK at 15 dB: Q(sqrt(31.6)) per neighbour, 2e-8; a receiver that lost its way shows.
    assert answer["ser"] < 1e-3
    # A run of one epoch knows little, but the air takes nothing from it.
    without_channel = json.loads(run(sent, "--receiver", folder, "--json", "--quiet").stdout)
    assert without_channel["ser"] == 0
    assert answer["accuracy"] == pytest.approx(without_channel["accuracy"], abs=1.3)
    shown = run(sent, "--receiver", folder, "--quiet").stdout
    assert re.search(r"^accuracy: [\d.]{1,5}$", shown, re.MULTILINE), shown


def test_a_run_that_sent_nothing_is_refused_with_the_remedy(
    recording: Path, trained_run: Path
) -> None:
    result = run(recording, "--receiver", trained_run, "--quiet")
    assert result.exit_code == 1
    assert f"phyemu waveform images {trained_run}" in result.stderr


def test_a_network_on_three_devices_names_what_scores_it(recording: Path, tmp_path: Path) -> None:
    for part in ("head", "relay1", "tail"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "m4.safetensors").touch()
    result = run(recording, "--receiver", tmp_path, "--quiet")
    assert result.exit_code == 1
    assert "phyemu serve tail --sent RECORD scores what its tail receives" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--freq", "1G"), "--freq"),
        (("--amplitude", 1.0, "--gain", 0), "--gain, --amplitude"),
        (("--antenna", "TX/RX", "--through", "awgn:3"), "--antenna"),
        (("--repeat", 1, "--delay", 0), "--repeat, --delay"),
        (("--duplex", "rx", "--force"), "--duplex, --force"),
    ],
)
def test_options_of_the_transmitter_need_one(
    recording: Path, arguments: tuple[object, ...], names: str
) -> None:
    result = run(recording, *arguments)
    assert result.exit_code == 2
    assert f"{names}: only with --usrp" in result.stderr


def test_a_seed_needs_a_channel(recording: Path) -> None:
    result = run(recording, "--seed", 0)
    assert result.exit_code == 2
    assert "--seed: only with --through or --emulated" in result.stderr


@pytest.fixture
def usrps(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the driver; return the fakes, the first device opened first."""
    path = Path(__file__).parents[1] / "radio" / "fake_uhd.py"
    spec = importlib.util.spec_from_file_location("replay_tests_fake_uhd", path)
    assert spec is not None
    assert spec.loader is not None
    fake = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, fake)
    spec.loader.exec_module(fake)
    cable = fake.Cable(1e6, delay=33)
    drivers = [fake.FakeUhd(packet_samples=500, cable=cable) for _ in range(2)]
    monkeypatch.setattr("phyemu.radio.usrp.load_driver", iter(drivers).__next__)
    return drivers


def test_a_usrp_transmits_as_asked_and_says_what_it_is_really_set_to(
    recording: Path, usrps: list[Any]
) -> None:
    result = run(
        *(recording, "--usrp", "type=b200", "--gain", 99, "--antenna", "TX/RX", "--channels", 1),
        *("--bandwidth", "2M", "--lo-offset", 0, "--delay", 0.2, "--repeat", 3, "--json"),
        *("--amplitude", 0.5, "--quiet"),
    )
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["radio"] == "B210 F4KE"
    assert (answer["num_samples"], answer["underflows"], answer["ended_by"]) == (
        9000,
        0,
        "complete",
    )
    assert answer["acknowledged"]
    # It is stored as integers, so it cannot clip and is not read twice.
    assert answer["levels"] is None
    settings = answer["settings"]
    assert settings["gain_db"] == [76.0]
    assert (settings["antenna"], settings["channels"]) == (["TX/RX"], [1])
    assert settings["bandwidth_hz"] == [2e6]
    assert "B210 F4KE transmits: 1 Msps, 2400.000000 MHz, channels 1, gain 76 dB" in result.stderr
    assert "gain_db was to be 99, and is 76" in result.stderr
    (driver, _) = usrps
    assert np.array_equal(driver.sent_words.view(np.int16), np.full((1, 18_000), 8192))


def test_clipping_is_announced_before_it_happens(recording: Path, usrps: list[Any]) -> None:
    result = run(recording, "--usrp", "", "--amplitude", 3, "--freq", "5.8G", "--quiet")
    assert result.exit_code == 0, result.output
    assert "3000 samples will clip; --amplitude 2 is the largest that does not" in result.stderr
    assert "transmitted 3000 samples, 3000 clipped" in result.stdout
    tuned = {value.target_freq for _, what, value, _ in usrps[0].settings if what == "freq"}
    assert tuned == {5.8e9}


def test_the_peak_is_scaled_to_where_it_is_wanted(recording: Path, usrps: list[Any]) -> None:
    result = run(recording, "--usrp", "", "--peak-dbfs", -6.0206, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["amplitude"] == pytest.approx(1.0, rel=1e-5)
    assert usrps[0].sent_words.view(np.int16).max() == pytest.approx(16384, abs=1)
    result = run(recording, "--usrp", "", "--peak-dbfs", 1)
    assert result.exit_code == 2


def test_what_goes_wrong_on_the_way_is_one_line_and_the_exit_code(
    recording: Path, usrps: list[Any]
) -> None:
    usrps[0].accept.extend([100, "underflow", 100, None])
    result = run(recording, "--usrp", "", "--quiet")
    assert result.exit_code == 1
    assert result.stdout == (
        "B210 F4KE: transmitted 200 samples, 1 underflows, disconnected: usb tx transfer failed\n"
    )
    usrps[1].accept.extend(["time_error"])
    result = run(recording, "--usrp", "", "--quiet", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ended_by"] == "late"


def test_a_rate_that_the_device_rounds_is_refused_with_the_remedy(
    recording: Path, usrps: list[Any]
) -> None:
    usrps[0].rate = usrps[0].tx_rate = 1.024e6
    usrps[0].rates = (0.512e6, 1.024e6)
    result = run(recording, "--usrp", "", "--quiet")
    assert result.exit_code == 1
    assert "cannot have 1 Msps" in result.stderr
    assert "the nearest rates are 0.512 and 1.024 Msps" in result.stderr
    assert usrps[0].bursts == []


def test_duplex_records_what_is_heard_and_says_where(
    recording: Path, usrps: list[Any], tmp_path: Path
) -> None:
    out = tmp_path / "rx.sigmf"
    arguments = (recording, "--usrp", "", "--duplex", out, "--rx-gain", 20, "--rx-antenna", "TX/RX")
    result = run(*arguments, "--gain", 10, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    with open_recording(out) as received:
        start = received.global_fields["phyemu:transmit_start_index"]
        assert answer["start_index"] == start
        assert received.global_fields["phyemu:radio"]["gain_db"] == [20.0]
        assert received.global_fields["phyemu:transmit_radio"]["gain_db"] == [10.0]
        samples = np.abs(received.read())
        assert np.flatnonzero(samples)[0] == start + 33
        assert np.count_nonzero(samples) == 3000
        assert answer["received"]["num_samples"] == received.num_samples
    assert run(*arguments).exit_code == 1
    assert "exists already" in run(*arguments).stderr


def test_front_ends_are_chosen_for_each_direction(
    recording: Path, usrps: list[Any], tmp_path: Path
) -> None:
    out = tmp_path / "rx.sigmf"
    arguments = ("--usrp", "", "--subdev", "A:B", "--duplex", out, "--rx-subdev", "A:A A:B")
    result = run(recording, *arguments, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["settings"]["subdev"] == "A:B"
    with open_recording(out) as received:
        assert received.global_fields["phyemu:radio"]["subdev"] == "A:A A:B"
        assert received.global_fields["phyemu:transmit_radio"]["subdev"] == "A:B"


def test_another_usrp_may_receive(recording: Path, usrps: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "rx"
    receiver, transmitter = usrps
    result = run(
        *(recording, "--usrp", "serial=1", "--rx-usrp", "serial=2", "--duplex", out),
        *("--rx-channels", 1, "--duration", 0.5, "--quiet"),
    )
    assert result.exit_code == 0, result.output
    assert "500000 samples (0.500 s)" in result.stdout
    assert [text.split(",")[0] for text in (*receiver.opened, *transmitter.opened)] == [
        "serial=2",
        "serial=1",
    ]
    assert (len(receiver.sent), transmitter.streamer) == (0, None)
    with open_recording(out) as received:
        assert received.global_fields["phyemu:transmit_alignment"]["basis"] == "host clock"


def test_duplex_is_rehearsed_with_an_emulated_radio_as_capture_transmits(
    recording: Path, tmp_path: Path
) -> None:
    replayed, captured = tmp_path / "a.sigmf", tmp_path / "b.sigmf"
    result = run(recording, "--emulated", "awgn:20", "--duplex", replayed, "--seed", 4, "--quiet")
    assert result.exit_code == 0, result.output
    assert "transmitted 3000 samples" in result.stdout
    arguments = ["capture", "--emulated", "awgn:20", "--transmit", str(recording), "--seed", "4"]
    result = CliRunner().invoke(main, [*arguments, "-o", str(captured), "--quiet"])
    assert result.exit_code == 0, result.output
    with open_recording(replayed) as one, open_recording(captured) as other:
        assert one.global_fields == other.global_fields
        assert one.global_fields["phyemu:transmit_start_index"] == 0
        assert np.array_equal(one.read(), other.read())


def test_segments_at_several_frequencies_need_one_to_be_sent_at(
    tmp_path: Path, usrps: list[Any]
) -> None:
    path = tmp_path / "hops.sigmf"
    with RecordingWriter(path, sample_rate_hz=1e6, center_frequency_hz=2.4e9) as writer:
        writer.write(np.full(100, 0.5, np.complex64))
        writer.start_segment(center_frequency_hz=2.45e9)
        writer.write(np.full(100, 0.25, np.complex64))
    result = run(path, "--usrp", "")
    assert result.exit_code == 2
    assert "segments are at 2.4e+09 and 2.45e+09 Hz" in result.stderr
    result = run(path, "--usrp", "", "--freq", "2.42G", "--quiet")
    assert result.exit_code == 0, result.output
    assert "all go out at 2.42e+09 Hz" in result.stderr
    assert usrps[0].sent_words.shape == (1, 200)


@pytest.mark.parametrize(("gaps", "length"), [("silence", 250), ("skip", 200)])
def test_gaps_are_sent_as_silence_or_left_out(
    gaps: str, length: int, tmp_path: Path, usrps: list[Any]
) -> None:
    path = tmp_path / "gaps.sigmf"
    with RecordingWriter(path, sample_rate_hz=1e6, center_frequency_hz=2.4e9) as writer:
        writer.start_segment(global_index=10)
        writer.write(np.full(100, 0.5, np.complex64))
        writer.start_segment(global_index=160)
        writer.write(np.full(100, 0.25, np.complex64))
    result = run(path, "--usrp", "", "--gaps", gaps, "--quiet")
    assert result.exit_code == 0, result.output
    assert ("50 samples, are sent as silence" in result.stderr) == (gaps == "silence")
    assert usrps[0].sent_words.shape == (1, length)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--usrp", "", "--through", "awgn:3"), "go with neither"),
        (("--usrp", "", "--emulated", "awgn:3"), "not both"),
        (("--emulated", "awgn:3"), "--emulated needs --duplex"),
        (("--emulated", "awgn:3", "--duplex", "x", "--gain", 3), "--gain: only with --usrp"),
        (("--usrp", "", "--rx-gain", 3), "--rx-gain: only with --duplex"),
        (("--usrp", "", "--peak-dbfs", -1, "--amplitude", 1), "--amplitude: --peak-dbfs finds it"),
        (("--usrp", "", "--at", 3, "--delay", 1), "--delay: --at is a time already"),
        (("--usrp", "", "--channels", "a"), "write 0 or 0,1"),
    ],
)
def test_contradictions_are_usage_errors(
    recording: Path, arguments: tuple[object, ...], message: str
) -> None:
    result = run(recording, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.usefixtures("usrps")
def test_a_recording_without_a_frequency_needs_one(tmp_path: Path) -> None:
    bare = write_recording(tmp_path / "bare", np.ones(3, np.complex64), sample_rate_hz=1e6)
    result = run(bare, "--usrp", "")
    assert result.exit_code == 2
    assert "give --freq" in result.stderr
    assert run("no-such-recording").exit_code == 2

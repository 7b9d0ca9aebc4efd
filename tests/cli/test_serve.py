"""`phyemu export`, `phyemu run head` and `phyemu serve tail` from the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from phyemu_cli.main import main
from PIL import Image

from phyemu.datasets import load_dataset
from phyemu.dnn.onnx_export import onnx_missing
from phyemu.iq import open_recording


def phyemu(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def lines_of(result: Result) -> tuple[list[dict], dict]:
    assert result.exit_code == 0, result.output
    values = [json.loads(line) for line in result.stdout.splitlines()]
    return values[:-1], values[-1]["summary"]


@pytest.fixture(scope="module")
def recorded(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Return a recording of a head's frames, and what the command said."""
    path = tmp_path_factory.mktemp("sent") / "sent.sigmf"
    arguments = ("run", "head", trained_run, "--images", "digits", "--limit", "20", "-o", path)
    said = phyemu(*arguments)
    assert said.exit_code == 0, said.output
    return path, said


def test_a_head_and_a_tail_agree_on_where_each_image_lies(
    recorded: tuple[Path, Result], trained_run: Path
) -> None:
    path, said = recorded
    sent, summary = lines_of(said)
    assert summary["images"] == summary["images_sent"] == len(sent)
    for arguments in ((path,), ("--emulated", "awgn:25", "--transmit", path)):
        told, serving = lines_of(phyemu("serve", "tail", trained_run, *arguments))
        assert [(one["frame"], one["position"]) for one in told] == [
            (one["frame"], one["position"]) for one in sent
        ]
        assert all(one["class"] == str(one["prediction"]) for one in told)
        assert (serving["partner"], serving["images_lost"]) == ("ours", 0)
        assert serving["listening"]["frames"]["ok"] == summary["frames"]


@pytest.mark.parametrize(("device_format", "suffix"), [("torchscript", ".pt"), ("onnx", ".onnx")])
def test_exports_are_written_beside_the_run_and_work_over_the_software_radio(
    device_format: str,
    suffix: str,
    recorded: tuple[Path, Result],
    trained_run: Path,
    tmp_path: Path,
) -> None:
    if device_format == "onnx" and onnx_missing():
        pytest.skip(onnx_missing())
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    result = phyemu("export", run, "--format", device_format, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)
    assert sorted(written) == [str(run / side / f"m4{suffix}") for side in ("head", "tail")]
    assert (run / "tail" / "m4.safetensors").exists()
    again = phyemu("export", run, "--format", device_format, "--quiet")
    assert again.exit_code == 1
    assert "exists already; give --force" in again.stderr
    # A device is given one side, without the run and its weights.
    device, server = tmp_path / "device", tmp_path / "server"
    for side, place in (("head", device), ("tail", server)):
        (place / side).mkdir(parents=True)
        for name in (f"m4{suffix}", f"m4{suffix}.json"):
            shutil.copy(run / side / name, place / side / name)
    sent = tmp_path / "sent.sigmf"
    words = ("--images", "digits", "--limit", "20", "-o", sent, "--format", device_format)
    theirs, _ = lines_of(phyemu("run", "head", device, *words))
    ours, _ = lines_of(recorded[1])
    assert theirs == ours
    air = ("--emulated", "awgn:25", "--transmit")
    told, _ = lines_of(phyemu("serve", "tail", trained_run, *air, recorded[0]))
    heard, serving = lines_of(
        phyemu("serve", "tail", server, *air, sent, "--format", device_format)
    )
    assert [one["prediction"] for one in heard] == [one["prediction"] for one in told]
    assert (len(heard), serving["partner"]) == (len(theirs), "ours")


def test_what_is_sent_is_written_down_and_scored_by(
    recorded: tuple[Path, Result], trained_run: Path, tmp_path: Path
) -> None:
    path, said = recorded
    sent, _ = lines_of(said)
    record = path.with_name("sent.sent.jsonl")
    assert [json.loads(line) for line in record.read_text().splitlines()] == sent
    # The numbers and classes are those of the data set, whatever the limit.
    test = load_dataset("digits", seed=0).test
    assert all(test.labels[one["index"]] == one["label"] for one in sent)
    assert [one["index"] for one in sent] != list(range(len(sent)))
    printed = tmp_path / "stdout.txt"
    printed.write_text(said.stdout)
    for given in (record, printed):
        told, serving = lines_of(phyemu("serve", "tail", trained_run, path, "--sent", given))
        assert [(one["index"], one["label"]) for one in told] == [
            (one["index"], one["label"]) for one in sent
        ]
        right = sum(one["prediction"] == one["label"] for one in told)
        assert (serving["images_right"], serving["images"]) == (right, len(sent))
        assert serving["symbol_errors"] is None
    again = phyemu("run", "head", trained_run, "--images", "digits", "-o", path)
    assert again.exit_code == 1
    assert "sent.sent.jsonl: exists already; give --force" in again.stderr


def test_samples_on_standard_output_have_their_record_elsewhere(
    trained_run: Path, tmp_path: Path
) -> None:
    fifo, record = tmp_path / "samples", tmp_path / "record.jsonl"
    words = ("run", "head", trained_run, "--images", "digits", "--limit", "3", "--record", record)
    os.mkfifo(fifo)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(fifo.read_bytes)
        sent, summary = lines_of(phyemu(*words, "-o", f"fifo:{fifo}"))
        assert len(reading.result()) == 8 * summary["samples"]
    assert [json.loads(line) for line in record.read_text().splitlines()] == sent
    assert len(sent) == 3
    refused = phyemu(*words, "-o", f"fifo:{fifo}")
    assert "record.jsonl: exists already; give --force" in refused.stderr


def test_a_circle_of_test_images_is_scored(trained_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    path = tmp_path / "tx.sigmf"
    assert phyemu("waveform", "images", run, "-o", path, "--quiet").exit_code == 0
    told, serving = lines_of(phyemu("serve", "tail", run, path, "--sent", run / "sent.npz"))
    assert serving["images"] == len(told) > 0
    right = sum(one["label"] == one["prediction"] for one in told)
    assert (serving["images_right"], serving["symbol_errors"]) == (right, 0)


def test_the_head_of_another_run_is_one_line(
    recorded: tuple[Path, Result], trained_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "other"
    shutil.copytree(trained_run / "tail", run / "tail")
    card = run / "tail" / "m4.json"
    values = json.loads(card.read_text())
    card.write_text(json.dumps({**values, "embedding_sha256": "5a" * 32}))
    result = phyemu("serve", "tail", run, recorded[0], "--quiet")
    assert result.exit_code == 1
    told, end = result.stderr.strip().splitlines()
    assert "another dictionary than this tail" in told
    assert told.endswith("its images are left out")
    assert end.startswith("phyemu: sent.sigmf: a sender has another dictionary")
    (summary,) = map(json.loads, result.stdout.splitlines())
    assert summary["summary"]["strangers"] == 1
    assert summary["summary"]["frames_unexpected"] == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "tail", "RUN"), "give one of SOURCE, --usrp ARGS and --emulated"),
        (("serve", "tail", "RUN", "zmq+pull://:1", "--pace"), "only with a recording"),
        (("run", "head", "RUN", "--images", "digits"), "give one of -o SINK and --usrp"),
        (("run", "head", "RUN", "--images", "digits", "--usrp", ""), "--usrp needs --freq"),
        (("run", "head", "RUN", "--images", "camra", "-o", "a.sigmf"), "no such folder, and no"),
        (
            ("run", "head", "RUN", "--images", "digits", "-o", "a.sigmf", "--gain", "3"),
            "only with --usrp",
        ),
        (
            ("run", "head", "RUN", "--images", "digits", "-o", "a.sigmf", "--watch"),
            "--watch needs a folder",
        ),
        (
            ("run", "head", "RUN", "--images", "RUN", "-o", "-", "--limit", "3"),
            "only with a data set",
        ),
        (
            ("run", "head", "RUN", "--images", "RUN", "-o", "-", "--watch", "--batch", "3"),
            "not with --watch",
        ),
        (
            ("run", "head", "RUN", "--images", "RUN", "-o", "-", "--force"),
            "only with a recording or",
        ),
        (
            ("run", "head", "RUN", "--images", "digits", "-o", "a.sigmf", "--repeat", "0"),
            "would fill the disk",
        ),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    result = phyemu(*(str(tmp_path) if word == "RUN" else word for word in arguments))
    assert result.exit_code == 2, result.output
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "tail", "RUN", "zmq+pull://:1"), "holds no exported tail"),
        (("run", "head", "RUN", "--images", "digits", "-o", "a.sigmf"), "holds no exported head"),
        (("export", "RUN", "--format", "torchscript"), "holds no exported PhyDNN"),
        (("export", "RUN", "--format", "torchscript", "--part", "tail"), "holds no exported tail"),
        (
            ("serve", "tail", "RUN", "zmq+pull://:1", "--format", "onnx"),
            r"holds no exported tail (tail/m*.onnx); write it: phyemu export RUN -o ",
        ),
        (
            (
                "run",
                "head",
                "RUN",
                "--images",
                "digits",
                "-o",
                "a.sigmf",
                "--format",
                "torchscript",
            ),
            r"(head/m*.pt); write it: phyemu export RUN -o ",
        ),
    ],
)
def test_a_folder_without_a_side_is_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    result = phyemu(*(str(tmp_path) if word == "RUN" else word for word in arguments))
    assert result.exit_code == 1, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert message in result.stderr


@pytest.mark.slow
def test_neither_side_loads_what_trains(trained_run: Path, tmp_path: Path) -> None:
    # Both commands, to their ends, in one process: two would be twice the imports.
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    sent = tmp_path / "sent.sigmf"
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from phyemu_cli.main import main\n"
        f"head = ['run', 'head', {str(run)!r}, '--images', 'digits', '--limit', '10', '-o',\n"
        f"        {str(sent)!r}]\n"
        f"tail = ['serve', 'tail', {str(run)!r}, {str(sent)!r}]\n"
        "for words in (head, tail):\n"
        "    result = CliRunner().invoke(main, words)\n"
        "    assert result.exit_code == 0, result.output\n"
        "unwanted = ('phyemu.training', 'phyemu.loop', 'phyemu.report', 'phyemu.node',\n"
        "            'phyemu.comparison', 'tensorboard', 'plotly', 'onnx', 'onnxruntime')\n"
        "found = [n for n in sys.modules for u in unwanted if n == u or n.startswith(u + '.')]\n"
        "sys.exit(' '.join(found) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_watched_folder_is_sent_until_ctrl_c(trained_run: Path, tmp_path: Path) -> None:
    folder, sent = tmp_path / "camera", tmp_path / "sent.sigmf"
    folder.mkdir()
    command = "from phyemu_cli.main import main; main()"
    words = ["run", "head", trained_run, "--images", folder, "--watch", "-o", sent]
    with subprocess.Popen(
        [sys.executable, "-c", command, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as device:
        assert device.stdout is not None
        assert device.stderr is not None
        assert "sending" in device.stderr.readline()
        reading = ThreadPoolExecutor(1).submit(device.stdout.readline)
        number = 0
        # What is written before its first look at the folder was there before.
        while not wait([reading], timeout=0.2).done:
            image = tmp_path / "image.png"
            Image.fromarray(np.full((32, 32), number % 256, np.uint8)).save(image)
            image.rename(folder / f"{number}.png")
            number += 1
        device.send_signal(signal.SIGINT)
        rest, told = device.communicate(timeout=60)
    assert device.returncode == 0, told
    lines = [json.loads(line) for line in (reading.result() + rest).splitlines()]
    summary = lines[-1]["summary"]
    assert summary["was_stopped"]
    assert summary["images"] == len(lines) - 1 >= 1
    with open_recording(sent) as recording:
        # Every frame of an image comes behind an introduction.
        assert len(recording.annotations) == summary["frames"] == 2 * summary["images"]
    told_back, serving = lines_of(phyemu("serve", "tail", trained_run, sent))
    assert [one["frame"] for one in told_back] == [line["frame"] for line in lines[:-1]]
    assert serving["partner"] == "ours"


def test_help_says_what_a_duration_counts() -> None:
    for words in (("serve", "tail"), ("serve", "relay"), ("receive",)):
        said = " ".join(CliRunner().invoke(main, [*words, "--help"]).stdout.split())
        assert "Seconds of samples to take; while none come, it waits." in said

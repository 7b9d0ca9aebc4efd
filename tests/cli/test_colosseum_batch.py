"""`phyemu colosseum batch` and `upload`: from scenarios to files on the team's storage."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.batch import check_batch, load_job
from phyemu.evaluation import load_exported, load_sent_images
from phyemu.node import Role, load_radio_conf
from phyemu.node.content import load_images


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["colosseum", *map(str, arguments)])
    return result.exit_code, result.output


SOUND = ("batch", "sound", "90001", "--image", "phyemu-all", "--duration", "30", "--rate", "1M")


def test_sound_writes_a_job_for_each_transmitter_and_says_what_to_package(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    code, output = run(*SOUND, "--transmitter", "2", "--loops", "2", "-o", folder)
    assert code == 0, output
    assert "sound-90001-tx2.json: 2 sends to 1, 3, 4, 5 in 90001" in output
    assert "5 nodes for 19 min" in output
    assert f"image phyemu-all: package it with --content {folder}/content/phyemu-all" in output
    assert load_job(folder / "sound-90001-tx2.json").num_loops == 2
    assert "exists already" in run(*SOUND, "-o", folder)[1]
    code, output = run(*SOUND, "-o", folder, "--force")
    assert code == 0, output
    assert len(check_batch(folder).jobs) == 4
    made = json.loads(run(*SOUND, "-o", folder, "--force", "--json")[1])
    assert made["jobs"] == [str(folder / f"sound-90001-tx{node}.json") for node in range(1, 5)]
    assert made["images"] == {"phyemu-all": str(folder / "content" / "phyemu-all")}
    assert made["warnings"] == []
    assert run("batch", "check", folder) == (
        0,
        f"{folder}: 4 jobs, their settings and contents hold the rules\n",
    )


def test_capture_warns_of_what_does_not_fit(tmp_path: Path) -> None:
    code, output = run(
        *("batch", "capture", "90001", "--image", "rx", "--image", "1=tx", "--duration", "30"),
        *("--rate", "1M", "--transmitter", "1", "--max-bytes", "1e6", "-o", tmp_path / "b"),
    )
    assert code == 0, output
    assert "warning: each receiver hears 0.12 GB in 30 s" in output
    conf = load_radio_conf(tmp_path / "b/config/capture-90001-tx1-node-5.conf")
    assert (conf.role, conf.capture.max_bytes) == (Role.CAPTURE, 1e6)


def test_phydnn_puts_head_and_tail_where_they_run(trained_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    code, output = run(
        *("batch", "phydnn", "urban-40db", "urban-80db-5", "--run", trained_run, "--tx", "1"),
        *("--rx", "2", "--head-image", "phyemu-tx", "--tail-image", "phyemu-rx", "--images", "9"),
        *("--rf-scenario", "urban-40db=7001", "--rf-scenario", "urban-80db-5=7002"),
        *("--duration", "20", "--team", "my-team", "-o", folder),
    )
    assert code == 0, output
    assert "warning" not in output
    plan = check_batch(folder)
    assert (plan.num_images, plan.team) == (9, "my-team")
    assert [len(job.nodes) for job in plan.jobs] == [2, 5]
    roles = [node.role for node in plan.jobs[1].nodes]
    assert roles == ["phydnn-transmit", "phydnn-receive", "idle", "idle", "idle"]
    images = [node.image for node in plan.jobs[1].nodes]
    assert images == ["phyemu-tx", *["phyemu-rx"] * 4]
    held = {image.name: {file.path for file in image.files} for image in plan.images}
    assert held["phyemu-tx"] == {
        "phydnn/head/m4.json",
        "phydnn/head/m4.safetensors",
        "phydnn/images.npz",
    }
    assert held["phyemu-rx"] == {
        "phydnn/sent.npz",
        "phydnn/tail/m4.json",
        "phydnn/tail/m4.safetensors",
    }
    assert len(load_images(folder / "content/phyemu-tx/phydnn/images.npz")) == 9
    sent = load_sent_images(folder / "content/phyemu-rx/phydnn/sent.npz")
    frame_format = load_exported(trained_run).frame_format
    conf = load_radio_conf(folder / plan.jobs[0].nodes[0].config)
    assert conf.radio.sample_rate_hz == frame_format.sample_rate_hz
    # The time of one pass: all symbols and what frames add to them, at the symbol rate.
    symbols = sum(payload + frame_format.overhead_symbols(payload) for payload in sent.payload_plan)
    assert plan.pass_s == pytest.approx(symbols / frame_format.symbol_rate_hz, rel=0.01)


def test_phydnn_with_one_image_holds_both_sides_and_impossible_nodes_are_refused(
    trained_run: Path, tmp_path: Path
) -> None:
    common = ("batch", "phydnn", "90001", "--run", trained_run, "--duration", "20")
    both = ("--head-image", "both", "--tail-image", "both", "--images", "9")
    code, output = run(*common, *both, "-o", tmp_path / "b")
    assert code == 0, output
    (image,) = check_batch(tmp_path / "b").images
    assert {Path(file.path).parts[1] for file in image.files} == {
        "head",
        "images.npz",
        "sent.npz",
        "tail",
    }
    code, output = run(*common, *both, "--rx", "1", "-o", tmp_path / "c")
    assert code == 1
    assert "receivers must be nodes other than the transmitter 1" in output
    code, output = run(*common, *both, "--rx", "6", "-o", tmp_path / "c")
    assert code == 1
    assert "90001 has the nodes 1 to 5, no 6" in output
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--image", "1="), 1, "ImageName"),
        (("--image", "x=a"), 2, "write NAME, or NODE=NAME"),
        (("--image", "0=a"), 2, "write NAME, or NODE=NAME"),
        (("--image", "a"), 2, "the image of all other nodes is there twice"),
        (("--rf-scenario", "90001"), 2, "write NAME=ID"),
        (("--rf-scenario", "90001=0"), 2, "write NAME=ID"),
        (("--rf-scenario", "90001=1", "--rf-scenario", "90001=2"), 2, "90001 is there twice"),
        (("--team=-rf",), 1, "the name of a team is"),
        (("--lo-offset", "-42e6"), 2, "--lo-offset"),
        (("--gain", "1000"), 1, "gain_db must be"),
        (("--window", "5"), 1, "every_s must be at least window_s"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path
) -> None:
    found = run(*SOUND, *arguments, "-o", tmp_path / "b")
    assert found[0] == code, found[1]
    assert message in found[1]
    assert list(tmp_path.iterdir()) == []


def test_check_takes_jobs_and_radio_maps(tmp_path: Path) -> None:
    run(*SOUND, "--transmitter", "1", "-o", tmp_path / "b")
    job = tmp_path / "b" / "sound-90001-tx1.json"
    assert run("batch", "check", job) == (0, f"{job}: a batch job, 5 nodes for 18 min\n")
    code, output = run("batch", "check", job, "--scenario", "1009")
    assert code == 1
    assert "NodeData must hold all 10 nodes of the scenario, got 5" in output
    changed = json.loads(job.read_text("utf-8"))
    changed["RFScenario"] = 4242
    job.write_text(json.dumps(changed), "utf-8")
    assert "whether all nodes are there: --scenario" in run("batch", "check", job)[1]
    radio_map = tmp_path / "map.json"
    assert run("radio-map", "90001", "--srn", "1=12", "-o", radio_map)[0] == 0
    code, output = run("batch", "check", radio_map, "--scenario", "90001")
    assert (code, output) == (0, f"{radio_map}: a radio map for 5 nodes\n")
    assert "name its scenario" in run("batch", "check", radio_map)[1]
    radio_map.write_text("{}", "utf-8")
    assert run("batch", "check", radio_map, "--scenario", "90001")[0] == 1


FAKE_SSH = """\
#!/bin/sh
while case $1 in *file-proxy) false ;; esac; do shift || exit 255; done
shift
exec sh -c "$*"
"""


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_upload_brings_a_batch_and_its_image_to_the_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(FAKE_SSH, "utf-8")
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "b"
    run(*SOUND, "--transmitter", "1", "--team", "my-team", "-o", folder)
    image = tmp_path / "phyemu-all.tar.gz"
    image.write_bytes(b"\x1f\x8b" + bytes(1000))
    share = tmp_path / "nas"
    (share / "my-team").mkdir(parents=True)
    where = ("upload", folder, image, "--host", "me@file-proxy", "--share", share)
    code, output = run(*where, "--quiet")
    assert code == 0, output
    assert output.endswith(f"me@file-proxy:{share}/my-team: 7 files, 0.0 MB, SHA-256 equal\n")
    there = {str(path.relative_to(share)) for path in share.rglob("*") if path.is_file()}
    assert there == {
        "my-team/images/phyemu-all.tar.gz",
        "my-team/batch/sound-90001-tx1.json",
        *(f"my-team/config/sound-90001-tx1-node-{node}.conf" for node in range(1, 6)),
    }
    # --dry-run sends nothing; what it prints does the same, for another team too.
    (share / "others").mkdir()
    arguments = [str(word) for word in (*where, "--team", "others", "--dry-run")]
    done = CliRunner().invoke(main, ["colosseum", *arguments])
    assert done.exit_code == 0, done.output
    assert done.stderr == f"{image}: not checked: no manifest beside it\n"
    assert not any((share / "others").iterdir())
    subprocess.run(
        ["sh", "-e", "-c", done.stdout], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    again = {str(path.relative_to(share / "others")) for path in (share / "others").rglob("*.*")}
    assert again == {name.removeprefix("my-team/") for name in there}


def test_upload_says_which_team_and_which_image_it_lacks(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    run(*SOUND, "--transmitter", "1", "-o", folder)
    code, output = run("upload", folder)
    assert code == 2
    assert "name the team: --team TEAM" in output
    code, output = run("upload", folder, "--team", "t", "--dry-run")
    assert code == 0
    assert "image phyemu-all is not among the files" in output
    code, output = run("upload", folder, "--team", "t", "--host", "-oProxyCommand=reboot")
    assert code == 1
    assert "the host must be HOST or USER@HOST" in output


def test_help_of_batch_and_upload_loads_no_torch() -> None:
    for name in ("batch", "upload"):
        script = (
            "import sys; from click.testing import CliRunner; from phyemu_cli.main import main; "
            f"assert CliRunner().invoke(main, ['colosseum', '{name}', '--help']).exit_code == 0; "
            "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", script], check=True)

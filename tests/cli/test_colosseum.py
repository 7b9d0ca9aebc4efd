"""`phyemu colosseum scenario` on the shipped scenarios."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.channel import load_channel


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["colosseum", "scenario", *arguments])
    return result.exit_code, result.output


def test_list_names_the_published_scenarios() -> None:
    code, output = run("list", "--json")
    assert code == 0
    assert {"1009", "51005", "90001"} <= {item["name"] for item in json.loads(output)["scenarios"]}
    assert "90003" in run("list")[1]


def test_show_prints_the_taps() -> None:
    code, output = run("show", "90002")
    assert code == 0
    assert "1>4: 0 ns 0.0 dB, 128 ns -6.0 dB" in output
    assert len(json.loads(run("show", "90002", "--json")[1])["links"]) == 20


def test_check_fails_with_the_link_named() -> None:
    code, output = run("check", "90004")
    assert code == 1
    assert "link 4>5" in output
    assert run("check", "51005") == (0, "fits the emulator\n")
    assert json.loads(run("check", "51005", "--json")[1]) == {"violations": []}


def test_export_refuses_what_is_off_the_grid_and_moves_it_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    code, output = run("export", "90003", "-o", str(path))
    assert code == 1
    assert "--on-grid" in output
    assert run("export", "90003", "--on-grid", "-o", str(path))[0] == 0
    assert scipy.io.loadmat(path)["chMatrix"].shape[:2] == (5, 5)
    assert "--force" in run("export", "90003", "-o", str(path))[1]


def test_make_from_a_channel_fits_and_can_be_exported(tmp_path: Path) -> None:
    path = tmp_path / "fading.json"
    arguments = ("make", "--channel", "tgn-c:inf", "--path-loss", "55", "--nodes", "3")
    code, output = run(*arguments, "--duration", "0.1", "--json", "--quiet", "-o", str(path))
    assert code == 0, output
    made = json.loads(output)
    assert len(made["links"]) == 3
    assert all(link["residual_db"] < -3 for link in made["links"])
    assert run("check", str(path)) == (0, "fits the emulator\n")
    assert run("export", str(path), "-o", str(tmp_path / "x.mat"))[0] == 0
    back = tmp_path / "back.json"
    assert run("make", "--mat", str(tmp_path / "x.mat"), "-o", str(back))[0] == 0
    # The exchange file holds whole seconds; the first 100 ms are the same taps.
    first, second = (json.loads(run("show", str(item), "--json")[1]) for item in (path, back))
    assert [link["tx"] for link in first["links"]] == [link["tx"] for link in second["links"]]
    figure = tmp_path / "x.png"
    assert run("plot", str(path), "--link", "1-3", "-o", str(figure))[0] == 0
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert (
        "no link 1>9" in run("plot", str(path), "--link", "1-9", "-o", str(tmp_path / "y.png"))[1]
    )


def test_make_from_a_shipped_recording(tmp_path: Path) -> None:
    path = tmp_path / "office.json"
    code, output = run(
        "make", "--recording", "office_nlos", "--path-loss", "50", "--quiet", "-o", str(path)
    )
    assert code == 0, output
    assert "link 1>2" in output
    assert run("check", str(path))[0] == 0


def test_make_never_writes_over_what_it_is_made_from(tmp_path: Path) -> None:
    rays = tmp_path / "rays.npz"
    np.savez(rays, a=np.full((1, 1, 1, 1), 0.1j), tau=np.zeros((1, 1, 1)))
    before = rays.read_bytes()
    arguments = ("make", "--paths", str(rays), "--force", "-o", str(tmp_path / "rays.json"))
    code, output = run(*arguments)
    assert code == 2
    assert "is what the scenario is made from" in output
    assert rays.read_bytes() == before
    (tmp_path / "street.npz").write_bytes(b"mine")
    code, output = run("make", "--urban", "los", "-o", str(tmp_path / "street.json"))
    assert code == 1
    assert "street.npz: exists already" in output


def test_a_folder_that_is_missing_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for arguments in (
        ["make", "--channel", "office-los", "-o", str(missing / "x.json")],
        ["export", "52001", "-o", str(missing / "x.mat")],
        ["plot", "52001", "-o", str(missing / "x.png")],
    ):
        done = CliRunner().invoke(main, ["colosseum", "scenario", *arguments])
        assert done.exit_code == 1
        assert f"there is no folder {missing}; make it first" in done.stderr
        assert done.stderr.count("\n") == 1


def test_check_reads_exchange_files_too(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    assert run("export", "51010", "-o", str(path))[0] == 0
    assert run("check", str(path)) == (0, "fits the emulator\n")
    scipy.io.savemat(path, {"chMatrix": np.array([[0.0, 3.0], [-50.0, 0.0]])})
    code, output = run("check", str(path))
    assert code == 1
    assert "link 1>2, t = 0 ms, tap 0: gain 3.00 dB" in output
    assert "link 2>1, t = 0 ms, tap 0: gain -50.00 dB" in output
    assert "scenario make --mat" in run("show", str(path))[1]


def test_make_refuses_what_would_do_nothing_or_is_unclear(tmp_path: Path) -> None:
    out = ("-o", str(tmp_path / "x.json"))
    assert "give one source" in run("make", *out)[1]
    assert "give one source" in run("make", "--urban", "los", "--channel", "awgn:9", *out)[1]
    (tmp_path / "t.csv").write_text("time_s,node,x_m,y_m,z_m\n0,1,0,0,0\n0,2,9,0,0\n")
    track = ("make", "--trajectory", str(tmp_path / "t.csv"))
    assert "--nodes: does nothing" in run(*track, "--nodes", "3", *out)[1]
    assert "laws go with --trajectory" in run("make", "--urban", "los", "--path-loss", "x", *out)[1]
    assert ".json" in run("make", "--urban", "los", "-o", str(tmp_path / "x.mat"))[1]
    assert run(*track, *out)[0] == 0


def test_run_sends_recordings_through_a_scenario(tmp_path: Path) -> None:
    runner = CliRunner()
    out = str(tmp_path / "rx_{node}.sigmf")
    arguments = ["colosseum", "run", "51010", "--node", "3=office_los", "-o", out, "--quiet"]
    result = runner.invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    receivers = json.loads(result.output)["receivers"]
    assert len(receivers) == 19
    assert "3" not in receivers
    assert receivers["1"]["noise_dbfs"] == -80.0
    assert (tmp_path / "rx_20.sigmf").is_file()
    assert "exists already" in runner.invoke(main, arguments).output
    twice = runner.invoke(main, [*arguments, "--node", "3=office_nlos"])
    assert "3 is there twice" in twice.output
    both = runner.invoke(main, [*arguments, "--ideal-taps", "--tap-bits", "8", "--force"])
    assert "does nothing with --ideal-taps" in both.output
    unknown = runner.invoke(main, [*arguments, "--node", "21=office_nlos", "--force"])
    assert "no link begins at a node '21'" in unknown.output


def test_a_link_becomes_a_channel_for_training_with_the_noise_of_its_budget(tmp_path: Path) -> None:
    file = tmp_path / "urban80.h5"
    code, output = run("channel", "urban-80db", "--tx-power", "10", "-o", str(file))
    assert code == 0, output
    model = load_channel(str(file))
    generator = torch.Generator().manual_seed(0)
    draw = model.draw(2000, num_steps=1, interval_s=1e-3, symbol_rate_hz=1e7, generator=generator)
    # 10 dBm, about -78 dB, 290 K, 7 dB: 98.6 dB Hz, 70 dB less at 10 Msym/s.
    assert float(draw.snr_db[0]) == pytest.approx(10 - 78.3 + 173.98 - 7 - 70, abs=0.2)
    power = draw.response.gains.abs().square().sum(dim=-1).mean()
    assert float(power) == pytest.approx(1.0, abs=0.1)
    assert "give --snr or --tx-power" in run("channel", "urban-80db", "-o", str(file))[1]
    assert (
        "goes with --tx-power"
        in run("channel", "1009", "--snr", "9", "--noise-figure", "3", "-o", str(file))[1]
    )
    assert (
        "no link 1>7" in run("channel", "90001", "--link", "1-7", "--snr", "9", "-o", str(file))[1]
    )


def test_radio_maps_are_written_and_checked(tmp_path: Path) -> None:
    runner = CliRunner()
    file = tmp_path / "map.json"

    def radio_map(*arguments: str) -> tuple[int, str]:
        result = runner.invoke(main, ["colosseum", "radio-map", "90001", *arguments])
        return result.exit_code, result.output

    code, output = radio_map("--srn", "1=12", "--srn", "4=7", "-o", str(file))
    assert code == 0, output
    assert f"colosseumcli rf start 90001 -m {file}" in output
    assert json.loads(file.read_text())["Node 4"]["SRN"] == 7
    assert radio_map("--check", str(file)) == (0, f"{file}: fits 90001\n")
    other = runner.invoke(main, ["colosseum", "radio-map", "1009", "--check", str(file)])
    assert other.exit_code == 1
    assert "Node 6 is missing" in other.output
    assert "write NODE=SRN" in radio_map("--srn", "x", "-o", str(tmp_path / "y"))[1]
    file.write_text("{")
    assert "is no JSON" in radio_map("--check", str(file))[1]

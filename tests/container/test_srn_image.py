"""`package_srn` on a small base with a tiny wheelhouse: names, manifest, remedies, determinism."""

import gzip
import hashlib
import io
import json
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phyemu.container import NodeContent, SshAccess, package_srn, read_access
from phyemu.container.host_keys import key_maker
from phyemu.container.node_files import launchers
from phyemu.errors import ConfigError, ImageError, PhyemuError
from tests.container.small_base import add_file, add_other, elf, libc

Make = Callable[..., Path]

SCRIPTS = {
    "control", "scenario_discontinuity", "start", "statistics", "status", "stop",
    "update_environment", "update_outcomes",
}  # fmt: skip


@pytest.fixture
def access(public_key: Path) -> SshAccess:
    """Return access by a key."""
    return read_access(authorized_keys=(public_key,), root_password_file=None, image_name="rx")


def contents(path: Path) -> dict[str, bytes | str]:
    """Return files, and targets of links, of an image."""
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            found[info.name] = file.read() if file else info.linkname
    return found


def test_an_image_has_what_a_node_needs(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    (wheelhouse / "phyemu-0.0.1-py3-none-any.whl").unlink()  # the running one takes its place
    conf = tmp_path / "radio.conf"
    conf.write_text('role = "idle"\n[job]\nname = "x"\nnode = 1\n')
    waveforms = tmp_path / "waveforms"
    (waveforms / "deep").mkdir(parents=True)
    (waveforms / "tx.sigmf").write_bytes(b"samples")
    (waveforms / "deep/er.sigmf").write_bytes(b"more")
    single = tmp_path / "one.sigmf"
    single.write_bytes(b"one")
    image = package_srn(
        tmp_path / "phyemu-rx.tar.gz",
        str(make_base()),
        access=access,
        content=NodeContent(paths=(waveforms, single), radio_conf=conf),
        wheels=wheelhouse,
    )
    found = contents(image.path)
    assert stat.S_IMODE(image.path.stat().st_mode) == 0o755
    assert {f"rootfs/root/radio_api/{name}.sh" for name in SCRIPTS} <= set(found)
    assert found["rootfs/root/radio_api/radio.conf"] == conf.read_bytes()
    assert found["rootfs/root/phyemu/tx.sigmf"] == b"samples"
    assert found["rootfs/root/phyemu/deep/er.sigmf"] == b"more"
    assert found["rootfs/root/phyemu/one.sigmf"] == b"one"
    assert "rootfs/logs" in found
    unit = "rootfs/etc/systemd/system/phyemu-node.service"
    assert b"/opt/phyemu/bin/python -m phyemu.node.daemon" in found[unit]  # type: ignore[operator]
    assert "rootfs/etc/systemd/system/multi-user.target.wants/phyemu-node.service" in found
    assert b"exec /usr/bin/python3.11 " in found["rootfs/opt/phyemu/bin/python"]  # type: ignore[operator]
    assert "rootfs/opt/phyemu/lib/phyemu/node/daemon.py" in found
    assert "rootfs/opt/phyemu/lib/numpy.py" in found
    # No known password stays, and only the key gets in.
    assert b"$6$known" not in found["rootfs/etc/shadow"]  # type: ignore[operator]
    assert b"me@here" in found["rootfs/root/.ssh/authorized_keys"]  # type: ignore[operator]
    assert found["rootfs/etc/ssh/sshd_config"].index(b"PermitRootLogin prohibit-password") < found[  # type: ignore[arg-type]
        "rootfs/etc/ssh/sshd_config"
    ].index(b"PermitRootLogin yes")  # type: ignore[arg-type]


def test_the_manifest_tells_every_added_path(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    base = make_base()
    image = package_srn(
        tmp_path / "rx.tar.gz", str(base), access=access, content=NodeContent(), wheels=wheelhouse
    )
    manifest = json.loads(image.manifest.read_text())
    assert image.manifest == tmp_path / "rx.manifest.json"
    data = image.path.read_bytes()
    assert manifest["image"] == {
        "file": "rx.tar.gz",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    assert image.sha256 == manifest["image"]["sha256"]
    assert manifest["base"]["sha256"] == hashlib.sha256(base.read_bytes()).hexdigest()
    assert manifest["creation_date"] == 1700000000
    assert manifest["rewritten"] == ["etc/passwd", "etc/shadow", "etc/ssh/sshd_config"]
    found = contents(image.path)
    of_base = contents(base)
    added = {name.removeprefix("rootfs/") for name in found if name not in of_base}
    assert set(manifest["added"]) == added
    for path, noted in manifest["added"].items():
        content = found[f"rootfs/{path}"]
        if "sha256" in noted:
            assert isinstance(content, bytes)
            assert noted["sha256"] == hashlib.sha256(content).hexdigest()
            assert noted["size"] == len(content)
        else:
            assert noted == ({"target": content} if content else {"folder": True})
    assert sum(manifest["sizes"].values()) == sum(
        noted.get("size", 0) for noted in manifest["added"].values()
    )
    assert str(tmp_path) not in image.manifest.read_text()


def test_equal_inputs_give_equal_images_and_manifests(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    base = make_base()
    results = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        image = package_srn(
            tmp_path / folder / "rx.tar.gz",
            str(base),
            access=access,
            content=NodeContent(),
            wheels=wheelhouse,
        )
        results.append((image.path.read_bytes(), image.manifest.read_bytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"without": ["usr/bin/python3.11"], "replacing": {"usr/bin/python3.10": elf()}},
            r"no Python from 3.11 on \(found: 3.10\).*--python.*--wheels",
        ),
        ({"without": ["usr/bin/python3.11"]}, "found: none"),
        (
            {"replacing": {"usr/lib/x86_64-linux-gnu/libc.so.6": elf(more=b"musl libc")}},
            "has no GNU C library",
        ),
        (
            {"replacing": {"usr/lib/x86_64-linux-gnu/libc.so.6": libc("2.17")}},
            r"not for Python 3.\d+ with glibc 2.17: .*torch",
        ),
    ],
)
def test_a_base_that_cannot_run_it_is_refused_with_the_remedy(
    make_base: Make, access: SshAccess, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    if "2.17" in why and sys.version_info[1] != 11:
        pytest.skip("the base has Python 3.11, and this is another")
    output = tmp_path / "out" / "rx.tar.gz"
    output.parent.mkdir()
    with pytest.raises(ImageError, match=why):
        package_srn(output, str(make_base(**changes)), access=access, content=NodeContent())
    assert not list(output.parent.iterdir())


def test_a_python_that_is_brought_is_used(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    archive = tmp_path / "cpython-3.12-install_only.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        add_file(tar, "python/bin/python3.12", elf(), mode=0o755)
    image = package_srn(
        tmp_path / "rx.tar.gz",
        str(make_base(without=["usr/bin/python3.11"])),
        access=access,
        content=NodeContent(),
        wheels=wheelhouse,
        python=archive,
    )
    found = contents(image.path)
    assert found["rootfs/opt/phyemu/python/bin/python3.12"] == elf()
    launcher = found["rootfs/opt/phyemu/bin/python"]
    assert b"exec /opt/phyemu/python/bin/python3.12 " in launcher  # type: ignore[operator]
    manifest = json.loads(image.manifest.read_text())
    assert manifest["python"]["archive_sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_what_a_user_should_know_of_the_base_is_said(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    def notes(name: str, **changes: Any) -> str:
        image = package_srn(
            tmp_path / name,
            str(make_base(**changes)),
            access=access,
            content=NodeContent(),
            wheels=wheelhouse,
        )
        return " ".join(image.notes)

    bare = notes("a.tar.gz", without=["usr/lib/systemd/systemd"])
    assert "no systemd" in bare
    assert "no UHD" in bare
    uhd = {"usr/lib/python3/dist-packages/uhd/__init__.py": b""}
    assert notes("b.tar.gz", replacing=uhd) == ""


HOST_KEYS = {"etc/ssh/ssh_host_rsa_key": b"everybody's", "etc/ssh/ssh_host_rsa_key.pub": b"public"}


def test_host_keys_of_the_base_go_and_a_unit_makes_others(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    def packaged(name: str, **changes: Any) -> tuple[dict[str, bytes | str], Any, str]:
        image = package_srn(
            tmp_path / name,
            str(make_base(replacing=HOST_KEYS, **changes)),
            access=access,
            content=NodeContent(),
            wheels=wheelhouse,
        )
        removed = json.loads(image.manifest.read_text())["removed"]
        return contents(image.path), removed, " ".join(image.notes)

    found, removed, notes = packaged("a.tar.gz")
    assert not [name for name in found if "ssh_host_" in name]
    assert b"everybody's" not in gzip.decompress((tmp_path / "a.tar.gz").read_bytes())
    assert removed == sorted(HOST_KEYS)
    assert "host keys" not in notes
    units = "rootfs/etc/systemd/system"
    target = found[f"{units}/multi-user.target.wants/phyemu-host-keys.service"]
    assert target == "/etc/systemd/system/phyemu-host-keys.service"
    unit = found[f"{units}/phyemu-host-keys.service"]
    assert isinstance(unit, bytes)
    lines = unit.decode().splitlines()
    assert "ExecStart=/usr/bin/ssh-keygen -A" in lines
    (before,) = (line for line in lines if line.startswith("Before="))
    assert {"ssh.service", "sshd.service", "ssh.socket"} <= set(before[7:].split())
    # Where nothing could make others, sshd must still start.
    for name, missing in (("b", "usr/bin/ssh-keygen"), ("c", "usr/lib/systemd/systemd")):
        found, removed, notes = packaged(f"{name}.tar.gz", without=[missing])
        assert found["rootfs/etc/ssh/ssh_host_rsa_key"] == b"everybody's"
        assert removed == []
        assert "host keys are the base's" in notes
        assert f"{units}/phyemu-host-keys.service" not in found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
@pytest.mark.skipif(not Path("/usr/bin/ssh-keygen").exists(), reason="no ssh-keygen")
def test_systemd_has_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    unit = next(addition for addition in key_maker() if addition.content is not None)
    path = tmp_path / Path(unit.path).name
    assert unit.content is not None
    text = unit.content.open().read().decode()

    def said(text: str) -> list[str]:
        path.write_text(text)
        command = ["systemd-analyze", "verify", "--man=no", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return [line for line in done.stderr.splitlines() if path.name in line]

    assert said(text) == []
    assert said(text.replace("Type=oneshot", "Type=once"))  # it does look


def test_copies_of_the_accounts_lose_their_passwords_too(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    old = {
        "etc/shadow-": b"root:$6$old$hash:1::::::\nana:$6$old$hash:1::::::\n",
        "etc/passwd-": b"root:$6$old$hash:0:0::/root:/bin/sh\n",
    }
    image = package_srn(
        tmp_path / "rx.tar.gz",
        str(make_base(replacing=old)),
        access=access,
        content=NodeContent(),
        wheels=wheelhouse,
    )
    assert b"$6$" not in gzip.decompress(image.path.read_bytes())
    found = contents(image.path)
    assert found["rootfs/etc/shadow-"] == b"root:*::0:99999:7:::\nana:!*:1::::::\n"
    assert found["rootfs/etc/passwd-"] == b"root:x:0:0::/root:/bin/sh\n"
    assert set(json.loads(image.manifest.read_text())["rewritten"]) >= set(old)


def test_settings_of_sshd_that_keep_root_out_are_refused_and_others_named(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    def notes(name: str, drop_in: bytes) -> str:
        settings = {
            "etc/ssh/sshd_config": b"Include /etc/ssh/sshd_config.d/*.conf\n",
            "etc/ssh/sshd_config.d/site.conf": drop_in,
        }
        image = package_srn(
            tmp_path / name,
            str(make_base(replacing=settings)),
            access=access,
            content=NodeContent(),
            wheels=wheelhouse,
        )
        return " ".join(image.notes)

    assert "'Match User ana'" in notes("a.tar.gz", b"Match User ana\n")
    with pytest.raises(ImageError, match=r"sshd_config.d/site.conf has 'DenyUsers root'"):
        notes("b.tar.gz", b"DenyUsers root\n")
    assert not (tmp_path / "b.tar.gz").exists()


def test_the_folder_of_the_keys_is_roots_and_keeps_what_else_is_in_it(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    def theirs(tar: tarfile.TarFile) -> None:
        add_other(tar, "rootfs/root/.ssh", tarfile.DIRTYPE, mode=0o777, uid=1000, gid=1000)
        add_file(tar, "rootfs/root/.ssh/known_hosts", b"hosts")

    image = package_srn(
        tmp_path / "rx.tar.gz",
        str(make_base(more=theirs)),
        access=access,
        content=NodeContent(),
        wheels=wheelhouse,
    )
    with tarfile.open(image.path) as tar:
        found = [info for info in tar if info.name.startswith("rootfs/root/.ssh")]
    assert [(info.mode, info.uid, info.gid) for info in found if info.isdir()] == [(0o700, 0, 0)]
    assert {info.name for info in found if info.isreg()} == {
        "rootfs/root/.ssh/known_hosts", "rootfs/root/.ssh/authorized_keys",
    }  # fmt: skip


def test_a_module_in_the_current_folder_is_not_taken_for_ours(tmp_path: Path) -> None:
    launcher = next(item for item in launchers(sys.executable) if item.path.endswith("/phyemu"))
    assert launcher.content is not None
    text = launcher.content.open().read().decode().replace("/opt/phyemu/bin/python", sys.executable)
    for name in ("phyemu_cli", "click", "typing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the current folder')\n")
    done = subprocess.run(
        ["/bin/sh", "-c", text, "phyemu", "--version"], cwd=tmp_path, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("phyemu, version "), done.stderr


def test_an_image_that_exists_is_kept(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    output = tmp_path / "rx.tar.gz"
    output.write_bytes(b"precious")
    arguments: dict[str, Any] = {
        "access": access, "content": NodeContent(), "wheels": wheelhouse,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="exists already; give --force"):
        package_srn(output, str(make_base()), **arguments)
    assert output.read_bytes() == b"precious"
    package_srn(output, str(make_base()), force=True, **arguments)
    assert output.read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (NodeContent(paths=(Path("absent"),)), "absent: no such file"),
        (NodeContent(radio_conf=Path("absent.conf")), "absent.conf"),
        (NodeContent(head=Path("absent")), "absent"),
    ],
)
def test_content_that_is_not_there_is_refused_before_anything_is_written(
    make_base: Make, access: SshAccess, tmp_path: Path, content: NodeContent, why: str
) -> None:
    output = tmp_path / "out" / "rx.tar.gz"
    output.parent.mkdir()
    with pytest.raises(PhyemuError, match=why):
        package_srn(output, str(make_base()), access=access, content=content)
    assert not list(output.parent.iterdir())


def test_an_order_without_a_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="order is for a head or a tail"):
        NodeContent(order=4)


def test_content_that_leads_out_of_its_folder_is_refused(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "secret").symlink_to("/etc/passwd")
    with pytest.raises(ImageError, match="leads out of"):
        package_srn(
            tmp_path / "rx.tar.gz",
            str(make_base()),
            access=access,
            content=NodeContent(paths=(folder,)),
            wheels=wheelhouse,
        )


def test_head_and_tail_of_a_run_go_where_the_node_looks(
    make_base: Make, wheelhouse: Path, access: SshAccess, tmp_path: Path
) -> None:
    from dataclasses import replace

    from phyemu.training import preset, train_run

    config = preset("digits", "awgn:12", seed=1)
    config = replace(
        config,
        data=replace(config.data, limit=60),
        backbone=replace(config.backbone, width=4, epochs=1, batch_size=60),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(1,), batch_size=60),
    )
    run = tmp_path / "run"
    train_run(config, run)
    image = package_srn(
        tmp_path / "both.tar.gz",
        str(make_base()),
        access=access,
        content=NodeContent(head=run, tail=run, max_images=7),
        wheels=wheelhouse,
    )
    found = contents(image.path)
    for side in ("head", "tail"):
        for suffix in ("safetensors", "json"):
            name = f"{side}/m4.{suffix}"
            assert found[f"rootfs/root/phyemu/phydnn/{name}"] == (run / name).read_bytes()
    assert {"rootfs/root/phyemu/phydnn/images.npz", "rootfs/root/phyemu/phydnn/sent.npz"} <= set(
        found
    )
    again = package_srn(
        tmp_path / "again.tar.gz",
        str(make_base()),
        access=access,
        content=NodeContent(head=run, tail=run, max_images=7),
        wheels=wheelhouse,
    )
    changed = {path for path, data in contents(again.path).items() if data != found[path]}
    assert changed == {"metadata.yaml"}  # its name

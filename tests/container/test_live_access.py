"""Access installed into a root file system that is there, as `docker build` does."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from phyemu.container import SshAccess, read_access
from phyemu.container.live_access import install_access
from phyemu.errors import ImageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root file system with an account that everybody knows."""
    folder = tmp_path / "root"
    (folder / "etc/ssh").mkdir(parents=True)
    (folder / "root").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (folder / "etc/shadow").write_text("root:$6$known$hash:0:::::\nguest::0:::::\n")
    (folder / "etc/shadow").chmod(0o640)
    return folder


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "phyemu.container.live_access", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_key_is_in_and_the_known_password_out(root: Path, public_key: Path) -> None:
    done = run(root, public_key)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (root / "etc/shadow").read_text() == "root:*::0:99999:7:::\nguest:!*::::::\n"
    assert stat.S_IMODE((root / "etc/shadow").stat().st_mode) == 0o640
    assert (root / "root/.ssh/authorized_keys").read_text() == public_key.read_text()
    assert stat.S_IMODE((root / "root/.ssh/authorized_keys").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "root/.ssh").stat().st_mode) == 0o700
    config = root / "etc/ssh/sshd_config"
    assert "PasswordAuthentication no" in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_without_a_key_or_with_a_private_one_it_fails_in_one_line(root: Path) -> None:
    assert "usage" in run(root).stderr
    secret = root / "id"
    secret.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    done = run(root, secret)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "private key" in done.stderr
    assert not (root / "root/.ssh").exists()


def test_what_is_no_root_file_system_is_refused(tmp_path: Path, public_key: Path) -> None:
    access: SshAccess = read_access(
        authorized_keys=(public_key,), root_password_file=None, image_name=""
    )
    with pytest.raises(ImageError, match="no /etc/passwd"):
        install_access(tmp_path / "nowhere", access)


def test_settings_that_keep_root_out_are_refused_and_others_named(
    root: Path, public_key: Path
) -> None:
    config = root / "etc/ssh/sshd_config"
    config.write_text("Include /etc/ssh/sshd_config.d/*.conf\nMatch Address 10.0.0.0/8\n")
    done = run(root, public_key)
    assert done.returncode == 0
    assert "'Match Address 10.0.0.0/8'" in done.stderr
    (root / "etc/ssh/sshd_config.d").mkdir()
    (root / "etc/ssh/sshd_config.d/a.conf").write_text("DenyUsers root\n")
    done = run(root, public_key)
    assert done.returncode == 1
    assert "sshd_config.d/a.conf has 'DenyUsers root'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="not root")
def test_the_folder_of_the_keys_becomes_roots(root: Path, public_key: Path) -> None:
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o777)
    os.chown(folder, 1000, 1000)
    assert run(root, public_key).returncode == 0
    assert (folder.stat().st_uid, folder.stat().st_gid) == (0, 0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

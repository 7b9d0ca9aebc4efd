"""Uploads by the real rsync; in ssh's place stands a script that runs its command here."""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from phyemu.batch.upload import (
    RemoteFolder,
    Transfer,
    UploadFolder,
    run_commands,
    upload_commands,
)
from phyemu.errors import ConfigError, TransportError

pytestmark = pytest.mark.skipif(
    shutil.which("rsync") is None, reason="rsync is not installed (Debian: apt install rsync)"
)

FAKE_SSH = """\
#!/bin/sh
# Runs the remote command here, as sshd does: its words joined, given to a shell.
while [ "$1" != file-proxy ]; do
  [ $# -gt 0 ] || exit 255
  shift
done
shift
cd / && exec sh -c "$*"
"""


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a folder with the script before everything else on PATH, and return it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ssh"
    script.write_text(FAKE_SSH, "utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def remote(tmp_path: Path) -> RemoteFolder:
    """Return a team's storage in a folder of the test."""
    (tmp_path / "nas" / "my-team").mkdir(parents=True)
    return RemoteFolder(team="my-team", share=str(tmp_path / "nas"))


@pytest.fixture
def transfers(tmp_path: Path) -> list[Transfer]:
    """Return an image, a job whose name has spaces, and two configurations."""
    folder = tmp_path / "local: it's $HOME"
    folder.mkdir()
    contents = {
        "phyemu-rx.tar.gz": (UploadFolder.IMAGES, b"\x1f\x8b" + bytes(range(256)) * 4000),
        "My Test Batch.json": (UploadFolder.BATCH, b"{}"),
        "a-node-1.conf": (UploadFolder.CONFIG, b"1"),
        "a-node-2.conf": (UploadFolder.CONFIG, b"2"),
    }
    found = []
    for name, (place, content) in contents.items():
        (folder / name).write_bytes(content)
        found.append(Transfer(path=folder / name, folder=place))
    return found


def listing(folder: Path) -> dict[str, tuple[str, int]]:
    """Return what lies below a folder: hash and mode of every file."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            stat.S_IMODE(path.stat().st_mode),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def expected(transfers: list[Transfer]) -> dict[str, tuple[str, int]]:
    return {
        f"{item.folder}/{item.path.name}": (
            hashlib.sha256(item.path.read_bytes()).hexdigest(),
            0o755 if item.folder is UploadFolder.IMAGES else 0o644,
        )
        for item in transfers
    }


@pytest.mark.rsync
@pytest.mark.usefixtures("fake_ssh")
def test_everything_arrives_whole_with_its_mode(
    transfers: list[Transfer], remote: RemoteFolder
) -> None:
    transfers[0].path.chmod(0o600)
    transfers[1].path.rename(transfers[1].path.with_suffix(".kept"))
    transfers[1].path.symlink_to(transfers[1].path.with_suffix(".kept"))
    run_commands(upload_commands(transfers, remote), output=subprocess.DEVNULL)
    assert listing(Path(remote.path)) == expected(transfers)


@pytest.mark.rsync
@pytest.mark.usefixtures("fake_ssh")
def test_the_printed_commands_do_the_same(
    transfers: list[Transfer], remote: RemoteFolder, tmp_path: Path
) -> None:
    lines = [command.shell_line() for command in upload_commands(transfers, remote)]
    script = "\n".join(lines)
    subprocess.run(["sh", "-e", "-c", script], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    assert listing(Path(remote.path)) == expected(transfers)


@pytest.mark.rsync
@pytest.mark.usefixtures("fake_ssh")
def test_what_was_uploaded_before_is_replaced_even_with_equal_size_and_time(
    transfers: list[Transfer], remote: RemoteFolder
) -> None:
    config = transfers[2].path
    commands = upload_commands(transfers, remote)
    run_commands(commands, output=subprocess.DEVNULL)
    old = Path(remote.path) / "config" / config.name
    old.chmod(0o600)
    times = old.stat()
    config.write_bytes(b"3")
    os.utime(config, ns=(times.st_atime_ns, times.st_mtime_ns))
    run_commands(upload_commands(transfers, remote), output=subprocess.DEVNULL)
    assert listing(Path(remote.path)) == expected(transfers)


CUT_RSYNC = """\
#!/bin/sh
# The receiving rsync can write 300 kB and no more.
case "$*" in *--server*) trap '' XFSZ; ulimit -f 600 ;; esac
exec {rsync} "$@"
"""


@pytest.mark.rsync
def test_an_interrupted_upload_shows_no_partial_and_goes_on(
    fake_ssh: Path, transfers: list[Transfer], remote: RemoteFolder
) -> None:
    image = transfers[0].path
    image.write_bytes(os.urandom(3_000_000))
    cut = fake_ssh / "rsync"
    cut.write_text(CUT_RSYNC.format(rsync=shutil.which("rsync")), "utf-8")
    cut.chmod(0o755)
    with pytest.raises(
        TransportError, match=r"rsync ended with status .* goes on where it stopped"
    ):
        run_commands(upload_commands(transfers, remote), output=subprocess.DEVNULL)
    images = Path(remote.path) / "images"
    assert not (images / image.name).exists()
    kept = images / ".phyemu-partial" / image.name
    assert 0 < kept.stat().st_size < 3_000_000
    assert not (Path(remote.path) / "batch" / "My Test Batch.json").exists()
    cut.unlink()
    run_commands(upload_commands(transfers, remote), output=subprocess.DEVNULL)
    assert listing(Path(remote.path)) == expected(transfers)


@pytest.mark.rsync
@pytest.mark.usefixtures("fake_ssh")
def test_damage_on_the_far_side_is_found(transfers: list[Transfer], remote: RemoteFolder) -> None:
    commands = upload_commands(transfers, remote)
    run_commands(commands[:-1], output=subprocess.DEVNULL)
    (Path(remote.path) / "config" / "a-node-1.conf").write_bytes(b"x")
    with pytest.raises(TransportError, match=r"compare the SHA-256 .* upload them again"):
        run_commands(commands[-1:], output=subprocess.DEVNULL)


@pytest.mark.rsync
@pytest.mark.usefixtures("fake_ssh")
def test_a_team_that_is_not_there_is_not_made(
    transfers: list[Transfer], remote: RemoteFolder
) -> None:
    wrong = RemoteFolder(team="other-team", share=remote.share)
    with pytest.raises(TransportError, match=r"other-team.*is the name of the team right"):
        run_commands(upload_commands(transfers, wrong), output=subprocess.DEVNULL)
    assert not Path(wrong.path).exists()


@pytest.mark.parametrize("program", ["ssh", "rsync"])
def test_a_missing_program_is_one_line(
    program: str,
    fake_ssh: Path,
    transfers: list[Transfer],
    remote: RemoteFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if program == "ssh":
        (fake_ssh / "ssh").unlink()
    for name in ("sh", "mkdir"):
        (fake_ssh / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(fake_ssh))
    with pytest.raises(TransportError, match=f"^{program}: not found; install it"):
        run_commands(upload_commands(transfers, remote), output=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "change",
    [
        {"team": "-rf"},
        {"team": ""},
        {"team": ".."},
        {"team": "a b"},
        {"team": "a;reboot"},
        {"team": "a\n"},
        {"host": "-oProxyCommand=reboot"},
        {"host": "user@-oProxyCommand=reboot"},
        {"host": "a:b"},
        {"host": "$(reboot)"},
        {"host": ""},
        {"share": "share"},
        {"share": "/share/../etc"},
        {"share": "/share/$(reboot)"},
        {"share": "/"},
    ],
)
def test_names_that_a_program_or_shell_could_misread_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="got"):
        RemoteFolder(**({"team": "my-team"} | change))


def test_nothing_missing_empty_or_twice_is_uploaded(tmp_path: Path, remote: RemoteFolder) -> None:
    with pytest.raises(ConfigError, match="nothing to upload"):
        upload_commands([], remote)
    path = tmp_path / "a.conf"
    transfer = Transfer(path=path, folder=UploadFolder.CONFIG)
    with pytest.raises(ConfigError, match="no such file"):
        upload_commands([transfer], remote)
    path.touch()
    with pytest.raises(ConfigError, match="is empty"):
        upload_commands([transfer], remote)
    path.write_bytes(b"1")
    with pytest.raises(ConfigError, match=r"config/a\.conf is there twice"):
        upload_commands([transfer, transfer], remote)


SSHD = "/usr/sbin/sshd"


@pytest.fixture
def real_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve one connection after the other by the real sshd, through a ProxyCommand."""
    if not (Path(SSHD).exists() and shutil.which("ssh-keygen") and shutil.which("ssh")):
        pytest.skip("sshd is not installed")
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    (folder / "authorized_keys").write_bytes((folder / "user.pub").read_bytes())
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\n"
        "UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n",
        "utf-8",
    )
    (folder / "ssh_config").write_text(
        f"Host file-proxy\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n"
        "  LogLevel ERROR\n  BatchMode yes\n  ConnectTimeout 10\n"
        f"  ProxyCommand {SSHD} -i -e -q -f {folder}/sshd_config\n",
        "utf-8",
    )
    programs = tmp_path / "programs"
    programs.mkdir()
    script = programs / "ssh"
    script.write_text(
        f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n', "utf-8"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    probe = subprocess.run(
        ["ssh", "--", "file-proxy", "true"], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"sshd lets nobody in here: {probe.stderr.strip()[-200:]}")


@pytest.mark.usefixtures("real_ssh")
def test_everything_arrives_through_the_real_ssh(
    transfers: list[Transfer], remote: RemoteFolder
) -> None:
    run_commands(upload_commands(transfers, remote), output=subprocess.DEVNULL)
    assert listing(Path(remote.path)) == expected(transfers)

"""Logging in: the image of a small but real base, unpacked, its sshd started as Colosseum does.

The base has this machine's OpenSSH server with the libraries it needs, and busybox.
"""

import gzip
import io
import os
import re
import shutil
import socket
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from phyemu.container import NodeContent, package_gpu, read_access
from phyemu.container.live_access import install_access
from phyemu.container.password import hash_password
from tests.container.small_base import add_file, add_other, elf
from tests.container.small_docker import layer, legacy, write_archive

KNOWN = hash_password("ChangeMe", salt_from="the base")
SHADOW = f"root:{KNOWN}:19000:0:99999:7:::\nguest::19000::::::\n".encode()
OPEN = b"PasswordAuthentication yes\nPermitRootLogin yes\nPermitEmptyPasswords yes\n"
PASSWORD = "correct horse battery"
APPLETS = ("sh", "mkdir", "chmod", "id", "cat")
SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/sbin"

pytestmark = [
    pytest.mark.rootfs,
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="not root"),
    pytest.mark.skipif(
        any(shutil.which(name, path=SEARCHED) is None for name in ("sshd", "busybox", "chroot")),
        reason="no OpenSSH server or no busybox; .ci/install-peers brings them",
    ),
]


def libraries(program: str) -> set[str]:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=60)
    return set(re.findall(r"(/\S+) \(0x", done.stdout))


def base_layer() -> bytes:
    """Return a root file system with sshd, and an account that everybody knows."""
    programs = {
        "usr/sbin/sshd": shutil.which("sshd", path=SEARCHED),
        "usr/bin/ssh-keygen": shutil.which("ssh-keygen", path=SEARCHED),
    }
    files = {name: Path(path).resolve().read_bytes() for name, path in programs.items() if path}
    session = Path("/usr/lib/openssh/sshd-session")  # from OpenSSH 9.8 on
    needed = [path for path in (*programs.values(), str(session)) if path and Path(path).exists()]
    for library in set().union(*map(libraries, needed)):
        files[library.lstrip("/")] = Path(library).resolve().read_bytes()
    if session.exists():
        files[str(session).lstrip("/")] = session.read_bytes()
    busybox = shutil.which("busybox", path=SEARCHED)
    assert busybox is not None
    files |= {
        "usr/bin/busybox": Path(busybox).resolve().read_bytes(),
        "usr/bin/python3.11": elf(),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n"
        b"guest:x:1000:1000::/:/bin/sh\n",
        "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
        "etc/shadow": SHADOW,
        "etc/ssh/sshd_config": OPEN,
        "etc/ssh/ssh_host_ed25519_key": b"everybody's\n",
        "root/.ssh/authorized_keys": b"ssh-ed25519 AAAAsomebodys\n",
    }

    def add(tar: tarfile.TarFile) -> None:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        merged = {"bin", "sbin", "lib", "lib64"}  # as Debian has them
        for folder in sorted(folders | {"usr/bin", "usr/sbin", "usr/lib", "dev", "run"}):
            if folder.split("/")[0] not in merged:
                add_other(tar, folder, tarfile.DIRTYPE, mode=0o700 if folder == "root" else 0o755)
        for name in merged:
            target = "usr/lib" if name == "lib64" else f"usr/{name}"
            add_other(tar, name, tarfile.SYMTYPE, linkname=target)
        for name, data in sorted(files.items()):
            path = f"usr/{name}" if name.split("/")[0] in merged else name
            path = path.replace("usr/lib64/", "usr/lib/")
            add_file(tar, path, data, mode=0o600 if "shadow" in path else 0o755)
        for name in APPLETS:
            add_other(tar, f"usr/bin/{name}", tarfile.SYMTYPE, linkname="busybox")
        for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
            add_other(tar, f"dev/{name}", tarfile.CHRTYPE, devmajor=1, devminor=minor, mode=0o666)

    return layer(add)


def unpack(image: Path, root: Path) -> None:
    """Apply the layers of an image one after the other, as an engine does."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(image.read_bytes()))) as tar:
        file = tar.extractfile("manifest.json")
        assert file is not None
        for name in re.findall(r'"(blobs/sha256/\w+)"', file.read().decode().split("Layers")[1]):
            stored = tar.extractfile(name)
            assert stored is not None
            with tarfile.open(fileobj=stored) as one:
                for info in one:
                    path = root / info.name
                    if path.name.startswith(".wh."):
                        path.with_name(path.name.removeprefix(".wh.")).unlink()
                        continue
                    try:
                        one.extract(info, root, filter="fully_trusted", numeric_owner=True)
                    except PermissionError as exc:
                        pytest.skip(f"no devices can be made here ({exc})")


@contextmanager
def sshd(root: Path) -> Iterator[int]:
    """Run the image's entry point; yield the port that it listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["chroot", str(root), "/usr/sbin/sshd", "-D"]
    options = ["-e", "-p", str(port), "-o", "ListenAddress=127.0.0.1"]
    server = subprocess.Popen(
        command + options, stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/sbin:/usr/bin"}
    )
    said = []
    try:
        assert server.stderr is not None
        for line in server.stderr:
            said.append(line)
            if "listening on" in line:
                break
        else:
            pytest.fail(f"sshd did not start: {''.join(said)}")
        yield port
    finally:
        server.terminate()
        server.communicate(timeout=30)


@pytest.fixture
def log_in(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs `cat /etc/passwd` over ssh, and returns what comes back."""
    asks = tmp_path / "askpass"

    def run(port: int, *, user: str = "root", key: Path | None = None, password: str = "") -> str:
        asks.write_text(f"#!/bin/sh\necho '{password}'\n")
        asks.chmod(0o700)
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
                   "IdentitiesOnly=yes", "IdentityAgent=none", "NumberOfPasswordPrompts=1",
                   f"IdentityFile={key or '/dev/null'}"]  # fmt: skip
        done = subprocess.run(
            ["ssh", "-F", "/dev/null", *(part for text in options for part in ("-o", text)),
             "-p", str(port), f"{user}@127.0.0.1", "cat /etc/passwd"],
            env={**os.environ, "SSH_ASKPASS": str(asks), "SSH_ASKPASS_REQUIRE": "force"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else done.stderr

    return run


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


@pytest.fixture
def image_root(tmp_path: Path, wheelhouse: Path) -> Callable[..., Path]:
    """Return a function that packages onto the base, and returns where the image is unpacked."""

    def make(*, key: Path | None, password_file: Path | None) -> Path:
        base = write_archive(tmp_path / "base.tar", legacy([base_layer()]))
        access = read_access(
            authorized_keys=() if key is None else (key.with_suffix(".pub"),),
            root_password_file=password_file,
            image_name="gpu",
        )
        made = package_gpu(
            tmp_path / "gpu.tar.gz", base, access=access, content=NodeContent(), wheels=wheelhouse
        )
        root = tmp_path / "root"
        root.mkdir()
        unpack(made.path, root)
        assert not list(root.glob("etc/ssh/ssh_host_*"))
        return root

    return make


def test_the_key_gets_in_and_no_password_does(
    tmp_path: Path, image_root: Callable[..., Path], log_in: Callable[..., str]
) -> None:
    key, other = make_key(tmp_path / "mine"), make_key(tmp_path / "others")
    root = image_root(key=key, password_file=None)
    with sshd(root) as port:
        assert log_in(port, key=key).startswith("root:x:0:0")
        for refused in (
            log_in(port, key=other),
            log_in(port, password="ChangeMe"),
            log_in(port, user="guest", password=""),
            log_in(port, user="guest", key=key),
        ):
            assert "Permission denied (publickey)" in refused
    made = root / "etc/ssh/ssh_host_ed25519_key"
    first = made.read_bytes()
    assert first.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    # With the base's own accounts and settings the same server lets everybody in.
    (root / "etc/shadow").write_bytes(SHADOW)
    (root / "etc/ssh/sshd_config").write_bytes(OPEN)
    with sshd(root) as port:
        assert made.read_bytes() == first  # made once
        assert log_in(port, password="ChangeMe").startswith("root:x:0:0")
        assert log_in(port, user="guest", password="").startswith("root:x:0:0")


def test_the_password_gets_in_and_the_known_one_does_not(
    tmp_path: Path, image_root: Callable[..., Path], log_in: Callable[..., str]
) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    root = image_root(key=None, password_file=secret)
    with sshd(root) as port:
        assert log_in(port, password=PASSWORD).startswith("root:x:0:0")
        for refused in (
            log_in(port, password="ChangeMe"),
            log_in(port, user="guest", password=""),
        ):
            assert "Permission denied" in refused


def test_a_build_with_docker_lets_in_the_same(
    tmp_path: Path, image_root: Callable[..., Path], log_in: Callable[..., str]
) -> None:
    """The last step of colosseum/gpu/Dockerfile, for another key on a root that is there."""
    key, other = make_key(tmp_path / "mine"), make_key(tmp_path / "others")
    root = image_root(key=other, password_file=None)
    access = read_access(
        authorized_keys=(key.with_suffix(".pub"),), root_password_file=None, image_name=""
    )
    install_access(root, access)
    with sshd(root) as port:
        assert log_in(port, key=key).startswith("root:x:0:0")
        assert "Permission denied (publickey)" in log_in(port, key=other)

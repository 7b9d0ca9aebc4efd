"""Small bases and wheels, written by the standard library."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

X86_64, AARCH64 = 62, 183


def elf(machine: int = X86_64, more: bytes = b"") -> bytes:
    """Return the start of a program for a machine."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, machine, 1) + more


def libc(version: str = "2.36", machine: int = X86_64) -> bytes:
    """Return what tells a C library's version."""
    return elf(machine, f"GNU C Library (Debian) stable release version {version}.\n".encode())


FILES: Mapping[str, bytes] = {
    "usr/bin/dash": elf(),
    "usr/bin/python3.11": elf(more=b"python"),
    "usr/sbin/sshd": elf(more=b"sshd"),
    "usr/bin/ssh-keygen": elf(more=b"keygen"),
    "usr/lib/systemd/systemd": elf(more=b"systemd"),
    "usr/lib/x86_64-linux-gnu/libc.so.6": libc(),
    "usr/lib/os-release": b'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n',
    "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
    "etc/shadow": b"root:$6$known$hash:19000:0:99999:7:::\nnobody:*:19000::::::\n",
    "etc/ssh/sshd_config": b"PermitRootLogin yes\nPasswordAuthentication yes\n",
}
FOLDERS = ("etc", "etc/ssh", "usr", "usr/bin", "usr/sbin", "usr/lib", "root", "opt", "dev")
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}
METADATA = (
    b"architecture: x86_64\ncreation_date: 1700000000\nexpiry_date: 2100000000\n"
    b"properties:\n  os: ubuntu\n  release: jammy\n"
    b"templates:\n  /etc/hostname:\n    when: [create]\n    template: hostname.tpl\n"
)


def add_file(tar: tarfile.TarFile, name: str, data: bytes, **fields: object) -> None:
    """Add a file; `fields` are of its TarInfo."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), 1600000000, 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def add_other(tar: tarfile.TarFile, name: str, kind: bytes, **fields: object) -> None:
    """Add what is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.mtime, info.mode = kind, 1600000000, 0o755
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info)


def make_wheel(
    folder: Path,
    name: str,
    version: str = "99",
    *,
    tag: str = "py3-none-any",
    files: Mapping[str, bytes] | None = None,
    requirements: Iterable[str] = (),
) -> Path:
    """Write a wheel with a module of its own name, and return it."""
    folder.mkdir(exist_ok=True)
    stem = name.replace("-", "_")
    path = folder / f"{stem}-{version}-{tag}.whl"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    lines += [f"Requires-Dist: {text}" for text in requirements]
    info = f"{stem}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in (files or {f"{stem}.py": b"x = 1\n"}).items():
            archive.writestr(zipfile.ZipInfo(file), data)
        archive.writestr(zipfile.ZipInfo(f"{info}/METADATA"), "\n".join(lines) + "\n\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/WHEEL"), f"Wheel-Version: 1.0\nTag: {tag}\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
    return path

"""`package_gpu` on small bases with a tiny wheelhouse: layers, configuration, access, remedies."""

import gzip
import hashlib
import io
import json
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from phyemu.container import (
    Addition,
    NodeContent,
    PackagedImage,
    SshAccess,
    TextContent,
    package_gpu,
    read_access,
)
from phyemu.container.docker_archive import survey_docker_archive
from phyemu.container.docker_image import write_docker_image
from phyemu.errors import ConfigError, ImageError
from tests.container.small_base import add_file, add_other, elf
from tests.container.small_docker import (
    files_layer,
    layer,
    legacy,
    oci,
    sha256,
    system,
    write_archive,
)

HOST_KEYS = ("etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ed25519_key.pub")
BASE = system({"etc/profile.d/x.sh": b"", **dict.fromkeys(HOST_KEYS, b"known")})
OLD = files_layer({"opt/phyemu/lib/stale.py": b"stale", "usr/bin/python3.11": elf(more=b"new")})
Package = Callable[..., PackagedImage]


@pytest.fixture
def access(public_key: Path) -> SshAccess:
    """Return access by a key."""
    return read_access(authorized_keys=(public_key,), root_password_file=None, image_name="gpu")


@pytest.fixture
def package(tmp_path: Path, wheelhouse: Path, access: SshAccess) -> Package:
    """Return a function that packages onto a base."""

    def make(
        files: Sequence[tuple[str, bytes | str]], *, name: str = "phyemu-gpu", **options: Any
    ) -> PackagedImage:
        base = write_archive(tmp_path / f"base-of-{name}.tar", files)
        given: dict[str, Any] = {"access": access, "content": NodeContent(), "wheels": wheelhouse}
        return package_gpu(tmp_path / f"{name}.tar.gz", base, **(given | options))

    return make


class Image:
    """An image as its documents describe it, every digest checked."""

    def __init__(self, path: Path) -> None:
        self.files: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as tar:
            for info in tar:
                file = tar.extractfile(info)
                assert file is not None
                assert info.name not in self.files
                self.files[info.name] = file.read()
        for name, data in self.files.items():
            if name.startswith("blobs/"):
                assert name == f"blobs/sha256/{sha256(data)}"
        (self.docker,) = json.loads(self.files["manifest.json"])
        self.config = json.loads(self.files[self.docker["Config"]])
        self.layers = [self.files[name] for name in self.docker["Layers"]]
        (described,) = json.loads(self.files["index.json"])["manifests"]
        oci_manifest = json.loads(self.blob(described))
        assert self.blob(oci_manifest["config"]) == self.files[self.docker["Config"]]
        assert [self.blob(item) for item in oci_manifest["layers"]] == self.layers

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        data = self.files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
        assert len(data) == descriptor["size"]
        return data

    def added(self) -> dict[str, tarfile.TarInfo]:
        """Return the entries of the layer on top."""
        with tarfile.open(fileobj=io.BytesIO(self.layers[-1])) as tar:
            return {info.name: info for info in tar}

    def read(self, name: str) -> bytes:
        """Return a file of the layer on top."""
        with tarfile.open(fileobj=io.BytesIO(self.layers[-1])) as tar:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()


def test_layers_of_the_base_stay_as_they_are_and_one_is_added(package: Package) -> None:
    for compress in (False, True):
        files = oci([BASE, OLD, BASE], compress=compress)
        made = package(files, name=f"gpu-{compress:d}")
        image = Image(made.path)
        assert len(image.layers) == 4
        stored = [gzip.compress(data, mtime=0) if compress else data for data in (BASE, OLD, BASE)]
        assert image.layers[:3] == stored
        own = f"sha256:{sha256(image.layers[3])}"
        expected = [f"sha256:{sha256(data)}" for data in (BASE, OLD, BASE)]
        assert image.config["rootfs"]["diff_ids"] == [*expected, own]
        assert len(image.files) == 3 + 2 + 3  # documents, configuration and manifest, layers


def test_a_layer_that_the_base_has_twice_is_written_once(package: Package) -> None:
    linked = legacy([BASE, OLD, BASE])
    copied = [(name, BASE if isinstance(data, str) else data) for name, data in linked]
    for name, files in (("linked", linked), ("copied", copied)):
        image = Image(package(files, name=name).path)  # which refuses a name that is there twice
        assert image.layers[:3] == [BASE, OLD, BASE]
        assert image.docker["Layers"][0] == image.docker["Layers"][2]


def test_the_configuration_starts_sshd_and_keeps_what_the_base_says(package: Package) -> None:
    image = Image(package(legacy([BASE])).path)
    run = image.config["config"]
    assert run["Entrypoint"] == ["/usr/sbin/sshd", "-D"]
    assert set(run["ExposedPorts"]) == {"8888/tcp", "22/tcp"}
    assert run["Env"][1] == "GREETING=it's me"
    assert not {"Cmd", "User", "Healthcheck"} & set(run)  # bash is not run, and not by `me`
    assert (image.config["architecture"], image.config["os"]) == ("amd64", "linux")
    assert image.docker["RepoTags"] == ["phyemu-gpu:latest"]
    assert [item["created_by"][:6] for item in image.config["history"]] == ["test", "phyemu"]
    assert image.config["created"] == "2024-05-06T07:08:09Z"


def test_the_layer_has_sshd_access_environment_and_content(
    package: Package, tmp_path: Path, public_key: Path
) -> None:
    waveform = tmp_path / "tx.sigmf"
    waveform.write_bytes(b"samples")
    made = package(legacy([BASE]), content=NodeContent(paths=(waveform,)))
    image = Image(made.path)
    added = image.added()
    assert image.read("root/phyemu/tx.sigmf") == b"samples"
    assert image.read("root/.ssh/authorized_keys") == public_key.read_bytes()
    assert image.read("opt/phyemu/libexec/sshd") == elf(more=b"sshd")
    assert image.read("usr/sbin/sshd").endswith(b'exec /opt/phyemu/libexec/sshd "$@"\n')
    assert image.read("etc/ssh/sshd_config").startswith(b"# By phyemu")
    assert b"known" not in image.read("etc/shadow")
    assert added["usr/local/bin/phyemu"].linkname == "/opt/phyemu/bin/phyemu"
    profile = image.read("etc/profile.d/phyemu.sh").decode()
    shell = f'{profile}printf \'%s|%s\' "$PATH" "$GREETING"'
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=True)
    path = "/opt/phyemu/bin:/opt/conda/bin:/usr/local/bin:/usr/bin:/bin"
    assert done.stdout == f"{path}|it's me"
    # Folders and rewritten files keep the base's owners and modes.
    assert added["root"].mode == 0o700
    assert (added["etc/shadow"].mode, added["etc/shadow"].gid) == (0o640, 42)
    assert added["root/.ssh"].mode == 0o700
    names = list(added)
    for name in names:
        parent = name.rpartition("/")[0]
        assert not parent or names.index(parent) < names.index(name), name
    assert {f"etc/ssh/.wh.{Path(key).name}" for key in HOST_KEYS} <= set(names)
    assert "the base's passwords are gone, of: root" in made.notes
    assert any(note.startswith("PyTorch 99 is brought without CUDA") for note in made.notes)


def test_copies_of_the_accounts_lose_their_passwords_too(package: Package) -> None:
    old = {
        "etc/shadow-": b"root:$6$old$hash:1::::::\nana:$6$old$hash:1::::::\n",
        "etc/passwd-": b"root:$6$old$hash:0:0::/root:/bin/sh\n",
    }
    made = package(legacy([BASE, files_layer(old)]))
    image = Image(made.path)
    assert image.read("etc/shadow-") == b"root:*::0:99999:7:::\nana:!*:1::::::\n"
    assert image.read("etc/passwd-") == b"root:x:0:0::/root:/bin/sh\n"
    assert set(json.loads(made.manifest.read_text())["rewritten"]) >= set(old)


def test_settings_of_sshd_that_keep_root_out_are_refused_and_others_named(
    package: Package,
) -> None:
    include = b"Include /etc/ssh/sshd_config.d/*.conf\n"
    base = system({"etc/ssh/sshd_config": include})
    denied = files_layer({"etc/ssh/sshd_config.d/a.conf": b"DenyUsers root\n"})
    with pytest.raises(ImageError, match=r"sshd_config.d/a.conf has 'DenyUsers root'"):
        package(legacy([base, denied]))
    gone = files_layer({"etc/ssh/sshd_config.d/.wh.a.conf": b""})
    assert not [note for note in package(legacy([base, denied, gone])).notes if "Deny" in note]
    main = files_layer({"etc/ssh/sshd_config": include + b"Match User ana\n"})
    notes = package(legacy([base, main]), name="b").notes
    assert any("'Match User ana'" in note for note in notes)


def test_the_folder_of_the_keys_is_roots(package: Package) -> None:
    def theirs(tar: tarfile.TarFile) -> None:
        add_other(tar, "root/.ssh", tarfile.DIRTYPE, mode=0o777, uid=1000, gid=1000)

    folder = Image(package(legacy([BASE, layer(theirs)])).path).added()["root/.ssh"]
    assert (folder.mode, folder.uid, folder.gid) == (0o700, 0, 0)


class Unsteady:
    """Content that is another one each time it is read, of the same length."""

    size = 4

    def __init__(self) -> None:
        self._readings = 0

    def open(self) -> BinaryIO:
        self._readings += 1
        return io.BytesIO(b"%04d" % self._readings)


def test_a_file_that_changes_between_its_two_readings_is_refused(
    tmp_path: Path, access: SshAccess
) -> None:
    base = survey_docker_archive(write_archive(tmp_path / "base.tar", legacy([BASE])))
    with pytest.raises(ImageError, match="a file that is added changed while it was read"):
        write_docker_image(
            base, [Addition(path="root/x", content=Unsteady())], io.BytesIO(), access=access,
            removed=(), repository="x", created_by="test", time_s=0,
        )  # fmt: skip


def test_nothing_of_another_phyemu_stays(package: Package) -> None:
    assert "opt/phyemu/.wh..wh..opq" in Image(package(legacy([BASE, OLD])).path).added()
    assert "opt/phyemu/.wh..wh..opq" not in Image(package(legacy([BASE]), name="b").path).added()


def test_an_image_of_ours_is_a_base_again(package: Package, tmp_path: Path) -> None:
    first = package(legacy([BASE]))
    plain = tmp_path / "first.tar"
    plain.write_bytes(gzip.decompress(first.path.read_bytes()))
    stack = survey_docker_archive(plain).stack
    assert not [path for path in stack.tree.paths_below("etc/ssh") if "ssh_host" in path]
    with tarfile.open(plain) as tar:
        files = [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    image = Image(package(files, name="again").path)
    assert image.read("opt/phyemu/libexec/sshd") == elf(more=b"sshd")
    assert image.read("etc/ssh/sshd_config").count(b"PermitRootLogin prohibit-password") == 2


def test_equal_inputs_give_equal_bytes_and_the_manifest_lists_them(package: Package) -> None:
    one = package(legacy([BASE]))
    first = one.path.read_bytes()
    again = package(legacy([BASE]), force=True)
    assert again.path.read_bytes() == first
    assert again.sha256 == hashlib.sha256(first).hexdigest()
    assert stat.S_IMODE(again.path.stat().st_mode) == 0o755
    manifest = json.loads(again.manifest.read_text())
    image = Image(again.path)
    assert manifest["kind"] == "gpu"
    assert manifest["image"]["id"] == Path(image.docker["Config"]).name
    assert manifest["image"]["sha256"] == again.sha256
    assert manifest["removed"] == list(HOST_KEYS)
    assert manifest["rewritten"] == ["etc/passwd", "etc/shadow", "etc/ssh/sshd_config"]
    for path, entry in manifest["added"].items():
        if "sha256" in entry:
            assert sha256(image.read(path)) == entry["sha256"]
    assert sum(again.sizes.values()) == sum(e.get("size", 0) for e in manifest["added"].values())


def test_the_pytorch_of_the_base_is_used(package: Package) -> None:
    site = "opt/conda/lib/python3.11/site-packages"

    def conda(torch: str) -> bytes:
        files = {"opt/conda/bin/python3.11": elf(), f"{site}/torch-{torch}.dist-info/METADATA": b""}
        return files_layer(files)

    made = package(legacy([BASE, conda("2.5.1+cu124")]))
    assert "torch" not in made.distributions
    assert "numpy" in made.distributions
    assert "PyTorch 2.5.1+cu124 is the base's own" in made.notes
    assert made.python == "3.11 (/opt/conda/bin/python3.11)"
    assert "torch" in package(legacy([BASE, conda("2.1.0")]), name="old").distributions


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"usr/sbin/sshd": None}, "has no OpenSSH server.*openssh-server"),
        ({"usr/bin/ssh-keygen": None}, "has no OpenSSH server"),
        ({"usr/bin/python3.11": None}, "no Python from 3.11"),
        ({"usr/lib/x86_64-linux-gnu/libc.so.6": None}, "no GNU C library"),
        ({"etc/passwd": None}, "no /etc/passwd"),
    ],
)
def test_a_base_that_cannot_be_a_node_is_refused(
    package: Package, tmp_path: Path, changes: dict[str, bytes | None], said: str
) -> None:
    with pytest.raises(ImageError, match=said):
        package(legacy([system(changes)]))
    assert not [path for path in tmp_path.iterdir() if "phyemu-gpu." in path.name[:12]]


def test_sshd_that_a_later_layer_removes_is_not_there(package: Package) -> None:
    with pytest.raises(ImageError, match="has no OpenSSH server"):
        package(legacy([BASE, files_layer({"usr/sbin/.wh.sshd": b""})]))


def test_names_and_settings_that_do_not_fit_are_refused(package: Package, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 29 characters, this has 30"):
        package(legacy([BASE]), name="x" * 30)
    conf = tmp_path / "radio.conf"
    conf.write_text("")
    with pytest.raises(ConfigError, match="interactive only"):
        package(legacy([BASE]), content=NodeContent(radio_conf=conf))
    (tmp_path / "phyemu-gpu.tar.gz").touch()
    with pytest.raises(ConfigError, match="--force"):
        package(legacy([BASE]))


def test_a_base_that_changes_meanwhile_leaves_nothing(tmp_path: Path, access: SshAccess) -> None:
    path = write_archive(tmp_path / "base.tar", legacy([BASE]))
    base = survey_docker_archive(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"root:$6$known") + 6] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match="changed while it was read"):
        write_docker_image(
            base, [], io.BytesIO(), access=access, removed=(), repository="x", created_by="test",
            time_s=0,
        )  # fmt: skip


def test_an_addition_lands_where_links_of_the_base_lead(tmp_path: Path, access: SshAccess) -> None:
    def linked(tar: tarfile.TarFile) -> None:
        add_other(tar, "data", tarfile.DIRTYPE, mode=0o711)
        add_other(tar, "root/phyemu", tarfile.SYMTYPE, linkname="../data")
        add_file(tar, "data/old", b"")

    path = write_archive(tmp_path / "base.tar", legacy([BASE, layer(linked)]))
    output = tmp_path / "image.tar.gz"
    with output.open("wb") as file:
        write_docker_image(
            survey_docker_archive(path),
            [Addition(path="root/phyemu/new", content=TextContent(b"new"))],
            file, access=access, removed=("data/old",), repository="x", created_by="test", time_s=0,
        )  # fmt: skip
    added = Image(output).added()
    assert {"data", "data/new", "data/.wh.old"} <= set(added)
    assert "root/phyemu" not in added
    assert added["data"].mode == 0o711


@pytest.mark.rootfs
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="no skopeo")
def test_skopeo_reads_the_image_and_checks_its_digests(package: Package, tmp_path: Path) -> None:
    made = package(oci([BASE, OLD], compress=True))
    # Debian's skopeo (1.9) reads no compressed docker-archive, whoever wrote it; docker load does.
    plain = tmp_path / "image.tar"
    plain.write_bytes(gzip.decompress(made.path.read_bytes()))
    layout = tmp_path / "layout"
    layout.mkdir()
    with tarfile.open(plain) as tar:
        tar.extractall(layout, filter="data")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    for source in (f"docker-archive:{plain}", f"oci:{layout}"):
        command = ["skopeo", "--policy", str(policy), "--tmpdir", str(tmp_path)]
        inspected = subprocess.run(
            [*command, "inspect", "--config", source], capture_output=True, text=True, timeout=60
        )
        assert inspected.returncode == 0, inspected.stderr
        config = json.loads(inspected.stdout)
        assert config["config"]["Entrypoint"] == ["/usr/sbin/sshd", "-D"]
        copy = tmp_path / source.partition(":")[0]
        done = subprocess.run(
            [*command, "copy", "--quiet", source, f"dir:{copy}"], capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(json.loads((copy / "manifest.json").read_text())["layers"]) == 3

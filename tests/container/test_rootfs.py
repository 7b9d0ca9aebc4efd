"""The proof: a real root file system, packaged, unpacked elsewhere, run in a chroot.

One test, as everything needs the same gigabyte: debootstrap builds Debian's smallest system with
python3 and sshd, phyemu is packaged onto it with all of the running environment, and every script
of the Radio API runs there against the node's own daemon. Nothing is mounted in the chroot.
"""

import itertools
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phyemu.container import NodeContent, PackagedImage, package_srn, read_access
from phyemu.container.debootstrap import build_base
from phyemu.errors import ImageError
from phyemu.iq import open_recording

SUITES = {11: "bookworm", 13: "trixie"}
"""Debian's suite by the minor version of its Python, which the running one must be."""

SCRIPTS = (
    "status", "update_environment", "update_outcomes", "scenario_discontinuity", "statistics",
    "start", "stop",
)  # fmt: skip
PERIOD = 64  # of the tone that the captured role hears [samples]
INSIDE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}

zmq = pytest.importorskip("zmq")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.rootfs,
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="not root"),
    pytest.mark.skipif(
        shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin") is None,
        reason="no debootstrap; .ci/install-peers brings it",
    ),
    pytest.mark.skipif(
        sys.version_info[1] not in SUITES, reason="no suite of Debian's has this Python"
    ),
]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """Return a folder of a few gigabytes that is gone at once afterwards."""
    with tempfile.TemporaryDirectory(prefix="phyemu-rootfs-") as folder:
        yield Path(folder)
        mounts = Path("/proc/mounts").read_text()
        assert folder not in mounts, "something is still mounted: nothing is removed"


@pytest.fixture(scope="module")
def base(scratch: Path) -> Path:
    """Return the archive of Debian's smallest system with python3, sshd and what starts it."""
    suite = SUITES[sys.version_info[1]]
    folder = scratch / "base"
    folder.mkdir()
    try:
        packages = ("python3", "openssh-server", "systemd")
        return build_base(f"debootstrap:{suite}", folder, packages=packages)
    except ImageError as error:
        pytest.skip(f"debootstrap cannot build {suite} here: {error}")


class Chroot:
    """A root file system whose programs run here."""

    def __init__(self, root: Path) -> None:
        """Take the folder."""
        self.root = root

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            ["/usr/sbin/chroot", str(self.root), *command],
            env=INSIDE, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def call(self, script: str) -> str:
        """Call a script of the Radio API as Colosseum does: it must succeed within 5 seconds."""
        begin_s = time.monotonic()
        done = self.run(f"/root/radio_api/{script}.sh", timeout=30)
        assert time.monotonic() - begin_s < 5, script
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def status(self) -> dict[str, str]:
        """Return what status.sh prints, which must be one line of JSON."""
        (line,) = self.call("status").splitlines()
        answer = json.loads(line)
        assert set(answer) == {"STATUS", "INFO"}
        return answer  # type: ignore[no-any-return]

    def wait_for(self, state: str) -> None:
        """Ask until the node is in a state."""
        self.wait_until(lambda: self.status()["STATUS"] == state, state)

    def wait_until(self, reached: Callable[[], bool], what: str) -> None:
        """Ask until something holds; each question is an event of its own."""
        end_s = time.monotonic() + 60
        while not reached():
            assert time.monotonic() < end_s, (what, self.status(), self.events())

    def events(self) -> list[dict[str, Any]]:
        """Return what the node has logged."""
        path = self.root / "logs/node.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def states(self) -> list[str]:
        """Return the states that the node went through; what it says of one may change."""
        named = [event["state"] for event in self.events() if event["event"] == "state"]
        return [state for state, _ in itertools.groupby(named)]

    @contextmanager
    def daemon(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the node's daemon as its unit does; end it, whatever happens."""
        unit = (self.root / "etc/systemd/system/phyemu-node.service").read_text()
        (command,) = (
            line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")
        )
        process = subprocess.Popen(
            ["/usr/sbin/chroot", str(self.root), *command.split()],
            env={**INSIDE, **variables}, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def tone_on_a_socket() -> Iterator[str]:
    """Yield the radio of a node, as its daemon takes it: it hears a tone of full scale / 2."""
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.setsockopt(zmq.LINGER, 0)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    block = (0.5 * np.exp(2j * np.pi * np.arange(4096) / PERIOD)).astype(np.complex64).tobytes()
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            if push.poll(100, zmq.POLLOUT):
                push.send(block)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield json.dumps(
            {
                "receive": f"zmq+pull://127.0.0.1:{port}?connect",
                "send": f"zmq+push://127.0.0.1:{port}?connect",  # this role sends nothing
                "sample_rate_hz": 1e6,
            }
        )
    finally:
        over.set()
        thread.join()
        push.close()
        context.term()


def package(base: Path, scratch: Path) -> PackagedImage:
    key = scratch / "id"
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(keygen, check=True)
    conf = scratch / "radio.conf"
    conf.write_text('role = "idle"\n\n[job]\nname = "chroot"\nnode = 2\nscenario = "1009"\n')
    waveform = scratch / "tx.sigmf"
    waveform.write_bytes(b"some content")
    return package_srn(
        scratch / "phyemu-idle.tar.gz",
        str(base),
        access=read_access(
            authorized_keys=(key.with_suffix(".pub"),),
            root_password_file=None,
            image_name="phyemu-idle",
        ),
        content=NodeContent(paths=(waveform,), radio_conf=conf),
    )


def unpack(image: Path, folder: Path) -> Path:
    """Unpack an image as LXD does, by tar with owners and attributes; return its root."""
    folder.mkdir()
    subprocess.run(
        ["tar", "--numeric-owner", "--xattrs-include=*", "-C", str(folder), "-xzf", str(image)],
        check=True,
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "metadata.yaml", "rootfs", "templates",
    ]  # fmt: skip
    return folder / "rootfs"


def differences(base: Path, root: Path, rewritten: set[str], removed: set[str]) -> list[str]:
    """Return what of a base is not in a root as it was."""
    found = []
    with tarfile.open(base) as tar:
        for info in tar:
            path = root / info.name
            name = os.path.normpath(info.name)
            if name in removed:
                continue
            there = path.lstat()
            kind = {
                tarfile.DIRTYPE: stat.S_ISDIR,
                tarfile.SYMTYPE: stat.S_ISLNK,
                tarfile.CHRTYPE: stat.S_ISCHR,
                tarfile.BLKTYPE: stat.S_ISBLK,
                tarfile.FIFOTYPE: stat.S_ISFIFO,
            }.get(info.type, stat.S_ISREG)
            same = kind(there.st_mode) and (there.st_uid, there.st_gid) == (info.uid, info.gid)
            if not info.issym():
                same &= stat.S_IMODE(there.st_mode) == info.mode
            if info.issym():
                same &= os.readlink(path) == info.linkname  # noqa: PTH115
            if info.isreg() and name not in rewritten:
                same &= there.st_size == info.size and int(there.st_mtime) == int(info.mtime)
            if info.islnk():
                same &= path.samefile(root / info.linkname)
            if info.isdev():
                major, minor = os.major(there.st_rdev), os.minor(there.st_rdev)
                same &= (major, minor) == (info.devmajor, info.devminor)
            if not same:
                found.append(name)
    return found


def test_a_packaged_root_file_system_runs_every_script(base: Path, scratch: Path) -> None:
    image = package(base, scratch)
    assert not [note for note in image.notes if "CUDA" in note]
    node = Chroot(unpack(image.path, scratch / "unpacked"))
    root = node.root

    # The base is there as it was; the image names what it changed of it.
    manifest = json.loads(image.manifest.read_text())
    assert differences(base, root, set(manifest["rewritten"]), set(manifest["removed"])) == []
    for path, noted in manifest["added"].items():
        assert (root / path).lstat().st_size == noted.get("size", (root / path).lstat().st_size)
    assert (root / "root/phyemu/tx.sigmf").read_bytes() == b"some content"

    # phyemu is there with all it needs, and sshd would let in whom the image names.
    version = node.run("/opt/phyemu/bin/phyemu", "--version")
    assert version.stdout.split() == ["phyemu,", "version", manifest["distributions"]["phyemu"]]
    heavy = "import torch, scipy, numba, h5py, sigmf; print(torch.ones(2).sum().item())"
    imported = node.run("/opt/phyemu/bin/python", "-c", heavy)
    assert imported.stdout == "2.0\n", imported.stderr
    (root / "run/sshd").mkdir(exist_ok=True)

    # Its host keys are its own: none came with the image, and its unit makes them for sshd.
    assert {path.rpartition("/")[2] for path in manifest["removed"]} >= {
        "ssh_host_ed25519_key", "ssh_host_rsa_key.pub",
    }  # fmt: skip
    assert not list(root.glob("etc/ssh/ssh_host_*"))
    assert "no hostkeys" in node.run("/usr/sbin/sshd", "-t").stderr
    link = root / "etc/systemd/system/multi-user.target.wants/phyemu-host-keys.service"
    unit = root / str(link.readlink()).lstrip("/")
    (command,) = (
        line.partition("=")[2]
        for line in unit.read_text().splitlines()
        if line.startswith("ExecStart=")
    )
    assert node.run(*command.split()).returncode == 0
    assert node.run("/usr/sbin/sshd", "-t").returncode == 0
    checked = node.run("/usr/sbin/sshd", "-T")
    assert checked.returncode == 0, checked.stderr
    assert "permitrootlogin without-password" in checked.stdout
    assert "passwordauthentication no" in checked.stdout

    # Without a daemon.
    assert node.status()["STATUS"] == "OFF"

    # With it: a batch job from boot to its end.
    with node.daemon() as daemon:
        node.wait_for("READY")
        node.call("start")
        node.wait_for("ACTIVE")
        moved = [{"scenario_center_frequency": 2.4e9, "scenario_rf_bandwidth": 2e7}]
        (root / "root/radio_api/environment.json").write_text(json.dumps(moved))
        (root / "root/radio_api/mandated_outcomes.json").write_text("[]")
        for script in SCRIPTS:
            if script not in {"start", "stop"}:
                node.call(script)
        assert node.status()["STATUS"] == "ACTIVE"
        node.call("stop")
        node.wait_for("FINISHED")
        assert node.states() == ["BOOTING", "READY", "ACTIVE", "STOPPING", "FINISHED"]
        kept = {path.name for path in (root / "logs/inputs").iterdir()}
        assert any("environment" in name for name in kept)
        assert any("outcomes" in name for name in kept)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    assert node.status()["STATUS"] == "OFF"

    # A role with a worker process, all of phyemu in it, and sockets for its radio.
    (root / "root/radio_api/radio.conf").write_text(
        'role = "capture"\n\n[job]\nname = "chroot"\nnode = 2\n\n[radio]\nsample_rate_hz = 1e6\n'
    )
    with tone_on_a_socket() as radio, node.daemon(PHYEMU_NODE_RADIO=radio) as daemon:
        node.wait_for("READY")
        node.call("start")
        node.wait_for("ACTIVE")
        for script in ("statistics", "scenario_discontinuity", "update_outcomes"):
            node.call(script)
        written = root / "logs"
        node.wait_until(
            lambda: (
                sum(path.stat().st_size for path in written.glob("task-*/*capture-*")) > 400_000
            ),
            "a capture",
        )
        node.call("stop")
        node.wait_for("FINISHED")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
    recordings = sorted(written.glob("task-*/capture-*.sigmf"))
    assert recordings, [str(path) for path in written.rglob("*")]
    for recording in recordings:
        with open_recording(recording) as opened:
            iq = opened.read(0, min(opened.num_samples, 4096))
        step = iq[1:] / iq[:-1]
        assert np.allclose(step, np.exp(2j * np.pi / PERIOD), atol=1e-3)  # 16 bits, 0.5 full scale

    # A start without a daemon brings one up, where systemd does not.
    (root / "root/radio_api/radio.conf").write_bytes((scratch / "radio.conf").read_bytes())
    node.call("start")
    pid = int((root / "run/phyemu/node.pid").read_text().split()[0])
    try:
        node.wait_for("ACTIVE")
        node.call("stop")
        node.wait_for("FINISHED")
    finally:
        os.kill(pid, signal.SIGTERM)
        node.wait_until(lambda: not (root / "run/phyemu/node.pid").exists(), "the daemon's end")
    assert node.states()[-5:] == ["BOOTING", "READY", "ACTIVE", "STOPPING", "FINISHED"]
    everything = {event["command"] for event in node.events() if event["event"] == "command"}
    assert everything >= set(SCRIPTS) - {"status", "statistics"}  # these two change nothing

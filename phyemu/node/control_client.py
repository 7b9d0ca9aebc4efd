"""What the Radio API scripts run: asks the node's daemon, and answers when there is none.

Run by path with `python -I -S` it needs nothing but Python, so it answers at once, and still does
where phyemu is broken. Whatever the daemon does, it is done within two seconds; Colosseum allows
five.

    control_client.py COMMAND       status prints {"STATUS": ..., "INFO": ...}, others one line
"""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["main"]

COMMANDS = (
    "start",
    "stop",
    "status",
    "update_environment",
    "update_outcomes",
    "scenario_discontinuity",
    "statistics",
)
# Everything ends by then [s]; a state that is older than the other tells nothing any more [s].
DEADLINE_S = 2.0
STALE_S = 30.0
MAX_ANSWER_BYTES = 1 << 20
MAX_INFO = 200


class Unreachable(Exception):
    """The daemon did not answer: `absent`, or there but silent."""

    def __init__(self, text: str, *, absent: bool = False) -> None:
        """Say why."""
        super().__init__(text)
        self.absent = absent


def connect(path: Path, deadline_s: float) -> socket.socket:
    """Return a socket connected to a Unix socket at a path of any length."""
    client = socket.socket(socket.AF_UNIX)
    folder = -1
    try:
        client.settimeout(max(deadline_s - time.monotonic(), 0.01))
        if len(os.fsencode(path)) < 100:
            client.connect(str(path))
        else:
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
            client.connect(f"/proc/self/fd/{folder}/{path.name}")
    except BaseException:
        client.close()
        raise
    finally:
        if folder >= 0:
            os.close(folder)
    return client


def ask(path: Path, command: str, deadline_s: float) -> dict[str, object]:
    """Return the daemon's answer to a command.

    Raises:
        Unreachable: There was none in time.
    """
    try:
        client = connect(path, deadline_s)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as exc:
        raise Unreachable("no daemon listens", absent=True) from exc
    except OSError as exc:
        raise Unreachable(f"the daemon takes no connection ({exc})") from exc
    with client:
        try:
            client.sendall(json.dumps({"command": command}).encode() + b"\n")
            line = b""
            while not line.endswith(b"\n"):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or len(line) > MAX_ANSWER_BYTES:
                    raise Unreachable("the daemon does not answer")
                client.settimeout(left_s)
                block = client.recv(65536)
                if not block:
                    raise Unreachable("the daemon closed the connection")
                line += block
            answer = json.loads(line)
        except (OSError, ValueError) as exc:
            raise Unreachable(f"the daemon does not answer ({exc})") from exc
    return answer if isinstance(answer, dict) else {}


def ask_patiently(
    path: Path, command: str, deadline_s: float, *, coming: bool
) -> dict[str, object]:
    """Ask until there is an answer where the daemon is busy or, if it is `coming`, absent yet."""
    while True:
        try:
            return ask(path, command, deadline_s)
        except Unreachable as exc:
            if (exc.absent and not coming) or time.monotonic() + 0.05 > deadline_s:
                raise
        time.sleep(0.02)


def daemon_lives(pid_path: Path) -> bool | None:
    """Return whether a daemon holds its file (True), died (False), or never was (None)."""
    try:
        with pid_path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except OSError:
        return True
    return False


def last_state(state_path: Path) -> tuple[str, str, float]:
    """Return the state that the daemon last noted, its info, and how old that is [s]."""
    try:
        with state_path.open("rb") as file:
            found = json.loads(file.read(MAX_ANSWER_BYTES))
        # The monotonic clock is one for all processes, and nobody sets it.
        age_s = time.monotonic() - float(found["monotonic"])
        return str(found["state"]), str(found["info"]), max(age_s, 0.0)
    except (OSError, ValueError, KeyError, TypeError):
        return "OFF", "it noted none", 0.0


def status_without(run: Path, reason: str) -> dict[str, object]:
    """Return what status.sh says where the daemon says nothing."""
    lives = daemon_lives(run / "node.pid")
    if lives is None:
        return {"STATUS": "OFF", "INFO": "no daemon runs; start.sh starts it"}
    state, info, age_s = last_state(run / "state.json")
    last = f"the last state was {state} ({info})"
    if not lives:
        return {"STATUS": "ERROR", "INFO": f"the daemon died; {last}"}
    if age_s > STALE_S:
        return {"STATUS": "ERROR", "INFO": f"the daemon hangs for {age_s:.0f} s; {last}"}
    return {"STATUS": state, "INFO": f"{reason}; {info}"}


def remember(run: Path, command: str) -> None:
    """Leave a start or stop for a daemon that is not there yet."""
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = run / f".requested-{os.getpid()}.partial"
    partial.write_text(command)
    partial.replace(run / "requested")


def start_daemon(root: Path) -> None:
    """Start the daemon, by systemd where the container runs it, else detached."""
    if root == Path("/") and Path("/run/systemd/system").is_dir():
        # A daemon that failed so often that systemd has given it up may begin anew.
        for order, must in (("reset-failed", False), ("start", True)):
            try:
                subprocess.run(
                    ["systemctl", "--no-block", order, "phyemu-node.service"],
                    check=must,
                    timeout=0.8,
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except subprocess.TimeoutExpired:
                if must:
                    raise
        return
    python = os.environ.get("PHYEMU_PYTHON") or str(root / "opt/phyemu/bin/python")
    try:
        (root / "logs").mkdir(parents=True, exist_ok=True)
        said = (root / "logs" / "daemon.log").open("ab")
    except OSError:  # a full disk keeps no node from working
        said = Path(os.devnull).open("ab")
    with said:
        subprocess.Popen(
            [python, "-m", "phyemu.node.daemon"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PHYEMU_NODE_ROOT": str(root)},
        )


def ask_or_start(command: str, root: Path, deadline_s: float) -> dict[str, object]:
    """Return the daemon's answer; where there is no daemon, start it first.

    Raises:
        Unreachable: There was no answer in time.
        OSError, subprocess.SubprocessError: It cannot be started.
    """
    run = root / "run" / "phyemu"
    path = run / "node.sock"
    try:
        return ask_patiently(path, command, deadline_s, coming=False)
    except Unreachable as exc:
        if command == "status" or not exc.absent:
            raise
    left = command in ("start", "stop")
    if left:
        remember(run, command)
    start_daemon(root)
    try:
        answer = ask_patiently(path, command, deadline_s, coming=True)
    except Unreachable:
        if not left:
            raise
        return {"ok": True, "text": f"the daemon is starting; it will find {command} asked for"}
    (run / "requested").unlink(missing_ok=True)
    return answer


def one_line(value: object) -> str:
    """Return a value's text as one line."""
    return " ".join(str(value).split())


def main() -> int:
    """Run the command that the script names, and return its exit code."""
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.stderr.write(f"usage: control_client.py {'|'.join(COMMANDS)}\n")
        return 2
    command = sys.argv[1]
    root = Path(os.environ.get("PHYEMU_NODE_ROOT") or "/").absolute()
    try:
        answer = ask_or_start(command, root, time.monotonic() + DEADLINE_S)
    except Unreachable as exc:
        if command == "status":
            answer = status_without(root / "run" / "phyemu", str(exc))
        else:
            answer = {"ok": False, "text": exc}
    except (OSError, subprocess.SubprocessError) as exc:
        answer = {"ok": False, "text": f"the daemon cannot be started ({exc})"}
    if command == "status":
        state, info = str(answer.get("STATUS", "ERROR")), one_line(answer.get("INFO", ""))
        sys.stdout.write(json.dumps({"STATUS": state, "INFO": info[:MAX_INFO]}) + "\n")
        return 0
    text = one_line(answer.get("text", ""))
    if answer.get("ok"):
        sys.stdout.write(f"{text}\n")
        return 0
    sys.stderr.write(f"{command}.sh: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

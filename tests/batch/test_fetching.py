"""Folders are fetched by real rsync, through an ssh that ends on this machine."""

import shlex
import shutil
from pathlib import Path

import pytest

from phyemu.batch.fetching import fetch, fetch_command, remote_folder
from phyemu.errors import ConfigError, TransportError

# As sshd does: all words behind the host, joined, are a command line for the shell there.
_SSH = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do
  if [ "$1" = -l ]; then shift; fi
  shift
done
echo "$1" >> "$PHYEMU_TEST_HOSTS"
shift
exec sh -c "$*"
"""


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the stand-in of ssh notes the hosts that it was to reach."""
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(_SSH)
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PHYEMU_TEST_HOSTS", str(tmp_path / "hosts"))
    return tmp_path / "hosts"


def test_a_folder_comes_under_its_own_name_and_only_what_changed_comes_again(
    hosts: Path, tmp_path: Path
) -> None:
    there = tmp_path / "nas" / "RESERVATION-7"
    (there / "x-srn1-RES7").mkdir(parents=True)
    (there / "x-srn1-RES7" / "node.jsonl").write_text("{}\n")
    (there / "link").symlink_to("/etc")
    folder = remote_folder(f"user@file-proxy:{there}/")
    assert folder is not None
    (got,) = fetch(folder, tmp_path / "here", quiet=True)
    assert got == tmp_path / "here" / "user@file-proxy" / "root" / there.relative_to("/")
    assert (got / "x-srn1-RES7" / "node.jsonl").read_text() == "{}\n"
    assert not (got / "link").exists()
    assert hosts.read_text().split() == ["file-proxy"]
    before = (got / "x-srn1-RES7" / "node.jsonl").stat().st_ino
    (there / "more").write_text("more")
    fetch(folder, tmp_path / "here", quiet=True)
    assert (got / "more").read_text() == "more"
    assert (got / "x-srn1-RES7" / "node.jsonl").stat().st_ino == before


@pytest.mark.parametrize(
    "name", ["a; touch PWNED", "$(touch PWNED)", "`touch PWNED`", "with space", "--delete"]
)
def test_a_path_is_never_read_by_a_shell(
    hosts: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "nas" / name
    there.mkdir(parents=True)
    (there / "file").write_text("content")
    (tmp_path / "nas" / "another").mkdir()
    folder = remote_folder(f"h:{there}")
    assert folder is not None
    (got,) = fetch(folder, tmp_path / "here", quiet=True)
    assert (got / "file").read_text() == "content"
    assert [path.name for path in got.parent.iterdir()] == [name]
    assert not list(tmp_path.rglob("PWNED"))


def test_a_wildcard_stands_for_several_reservations(hosts: Path, tmp_path: Path) -> None:
    for name in ("RESERVATION-1", "RESERVATION-2", "images"):
        (tmp_path / "nas" / name).mkdir(parents=True)

    def names(pattern: str) -> list[str]:
        folder = remote_folder(f"h:{tmp_path}/{pattern}")
        assert folder is not None
        return [path.name for path in fetch(folder, tmp_path / "here", quiet=True)]

    assert names("nas/images") == ["images"]
    assert names("nas/RESERVATION-1") == ["RESERVATION-1"]
    # What was fetched before under another name is none of them.
    assert names("nas/RESERVATION-*") == ["RESERVATION-1", "RESERVATION-2"]
    assert names("nas/RESERVATION-?") == ["RESERVATION-1", "RESERVATION-2"]


def test_folders_of_one_name_do_not_mix(hosts: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "logs").mkdir(parents=True)
        (tmp_path / name / "logs" / "told").write_text(name)
    sources = [f"h:{tmp_path}/?/./logs/", f"srn1:{tmp_path}/a/logs", f"srn2:{tmp_path}//b/logs"]
    found = []
    for source in sources:
        folder = remote_folder(source)
        assert folder is not None
        found += fetch(folder, tmp_path / "here", quiet=True)
    assert [(path / "told").read_text() for path in found] == ["a", "b", "a", "b"]
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    "source",
    ["-oProxyCommand=x:/a", "a@-b:/a", "-x@host:/a", "ho;st:/a", "host:/a/../b", "host:/a\nb"],
)
def test_what_could_be_an_option_or_a_command_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match=r"dashes|printable"):
        remote_folder(source)


def test_paths_that_are_here_are_no_remote_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "host:results").mkdir()
    assert remote_folder("host:results") is None
    assert remote_folder("results") is None
    assert remote_folder("./a:b") is None
    with pytest.raises(ConfigError, match="name a folder"):
        remote_folder("host:/")


def test_the_command_says_the_paths_as_they_are(tmp_path: Path) -> None:
    folder = remote_folder("me@file-proxy:/share/nas/team/RESERVATION-7")
    assert folder is not None
    command = fetch_command(folder, Path("out/fetched"))
    assert command[0] == "rsync"
    assert command[-3:] == [
        "--",
        "me@file-proxy:/share/nas/team/RESERVATION-7",
        "out/fetched/me@file-proxy/root/",
    ]
    assert shlex.split(shlex.join(command)) == command
    folder = remote_folder("host:results/RESERVATION-7")
    assert folder is not None
    assert fetch_command(folder, Path("out"))[-1] == "out/host/home/"


def test_a_failure_is_one_line_with_the_way_to_go_on(hosts: Path, tmp_path: Path) -> None:
    folder = remote_folder(f"h:{tmp_path}/nothing")
    assert folder is not None
    with pytest.raises(TransportError, match=r"exit code 23: .*run it again") as caught:
        fetch(folder, tmp_path / "here", quiet=True)
    assert "\n" not in str(caught.value)


def test_a_missing_rsync_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = remote_folder("h:/x")
    assert folder is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TransportError, match="apt install rsync"):
        fetch(folder, tmp_path / "here", quiet=True)

"""Public keys, against OpenSSH's own tool."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.container.public_key import read_public_keys
from phyemu.errors import ConfigError

# From RFC 8032, Sec. 7.1, test 1.
POINT = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(f).to_bytes(4, "big") + f for f in fields)).decode()


ED25519 = f"ssh-ed25519 {blob(b'ssh-ed25519', POINT)}"


def refusal(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_public_keys(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")
@pytest.mark.parametrize(
    "kind",
    [["ed25519"], ["rsa", "-b", "2048"], *(["ecdsa", "-b", b] for b in ("256", "384", "521"))],
)
def test_keys_of_ssh_keygen_are_taken_and_their_private_halves_refused(
    tmp_path: Path, kind: list[str]
) -> None:
    private = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-N", "", "-C", "ana@lab", "-f", str(private), "-t", *kind]
    subprocess.run(command, check=True, timeout=60)
    public = private.with_suffix(".pub")
    (key,) = read_public_keys(public)
    assert key.line == public.read_text().strip()
    assert key.comment == "ana@lab"
    secret = private.read_text()
    message = refusal(private, secret)
    assert "private key" in message
    assert not any(line in message for line in secret.splitlines()[1:])
    # A file of both is refused, too.
    assert "private key" in refusal(private, public.read_text() + secret)


def test_several_files_lines_and_repetitions(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# the team\n\n{ED25519} ana\r\n{ED25519} again\n")
    (key,) = read_public_keys(path)
    assert key.line == f"{ED25519} ana"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no public key"),
        ("# nothing\n", "holds no public key"),
        (ED25519[:-8], "damaged"),
        (ED25519.replace("ssh-ed25519 ", "ssh-rsa "), "not of the kind ssh-rsa"),
        (f"ssh-ed25519 {blob(b'ssh-ed25519', POINT[:-1])}", "damaged"),
        (f"ssh-ed25519 {blob(b'ssh-ed25519', POINT, b'more')}", "damaged"),
        (f"ssh-rsa {blob(b'ssh-rsa', bytes([1, 0, 1]), bytes([200] * 128))}", "1024 bits"),
        (f"ssh-dss {blob(b'ssh-dss', b'1', b'2', b'3', b'4')}", "no kind of key"),
        (f'command="ls" {ED25519}', "options"),
        (f"{ED25519} ana\x1b[2J", "control characters"),
        ("ssh-ed25519 not*base64", "damaged"),
        ("ssh-ed25519", "not of the kind"),
        (b"\xff\xfe\x00", "not text"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "ssh-keygen -i"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "private key"),
        ("#" * 70000, "65536 bytes"),
        (ED25519 + "\nhello", "line 2"),
    ],
)
def test_what_is_no_public_key_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    assert said in refusal(tmp_path / "key.pub", content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_public_keys(tmp_path / "none.pub")


@given(st.integers(0, len(ED25519) - 1), st.binary(max_size=3))
def test_a_mutilated_key_is_refused_or_still_a_key(
    tmp_path_factory: pytest.TempPathFactory, at: int, put: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutilated.pub"
    path.write_bytes(ED25519[:at].encode() + put + ED25519[at + len(put) :].encode())
    try:
        keys = read_public_keys(path)
    except ConfigError:
        return
    for key in keys:
        raw = base64.b64decode(key.body, validate=True)
        assert raw.startswith(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20")
        assert len(raw) == 4 + 11 + 4 + 32

"""Who may log in to an image: the given keys and password, and nobody else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from phyemu.container import SshAccess, TextContent, read_access
from phyemu.errors import ConfigError, ImageError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea ana@lab"
OPEN = b"""PermitRootLogin yes
PasswordAuthentication yes
PermitEmptyPasswords yes
AuthorizedKeysFile /etc/everybodys_keys
AuthorizedKeysCommand /usr/bin/keys
AuthorizedKeysCommandUser nobody
AuthorizedPrincipalsCommand /usr/bin/principals
AuthorizedPrincipalsCommandUser nobody
TrustedUserCAKeys /etc/ssh/ca.pub
HostbasedAuthentication yes
GSSAPIAuthentication yes
AuthenticationMethods any
"""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id.pub"
    path.write_text(KEY + "\n")
    return path


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("correct horse battery\n")
    path.chmod(0o600)
    return path


def test_neither_key_nor_password_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"--authorized-key .* --root-password-file"):
        read_access(authorized_keys=(), root_password_file=None, image_name="rx")


def test_keys_of_all_files_are_in_once_and_the_folder_is_roots(key: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pub"
    again.write_text(KEY.replace("ana", "bob"))
    access = read_access(authorized_keys=(key, again), root_password_file=None, image_name="rx")
    folder, file = access.additions()
    assert (folder.path, folder.mode, folder.content) == ("root/.ssh", 0o700, None)
    assert (file.path, file.mode) == ("root/.ssh/authorized_keys", 0o600)
    assert file.content is not None
    assert file.content.open().read().decode() == KEY + "\n"


def test_with_a_password_alone_no_key_of_the_base_stays(password: Path) -> None:
    access = read_access(authorized_keys=(), root_password_file=password, image_name="rx")
    assert access.additions()[1].content == TextContent(b"")
    shadow = access.rewrite("etc/shadow", b"root:known:1::::::\n")
    assert shadow is not None
    assert shadow.content == f"root:{access.root_hash}::0:99999:7:::\n".encode()


def test_files_that_the_base_lacks_are_made_where_a_login_needs_them(key: Path) -> None:
    access = read_access(authorized_keys=(key,), root_password_file=None, image_name="rx")
    made = {path: access.rewrite(path, None) for path in access.REWRITTEN if path != "etc/passwd"}
    assert {path for path, file in made.items() if file} == {"etc/shadow", "etc/ssh/sshd_config"}
    with pytest.raises(ImageError, match="no /etc/passwd"):
        access.rewrite("etc/passwd", None)


@pytest.fixture
def sshd() -> str:
    """Return the path of sshd, which tells its settings only where its empty folder is."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip("no sshd")
    try:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    except OSError as exc:
        pytest.skip(f"no /run/sshd ({exc.strerror})")
    return found


@pytest.mark.rootfs
@pytest.mark.parametrize("base", [OPEN, None, b"Include {folder}/*.conf\n", b"UsePAM yes\n"])
@pytest.mark.parametrize("with_password", [False, True])
def test_sshd_keeps_our_settings_whatever_the_base_says(
    tmp_path: Path, key: Path, password: Path, sshd: str, base: bytes | None, with_password: bool
) -> None:
    access = read_access(
        authorized_keys=(key,),
        root_password_file=password if with_password else None,
        image_name="rx",
    )
    (tmp_path / "00-open.conf").write_bytes(OPEN)
    if base is not None:
        base = base.replace(b"{folder}", str(tmp_path).encode())
    found = access.rewrite("etc/ssh/sshd_config", base)
    assert found is not None
    config = tmp_path / "sshd_config"
    twice = access.rewrite("etc/ssh/sshd_config", found.content)  # an image of ours as a base
    assert twice is not None
    config.write_bytes(twice.content)
    host_key = tmp_path / "host"
    keygen = ["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", str(host_key)]
    subprocess.run(keygen, check=True, timeout=60)
    command = [sshd, "-T", "-f", str(config), "-h", str(host_key)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    settings = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    assert settings["passwordauthentication"] == ("yes" if with_password else "no")
    assert settings["permitrootlogin"] == ("yes" if with_password else "without-password")
    assert settings["permitemptypasswords"] == "no"
    assert settings["kbdinteractiveauthentication"] == "no"
    assert settings["pubkeyauthentication"] == "yes"
    assert settings["authorizedkeysfile"] == ".ssh/authorized_keys"
    for name in ("trustedusercakeys", "authorizedkeyscommand", "authorizedprincipalscommand"):
        assert settings[name] == "none"
    assert settings["hostbasedauthentication"] == "no"
    assert settings.get("gssapiauthentication", "no") == "no"
    assert settings.get("kerberosauthentication", "no") == "no"


def test_access_for_nobody_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="no default password"):
        SshAccess()

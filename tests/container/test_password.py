"""The root password of an image, against the C library's crypt(3)."""

import ctypes
import ctypes.util
from pathlib import Path

import pytest

from phyemu.container.password import hash_password, read_password
from phyemu.errors import ConfigError

PASSWORD = "correct horse: bättery"


def crypt(password: str, setting: str) -> str:
    """Return what the C library makes of it; it is what PAM calls at a login."""
    name = ctypes.util.find_library("crypt")
    if name is None:
        pytest.skip("no libcrypt")
    function = ctypes.CDLL(name).crypt
    function.restype = ctypes.c_char_p
    return str(function(password.encode(), setting.encode()).decode())


def test_the_c_library_accepts_the_password_and_no_other() -> None:
    found = hash_password(PASSWORD, salt_from="rx")
    assert crypt(PASSWORD, found) == found
    assert crypt(PASSWORD + " ", found) != found
    assert crypt("", found) != found


def test_equal_inputs_give_equal_hashes_and_other_images_other_salts() -> None:
    one, same, other = (hash_password(PASSWORD, salt_from=name) for name in ("rx", "rx", "tx"))
    assert one == same
    assert one.split("$")[3] != other.split("$")[3]
    # The salt tells nothing of the password.
    assert hash_password("another password", salt_from="rx").split("$")[3] == one.split("$")[3]


def test_a_hash_is_taken_as_it_is(tmp_path: Path) -> None:
    given = hash_password(PASSWORD, salt_from="rx")
    path = tmp_path / "hash"
    path.write_text(given + "\n")
    path.chmod(0o600)
    assert hash_password(read_password(path), salt_from="tx") == given


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_the_line_is_not_part_of_the_password(tmp_path: Path, end: str) -> None:
    path = tmp_path / "password"
    path.write_bytes((PASSWORD + end).encode())
    path.chmod(0o640)
    assert read_password(path) == PASSWORD


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("", 0o600, "holds no password"),
        ("   \n", 0o600, "holds no password"),
        ("short", 0o600, "5 characters, at least 12"),
        (PASSWORD, 0o644, "mode 644"),
        (PASSWORD, 0o602, "mode 602"),
        (f"{PASSWORD}\nsecond line", 0o600, "one line"),
        (f"{PASSWORD}\0", 0o600, "one line"),
        ("x" * 513, 0o600, "512 bytes"),
        ("x" * 100000, 0o600, "512 bytes"),
        (
            "$y$j9T$uHvIu7xLTFlW1kXq2zKHn/$m8H1nZ0HkqLdRzX5gLr1y0UQ8CwT9m1",
            0o600,
            "openssl passwd -6",
        ),
        ("$6$salt$tooshortforahashofthiskind", 0o600, "openssl passwd -6"),
    ],
)
def test_what_is_no_password_is_refused_in_one_line_that_does_not_show_it(
    tmp_path: Path, content: str, mode: int, said: str
) -> None:
    path = tmp_path / "password"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read_password(path)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert not content.strip() or content.strip() not in message


def test_other_bytes_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with pytest.raises(ConfigError, match="No such file"):
        read_password(path)
    path.write_bytes(b"\xff" * 20)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="UTF-8"):
        read_password(path)

"""No account of an image has a password that its user did not give."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.container.accounts import rewrite_passwd, rewrite_shadow
from phyemu.errors import ImageError

KNOWN = "$6$abc$" + "x" * 86
SHADOW = f"""\
root:{KNOWN}:0:0:99999:7::1:
daemon:*:19000:0:99999:7:::
ubuntu:{KNOWN}:19000:0:99999:7:::
guest::19000:0:99999:7:::
closed:!:19000::::::
"""
PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
guest::1000:1000::/home/guest:/bin/sh
old:aGYcM8sBXlRlw:1001:1001::/home/old:/bin/sh
"""


def test_without_a_password_root_is_for_keys_and_others_are_closed() -> None:
    found = rewrite_shadow(SHADOW.encode(), root_hash=None)
    assert found.locked == ("root", "ubuntu", "guest")
    assert found.content.decode() == (
        "root:*::0:99999:7:::\n"
        "daemon:*:19000:0:99999:7:::\n"
        "ubuntu:!*:19000:0:99999:7:::\n"
        "guest:!*:19000:0:99999:7:::\n"
        "closed:!:19000::::::\n"
    )


def test_with_a_password_it_is_roots_only() -> None:
    found = rewrite_shadow(SHADOW.encode(), root_hash="$6$mine$hash").content.decode()
    assert found.startswith("root:$6$mine$hash::0:99999:7:::\n")
    assert KNOWN not in found


def test_a_base_without_shadow_gets_roots_line() -> None:
    assert rewrite_shadow(b"", root_hash=None).content == b"root:*::0:99999:7:::\n"


def test_a_second_root_or_a_lineless_end_changes_nothing() -> None:
    found = rewrite_shadow(b"a:*:1::::::\nroot:x:1::::::\nroot::1::::::", root_hash=None)
    assert found.content.splitlines() == [b"root:*::0:99999:7:::", b"a:*:1::::::"]


def test_passwords_in_passwd_are_replaced() -> None:
    found = rewrite_passwd(PASSWD.encode())
    assert found.locked == ("guest", "old")
    assert found.content.decode().splitlines() == [
        "root:x:0:0:root:/root:/bin/bash",
        "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
        "guest:x:1000:1000::/home/guest:/bin/sh",
        "old:x:1001:1001::/home/old:/bin/sh",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n", "no root account"),
        ("", "no root account"),
        ("root:x:0:0:root:/:/bin/sh\n", "lives in '/'"),
        ("root:x:0:0:root:/root:/usr/sbin/nologin\n", "nologin"),
    ],
)
def test_a_base_that_root_cannot_log_in_to_is_refused(content: str, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        rewrite_passwd(content.encode())


names = st.text(string.ascii_lowercase, min_size=1, max_size=6)
passwords = st.sampled_from(["", "*", "!", "!!", "!*", "x", KNOWN, "!" + KNOWN, "$y$j9T$s$h"])
tails = st.sampled_from(["19000:0:99999:7:::", "0::::::", "", ":::::::"])


@given(st.lists(st.tuples(names, passwords, tails), max_size=8))
def test_in_any_shadow_every_account_stays_and_none_but_root_has_a_password(
    accounts: list[tuple[str, str, str]],
) -> None:
    content = "".join(f"{name}:{password}:{tail}\n" for name, password, tail in accounts).encode()
    found = rewrite_shadow(content, root_hash=KNOWN)
    lines = [line.split(":") for line in found.content.decode().splitlines()]
    others = [name for name, _, _ in accounts if name != "root"]
    assert [line[0] for line in lines] == ["root", *others]
    assert lines[0][1] == KNOWN
    assert all(line[1].startswith(("!", "*")) for line in lines[1:])
    usable = {name for name, password, _ in accounts if not password.startswith(("!", "*"))}
    assert set(found.locked) == usable
    again = rewrite_shadow(found.content, root_hash=KNOWN)
    assert again.content == found.content

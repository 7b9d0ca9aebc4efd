"""Settings of a base's sshd that ours cannot overrule: refused, or named."""

from pathlib import Path

import pytest

from phyemu.container.base_sshd import notes_on_sshd
from phyemu.errors import ImageError

MAIN = "etc/ssh/sshd_config"
DROP_IN = "etc/ssh/sshd_config.d/50-site.conf"
INCLUDE = b"Include /etc/ssh/sshd_config.d/*.conf\n"


def notes(main: bytes, drop_in: bytes = b"") -> list[str]:
    return notes_on_sshd({MAIN: main, DROP_IN: drop_in}, base=Path("base.tar.gz"))


@pytest.mark.parametrize(
    "line",
    [
        b"DenyUsers root",
        b"DenyUsers guest root",
        b"  denyusers=r*",
        b"AllowUsers ana bob",
        b"AllowUsers ana\nAllowUsers ?ob@10.0.0.1",
        b'DenyGroups "root"',
    ],
)
def test_what_keeps_root_out_is_refused_wherever_it_stands(line: bytes) -> None:
    said = r"base.tar.gz: /etc/ssh/sshd_config.* has '(Deny|Allow).*keeps root out"
    with pytest.raises(ImageError, match=said):
        notes(line)
    with pytest.raises(ImageError, match=r"sshd_config.d/50-site.conf has"):
        notes(INCLUDE, line)
    # Not read by sshd, not there, or only for some: nobody is kept out.
    assert notes(b"UsePAM yes\n", line) == []
    assert notes(b"# " + line.replace(b"\n", b"\n# ")) == []
    (note,) = notes(b"Match User ana\n" + line)
    assert "'Match User ana'" in note


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"AllowUsers root@10.0.0.1", "root gets in from there only"),
        (b"AllowGroups admin", "as a member only"),
        (b"DenyUsers root@10.*", "not in from there"),
        (b"AuthenticationMethods publickey,password", "of one of these groups only"),
        (b"Match all\nAuthorizedKeysCommand /usr/bin/x", "hold instead of ours"),
        (b"Include /srv/site/sshd.conf", "/srv/site/sshd.conf, which was not looked into"),
    ],
)
def test_what_may_keep_root_out_is_named(line: bytes, said: str) -> None:
    (note,) = notes(line)
    assert said in note
    assert notes(INCLUDE, line)[0].startswith(f"/{DROP_IN} ")


@pytest.mark.parametrize(
    "line",
    [b"AllowUsers ana root", b"AllowUsers *", b"AllowGroups root", b"DenyUsers ana", b"Port 22",
     b"", b"Include sshd_config.d/*.conf", b"Include /etc/ssh/sshd_config",
     b"AuthenticationMethods any"],
)  # fmt: skip
def test_the_rest_is_nothing_to_tell(line: bytes) -> None:
    assert notes(line) == []

"""What the sshd of a base is told beside our settings, and cannot be told otherwise by them.

Lists of who may log in add up over all lines and files, so that no first line overrules them, and
the settings in a `Match` block replace those outside of it. See sshd_config(5).
"""

import re
from collections.abc import Iterator, Mapping, Set
from fnmatch import fnmatchcase
from pathlib import Path

from phyemu.errors import ImageError

__all__ = ["SSHD_CONFIG", "is_sshd_settings", "notes_on_sshd"]

SSHD_CONFIG = "etc/ssh/sshd_config"

_DROP_INS = "etc/ssh/sshd_config.d/"
_LINE = re.compile(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*)")
# sshd does not start where "any" is a second value, so that a first one of ours is no remedy.
_METHODS = "authenticationmethods"
_LISTS = ("denyusers", "allowusers", "denygroups", "allowgroups")


def is_sshd_settings(path: str) -> bool:
    """Return whether the file at a path of a root file system tells sshd something."""
    return path == SSHD_CONFIG or (path.startswith(_DROP_INS) and path.endswith(".conf"))


def notes_on_sshd(files: Mapping[str, bytes], *, base: Path) -> list[str]:
    """Return what a user should know of a base's settings, a sentence each.

    Args:
        files: Content of those that `is_sshd_settings` names, by path.
        base: For messages.

    Raises:
        ImageError: They keep root out.
    """
    notes: list[str] = []
    lists: dict[str, list[tuple[str, str]]] = {name: [] for name in _LISTS}
    for path, name, value in _settings(files, SSHD_CONFIG, set()):
        if name == "match":
            notes.append(
                f"/{path} of the base has the block 'Match {value}': for whom it matches, its "
                "settings hold instead of ours"
            )
        elif name == _METHODS:
            if value.lower() != "any":
                notes.append(
                    f"/{path} of the base has 'AuthenticationMethods {value}': root gets in with "
                    "all methods of one of these groups only"
                )
        elif name == "include":
            notes.append(f"/{path} of the base includes {value}, which was not looked into")
        else:
            lists[name] += [(pattern.strip('"'), path) for pattern in value.split()]
    for kind, names in (("denyusers", "DenyUsers"), ("denygroups", "DenyGroups")):
        for pattern, path in lists[kind]:
            if _means_root(pattern):
                raise _locked_out(base, path, f"{names} {pattern}")
            if "@" in pattern and _means_root(pattern.partition("@")[0]):
                notes.append(f"/{path} of the base has '{names} {pattern}': not in from there")
    if allowed := lists["allowusers"]:
        shown = f"AllowUsers {' '.join(pattern for pattern, _ in allowed)}"
        if not any(_means_root(pattern.partition("@")[0]) for pattern, _ in allowed):
            raise _locked_out(base, allowed[0][1], shown)
        if not any(_means_root(pattern) for pattern, _ in allowed):
            notes.append(
                f"/{allowed[0][1]} of the base has '{shown}': root gets in from there only"
            )
    if (groups := lists["allowgroups"]) and not any(_means_root(group) for group, _ in groups):
        shown = f"AllowGroups {' '.join(group for group, _ in groups)}"
        notes.append(f"/{groups[0][1]} of the base has '{shown}': root gets in as a member only")
    return notes


def _means_root(pattern: str) -> bool:
    return fnmatchcase("root", pattern)


def _locked_out(base: Path, path: str, line: str) -> ImageError:
    return ImageError(
        f"{base}: /{path} has '{line}', which keeps root out whatever else is set; take it out of "
        "the base"
    )


def _settings(
    files: Mapping[str, bytes], path: str, above: Set[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield file, name and value of what our settings leave to the base, includes followed."""
    if path in above:
        return
    for line in files.get(path, b"").decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(line.rstrip())
        name, value = (match[1].lower(), match[2]) if match else ("", "")
        if name == "include":
            for pattern in value.split():
                wanted = pattern.strip('"')
                wanted = wanted if wanted.startswith("/") else f"/etc/ssh/{wanted}"
                found = sorted(file for file in files if fnmatchcase(f"/{file}", wanted))
                if not found and not is_sshd_settings(wanted.lstrip("/")):
                    yield path, name, pattern
                for file in found:
                    yield from _settings(files, file, above | {path})
        elif name in _LISTS or name == _METHODS:
            yield path, name, value
        elif name == "match":
            yield path, name, value
            return  # what follows, to the end of the file, is in this block or another

"""All distributions that some need, by what their metadata say."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from phyemu.errors import ImageError

__all__ = ["Candidate", "requirement_closure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A distribution that is at hand.

    Attributes:
        name: As it calls itself.
        version: Of it.
        requires: Its requirements, as in the metadata (PEP 508).
    """

    name: str
    version: str
    requires: tuple[str, ...]


def requirement_closure(
    roots: Iterable[str],
    find: Callable[[str], Candidate | None],
    *,
    environment: Mapping[str, str],
    remedy: str,
) -> dict[str, Candidate]:
    """Return the distributions that `roots` and all that they need are, by canonical name, sorted.

    Args:
        roots: Requirements, such as `phyemu[live]`.
        find: Returns what is at hand by canonical name.
        environment: For markers.
        remedy: What to do about one that is missing.

    Raises:
        ImageError: One is missing, has a version that does not do, or its metadata are malformed.
    """
    found: dict[str, Candidate] = {}
    done: set[tuple[str, str]] = set()
    missing: list[str] = []
    pending = [(text, "") for text in roots]
    while pending:
        text, wanted_by = pending.pop()
        requirement = _parsed(text, wanted_by)
        name = canonicalize_name(requirement.name)
        candidate = found.get(name) or find(name)
        if candidate is None:
            missing.append(f"{requirement.name} (for {wanted_by})" if wanted_by else name)
            continue
        if not requirement.specifier.contains(candidate.version, prereleases=True):
            missing.append(
                f"{requirement.name}{requirement.specifier} (for {wanted_by}; there is "
                f"{candidate.version})"
            )
            continue
        found[name] = candidate
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            for needed in candidate.requires:
                marker = _parsed(needed, candidate.name).marker
                holds = marker is None or marker.evaluate({**environment, "extra": extra})
                # Without a marker it was already needed without the extra.
                if holds and (not extra or marker is not None):
                    pending.append((needed, candidate.name))
    if missing:
        raise ImageError(f"missing: {', '.join(sorted(set(missing)))}; {remedy}")
    return dict(sorted(found.items()))


def _parsed(text: str, wanted_by: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as exc:
        raise ImageError(f"{wanted_by}: its requirement {text!r} is malformed ({exc})") from exc

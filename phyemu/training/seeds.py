"""One seed a run, and from it one for each use, so that no two share their draws."""

import hashlib
from enum import StrEnum

__all__ = ["SeedUse", "derived_seed"]


class SeedUse(StrEnum):
    """What a seed is for."""

    BACKBONE = "backbone"
    PHYDNN = "phydnn"
    LINK = "link"
    VALIDATION = "validation"
    EMBEDDING = "embedding"
    SYSTEM = "system"


def derived_seed(seed: int, use: SeedUse, index: int = 0) -> int:
    """Return the seed (below 2^31) of a use, and of the index-th of its kind."""
    digest = hashlib.sha256(f"{seed}/{use}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1

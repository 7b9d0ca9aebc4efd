"""The machine that a program is for."""

import struct

__all__ = ["X86_64", "elf_machine"]

X86_64 = 62
"""As ELF numbers it; Colosseum's nodes are such machines."""


def elf_machine(start: bytes) -> int | None:
    """Return the number of the machine from the first 20 bytes of a program; None: no program."""
    if start[:4] != b"\x7fELF" or len(start) < 20:
        return None
    return int(struct.unpack_from("<H" if start[5] == 1 else ">H", start, 18)[0])

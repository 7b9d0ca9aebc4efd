"""The C++ program that runs a transfer in ns-3, built once from the simulator in the `ns3` wheel.

The wheel (PyPI `ns3`, its wheels are for Linux on x86-64) brings ns-3's libraries and headers. Its
Python bindings are not used: importing them compiles for a minute and more, and some of ns-3's
static objects fail to start in them. So `ns3` without its dependencies is enough, and a compiler.
"""

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from phyemu.errors import ConfigError

__all__ = ["ns3_program", "why_no_ns3"]

_SOURCE: Final = Path(__file__).with_name("ns3_scenario.cc")
_MODULES: Final = (
    "antenna",
    "applications",
    "bridge",
    "core",
    "energy",
    "internet",
    "mobility",
    "network",
    "point-to-point",
    "propagation",
    "spectrum",
    "stats",
    "traffic-control",
    "wifi",
)
_BUILD_TIMEOUT_S: Final = 600
_REMEDY: Final = "pip install --no-deps ns3==3.44.post0"


def _compiler() -> tuple[str, ...] | None:
    """Return the words that begin a command of the compiler (`ccache g++`), or None."""
    try:
        words = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    except ValueError:  # quotes that nothing closes
        return None
    program = shutil.which(words[0])
    return None if program is None else (program, *words[1:])


def _cache() -> Path | None:
    """Return the folder that the program is kept in; None for a user without a home."""
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given) / "phyemu"
    try:
        return Path.home() / ".cache" / "phyemu"
    except RuntimeError:
        return None


def _installed() -> tuple[Path, str] | None:
    """Return where ns-3 is and its version, or None."""
    spec = importlib.util.find_spec("ns3")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for library in Path(place).glob("lib64/libns3*-wifi.so"):
            found = re.fullmatch(r"libns3\.([0-9.]+)-wifi\.so", library.name)
            if found and (Path(place) / "include" / "ns3" / "wifi-module.h").is_file():
                return Path(place), found[1]
    return None


def why_no_ns3() -> str | None:
    """Return why no transfer can run in ns-3 here; None where one can."""
    if _installed() is None:
        return f"ns-3 is not installed ({_REMEDY})"
    if _compiler() is None:
        return "no C++ compiler is found (Debian: apt-get install g++; or set CXX)"
    if _cache() is None:
        return "this user has no home folder to keep its program in (set XDG_CACHE_HOME)"
    return None


def ns3_program() -> Path:
    """Return the program, built when it is asked for the first time (some ten seconds).

    It is kept in `$XDG_CACHE_HOME/phyemu`, or `~/.cache/phyemu`, under a name that tells from what
    it was built.

    Raises:
        ConfigError: ns-3, a compiler or a folder is missing, or the compiler refuses.
    """
    installed, compiler, cache = _installed(), _compiler(), _cache()
    if installed is None or compiler is None or cache is None:
        raise ConfigError(f"a transfer in ns-3: {why_no_ns3()}")
    place, version = installed
    libraries = place / "lib64"
    command = shlex.join(compiler)
    digest = hashlib.sha256(_SOURCE.read_bytes() + f"{place} {version} {command}".encode())
    program = cache / f"ns3-scenario-{digest.hexdigest()[:16]}"
    if program.is_file():
        return program
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Two processes may build at once: each beside its place, and the last one wins.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".ns3-") as folder:
            partial = Path(folder) / program.name
            done = subprocess.run(
                [
                    *compiler,
                    *("-std=c++20", "-O1", "-o", partial, _SOURCE),
                    *(f"-I{place / 'include'}", f"-L{libraries}"),
                    *(f"-lns3.{version}-{module}" for module in _MODULES),
                    *(f"-Wl,-rpath,{libraries}", "-Wl,--unresolved-symbols=ignore-in-shared-libs"),
                ],
                capture_output=True,
                text=True,
                timeout=_BUILD_TIMEOUT_S,
                check=False,
            )
            if done.returncode:
                errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
                said = (errors or done.stderr.splitlines() or ["nothing"])[0]
                raise ConfigError(f"{command} does not build {_SOURCE.name}: {said}; ({_REMEDY})")
            partial.replace(program)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ConfigError(f"{cache}: cannot build the program that runs ns-3: {exc}") from exc
    return program

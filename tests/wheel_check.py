"""Build the wheel, install it into a new environment, and use it from an empty folder.

Run by `make wheel-check`; it is a script and no pytest test, as it takes minutes on a cold cache.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What images for Colosseum get of phyemu itself, but for metadata.
OWN_FILES = """
from phyemu.container.own_distribution import own_distribution
for file in own_distribution().files:
    if ".dist-info/" not in file.path:
        print(file.path)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Return the standard output of a command that must succeed."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PHYEMU_LIBRARY"}}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"wheel-check: {' '.join(map(str, command))} ended with {done.returncode}")
    return done.stdout


def main() -> None:
    """Fail with a non-zero exit status at the first thing that does not work."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", ROOT, cwd=folder)
        (wheel,) = (folder / "dist").glob("phyemu-*.whl")
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        run(
            python, "-m", "pip", "install", "--quiet",
            "--constraint", ROOT / "constraints.txt", wheel, "torch",
            cwd=folder,
        )  # fmt: skip
        phyemu = folder / "venv" / "bin" / "phyemu"
        empty = folder / "empty"
        empty.mkdir()
        version = run(phyemu, "--version", cwd=empty).strip()
        inspected = json.loads(run(phyemu, "inspect", "office_nlos", "--json", cwd=empty))
        if inspected["hash_ok"] is not True:
            sys.exit(f"wheel-check: the shipped office_nlos fails its hash check: {inspected}")
        out = empty / "out.sigmf"
        run(phyemu, "emulate", "office_nlos", "--channel", "office-nlos", "-o", out, cwd=empty)
        emulated = json.loads(run(phyemu, "inspect", out, "--json", cwd=empty))
        if emulated["samples"] != inspected["samples"] or emulated["hash_ok"] is not True:
            sys.exit(f"wheel-check: emulate changed the length or broke the hash: {emulated}")
        in_image = run(python, "-c", OWN_FILES, cwd=empty).split()
        if in_image != run(sys.executable, "-c", OWN_FILES, cwd=ROOT).split():
            sys.exit("wheel-check: an image gets other files from the wheel than from the checkout")
        deployed = "from phyemu.node.deployment import deployed_files as d; print(len(d()))"
        run(python, "-c", deployed, cwd=empty)
        sys.stdout.write(f"wheel-check: {wheel.name} ({version}) works from an empty folder\n")


if __name__ == "__main__":
    main()

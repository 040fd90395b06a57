"""Make or refresh the checkout's virtual environment, showing what it is doing.

    python3 scripts/bootstrap.py demo|dev [--venv .venv] [--django "5.2.*"]

Everything is pinned with hashes in requirements/*.txt. A stamp in the environment records what
was installed, so that a second run costs nothing.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("requirements", choices=["demo", "dev"])
    parser.add_argument("--venv", default=".venv", help="the environment's folder")
    parser.add_argument("--django", default="", help="another Django line, such as 5.2.*")
    options = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        print(
            f"Keyfob needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer, and this is "
            f"{sys.version.split()[0]}. Name another one: make PYTHON=python3.12 ...",
            file=sys.stderr,
        )
        return 1
    venv = ROOT / options.venv
    stamp = venv / ".keyfob-requirements"
    wanted = fingerprints(options.django)
    installed = stamp.read_text().split("\n") if stamp.exists() else []
    # The development set contains the demo's, so it serves both.
    if wanted["dev"] in installed or wanted[options.requirements] in installed:
        return 0
    return install(venv, stamp, options.requirements, options.django, wanted)


def fingerprints(django: str) -> dict[str, str]:
    """What each requirement set installs, as one hash of everything it is read from."""
    found = {}
    for name in ("demo", "dev"):
        digest = hashlib.sha256(f"{name} {django} {sys.version}".encode())
        for path in (ROOT / "requirements" / f"{name}.txt", ROOT / "pyproject.toml"):
            digest.update(path.read_bytes())
        found[name] = digest.hexdigest()
    return found


def install(venv: Path, stamp: Path, name: str, django: str, wanted: dict[str, str]) -> int:
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    steps: list[tuple[str, list[str]]] = []
    if not python.exists():
        steps.append(("Making a virtual environment", [sys.executable, "-m", "venv", str(venv)]))
    lock = ROOT / "requirements" / f"{name}.txt"
    steps.append(("Installing pinned packages", [*pip, "--require-hashes", "-r", str(lock)]))
    if django:
        steps.append((f"Installing Django {django}", [*pip, f"Django=={django}"]))
    steps.append(
        ("Installing Keyfob", [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    )
    for number, (title, command) in enumerate(steps, 1):
        if not run(f"[{number}/{len(steps)}] {title}", command):
            return 1
    stamp.write_text("\n".join([wanted[name]]))
    return 0


def run(title: str, command: list[str]) -> bool:
    """One step, with the seconds it has taken so far; its output only when it fails."""
    started = time.monotonic()
    done = threading.Event()
    interactive = sys.stdout.isatty()

    def tick() -> None:
        while not done.wait(1.0):
            seconds = int(time.monotonic() - started)
            if interactive:
                print(f"\r{title} ... {seconds} s", end="", flush=True)
            elif seconds % 15 == 0:
                print(f"{title} ... {seconds} s", flush=True)

    print(f"{title} ...", end="" if interactive else "\n", flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    done.set()
    ticker.join()
    if interactive:
        print(f"\r{title} ... {'done' if result.returncode == 0 else 'FAILED'}        ")
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr)
        print(hint(result.stdout), file=sys.stderr)
    return result.returncode == 0


def hint(output: str) -> str:
    if "ensurepip" in output:
        return "This Python cannot make environments; on Debian: apt-get install python3-venv"
    return "Setting up failed; the lines above say why. Running the command again resumes it."


if __name__ == "__main__":
    sys.exit(main())

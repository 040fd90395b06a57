"""Test what is shipped: build the wheel, install it outside the checkout, run the tests there.

python3 scripts/installed_tests.py wheel    all that has pages and commands, with every extra
python3 scripts/installed_tests.py core     the core's tests, with neither Flask nor Django
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: For each kind: the pinned packages, what is copied beside the tests, and what is run.
KINDS = {
    "core": ("core-test", ["docs"], ["tests/core"]),
    "wheel": (
        "dev",
        ["demo_sites", "README.md", "docs", "Makefile"],
        ["tests/flask_ext", "tests/django_app", "tests/emulator", "tests/demo_sites"],
    ),
}
#: Importable where the wheel is tested, and where they must come from.
SHIPPED = {
    "core": ["keyfob"],
    "wheel": ["keyfob", "flask_keyfob", "django_keyfob", "keyfob_emulator"],
}
MUST_BE_ABSENT = {"core": ["flask", "werkzeug", "django"], "wheel": []}


def main() -> int:
    kind = sys.argv[1] if len(sys.argv) == 2 else ""
    if kind not in KINDS:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="keyfob-installed-") as folder:
        return test(kind, Path(folder))


def test(kind: str, folder: Path) -> int:
    lock, copied, run = KINDS[kind]
    say("Making an environment outside the checkout")
    venv = folder / "venv"
    call([sys.executable, "-m", "venv", str(venv)], folder)
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    say("Installing pinned packages")
    call([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / f"{lock}.txt")], folder)
    say("Building the wheel and installing it")
    wheel = build(python, folder)
    call([*pip, "--no-deps", str(wheel)], folder)
    place = folder / "place"
    place.mkdir()
    shutil.copytree(ROOT / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    for name in copied:
        copy(ROOT / name, place / name)
    # The shipped packages must come from the wheel and from nowhere else.
    for package in SHIPPED[kind]:
        shutil.rmtree(place / "demo_sites" / package, ignore_errors=True)
    check_origins(kind, python, venv, place)
    say(f"Running {' '.join(run)}")
    workers = os.environ.get("WORKERS", "auto")
    command = [python, "-m", "pytest", "-n", workers, "--dist", "loadscope", "-q", *run]
    # The inputs were searched before, in the checkout.
    environment = {**os.environ, "KEYFOB_TEST_PROFILE": "again"}
    return subprocess.run(command, cwd=place, env=environment, check=False).returncode


def build(python: str, folder: Path) -> Path:
    output = folder / "dist"
    builder = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]))"
    output.mkdir()
    call([python, "-c", builder, str(output)], ROOT)
    (wheel,) = output.glob("*.whl")
    return wheel


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def check_origins(kind: str, python: str, venv: Path, place: Path) -> None:
    for package in SHIPPED[kind]:
        printed = subprocess.run(
            [python, "-c", f"import {package}; print({package}.__file__)"],
            cwd=place,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        if str(venv) not in printed:
            raise SystemExit(f"{package} comes from {printed.strip()}, not from the wheel")
    for package in MUST_BE_ABSENT[kind]:
        found = subprocess.run(
            [python, "-c", f"import {package}"], cwd=place, check=False, capture_output=True
        )
        if found.returncode == 0:
            raise SystemExit(f"{package} is installed, and must not be for these tests")


def call(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise SystemExit(f"Failed: {' '.join(command[:6])} ...")


def say(text: str) -> None:
    print(f"{text} ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Run the suite on every supported Python that is installed, and on both Django lines.

What no Python version changes runs once, in `make test`: browsers, MSAL beside us, load and faults,
and most of the inputs that hypothesis makes up. What has just been run can be left out: a version
by MATRIX_TESTED=3.11, the core's tests of another by MATRIX_CORE_TESTED=3.12.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Python, and the Django to put in place of the pinned one ("" for that one).
CELLS = [("3.10", ""), ("3.11", ""), ("3.12", ""), ("3.13", ""), ("3.13", "5.2.*")]
ONCE = ("tests/side_by_side", "tests/reliability")
#: What another Django can change.
OF_DJANGO = ("tests/django_app", "tests/demo_sites")


def main() -> int:
    results = []
    for version, django in CELLS:
        name = f"Python {version}" + (f", Django {django}" if django else "")
        if version == os.environ.get("MATRIX_TESTED") and not django:
            results.append((name, "by make test"))
            continue
        python = find(version)
        if python is None:
            results.append((name, "not installed here"))
            continue
        print(f"== {name}", flush=True)
        results.append((name, "passed" if run(python, version, django) else "FAILED"))
    print()
    for name, result in results:
        print(f"{name:28} {result}")
    wanted = os.environ.get("KEYFOB_TEST_REQUIRE") == "all"
    bad = {"FAILED", "not installed here"} if wanted else {"FAILED"}
    return 1 if any(result in bad for _, result in results) else 0


def find(version: str) -> str | None:
    """An interpreter of this version: on the PATH, or among pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    if root.is_dir():
        names = sorted(root.iterdir(), reverse=True)
        candidates += [
            str(path / "bin" / "python")
            for path in names
            if re.fullmatch(re.escape(version) + r"\.\d+", path.name)
        ]
    for candidate in candidates:
        if candidate is None:
            continue
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        answered = subprocess.run(asked, capture_output=True, text=True, check=False)
        if answered.stdout.strip() == version:
            return candidate
    return None


def run(python: str, version: str, django: str) -> bool:
    venv = f".venvs/{version}" + (f"-django{django.rstrip('.*')}" if django else "")
    set_up = [python, "scripts/bootstrap.py", "dev", "--venv", venv]
    if django:
        set_up += ["--django", django]
    if subprocess.run(set_up, cwd=ROOT, check=False).returncode != 0:
        return False
    workers = os.environ.get("WORKERS", "auto")
    done = ("tests/core",) if version == os.environ.get("MATRIX_CORE_TESTED") else ()
    tests = [
        f"{venv}/bin/python",
        "-m",
        "pytest",
        "-n",
        workers,
        "--dist",
        "loadscope",
        "-q",
        "-m",
        "not browser",
        *(f"--ignore={folder}" for folder in (*ONCE, *done)),
        *(OF_DJANGO if django else ()),
    ]
    environment = {**os.environ, "KEYFOB_TEST_PROFILE": "again"}
    return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())

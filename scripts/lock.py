"""Pin requirements/*.in anew: for every supported Python, with hashes, without index addresses."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = [
    "--quiet",
    "--universal",
    "--python-version",
    "3.10",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-package",
    "keyfob",
    "--upgrade",
]


def main() -> int:
    if shutil.which("uv") is None:
        print("Locking needs uv: pip install uv", file=sys.stderr)
        return 1
    for source in sorted((ROOT / "requirements").glob("*.in")):
        target = source.with_suffix(".txt")
        print(f"Locking {target.relative_to(ROOT)} ...", flush=True)
        subprocess.run(
            ["uv", "pip", "compile", *OPTIONS, str(source), "--output-file", str(target)],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

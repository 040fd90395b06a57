"""Keyfob beside real msal, in one run: `make bench`, or

    python bench [WORD ...]     only the groups whose names are given: see GROUPS

Prints what each took, the ratio, and the target; exits with 1 where a target is missed.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable

import bearer
import building
import calls
import lookups
import msal
import requests_made
import sessions
from measure import Row
from world import Wire

from keyfob_emulator import Emulator

GROUPS = ("lookups", "building", "imports", "requests", "sessions", "bearer", "calls", "memory")


def main(asked: list[str]) -> int:
    if not set(asked) <= set(GROUPS):
        print(__doc__, f"\nGroups: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    wire = Wire(Emulator())
    groups: dict[str, Callable[[], Iterable[Row]]] = {
        "lookups": lambda: lookups.rows(wire),
        "building": lambda: building.rows(wire),
        "imports": building.import_rows,
        "requests": requests_made.rows,
        "sessions": lambda: sessions.rows(wire),
        "calls": lambda: calls.rows(wire),
        "bearer": bearer.rows,
        "memory": lookups.memory_rows,
    }
    began = time.monotonic()
    rows = [row for name in asked or GROUPS for row in groups[name]()]
    wire.close()
    show(rows)
    missed = [row.name for row in rows if row.holds is False]
    on = f"Python {platform.python_version()}, msal {msal.__version__}"
    print(f"\n{time.monotonic() - began:.0f} s on {on}.", end=" ")
    print(f"Missed: {'; '.join(missed)}" if missed else "Every target is met.")
    return 1 if missed else 0


def show(rows: list[Row]) -> None:
    # MSAL, where a row names nothing else.
    table = [("", "keyfob", "beside it", "", "target", "")]
    verdicts = {True: "ok", False: "MISSED", None: ""}
    table += [
        (row.name, row.ours, row.theirs, row.found, row.target, verdicts[row.holds]) for row in rows
    ]
    widths = [max(len(line[column]) for line in table) for column in range(6)]
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The migration page's example runs, and needs only another import."""

from __future__ import annotations

import re
from pathlib import Path

from keyfob_emulator import EmulatorServer, sample

_PAGE = Path(__file__).parents[2] / "docs" / "migrating-from-msal.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_only_the_import_changes() -> None:
    before, after = (example.splitlines() for example in examples())
    assert (before[0], after[0]) == ("import msal", "import keyfob as msal")
    assert before[1:] == after[1:]


def test_the_example_runs() -> None:
    tokens: list[str] = []
    with EmulatorServer() as server:
        names = {
            "CLIENT_ID": sample.NIGHTLY_JOB,
            "CLIENT_SECRET": sample.NIGHTLY_JOB_SECRET,
            "AUTHORITY": server.authority("contoso.example"),
            "call_the_api": tokens.append,
        }
        exec(examples()[1], names)
        names["app"].close()  # type: ignore[attr-defined]
    assert len(tokens) == 1


def test_every_difference_has_both_sides() -> None:
    rows = [line for line in _PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    for row in rows:
        assert len(row.strip("|").split("|")) == 3, row

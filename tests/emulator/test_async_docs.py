"""The examples of the page about event loops run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "async.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PRINTED = ["identity_provider", "authorization_pending"]


@pytest.mark.parametrize(("number", "printed"), list(enumerate(PRINTED)))
def test_every_example_runs(number: int, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) == len(PRINTED)
    exec(compile(BLOCKS[number], f"{PAGE.name}, example {number}", "exec"), {})
    assert printed in capsys.readouterr().out

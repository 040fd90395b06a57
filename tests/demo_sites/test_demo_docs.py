"""The page about the demo shows the demo's own code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SOURCES = [
    path.read_text(encoding="utf-8")
    for folder in ("flask_site", "django_site", "orders_api")
    for path in (ROOT / "demo_sites" / folder).glob("*.py")
]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_what_the_page_shows_is_in_the_demo(number: int) -> None:
    assert any(BLOCKS[number] in source for source in SOURCES)


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    assert len(pictures) > 5
    assert [each for each in pictures if not (ROOT / "docs" / each).is_file()] == []

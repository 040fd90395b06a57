"""The page about the provider says what is true: its examples run, its lists are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keyfob_emulator import Emulator, Lifetimes, sample_directory
from keyfob_emulator.failures import ENDPOINTS
from keyfob_emulator.sample import PASSWORD

DOCS = Path(__file__).parents[2] / "docs" / "emulator.md"
TEXT = DOCS.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_example_runs(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[number], f"{DOCS.name}, example {number}", "exec"), {})
    capsys.readouterr()


def test_every_person_and_client_is_listed() -> None:
    directory = sample_directory()
    assert PASSWORD in TEXT
    for account in directory.accounts:
        assert account.username in TEXT
    for application in directory.applications:
        if application.redirect_uris or application.secrets:
            assert f"| {application.name} | `{application.client_id}` |" in TEXT


def test_every_endpoint_that_can_fail_and_every_lifetime_is_listed() -> None:
    knobs = TEXT[TEXT.index("### Turning the knobs") : TEXT.index("### Your own people")]
    assert set(re.findall(r"`([a-z_]+)`", knobs)) >= set(ENDPOINTS)
    for name in vars(Lifetimes()):
        assert f"`{name}`" in knobs or f"Lifetimes({name}=" in knobs, name


def test_every_knob_is_listed() -> None:
    internal = {"now", "account", "application", "take_failure", "username_of_hint"}
    for name in set(vars(Emulator)) - internal:
        if not name.startswith("_"):
            assert f"`{name}" in TEXT or f"{name}(" in TEXT, name

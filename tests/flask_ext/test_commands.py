"""`flask keyfob ...`, and the warning for a store that each process has for itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_ext.support import configured, get
from flask_keyfob import Keyfob, extension
from keyfob.web.stores import SQLiteStore


def run(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["keyfob", *words])


def test_expired_records_are_removed_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    app = configured(TOKEN_STORE=f"sqlite:///{path}")
    Keyfob(app)
    store = SQLiteStore(path, clock=lambda: 100.0)
    for number in range(2):
        store.create(f"{number}", b"", 200.0)
    store.create("live", b"", time.time() + 3600)
    store.close()
    done = run(app, "clear-expired")
    assert (done.exit_code, done.output) == (0, "Removed 2 expired records.\n")
    assert run(app, "clear-expired").output == "Removed 0 expired records.\n"
    app.extensions["keyfob"].close()


def test_a_store_that_fails_is_a_command_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    path.write_text("no database at all, but long enough to be looked at as if it were one" * 9)
    app = configured(TOKEN_STORE=f"sqlite:///{path}")
    Keyfob(app)
    done = run(app, "clear-expired")
    assert done.exit_code == 1
    assert "Error: the token store" in done.output
    app.extensions["keyfob"].close()


def test_every_app_has_its_own_commands() -> None:
    keyfob = Keyfob()
    for _ in range(2):
        app = configured()
        keyfob.init_app(app)
        assert "clear-expired" in run(app, "--help").output


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "memory://" in r.getMessage()]


def test_a_memory_store_under_several_workers_is_warned_of_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(extension, "worker_count", lambda: 4)
    app = configured(TOKEN_STORE="memory://")
    Keyfob(app)
    (warning,) = warnings_in(caplog)
    assert "SQLite" in warning
    get(app, "/", environ_base={"wsgi.multiprocess": True})
    assert len(warnings_in(caplog)) == 1


def test_a_memory_store_under_a_server_that_says_so_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = configured(TOKEN_STORE="memory://")
    Keyfob(app)
    assert warnings_in(caplog) == []
    for _ in range(3):
        get(app, "/", environ_overrides={"wsgi.multiprocess": True})
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize(("store", "several"), [("memory://", False), ("sqlite:///x.db", True)])
def test_any_other_site_is_not_warned(
    store: str, several: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(extension, "worker_count", lambda: 4 if several else 1)
    app = configured(TOKEN_STORE=store)
    Keyfob(app)
    get(app, "/", environ_overrides={"wsgi.multiprocess": several})
    assert [r for r in caplog.records if r.name == "keyfob.store"] == []

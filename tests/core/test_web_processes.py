"""How many processes a server runs the site in, by what can be seen of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from keyfob.web.processes import worker_count


@pytest.mark.parametrize(
    ("line", "environ", "count"),
    [
        ("/usr/bin/gunicorn site:app", {}, 1),
        ("/usr/bin/gunicorn -w 4 site:app", {}, 4),
        ("/usr/bin/gunicorn -w4 site:app", {}, 4),
        ("/usr/bin/gunicorn --workers 4 site:app", {}, 4),
        ("/usr/bin/gunicorn --workers=4 site:app", {}, 4),
        ("/usr/bin/gunicorn -w 2 --workers=3 site:app", {}, 3),
        ("/usr/bin/gunicorn site:app -w", {}, 1),
        ("/usr/bin/gunicorn -w many site:app", {}, 1),
        ("/usr/bin/gunicorn --worker-class gthread --threads 8 site:app", {}, 1),
        ("/lib/gunicorn/__main__.py -w 4 site:app", {}, 4),
        ("gunicorn site:app", {"GUNICORN_CMD_ARGS": "--bind :80 --workers=5"}, 5),
        ("gunicorn -w 1 site:app", {"GUNICORN_CMD_ARGS": "--workers=5"}, 1),
        ("gunicorn site:app", {"GUNICORN_CMD_ARGS": "-w 3 'unclosed"}, 3),
        ("gunicorn site:app", {"WEB_CONCURRENCY": "3"}, 3),
        ("gunicorn site:app", {"WEB_CONCURRENCY": "a few"}, 1),
        ("gunicorn site:app", {"WEB_CONCURRENCY": "0"}, 1),
        ("gunicorn -w 2 site:app", {"WEB_CONCURRENCY": "1"}, 2),
        ("/venv/bin/uvicorn --workers 2 site:app", {}, 2),
        ("/venv/bin/uvicorn site:app", {"WEB_CONCURRENCY": "2"}, 2),
        ("/venv/bin/uvicorn site:app", {"GUNICORN_CMD_ARGS": "-w 2"}, 1),
        ("/venv/bin/hypercorn -w 2 site:app", {}, 2),
        # A shell on a machine whose server would run four.
        ("/venv/bin/flask run", {"WEB_CONCURRENCY": "4"}, 1),
        ("manage.py runserver -w 4", {"WEB_CONCURRENCY": "4"}, 1),
        ("", {"WEB_CONCURRENCY": "4"}, 1),
    ],
)
def test_workers_are_counted_as_the_server_does(
    line: str, environ: dict[str, str], count: int
) -> None:
    assert worker_count(environ, line.split(), {}) == count


def test_an_embedding_server_is_asked() -> None:
    assert worker_count({}, ["uwsgi"], {"uwsgi": SimpleNamespace(numproc=6)}) == 6
    assert worker_count({}, [], {"mod_wsgi": SimpleNamespace(maximum_processes=2)}) == 2
    assert worker_count({}, [], {"mod_wsgi": SimpleNamespace()}) == 1


def test_nobody_at_all_is_one_process() -> None:
    assert worker_count() == 1

"""Whether a site seems to run as several processes, which a store in one's memory is not for."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath

#: Servers that start so many workers as `--workers`, or else WEB_CONCURRENCY, says.
_SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn"})
_WORKERS = re.compile(r"(?:-w|--workers)(?:=?([0-9]{1,4}))?")

_logger = logging.getLogger("keyfob.store")


def worker_count(
    environ: Mapping[str, str] = os.environ,
    arguments: Sequence[str] = sys.argv,
    modules: Mapping[str, object] = sys.modules,
) -> int:
    """How many processes the server runs the site in, as far as it can be seen: 1 if it cannot.

    Seen are Gunicorn's, Uvicorn's and Hypercorn's command line, GUNICORN_CMD_ARGS,
    WEB_CONCURRENCY, and what uWSGI and mod_wsgi tell the program. A configuration file is not.

    :param environ: the environment.
    :param arguments: the program's command line.
    :param modules: what is imported.
    """
    embedded = (("uwsgi", "numproc"), ("mod_wsgi", "maximum_processes"))
    for module, attribute in embedded:
        count = getattr(modules.get(module), attribute, None)
        if isinstance(count, int):
            return max(1, count)
    program = PurePath(arguments[0]) if arguments else PurePath()
    # `python -m gunicorn` is .../gunicorn/__main__.py
    server = program.parent.name if program.name == "__main__.py" else program.stem
    if server not in _SERVERS:
        return 1
    count = _workers(arguments[1:])
    if count is None and server == "gunicorn":
        count = _workers(_words(environ.get("GUNICORN_CMD_ARGS", "")))
    if count is None:
        said = environ.get("WEB_CONCURRENCY", "").strip()
        count = int(said) if re.fullmatch("[0-9]{1,4}", said) else 1
    return max(1, count)


def warn_of_private_store(store: str, cure: str) -> None:
    """Say in the log that each process has its own sign-ins.

    :param store: the setting's value, without secrets.
    :param cure: what to set in its place.
    """
    _logger.warning(
        "TOKEN_STORE is %s, which each process has for itself, and the site seems to run as "
        "several: people will be signed in on some requests and not on others. %s",
        store,
        cure,
    )


def _workers(words: Sequence[str]) -> int | None:
    """The last `-w N` or `--workers N`, as the servers read it."""
    found = None
    for number, word in enumerate(words):
        match = _WORKERS.fullmatch(word)
        if match:
            value = match[1] or (words[number + 1] if number + 1 < len(words) else "")
            found = int(value) if re.fullmatch("[0-9]{1,4}", value) else found
    return found


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()

"""The command: from its arguments to its exit status."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TextIO

from keyfob import __version__
from keyfob.cache import SerializableTokenCache
from keyfob.errors import ConfigurationError
from keyfob.tester import menu
from keyfob.tester.cache_file import CacheFile
from keyfob.tester.configuration import Options, configured, options
from keyfob.tester.demo import Demo
from keyfob.tester.masking import Secrets
from keyfob.tester.session import Session
from keyfob.tester.terminal import ScrubbedHandler, Terminal, this_terminal

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


def main(
    arguments: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    demo: Demo | None = None,
) -> int:
    """Run the tester.

    :param arguments: the command line's, without the program; by default this program's.
    :param environ: where settings are that no flag gives.
    :param demo: where the local identity provider is; by default at its usual address.
    :returns: the exit status: 0; 1 where the last token that was asked for was not given, a file
        cannot be used, or the input ended in the middle; 2 for a wrong flag or setting; 130 after
        Ctrl-C.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # A character that cannot be read or shown becomes a question mark, and no traceback.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    secrets = Secrets()
    terminal = this_terminal(secrets, environ)
    demo = demo or Demo()
    try:
        given = options(arguments, environ)
        secrets.add(given.secret)
        with _log(secrets, sys.stderr, verbose=given.verbose):
            return _run(given, terminal, demo)
    except ConfigurationError as error:
        _complain(secrets, error)
        return WRONG_USAGE
    except KeyboardInterrupt:
        terminal.line()
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read along is gone; nor can Python tell them so at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(given: Options, terminal: Terminal, demo: Demo) -> int:
    cache = SerializableTokenCache()
    file = CacheFile(given.cache_file) if given.cache_file else None
    if file is not None and not _loaded(file, cache, terminal):
        return FAILED
    session = Session(terminal, cache, demo, cache_file=file)
    try:
        registration = configured(given, demo)
        session.use(registration)
        terminal.line(f"Keyfob {__version__}: try sign-in and tokens.", "bold")
        terminal.line("Tokens and secrets are never shown in full.", "dim")
        if registration is None:
            terminal.line()
            chosen = menu.perform(session, lambda session: menu.choose_application(session, "quit"))
            if chosen is False:
                return 0
        menu.show_menu(session)
        while menu.turn(session):
            pass
    except EOFError:
        terminal.line()
        if session.is_busy:
            terminal.line("The input ended in the middle.")
            return FAILED
    finally:
        session.close()
    return FAILED if session.failed else 0


def _loaded(file: CacheFile, cache: SerializableTokenCache, terminal: Terminal) -> bool:
    try:
        file.load(cache)
    except ConfigurationError as error:
        _complain(terminal.secrets, error)
        return False
    terminal.secrets.add_cache(cache)
    if file.is_readable_by_others():
        terminal.paragraph(
            f"Other users of this machine may read {file.path}. The next change closes it to them."
        )
    return True


def _complain(secrets: Secrets, error: ConfigurationError) -> None:
    """Say what keeps the tester from beginning."""
    Terminal(secrets, sys.stderr).paragraph(f"keyfob: {error}")


@contextmanager
def _log(secrets: Secrets, stream: TextIO, *, verbose: bool) -> Iterator[None]:
    """Show Keyfob's log, down to DEBUG, while the tester runs."""
    if not verbose:
        yield
        return
    logger = logging.getLogger("keyfob")
    before, handler = logger.level, ScrubbedHandler(secrets, stream)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)

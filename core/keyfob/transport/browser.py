"""The person's browser: whichever this machine would open an address with."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable

from keyfob.errors import ConfigurationError
from keyfob.protocol.urls import parse_http_url
from keyfob.transport.waiting import Wait

logger = logging.getLogger(__name__)

#: They run in the terminal, and sign-in pages want scripts. Taken only where somebody chose them.
_TEXT_BROWSERS = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})
#: What hands an address over to Windows from its subsystem for Linux.
_WINDOWS_OPENERS = ("wslview", "explorer.exe")
#: Seconds for one of those to hand it over.
_OPENER_TIMEOUT = 20

_NO_BROWSER = "No browser could be opened here. To sign in, open this address"
_REMINDER = "Waiting for the sign-in in your browser. If there is no page for it, open this address"
_NOTICE = """{what} in a browser on this machine:

  {uri}

The answer comes to port {port} of this machine. From another machine, forward that port first, or
use the device code flow. Ctrl-C ends the wait.
"""


def judge_address(uri: object) -> None:
    """Refuse what is no web page: others would start programs.

    :raises ConfigurationError: (a ValueError) it is not an http or https address.
    """
    try:
        parse_http_url(uri)
    except ValueError as reason:
        raise ConfigurationError(f"The address for the browser {reason}") from None


def open_browser(uri: str, browser_name: str | None = None) -> bool:
    """Open an http or https address in a browser.

    :param browser_name: one of those that `webbrowser` knows; by default the person's own, which
        the environment's BROWSER names, or the system.
    :returns: whether one took it, as far as can be told.
    :raises ConfigurationError: (a ValueError) it is not an http or https address.
    """
    judge_address(uri)
    return _open(uri, browser_name) or (_is_windows_subsystem() and _open_in_windows(uri))


def _open(uri: str, browser_name: str | None) -> bool:
    import webbrowser

    try:
        controller = webbrowser.get(browser_name)
        chosen = browser_name or os.environ.get("BROWSER")
        if not chosen and getattr(controller, "name", "") in _TEXT_BROWSERS:
            return False
        # Without a name, its own open() tries the next one where the first fails.
        return controller.open(uri) if browser_name else webbrowser.open(uri)
    except (webbrowser.Error, OSError) as error:
        logger.info("No browser could be opened (%s)", type(error).__name__)
        return False


def _is_windows_subsystem() -> bool:
    return platform.system() == "Linux" and "microsoft" in platform.release().lower()


def _open_in_windows(uri: str) -> bool:
    for name in _WINDOWS_OPENERS:
        program = shutil.which(name)
        if program is None:
            continue
        try:
            done = subprocess.run(  # noqa: S603 - the address was judged, and there is no shell
                [program, uri],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_OPENER_TIMEOUT,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        # explorer.exe says 1 whatever it did.
        if done.returncode == 0 or name == "explorer.exe":
            return True
    return False


class AddressNotice:
    """Tells a person the address to open by hand: once, and never in a log, for it has a secret.

    :param callback: is given the address instead of standard error.
    """

    def __init__(self, uri: str, port: int, callback: Callable[[str], object] | None) -> None:
        self.uri = uri
        self._port = port
        self._callback = callback
        self._was_given = False

    def no_browser(self) -> None:
        """Where none could be opened."""
        if self._callback is not None:
            self._callback(self.uri)
        else:
            self._print(_NO_BROWSER)

    def reminder(self) -> None:
        """Where one was opened, a while ago. A callback is no place for that."""
        if self._callback is None:
            self._print(_REMINDER)

    def _print(self, what: str) -> None:
        # A program without a console has none.
        stream = sys.stderr
        if self._was_given or stream is None:
            return
        self._was_given = True
        with contextlib.suppress(OSError, ValueError):
            stream.write(_NOTICE.format(what=what, uri=self.uri, port=self._port))
            stream.flush()


def start_browser(
    notice: AddressNotice, wait: Wait, browser_name: str | None, patience: float
) -> None:
    """Open the browser in a thread of its own: some hold up whoever opens them until they close.

    :param patience: seconds of the wait after which the person is reminded.
    """

    def start() -> None:
        try:
            opened = open_browser(notice.uri, browser_name)
        except Exception as error:  # noqa: BLE001 - a controller may be anybody's
            logger.info("The browser could not be opened (%s)", type(error).__name__)
            opened = False
        if not opened:
            wait.call_soon(notice.no_browser)

    wait.schedule(patience, notice.reminder)
    threading.Thread(target=start, name="keyfob-browser", daemon=True).start()

"""The interactive tester as a real process, with a script in the person's place."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.tester.masking import RUN

if TYPE_CHECKING:
    from typing_extensions import Self

#: Tests of Ctrl-C need its usual effect, which a background job's children do not inherit.
_PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from keyfob.tester import main
from keyfob.tester.demo import Demo
sys.exit(main(demo=Demo(sys.argv.pop(1))))
"""
PATIENCE = 60


class RunningTester:
    """A running tester. Close it, or use it as a context manager.

    :param folder: its cache file is there, and the log of what it wrote on standard error.
    :param demo: the address at which it looks for the local identity provider.
    :param environment: of variables beyond this process's own, which has none of Keyfob's.
    """

    def __init__(
        self,
        folder: Path,
        demo: str,
        *flags: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KEYFOB_")}
        self.cache_file = folder / "cache.json"
        self._errors = folder / "errors.txt"
        self.written = ""
        self._seen = 0
        self._news = threading.Condition()
        self._ended = False
        with self._errors.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, demo, "--verbose", "--cache",
                 str(self.cache_file), *flags],
                env={**clean, "PYTHONIOENCODING": "utf-8", **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while True:
            piece = self.process.stdout.read(1)
            with self._news:
                self.written += piece
                self._ended = not piece
                self._news.notify_all()
            if not piece:
                return

    def expect(self, text: str) -> str:
        """Wait until it has written this text, after what was expected before; all in between."""
        with self._news:
            found = self._news.wait_for(
                lambda: text in self.written[self._seen :] or self._ended, PATIENCE
            )
            start = self._seen
            place = self.written.find(text, start)
            if not found or place < 0:
                raise AssertionError(f"no {text!r} in:\n{self.written[start:]}\n{self.errors}")
            self._seen = place + len(text)
            return self.written[start : self._seen]

    def say(self, *lines: str) -> None:
        """Type lines, whether or not it has asked for them yet."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def at_menu(self) -> str:
        """Wait until it asks what to do next; what it wrote before."""
        return self.expect("What next?")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def interrupted(self) -> int:
        """Ctrl-C until it ends; its exit status.

        One alone may come in the instant between its question and its reading, and then wait.
        """
        for _ in range(PATIENCE // 5):
            self.interrupt()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(5)
        raise AssertionError(f"it does not end:\n{self.written}\n{self.errors}")

    def end(self) -> int:
        """End its input; its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def quit(self) -> int:
        """Leave by the menu; its exit status."""
        self.say("quit")
        return self.end()

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def tokens(self) -> list[str]:
        """What its cache file holds of secrets."""
        if not self.cache_file.exists():
            return []
        document = json.loads(self.cache_file.read_text(encoding="utf-8"))
        found = [entry.get("secret") for section in document.values() for entry in section.values()]
        return [secret for secret in found if secret]

    def assert_kept_secret(self, *more: str) -> None:
        """Nothing that it wrote has nine characters in a row of these, or of a token it keeps."""
        assert self.tokens() or more
        text = self.written + self.errors
        for secret in (*self.tokens(), *more):
            for start in range(len(secret) - RUN + 1):
                assert secret[start : start + RUN] not in text

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

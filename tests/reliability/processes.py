"""Several processes of one site, as a server with workers has them, each with orders of its own.

with workers(4, settings=with_apis(provider), store=url) as site:
    session = site[0].ask("sign_in")
    answers = ask_all(site, "tokens", session, 25)
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """One process; see `worker.Process` for what it can be asked.

    :param options: as `worker.Process`.
    """

    def __init__(self, **options: Any) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        self._write(options)

    def wait_until_ready(self) -> None:
        assert self._out.readline() == "ready\n"

    def tell(self, order: str, *arguments: Any) -> None:
        """Give an order whose answer is asked for later."""
        self._write([order, arguments])

    def answer(self) -> Any:
        line = self._out.readline()
        assert line, "the process ended; its words are among the test's output"
        return json.loads(line)

    def ask(self, order: str, *arguments: Any) -> Any:
        self.tell(order, *arguments)
        return self.answer()

    def kill(self) -> None:
        """As `kill -9` does: it has no time to put anything right."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self._out.close()

    def _write(self, value: object) -> None:
        self._in.write(json.dumps(value) + "\n")
        self._in.flush()


@contextlib.contextmanager
def workers(count: int, **options: Any) -> Iterator[list[Worker]]:
    with contextlib.ExitStack() as stack:
        started = []
        for number in range(count):
            started.append(Worker(**options))
            stack.callback(started[-1].close)
            if number == 0:
                # It makes the database's tables; the others find them.
                started[0].wait_until_ready()
        for worker in started[1:]:
            worker.wait_until_ready()
        yield started


def ask_all(asked: Sequence[Worker], order: str, *arguments: Any) -> list[Any]:
    """The same order for all, at once."""
    for worker in asked:
        worker.tell(order, *arguments)
    return [worker.answer() for worker in asked]

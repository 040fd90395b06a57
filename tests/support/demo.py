"""The demo as `make demo` runs it, on free ports, for tests."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.programs import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Demo:
    """A running demo: four addresses, and what it has printed."""

    process: subprocess.Popen[str]
    flask: str
    django: str
    emulator: str
    orders: str
    lines: list[str] = field(default_factory=list)

    def site(self, name: str) -> str:
        return {"flask": self.flask, "django": self.django}[name]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, as Ctrl-C or a supervisor would. Its exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def running_demo(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Demo]:
    """The demo, ready; with its files in `folder`."""
    flask, django, emulator, orders = (free_port() for _ in range(4))
    process = start_demo(
        {
            "FLASK_PORT": str(flask),
            "DJANGO_PORT": str(django),
            "EMULATOR_PORT": str(emulator),
            "ORDERS_PORT": str(orders),
            "DEMO_DATA": str(folder),
            **(environment or {}),
        }
    )
    demo = Demo(
        process,
        f"http://localhost:{flask}",
        f"http://localhost:{django}",
        f"http://localhost:{emulator}",
        f"http://localhost:{orders}",
    )
    try:
        _wait_until_ready(demo)
        yield demo
    finally:
        if process.poll() is None:
            demo.end()
        assert process.stdout is not None
        process.stdout.close()


def start_demo(environment: Mapping[str, str]) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KEYFOB_", "DJANGO_"))}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "demo_sites" / "run.py")],
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_until_ready(demo: Demo) -> None:
    """Read what it prints, with an end to patience: a pipe alone has none."""
    lines: queue.Queue[str | None] = queue.Queue()
    stdout = demo.process.stdout
    assert stdout is not None

    def read() -> None:
        for line in stdout:
            lines.put(line.rstrip("\n"))
            if line.strip() == "Ready.":
                return
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        line = lines.get(timeout=90)
        if line is None:
            raise AssertionError("The demo ended before it was ready:\n" + "\n".join(demo.lines))
        demo.lines.append(line)
        if line.strip() == "Ready.":
            return

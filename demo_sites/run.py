"""Start the demo: the local identity provider, the orders API, the Flask site and the Django site.

Called by `make demo`. Ends everything it started on Ctrl-C, on SIGTERM, and when one of them ends.
"""

import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from keyfob_emulator import sample

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("DEMO_DATA", HERE.parent / ".demo"))
#: Ctrl-C, a supervisor, and a terminal that is closed.
SIGNALS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):
    SIGNALS.append(signal.SIGHUP)
#: Seconds a part may take to answer, and to end when asked.
PATIENCE = 60
GRACE = 5


@dataclass
class Part:
    """One of the four programs."""

    name: str
    variable: str
    port: int
    command: list[str]
    environment: dict[str, str]
    ready_path: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def log(self) -> Path:
        return DATA / f"{self.variable.partition('_')[0].lower()}.log"


class Stop(Exception):
    """Ctrl-C, SIGTERM, or a part that ended by itself; the status to end with."""

    def __init__(self, status: int) -> None:
        self.status = status


def main() -> int:
    for number in SIGNALS:
        signal.signal(number, stop)
    parts: list[Part] = []
    try:
        parts = described()
        check_ports(parts)
        DATA.mkdir(parents=True, exist_ok=True)
        prepare_django(parts[-1])
        for part in parts:
            say(f"Starting {part.name} ...")
            start(part)
        print(introduction(parts), flush=True)
        say("Ready.")
        watch(parts)
    except Stop as order:
        return order.status
    finally:
        end(parts)
    return 0


def described() -> list[Part]:
    emulator_port = port("EMULATOR_PORT", 8400)
    orders_port = port("ORDERS_PORT", 5001)
    flask_port = port("FLASK_PORT", 5000)
    django_port = port("DJANGO_PORT", 8000)
    python = sys.executable
    orders_url = {"ORDERS_API_URL": f"http://localhost:{orders_port}"}
    return [
        Part(
            "the local identity provider",
            "EMULATOR_PORT",
            emulator_port,
            [python, "-m", "keyfob_emulator", "--port", str(emulator_port)],
            {},
            "/common/v2.0/.well-known/openid-configuration",
        ),
        Part(
            "the orders API",
            "ORDERS_PORT",
            orders_port,
            [python, "-m", "orders_api"],
            {
                **client(emulator_port, sample.ORDERS_API, sample.ORDERS_API_SECRET),
                "FLASK_SECRET_KEY": secrets.token_hex(32),
                "KEYFOB_TOKEN_STORE": "memory://",
            },
            "/.well-known/oauth-protected-resource",
        ),
        Part(
            "the Flask site",
            "FLASK_PORT",
            flask_port,
            [python, "-m", "flask_site"],
            {
                **client(emulator_port, sample.FLASK_SITE, sample.FLASK_SITE_SECRET),
                **orders_url,
                "FLASK_SECRET_KEY": secrets.token_hex(32),
                "KEYFOB_TOKEN_STORE": f"sqlite:///{DATA / 'flask_site.sqlite3'}",
            },
            "/",
        ),
        Part(
            "the Django site",
            "DJANGO_PORT",
            django_port,
            [python, str(HERE / "django_site" / "manage.py")],
            {
                **client(emulator_port, sample.DJANGO_SITE, sample.DJANGO_SITE_SECRET),
                **orders_url,
                "DJANGO_SECRET_KEY": secrets.token_hex(32),
                "DJANGO_DEBUG": "1",  # lets runserver serve the style sheet
                "DJANGO_SITE_DATA": str(DATA),
            },
            "/",
        ),
    ]


def client(emulator_port: int, client_id: str, secret: str) -> dict[str, str]:
    return {
        "KEYFOB_AUTHORITY": f"http://localhost:{emulator_port}/common",
        "KEYFOB_CLIENT_ID": client_id,
        "KEYFOB_CLIENT_SECRET": secret,
    }


def port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        fail(f"{variable} is {text!r}, which is no port: a number from 1 to 65535")
    return int(text)


def check_ports(parts: list[Part]) -> None:
    seen: dict[int, Part] = {}
    for part in parts:
        if part.port in seen:
            other = seen[part.port]
            fail(f"{part.variable} and {other.variable} are both {part.port}; they must differ")
        seen[part.port] = part
        # A browser that is told localhost may try either.
        if is_taken(socket.AF_INET, "127.0.0.1", part.port) or (
            socket.has_ipv6 and is_taken(socket.AF_INET6, "::1", part.port)
        ):
            fail(
                f"Port {part.port}, for {part.name}, is taken. Choose another: "
                f"make demo {part.variable}={part.port + 1}"
            )


def is_taken(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            # As the servers themselves do: a port that only waits after a close is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        # This machine may have no such address at all.
        return error.errno == errno.EADDRINUSE
    return False


def prepare_django(part: Part) -> None:
    say("Preparing the Django site's database ...")
    command = [*part.command, "migrate", "--verbosity", "0"]
    done = subprocess.run(command, env=environment(part), capture_output=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr.decode(errors="replace"))
        fail("The Django site's database could not be prepared; the lines above say why")
    part.command += ["runserver", "--noreload", f"127.0.0.1:{part.port}"]


def start(part: Part) -> None:
    with part.log.open("wb") as log:
        part.process = subprocess.Popen(
            part.command,
            env=environment(part),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal is ours to handle, in one order.
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        check_alive(part)
        if answers(part):
            return
        time.sleep(0.1)
    fail(f"{part.name.capitalize()} did not answer within {PATIENCE} seconds; see {part.log}")


def environment(part: Part) -> dict[str, str]:
    """The part's own settings, and where the sites are, wherever Keyfob is installed."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    port = {part.variable: str(part.port)}
    return {**os.environ, "PYTHONPATH": path, **port, **part.environment}


def answers(part: Part) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{part.port}{part.ready_path}")
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def check_alive(part: Part) -> None:
    if part.process is not None and part.process.poll() is not None:
        tail = part.log.read_text(errors="replace").splitlines()[-15:]
        sys.stderr.write("\n".join([*tail, ""]))
        fail(f"{part.name.capitalize()} ended by itself; its last lines are above")


def watch(parts: list[Part]) -> None:
    while True:
        for part in parts:
            check_alive(part)
        time.sleep(0.5)


def end(parts: list[Part]) -> None:
    running = [p.process for p in reversed(parts) if p.process and p.process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if running:
        say("Stopped.")


def introduction(parts: list[Part]) -> str:
    emulator, orders_api, flask_site, django_site = parts
    accounts = sample.sample_directory().accounts
    enabled = [account for account in accounts if account.enabled]
    width = max(len(account.username) for account in enabled)
    people = [f"{account.username:{width}}  {account.name}" for account in enabled]
    return "\n".join(
        [
            "",
            f"  Flask site               {flask_site.url}",
            f"  Django site              {django_site.url}",
            f"  Orders API               {orders_api.url}, which the sites call",
            f"  Local identity provider  {emulator.url}",
            "",
            f"  Sign in as one of these; the password is {sample.PASSWORD}",
            *(f"    {name}" for name in people),
            "  Whoever signs in may order things; Ada approves them.",
            "",
            f"  Logs are in {shown(DATA)}. Ctrl-C ends all four.",
            "",
        ]
    )


def shown(path: Path) -> str:
    """A path as short as it may be written from where the person is."""
    return f"{path.relative_to(Path.cwd())}/" if path.is_relative_to(Path.cwd()) else str(path)


def stop(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the ending.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stop(0)


def fail(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
    raise Stop(1)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

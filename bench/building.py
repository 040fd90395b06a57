"""Building an application object, and importing the package."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msal
from measure import Row, duration, faster, say
from world import AUTHORITY, CLIENT, Wire

import keyfob

#: What `import keyfob`, and building an application, leave alone until it is needed.
HEAVY = (
    "requests",
    "urllib3",
    "cryptography",
    "joserfc",
    "http.server",
    "http.client",
    "asyncio",
    "xml",
    "ssl",
    "webbrowser",
)
IMPORT_ROUNDS = 21
BUILD = "('client', client_credential='secret', authority='https://login.microsoftonline.com/t')"

_guarded = False


def _refuse_network(event: str, _: tuple[Any, ...]) -> None:
    if _guarded and event.startswith("socket."):
        raise AssertionError(f"{event}: building an application touches the network")


@contextmanager
def no_sockets() -> Iterator[None]:
    """Whatever makes, resolves or connects a socket in here fails."""
    global _guarded  # noqa: PLW0603 - an audit hook cannot be removed, only told to be quiet
    _guarded = True
    try:
        yield
    finally:
        _guarded = False


def rows(wire: Wire) -> Iterator[Row]:
    say("building applications")
    sys.addaudithook(_refuse_network)
    http_cache: dict[str, Any] = {}
    more = {"client_credential": "secret", "authority": AUTHORITY}
    msal.ConfidentialClientApplication(CLIENT, http_client=wire, http_cache=http_cache, **more)

    def build(package: Any, **options: Any) -> Callable[[], Any]:
        return lambda: package.ConfidentialClientApplication(
            CLIENT, http_cache=http_cache, **more, **options
        )

    with no_sockets():  # msal finds what it would ask for in the shared http_cache
        yield faster("building an application", build(keyfob), build(msal), at_least=5)
        yield faster(
            "... with an HTTP client of one's own",
            build(keyfob, http_client=wire),
            build(msal, http_client=wire),
            at_least=5,
        )
    yield Row("... without network I/O", "none", "none: shared http_cache", "", "none", holds=True)


def import_rows() -> Iterator[Row]:
    say("imports, in new interpreters")
    yield at_most(0.25, "import", "import keyfob", "import msal")
    yield at_most(
        None,
        "import, and the first application",
        f"import keyfob; keyfob.ConfidentialClientApplication{BUILD}",
        # msal's constructor asks the network, so that only its class is looked up here.
        "import msal; msal.ConfidentialClientApplication",
    )
    for name, code in (
        ("import keyfob", "import keyfob"),
        ("a first application", f"import keyfob; keyfob.ConfidentialClientApplication{BUILD}"),
    ):
        found = loaded(code) & set(HEAVY)
        yield Row(
            f"heavy modules loaded by {name}",
            ", ".join(sorted(found)) or "none",
            str(len(loaded("import msal") & set(HEAVY))),
            "",
            "none",
            holds=not found,
        )


def at_most(share: float | None, name: str, ours: str, theirs: str) -> Row:
    samples: tuple[list[float], list[float]] = ([], [])
    for _ in range(IMPORT_ROUNDS):
        for code, found in zip((ours, theirs), samples, strict=True):
            found.append(_seconds(code))
    mine, other = statistics.median(samples[0]), statistics.median(samples[1])
    return Row(
        name,
        duration(mine),
        duration(other),
        f"{mine / other:.3f} of msal's",
        "" if share is None else f"<= {share:g}",
        None if share is None else mine / other <= share,
    )


def _seconds(code: str) -> float:
    """The processor time of some code in a new interpreter, without the interpreter's own start."""
    script = f"import time\nbegan = time.process_time()\n{code}\nprint(time.process_time() - began)"
    return float(_run(script))


def loaded(code: str) -> set[str]:
    return set(_run(f"{code}\nimport sys\nprint(*sys.modules)").split())


def _run(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout

"""One process of a site that shares its store with others, told what to do line by line.

Started by `processes.Worker`; each line in is an order in JSON, each line out its answer.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from keyfob.errors import KeyfobError
from keyfob.web.leases import Leases
from keyfob.web.stores import CircuitStore, TokenStore, open_store
from support.bare_site import BareSite
from support.store_contract import at_once

Session = dict[str, Any]


def store_of(url: str, clock: Callable[[], float]) -> TokenStore:
    """The store of a TOKEN_STORE value, or `django-db:FOLDER` for PostgreSQL on a socket there."""
    kind, _, folder = url.partition(":")
    if kind == "django-db":
        return database_store(folder, clock)
    return open_store(url, clock=clock)


def database_store(folder: str, clock: Callable[[], float]) -> TokenStore:
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_keyfob"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "HOST": folder,
                "USER": "keyfob",
                "NAME": "postgres",
                "OPTIONS": {"connect_timeout": 2},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY="of this process",
        USE_TZ=True,
    )
    django.setup()
    from django_app.closing_store import ClosingStore
    from django_keyfob.store import DatabaseStore

    call_command("migrate", verbosity=0, interactive=False)
    return ClosingStore(DatabaseStore(clock=clock))


class Process:
    """The site in this process, and what may be asked of it.

    :param options: what the site is made of: its `settings` and `store`, and for some tests the
        seconds of a lease (`lease`) and of an open circuit (`circuit`).
    """

    def __init__(self, options: dict[str, Any]) -> None:
        # The site's clock and the store's, which a lease's end is told by, are one.
        store = store_of(options["store"], self._now)
        self.site = BareSite(options["settings"], store)
        app = self.site.app
        if "lease" in options:
            app._leases = Leases(app.store, clock=app.clock, seconds=options["lease"])
        circuit = app.store._store
        if "circuit" in options and isinstance(circuit, CircuitStore):
            circuit._pause = options["circuit"]
        self._load: Load | None = None

    def _now(self) -> float:
        return self.site.app.clock()

    def sign_in(self, person: str = "") -> Session:
        """A new browser's session, of whom the provider takes this login hint for."""
        browser = self.site.another_browser()
        with contextlib.closing(browser.http):
            answer = browser.sign_in(f"api=api&login_hint={person}" if person else "api=api")
        assert answer.status in (302, 303), answer
        return browser.session

    def later(self, seconds: float) -> None:
        """Go on so much later."""
        self.site.clock_offset += seconds

    def renew(self, session: Session) -> str:
        """A new token from the provider, whatever is at hand."""
        here = self.site.app.session(dict(session))
        return outcome(lambda: here.token(api="api", force_refresh=True))

    def tokens(self, session: Session, threads: int) -> list[str]:
        """What so many requests with one session get, all let go at once."""

        def one(_: int) -> str:
            return outcome(lambda: self.site.app.session(dict(session)).token(api="api"))

        return [str(found) for found in at_once(threads, one)]

    def page(self, session: Session, *apis: str) -> dict[str, Any]:
        """What a browser with this session gets; status 200 for the view itself."""
        browser = self.site.another_browser()
        browser.session = session
        with contextlib.closing(browser.http):
            answer = browser.get("/orders", *apis)
        if answer is None:
            return {"status": 200}
        return {"status": answer.status, "headers": answer.headers, "location": answer.location}

    def comes_back(self, session: Session) -> Session | None:
        """Whether a browser gets to the view with no page in between; its session after it."""
        browser = self.site.another_browser()
        browser.session = session
        with contextlib.closing(browser.http):
            return browser.session if browser.browse("/orders", "api") is None else None

    def people(self, threads: int, visits: list[str]) -> list[str]:
        """Sign these people in and out, and say what was not as it should be."""
        from reliability.visits import visit

        shares = [visits[number::threads] for number in range(threads)]
        wrong: list[str] = []

        def work(number: int) -> None:
            for person in shares[number]:
                wrong.extend(visit(self.site.another_browser(), person))

        at_once(threads, work)
        return wrong

    def limit_files(self, size: int | None) -> None:
        """Let no file of this process grow beyond so many bytes: what a full disk is like."""
        import resource

        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def start_load(self, sessions: list[Session], threads: int) -> None:
        self._load = Load(self.site, sessions, threads)

    def phase(self, name: str) -> None:
        assert self._load is not None
        self._load.phase = name

    def count(self, name: str, kind: str) -> int:
        """How many requests of this phase there were of one kind so far."""
        assert self._load is not None
        return self._load.count(name, kind)

    def stop_load(self) -> dict[str, Any]:
        assert self._load is not None
        return self._load.stop()


def outcome(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except KeyfobError as error:
        return f"error: {error.code}"


class Load:
    """Requests without end, of many people, until it is stopped.

    Half of them need a token and half do not. What came of each is counted by the phase that it
    began and ended in; "between" where those differ.
    """

    def __init__(self, site: BareSite, sessions: list[Session], threads: int) -> None:
        self.phase = "before"
        self._site = site
        self._sessions = sessions
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._tokens: dict[str, set[str]] = {}
        self._errors: list[str] = []
        self._longest = 0.0
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def count(self, phase: str, kind: str) -> int:
        with self._lock:
            return self._counts.get(phase, Counter())[kind]

    def stop(self) -> dict[str, Any]:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return {
            "counts": self._counts,
            "tokens": {person: sorted(found) for person, found in self._tokens.items()},
            "errors": self._errors,
            "longest": self._longest,
        }

    def _run(self, number: int) -> None:
        for turn in self._turns():
            session = dict(self._sessions[(number + turn) % len(self._sessions)])
            browser = self._site.another_browser()
            browser.http.close()
            browser.session = session
            began, phase = time.monotonic(), self.phase
            try:
                kind = self._with_token(browser) if turn % 2 else self._without(browser)
            except Exception as error:
                kind = "crash"
                self._errors.append(repr(error))
            took = time.monotonic() - began
            with self._lock:
                self._longest = max(self._longest, took)
                name = phase if phase == self.phase else "between"
                self._counts.setdefault(name, Counter())[kind] += 1

    def _turns(self) -> Iterator[int]:
        turn = 0
        while not self._stopping.wait(0.002):
            yield turn
            turn += 1

    def _without(self, browser: BareSite) -> str:
        answer = browser.get("/orders")
        return "page" if answer is None else f"page {answer.status}"

    def _with_token(self, browser: BareSite) -> str:
        who = browser.keyfob.user.username
        answer = browser.get("/orders", "api")
        if answer is not None:
            retry = " Retry-After" if "Retry-After" in answer.headers else ""
            return f"token {answer.status}{retry}"
        # The view runs now, and asks the same request's session.
        kind = outcome(lambda: browser.keyfob.token(api="api"))
        if kind.startswith("error: "):
            return f"view {kind}"
        with self._lock:
            self._tokens.setdefault(who, set()).add(kind)
        return "token"


def main() -> None:
    process = Process(json.loads(sys.stdin.readline()))
    print("ready", flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(getattr(process, name)(*arguments)), flush=True)
    process.site.http.close()
    process.site.app.close()


if __name__ == "__main__":
    main()

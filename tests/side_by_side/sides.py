"""One library in a world of its own: a clock, a provider, a browser and a token cache."""

from __future__ import annotations

import builtins
import copy
import functools
import importlib
import inspect
import itertools
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from keyfob_emulator import Emulator, sample
from keyfob_emulator.in_process import mount
from keyfob_emulator.keys import KeyRings, new_private_key
from side_by_side.recorder import Recorder
from side_by_side.steps import App, Browser, Call, Provider, Scenario, Step, Wait
from support.form_browser import FormBrowser, Page

Library = Literal["msal", "keyfob"]

REDIRECT_URI = "http://localhost:5000/auth/callback"
#: Both sides begin at this moment. Not a fixed one: MSAL dates WS-Trust requests by the real clock.
START = float(int(time.time()))
#: Addresses beside the login host at which a scenario may find the provider.
ORIGINS = ("https://westus2.login.microsoft.com", "https://fs.contoso.example")

_keys: list[RSAPrivateKey] = []


@dataclass
class Clock:
    """The time that one side lives in."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Raised:
    """An exception, known by the names of its class and of those it descends from."""

    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.names[0]

    def stands_for(self, other: Raised) -> bool:
        """Whether an `except` clause that catches the other catches this."""
        caught = {name for name in other.names if hasattr(builtins, name)} - _EVERY
        return other.name in self.names or bool(caught & set(self.names))


_EVERY = {"Exception", "BaseException", "object"}


@dataclass
class Run:
    """One library on its way through a scenario."""

    library: Library
    clock: Clock
    emulator: Emulator
    browser: FormBrowser
    recorder: Recorder
    cache: Any
    app: Any = None
    results: list[Any] = field(default_factory=list)
    auth_response: dict[str, str] = field(default_factory=dict)

    @property
    def last(self) -> Any:
        return self.results[-1]

    def account(self, username: str = "ada@contoso.example") -> Any:
        return self.app.get_accounts(username)[0]

    def token(self, name: str) -> str:
        """The latest result's token of that name."""
        return next(
            result[name]
            for result in reversed(self.results)
            if isinstance(result, dict) and name in result
        )


def application(run: Run, app: App) -> Any:
    module = importlib.import_module(run.library)
    options = dict(app.arguments)
    if run.library == "keyfob":
        options["clock"] = run.clock
    return getattr(module, app.kind)(http_client=run.recorder, token_cache=run.cache, **options)


@contextmanager
def world(library: Library) -> Iterator[Run]:
    """A provider as every other, at Microsoft's addresses."""
    clock = Clock()
    with ExitStack() as stack:
        stack.enter_context(mock.patch("keyfob_emulator.state.KeyRings", _key_rings()))
        stack.enter_context(warnings.catch_warnings())
        # MSAL warns of what it deprecates, and of every response mode but one.
        warnings.simplefilter("ignore")
        if library == "msal":
            stack.enter_context(_msal_time(clock))
        emulator = Emulator(clock=clock)
        session = stack.enter_context(requests.Session())
        _mount(session, emulator)
        browser = stack.enter_context(FormBrowser(stop_at=(REDIRECT_URI,)))
        _mount(browser.session, emulator)
        cache = _cache(library, clock)
        yield Run(library, clock, emulator, browser, Recorder(session), cache)


def live_through(run: Run, scenario: Scenario) -> None:
    for step in scenario.steps:
        _take(run, step)


def _take(run: Run, step: Step) -> None:
    if isinstance(step, App):
        run.app = application(run, step)
    elif isinstance(step, Wait):
        run.clock.now += step.seconds
    elif isinstance(step, Provider):
        step.do(run)
    elif isinstance(step, Browser):
        run.auth_response = _answer(run, step)
    else:
        run.results.append(_result(run, step))


def _result(run: Run, step: Call) -> Any:
    arguments = {
        # A copy: redeeming an attempt, or polling for a device, writes into what began it.
        name: copy.deepcopy(value(run)) if inspect.isfunction(value) else value
        for name, value in step.arguments.items()
    }
    try:
        return getattr(run.app, step.verb)(**arguments)
    except Exception as error:
        return Raised((*(kind.__name__ for kind in type(error).__mro__), *_aliases(run, error)))


def _aliases(run: Run, error: Exception) -> list[str]:
    """Of the names in the library's module `exceptions`, those that an `except` would catch by."""
    try:
        module = importlib.import_module(f"{run.library}.exceptions")
    except ModuleNotFoundError:
        return []
    return [
        name
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, Exception) and isinstance(error, kind)
    ]


def _answer(run: Run, step: Browser) -> dict[str, str]:
    """Do what the provider's pages ask for until the application has its answer."""
    last = run.last
    page = run.browser.open(last if isinstance(last, str) else last["auth_uri"])
    for _ in range(8):
        heading = page.headings[0] if page.headings else ""
        if page.url.startswith(REDIRECT_URI):
            return dict(parse_qsl(urlsplit(page.url).query, keep_blank_values=True))
        if heading == "One moment":
            return dict(page.forms[0].fields)
        page = _next(page, heading, step)
    raise AssertionError(f"no end: {page!r}")


def _next(page: Page, heading: str, step: Browser) -> Page:
    if step.declines:
        return page.submit(button="Cancel")
    if heading == "Pick an account":
        return page.submit(button=step.username)
    if heading == "Enter the password":
        return page.submit(password=sample.PASSWORD)
    if heading == "Permissions requested":
        return page.submit(button="Accept")
    return page.submit(username=step.username)


def _mount(session: requests.Session, emulator: Emulator) -> None:
    if "origins" in inspect.signature(mount).parameters:
        functools.partial(mount, origins=ORIGINS)(session, emulator)
    else:
        mount(session, emulator)


def _cache(library: Library, clock: Clock) -> Any:
    module = importlib.import_module(library)
    if library == "keyfob":
        return module.SerializableTokenCache(clock=clock)
    return module.SerializableTokenCache()


def _key_rings() -> Callable[..., KeyRings]:
    """Keys for both worlds, in the same order; making one takes a while."""
    numbers = itertools.count()

    def next_key() -> RSAPrivateKey:
        number = next(numbers)
        while len(_keys) <= number:
            _keys.append(new_private_key())
        return _keys[number]

    return functools.partial(KeyRings, key_factory=next_key)


@contextmanager
def _msal_time(clock: Clock) -> Iterator[None]:
    """MSAL takes no clock: its modules get one of their own in the place of `time`."""
    import msal
    import msal.managed_identity
    import msal.oauth2cli.assertion

    def sleep(seconds: float) -> None:
        clock.now += seconds

    ours = types.SimpleNamespace(time=clock, sleep=sleep, localtime=time.localtime)
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == msal.__name__ and getattr(module, "time", None) is time:
                stack.enter_context(mock.patch.object(module, "time", ours))
        yield

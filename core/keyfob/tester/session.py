"""What one run of the tester holds: the application, the cache, and the token of a moment ago."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from keyfob.applications import ClientApplication
from keyfob.cache import SerializableTokenCache
from keyfob.cache.entries import CredentialType
from keyfob.errors import ConfigurationError, KeyfobError
from keyfob.tester import advice, show
from keyfob.tester.cache_file import CacheFile
from keyfob.tester.configuration import Registration
from keyfob.tester.demo import API_SCOPE, PASSWORD, SAMPLES, USER, Demo
from keyfob.tester.kept import kept
from keyfob.tester.terminal import Terminal

GRAPH_DEFAULT = "https://graph.microsoft.com/.default"
#: What is typed where no scopes are wanted, and Enter would mean those of before.
NONE = "-"
_COUNTED = (
    (CredentialType.ACCOUNT, "account"),
    (CredentialType.ACCESS_TOKEN, "access token"),
    (CredentialType.REFRESH_TOKEN, "refresh token"),
    (CredentialType.ID_TOKEN, "ID token"),
)


@dataclass
class Session:
    """Changed by the menu's entries, one at a time.

    :param registration: the application that is tried, or None for none.
    :param last: the last token response, of whichever application.
    :param last_scopes: what was asked for, offered again the next time.
    :param last_app: the application that it is of; None for a managed identity's.
    :param callers_token: a person's last access token: what an API's caller would send.
    :param failed: whether the last attempt to get a token did not bring one.
    :param is_busy: whether an entry of the menu is under way.
    """

    terminal: Terminal
    cache: SerializableTokenCache
    demo: Demo
    registration: Registration | None = None
    cache_file: CacheFile | None = None
    app: ClientApplication | None = field(default=None, init=False)
    last: Mapping[str, Any] | None = field(default=None, init=False, repr=False)
    last_scopes: str | None = field(default=None, init=False)
    names: dict[str, str] = field(default_factory=lambda: {s.client_id: s.name for s in SAMPLES})
    last_app: ClientApplication | None = field(default=None, init=False)
    callers_token: str = field(default="", init=False, repr=False)
    failed: bool = field(default=False, init=False)
    is_busy: bool = field(default=False, init=False)
    clock: Callable[[], float] = time.time

    # The application

    def use(self, registration: Registration | None) -> None:
        """Try this application from now on. The cache stays.

        :raises ConfigurationError: it cannot be.
        """
        made = registration.application(self.cache) if registration else None
        self.close()
        self.registration, self.app, self.last_scopes = registration, made, None
        if registration is not None:
            self.terminal.secrets.add(registration.secret)

    def close(self) -> None:
        """Close the connections to the provider."""
        if self.app is not None:
            self.app.close()

    @property
    def is_at_demo(self) -> bool:
        return self.registration is not None and self.demo.has(self.registration.place)

    def application(self) -> ClientApplication:
        """The application; with its secret asked for, where that is missing."""
        registration, app = self.registration, self.app
        if registration is None or app is None:
            raise ConfigurationError("There is no application: choose one first")
        if registration.is_confidential and not registration.secret:
            secret = self.terminal.ask_hidden("The application's client secret")
            if not secret:
                raise ConfigurationError(
                    "A confidential client needs its secret: set KEYFOB_CLIENT_SECRET, or start "
                    "with --public",
                    setting="CLIENT_SECRET",
                )
            self.use(dataclasses.replace(registration, secret=secret))
            return self.application()
        return app

    # Questions that several flows ask

    def ask_scopes(self, default: str | None = None) -> list[str]:
        """The scopes of the token that is wanted."""
        if default is None:
            default = self.last_scopes
        if default is None:
            default = "User.Read" if self.application().authority.is_microsoft else ""
        if self.is_at_demo and self.last_scopes is None:
            self.terminal.line(f"A scope of the Orders API, for example: {API_SCOPE}", "dim")
        question = f"Scopes, with spaces between them ({NONE} for none)"
        answer = self.terminal.ask(question, default)
        scopes = [] if answer == NONE else answer.split()
        self.last_scopes = " ".join(scopes) or None
        return scopes

    def ask_account(self) -> Mapping[str, Any] | None:
        """One of the cache's accounts, or None where there is none, or none was chosen."""
        accounts = self.application().get_accounts()
        if not accounts:
            self.terminal.paragraph(
                "The cache has no account for this authority: sign somebody in first."
            )
            return None
        options: dict[str, str] = {}
        by_word: dict[str, Mapping[str, Any]] = {}
        for account in accounts:
            word = account["username"] or account["home_account_id"]
            if word in options:
                word = account["home_account_id"]
            options[word], by_word[word] = f"at {account['environment']}", account
        if len(accounts) == 1:
            self.terminal.line(f"Account: {next(iter(options))}")
            return accounts[0]
        chosen = self.terminal.choose("Which account", options)
        return by_word[chosen] if chosen else None

    def hint_of_people(self) -> None:
        """At the local provider: who can sign in. Elsewhere the person knows."""
        if self.is_at_demo:
            self.terminal.paragraph(
                f"Here {USER}, for example, signs in with {PASSWORD}.", style="dim"
            )

    # Tokens

    def acquire(
        self,
        verb: Callable[[], Mapping[str, Any] | None],
        *,
        nothing: str = "",
        app: ClientApplication | None = None,
        who: str = "",
        is_callers: bool = True,
    ) -> None:
        """Call one of the application's verbs, and show what came of it.

        :param nothing: what it means where the verb returns None.
        :param app: whose verb it is; None for a managed identity's.
        :param who: whose token it is, where the response does not say.
        :param is_callers: whether the token may stand for that of a web API's caller.
        """
        self.failed = True
        with self._notes():
            answer = verb()
        self.terminal.secrets.add_result(answer)
        self.terminal.line()
        if answer is None:
            self.terminal.paragraph(nothing, style="bad")
        elif "access_token" in answer:
            self.failed = False
            self.last, self.last_app = answer, app
            if is_callers:
                self.callers_token = str(answer["access_token"])
            show.result(self.terminal, answer, self.clock(), who)
        else:
            show.refusal(self.terminal, advice.of_refusal(answer), "No token:")
        self.save()

    def explain(self, error: KeyfobError, head: str) -> None:
        """Say what an exception means."""
        self.terminal.line()
        show.refusal(self.terminal, advice.of_error(error, is_demo=self.is_at_demo), head)

    def save(self) -> None:
        """Write the cache to its file, where there is one, if it changed."""
        if self.cache_file is None:
            return
        try:
            self.cache_file.save(self.cache)
        except ConfigurationError as error:
            self.failed = True
            self.terminal.paragraph(f"{error}.", style="bad")

    def contents(self) -> str:
        """How much the cache holds, in words."""
        held = kept(self.cache)
        counted = [(len(held.get(section, ())), name) for section, name in _COUNTED]
        told = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counted if count]
        return ", ".join(told) or "empty"

    @contextmanager
    def _notes(self) -> Iterator[None]:
        """Show Python's warnings as notes: a migration meets them too."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            finally:
                for warning in caught:
                    if issubclass(warning.category, (DeprecationWarning, UserWarning)):
                        self.terminal.paragraph(f"Note: {warning.message}", style="dim")

"""The menu: what there is to choose for the application at hand, and one turn after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyfob.errors import ConfigurationError, KeyfobError
from keyfob.protocol.authority import tenant_authority
from keyfob.tester import flows, look
from keyfob.tester.configuration import Registration, of_sample
from keyfob.tester.demo import HOW_TO_START, SAMPLES
from keyfob.tester.session import Session
from keyfob.tester.terminal import pick

_ANY, _PUBLIC, _CONFIDENTIAL, _EVEN_WITHOUT = "any", "public", "confidential", "even without"


@dataclass(frozen=True)
class Entry:
    """One thing to do.

    :param word: what it is chosen by, beside its number.
    :param needs: the kind of application it is for.
    """

    word: str
    meaning: str
    action: Callable[[Session], object]
    needs: str = _ANY
    gets_token: bool = False


def _flow(word: str, meaning: str, action: Callable[[Session], None], needs: str = _ANY) -> Entry:
    return Entry(word, meaning, action, needs, gets_token=True)


def choose_application(session: Session, out: str = "back") -> bool:
    """Take one of the local provider's applications, another one, or none.

    :param out: what `0` means; then False is returned, and all is as it was.
    """
    terminal = session.terminal
    while True:
        options = {}
        if session.demo.is_there():
            terminal.line(f"The local identity provider answers at {session.demo.address}.", "good")
            options = {s.word: f"{s.name} ({s.good_for})" for s in SAMPLES}
        else:
            terminal.line(f"To try it without a cloud, run in another terminal: {HOW_TO_START}")
            options["again"] = "Look for the local identity provider again"
        options["own"] = "An application of your own, by its client id"
        options["none"] = "No application: managed identity, and what the cache holds"
        chosen = terminal.choose("Which application", options, out)
        if chosen is None:
            return False
        if chosen != "again":
            break
    if chosen == "none":
        session.use(None)
    elif chosen == "own":
        session.use(_ask_registration(session))
    else:
        sample = next(s for s in SAMPLES if s.word == chosen)
        session.use(of_sample(sample, session.demo))
    return True


def _ask_registration(session: Session) -> Registration:
    terminal = session.terminal
    client_id = terminal.ask("Client id")
    if not client_id:
        raise ConfigurationError("An application has a client id: its registration shows it")
    place = terminal.ask("Authority: a tenant of Microsoft's public cloud, or an address", "common")
    is_address = "://" in place
    is_oidc = is_address and terminal.ask_yes("Is it another OpenID Connect provider's")
    is_confidential = terminal.ask_yes("Has the application a secret")
    authority = "" if is_oidc else place if is_address else tenant_authority(place).url
    made = Registration(
        client_id, is_confidential, authority=authority, oidc_authority=place if is_oidc else ""
    )
    if is_confidential:
        secret = terminal.ask_hidden("Client secret")
        made = dataclasses.replace(made, secret=secret)
    return made


_GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Get a token",
        (
            _flow("browser", "Sign in with this machine's browser", flows.browser, _PUBLIC),
            _flow("device", "Sign in on another device, with a code", flows.device, _PUBLIC),
            _flow("code", "Sign in in any browser, and bring the address back", flows.code),
            _flow("password", "By user name and password", flows.password),
            _flow("silent", "Silently, for an account of the cache", flows.silent),
            _flow("client", "In the application's own name", flows.client, _CONFIDENTIAL),
            _flow("obo", "On behalf of who called, as a web API", flows.on_behalf, _CONFIDENTIAL),
            _flow("refresh", "By a refresh token", flows.refresh),
            _flow("machine", "By this machine's managed identity", flows.machine, _EVEN_WITHOUT),
        ),
    ),
    (
        "Look",
        (
            Entry("cache", "What the cache holds", look.cache, _EVEN_WITHOUT),
            Entry("accounts", "Who is in the cache", look.accounts),
            Entry("claims", "What the ID token says", look.claims),
            Entry("userinfo", "Ask the userinfo endpoint with the last token", look.userinfo),
            Entry("me", "Ask Microsoft Graph's /me with the last token", look.me),
        ),
    ),
    (
        "Change",
        (
            Entry("forget", "Remove an account, with its tokens", look.remove_account),
            Entry(
                "drop",
                "Remove the application's own tokens",
                look.remove_client_tokens,
                _CONFIDENTIAL,
            ),
            Entry("app", "Choose another application", choose_application, _EVEN_WITHOUT),
        ),
    ),
)


def entries(session: Session) -> list[tuple[str, list[Entry]]]:
    """What there is to choose now, by groups."""
    registration = session.registration
    fitting = {_EVEN_WITHOUT}
    if registration is not None:
        fitting |= {_ANY, _CONFIDENTIAL if registration.is_confidential else _PUBLIC}
    groups = [(title, [e for e in group if e.needs in fitting]) for title, group in _GROUPS]
    return [(title, group) for title, group in groups if group]


def show_menu(session: Session) -> None:
    """Where things stand, and what can be done."""
    terminal, registration = session.terminal, session.registration
    terminal.line()
    if registration is None:
        terminal.facts([("Application", "none")])
    else:
        terminal.facts(
            [
                ("Application", ", ".join(filter(None, (registration.name, registration.kind)))),
                ("Client id", registration.client_id),
                ("Authority", registration.place),
            ]
        )
    where = f"in {session.cache_file.path}" if session.cache_file else "in memory only"
    terminal.facts([("Cache", f"{session.contents()}; {where}")])
    number = 1
    for title, group in entries(session):
        terminal.heading(title)
        for entry in group:
            terminal.menu_line(number, entry.word, entry.meaning)
            number += 1
    terminal.line()
    terminal.menu_line(0, "quit", "")


def turn(session: Session) -> bool:
    """Ask what to do, and do it. False where the person wants to leave.

    :raises EOFError: the input has ended; `session.is_busy` says whether in the middle of a flow.
    :raises KeyboardInterrupt: Ctrl-C at the menu itself. During an entry it leads back to here.
    """
    terminal = session.terminal
    terminal.line()
    answer = terminal.ask("What next? Number or word; Enter for the menu").lower()
    if answer in ("0", "quit", "exit", "q"):
        return False
    if not answer:
        show_menu(session)
        return True
    available = [entry for _, group in entries(session) for entry in group]
    word = pick(answer, [entry.word for entry in available])
    if word is None:
        _say_no(session, answer, len(available))
        return True
    entry = next(entry for entry in available if entry.word == word)
    terminal.heading(entry.meaning)
    perform(session, entry.action, gets_token=entry.gets_token)
    if entry.action is choose_application:
        show_menu(session)
    return True


def perform(
    session: Session, action: Callable[[Session], object], *, gets_token: bool = False
) -> object:
    """One entry, whatever comes of it; what it returned, or None where it was not finished."""
    session.is_busy = True
    outcome = None
    try:
        outcome = action(session)
    except KeyboardInterrupt:
        session.failed = session.failed or gets_token
        session.terminal.line()
        session.terminal.line("Stopped.")
    except KeyfobError as error:
        session.failed = session.failed or gets_token
        session.explain(error, "No token." if gets_token else "")
    session.is_busy = False
    return outcome


def _say_no(session: Session, answer: str, count: int) -> None:
    """Why that cannot be chosen."""
    words: Sequence[Entry] = [entry for _, group in _GROUPS for entry in group]
    known = pick(answer, [entry.word for entry in words]) if not answer.isdigit() else None
    entry = next((entry for entry in words if entry.word == known), None)
    if entry is None:
        session.terminal.paragraph(
            f"Please type a number from 0 to {count}, or a word of the menu; Enter shows it."
        )
    elif session.registration is None:
        session.terminal.paragraph(f"For {entry.word} choose an application first: app.")
    else:
        session.terminal.paragraph(
            f"{entry.word} needs a {entry.needs} client, and this is a "
            f"{session.registration.kind}. Choose another application: app."
        )

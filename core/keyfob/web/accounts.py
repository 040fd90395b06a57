"""Several accounts in one browser's session: one is here, the others wait to be switched to.

The browser's session names the records of the others beside that of the one who is here. Their
names are in those records, and are read where a page lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyfob.errors import IdTokenError, KeyfobError
from keyfob.web.document import Document
from keyfob.web.exchange import Answer, WebRequest, first, redirect
from keyfob.web.identity import Identity, User
from keyfob.web.next_url import local_path
from keyfob.web.problems import page_answer, page_for
from keyfob.web.session_entry import Waiting
from keyfob.web.trips import login_url
from keyfob.web.user_flows import proven_identity

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication


@dataclass(frozen=True)
class Account:
    """One of the accounts that are signed in in this browser, for a page that lists them.

    :ivar key: as `User.key`; what a form names it by.
    :ivar name: how the person is called; :ivar username: what they type to sign in. Show them only.
    :ivar is_current: whether it is the one that is here.
    """

    key: str
    name: str = field(repr=False)
    username: str = field(repr=False)
    is_current: bool = False


def listed(site: WebApplication, request: WebRequest) -> list[Account]:
    """The account that is here, then the others, newest first. Whoever was signed out elsewhere
    meanwhile is left out, and forgotten.

    :raises StoreUnavailable: the token store cannot be reached.
    """
    session = site.session(request.session)
    user = session.user
    if not user:
        return []
    found = [Account(user.key or "", user.name, user.username, is_current=True)]
    for other in session.waiting:
        document = site.members.of_key(other.key).documents.read(other.key)
        if document is None:
            session.drop(other)
            continue
        person = _person(other, document)
        found.append(Account(other.account, person.name, person.username))
    return found


def choose(
    site: WebApplication, request: WebRequest, establish: Callable[[Identity], None]
) -> Answer:
    """Switch to another account, or take one out, as the posted form says. The framework has
    checked that it is a form of its own.

    The form's fields: `account`, the account's key; `action`, which is `switch` or `remove`; and
    `next`, a local path to go to.

    :param establish: lets the framework make the person its own, as after a sign-in.
    """
    next_path = local_path(first(request.form, "next"), default=request.home)
    session = site.session(request.session)
    wanted = first(request.form, "account")
    other = next((each for each in session.waiting if each.account == wanted), None)
    if other is None:
        # The one who is here already, or one that has ended meanwhile.
        return redirect(next_path, status=303)
    if first(request.form, "action") == "remove":
        session.drop(other)
        return redirect(next_path, status=303)
    try:
        return _switch(site, request, other, next_path, establish)
    except KeyfobError as error:
        status, page = page_for(error)
        return page_answer(status, page, retry_url=next_path, home_url=request.home, error=error)


def _switch(
    site: WebApplication,
    request: WebRequest,
    other: Waiting,
    next_path: str,
    establish: Callable[[Identity], None],
) -> Answer:
    session = site.session(request.session)
    member = site.members.of_key(other.key)
    document = member.documents.read(other.key)
    # Nothing could renew the tokens of a flow that was taken out of USER_FLOWS, nor tell who it is.
    if document is None or document.user_flow not in ("", *member.settings.user_flows):
        session.drop(other)
        login = request.routes.of(member.name).login
        return redirect(login_url(login, next_path, add="1"), status=303)
    if not member.tenant_gate.admits(_person(other, document).tid.lower()):
        # Asked now, as at a sign-in: afterwards the refusal would end the other accounts, too.
        session.drop(other)
        raise IdTokenError(
            "People of this organisation may not be here any more", code="tenant_not_allowed"
        )
    identity = proven_identity(member, document.user_flow, document.claims)
    waiting = [each for each in (session.current(), *session.waiting) if each and each != other]
    # It may make the session another one: what was in it is written again afterwards.
    establish(identity)
    session.begin(other.key, identity, begun=other.begun, waiting=waiting)
    return redirect(next_path, status=303)


def add_url(site: WebApplication, request: WebRequest, next_path: str) -> str:
    """The address that adds an account, at the authority of who is here; without room for several,
    one that changes the account."""
    more = {"add": "1"} if site.settings.max_accounts > 1 else {"prompt": "select_account"}
    login = request.routes.of(site.members.of_session(request.session).name).login
    return login_url(login, next_path, **more)


def _person(other: Waiting, document: Document) -> User:
    """Whoever waits, as pages see who is here."""
    return User(other.account, document.claims, dict, complete=True)

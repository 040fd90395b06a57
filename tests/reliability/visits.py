"""One person's visit: in, a few pages, out; each answer looked at for whose it is."""

from __future__ import annotations

from typing import Any

from support.bare_site import BareSite
from support.provider import HOME_TENANT, Grant, Person, Provider


def person_of(number: str) -> Person:
    return Person(
        sub=f"person-{number}",
        name=f"Person {number}",
        preferred_username=f"{number}@contoso.example",
        email=f"{number}@contoso.example",
        oid=f"55555555-0000-4000-8000-{int(number):012d}",
        tid=HOME_TENANT,
    )


class CrowdProvider(Provider):
    """Signs in whom the login hint names, or its own person."""

    def issue_code(self, asked: dict[str, str], tenant: str = "common") -> str:
        code = super().issue_code(asked, tenant)
        number = asked.get("login_hint", "").partition("@")[0]
        if number.isdigit():
            with self._lock:
                grant: Grant = self._codes[code]
                grant.person = person_of(number)
        return code


def visit(browser: BareSite, number: str) -> list[str]:
    """What was wrong: nothing, where all is well."""
    expected = person_of(number)
    wrong: list[str] = []

    def look(what: str, found: Any, right: Any) -> None:
        if found != right:
            wrong.append(f"{expected.sub}: {what} is {found!r}")

    try:
        look("the sign-in", browser.sign_in(f"api=api&login_hint={number}").status, 302)
        here = browser.keyfob
        look("the name", here.user.name, expected.name)
        look("the sub in the store", here.user.claims["sub"], expected.sub)
        with here.api("api") as api:
            look("the API's caller", api.get("/me").json()["sub"], expected.sub)
        before = dict(browser.session)
        look("the sign-out", browser.logout().status, 303)
        look("somebody still here", browser.is_signed_in, False)
        browser.session = before
        answer = browser.get("/private")
        look("a copy of the cookie", answer and answer.status, 302)
    finally:
        browser.http.close()
    return wrong

"""Callers of a web API, as a bearer check finds them; and what the provider was asked."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from keyfob.web.caller import Caller
from keyfob.web.identity import Identity
from support.bare_site import BareSite, with_apis
from support.provider import Person, Provider

#: Microsoft's on-behalf-of (RFC 7523 §2.1).
ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ADA = Person()
GRACE = replace(ADA, oid="77777777-0000-4000-8000-888888888888", sub="person-0002", name="Grace")
JOBS = "api://jobs/.default"


def caller(
    token: str = "adas-token", person: Person = ADA, *, lifetime: float = 3600, **more: Any
) -> Caller:
    """A person who called with this token."""
    claims = {
        "iss": f"https://issuer.example/{person.tid}/v2.0",
        "sub": f"{person.sub}-at-this-api",
        "tid": person.tid,
        "oid": person.oid,
        "exp": int(time.time() + lifetime),
    }
    key = Identity.from_claims(claims, is_microsoft=True).key
    values = {"is_app": False, "client_id": "some-client", "key": key, **more}
    return Caller(claims, token, **values)


def entra() -> Provider:
    """A provider that gives tokens on behalf of a caller."""
    return Provider(entra=True, direct_grants=[ON_BEHALF_OF])


def apis(provider: Provider, **more: object) -> dict[str, object]:
    """Settings with `api` and `mail`, which are a person's, and `jobs`, which is the site's own."""
    settings = with_apis(provider, **more)
    jobs = {"base_url": f"{provider.base}/api", "scopes": [JOBS], "app_only": True}
    if provider.entra and "AUTHORITY" in settings:
        jobs["tenant"] = provider.person.tid
    named = settings["DOWNSTREAM_APIS"]
    assert isinstance(named, dict)
    return {**settings, "DOWNSTREAM_APIS": {**named, "jobs": jobs}}


def attached_apis(provider: Provider, **more: object) -> dict[str, object]:
    """The same; `api` is ready under /orders, `jobs` under /jobs, and both under /both."""
    settings = apis(provider, **more)
    named = settings["DOWNSTREAM_APIS"]
    assert isinstance(named, dict)
    named["api"] = {**named["api"], "attach_to": ["/orders/", "/both", "/static/orders"]}
    named["jobs"] = {**named["jobs"], "attach_to": ["/jobs", "/both"]}
    return settings


def called(site: BareSite, who: Caller) -> Any:
    """A new request with a bearer token that has passed its check."""
    session = site.app.session({})
    session.act_for(who)
    return session


def forms(provider: Provider, grant_type: str) -> list[dict[str, str]]:
    """What came to the token endpoint for one grant type."""
    found = [request.form for request in provider.requests_to("token")]
    return [form for form in found if form.get("grant_type") == grant_type]

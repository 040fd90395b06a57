"""A person's token in Azure Cloud Shell, where they are signed in already."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from keyfob.cache import TokenCache
from keyfob.flows import Flow, send
from keyfob.protocol.managed_identity import cloud_shell
from keyfob.protocol.scopes import checked_scopes

#: The `authority_type` of the account: `get_accounts` shows it in Cloud Shell only.
AUTHORITY_TYPE = "CLOUDSHELL"


def acquire(
    scopes: Collection[str],
    *,
    client_id: str,
    environment: str,
    realm: str,
    cache: TokenCache,
    data: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> Flow[dict[str, Any]]:
    """The token of whoever sits there, from Cloud Shell each time, as MSAL does it.

    Who that is, is read from the token and not proven; so the result names nobody. The account
    is in the cache afterwards.

    :param environment: the authority's host, and `realm` its tenant, that it is filed under.
    :param data: more members of the form, such as those that ask for an SSH certificate.
    :returns: a dict with `access_token`, or one with `error`.
    :raises TokenResponseError: Cloud Shell's answer is none.
    :raises TransportError: there is no answer.
    """
    asked, form = sorted(checked_scopes(scopes)), dict(data or {})
    response = yield from send(cloud_shell.build_request(asked, form))
    found = cloud_shell.parse_answer(response, token_type=form.get("token_type", "Bearer"))
    if "error" in found:
        return found
    now = clock()
    person = cloud_shell.person_of(found["access_token"], client_id=client_id, now=now)
    cache.add(
        {
            "client_id": client_id,
            "scope": asked,
            "environment": environment,
            "realm": realm,
            "response": {**found, **person},
            "params": {},
            "data": form,
            "authority_type": AUTHORITY_TYPE,
        },
        now=now,
    )
    return {**found, "token_source": "broker"}

"""Tokens that the local identity provider makes, at an API of ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

import keyfob
from keyfob.errors import AccessTokenError
from keyfob_emulator import Emulator
from keyfob_emulator.in_process import mount
from keyfob_emulator.sample import (
    CONTOSO,
    FLASK_SITE,
    FLASK_SITE_SECRET,
    NIGHTLY_JOB,
    NIGHTLY_JOB_SECRET,
    ORDERS_API,
    PASSWORD,
)

ADA = "ada@contoso.example"
AUTHORITY = f"https://login.microsoftonline.com/{CONTOSO}"
NAMES = frozenset({ORDERS_API, "api://orders"})


@pytest.fixture(params=[1, 2])
def emulator(request: pytest.FixtureRequest) -> Emulator:
    found = Emulator()
    orders = found.directory.resource(ORDERS_API)
    assert orders is not None
    found.add(replace(orders, access_token_version=request.param))
    found.add(
        replace(found.directory.resource(FLASK_SITE), public_flows=True)  # type: ignore[type-var]
    )
    found.give_consent(ADA, FLASK_SITE, "openid profile offline_access api://orders/Orders.Read")
    return found


@pytest.fixture
def session(emulator: Emulator) -> Iterator[requests.Session]:
    with requests.Session() as session:
        mount(session, emulator)
        yield session


def app(session: requests.Session, client: str, secret: str) -> Any:
    return keyfob.ConfidentialClientApplication(
        client, secret, authority=AUTHORITY, http_client=session
    )


def test_a_persons_and_an_applications_tokens_are_told_apart(session: requests.Session) -> None:
    api = app(session, ORDERS_API, "x")
    site = app(session, FLASK_SITE, FLASK_SITE_SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        result = site.acquire_token_by_username_password(
            ADA, PASSWORD, ["api://orders/Orders.Read"]
        )
    person = api.judge_access_token(result["access_token"], NAMES).holder
    assert (person.is_app, person.scopes, person.client_id) == (False, {"Orders.Read"}, FLASK_SITE)
    with pytest.raises(AccessTokenError) as caught:
        site.judge_access_token(result["id_token"])
    assert caught.value.code in ("no_permissions", "id_token")
    job = app(session, NIGHTLY_JOB, NIGHTLY_JOB_SECRET)
    token = job.acquire_token_for_client(["api://orders/.default"])["access_token"]
    by_itself = api.judge_access_token(token, NAMES).holder
    assert by_itself.is_app
    assert by_itself.roles == {"Orders.Read.All"}
    assert by_itself.client_id == NIGHTLY_JOB


def test_tokens_for_graph_open_no_api_of_ours(session: requests.Session) -> None:
    job = app(session, NIGHTLY_JOB, NIGHTLY_JOB_SECRET)
    token = job.acquire_token_for_client(["https://graph.microsoft.com/.default"])["access_token"]
    with pytest.raises(AccessTokenError) as caught:
        app(session, ORDERS_API, "x").judge_access_token(token, NAMES)
    assert caught.value.code == "aud"

"""Failures made to order: by tests, and by a person on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from keyfob_emulator import Emulator
from keyfob_emulator.failures import ENDPOINTS
from keyfob_emulator.in_process import mount
from keyfob_emulator.views.control import PLACES

if TYPE_CHECKING:
    from emulator.conftest import Client, Clock
    from support.form_browser import Page


def keys(client: Client) -> requests.Response:
    return client.http.get(f"{client.server.url}/common/discovery/v2.0/keys")


def weather(client: Client) -> Page:
    return client.browser.open(f"{client.server.url}/weather")


def test_an_outage_lasts_for_its_seconds_however_many_ask(client: Client, clock: Clock) -> None:
    client.server.emulator.fail_next("keys", seconds=30)
    assert [keys(client).status_code for _ in range(3)] == [503, 503, 503]
    clock.now += 30
    assert keys(client).status_code == 200


def test_a_hung_up_request_has_no_answer(client: Client) -> None:
    client.server.emulator.fail_next("keys", hang_up=True)
    with pytest.raises(requests.ConnectionError):
        keys(client)
    assert keys(client).status_code == 200


def test_in_process_a_hung_up_request_is_the_same_error() -> None:
    with requests.Session() as session:
        mount(session).fail_next("keys", hang_up=True)
        url = "https://login.microsoftonline.com/common/discovery/v2.0/keys"
        with pytest.raises(requests.ConnectionError):
            session.get(url)
        assert session.get(url).status_code == 200


@pytest.mark.parametrize("path", ["/v1.0/me", "/v1.0/me/photo/$value", "/oidc/userinfo"])
def test_all_of_graph_fails_by_one_name(client: Client, path: str) -> None:
    client.server.emulator.fail_next("graph", status=429, retry_after=3)
    response = client.graph(path, None)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
    assert client.graph(path, None).status_code == 401


def test_a_person_orders_throttling_and_clears_it(client: Client) -> None:
    page = client.browser.open(client.server.url).follow("Weather")
    assert "Everything works." in page.text
    page = page.submit(endpoint="keys", kind="throttled", amount="3", retry_after="7")
    assert "at the next 3 requests, Retry-After 7" in page.text
    response = keys(client)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    page = weather(client)
    assert "at the next 2 requests" in page.text
    page = page.submit(button="Clear the sky")
    assert "Everything works." in page.text
    assert keys(client).status_code == 200


def test_a_person_orders_an_outage_of_some_seconds(client: Client, clock: Clock) -> None:
    weather(client).submit(endpoint="keys", kind="unavailable", amount="20", unit="seconds")
    clock.now += 5
    assert "for another 15 seconds" in weather(client).text
    assert keys(client).status_code == 503
    clock.now += 15
    assert "Everything works." in weather(client).text


@pytest.mark.parametrize("kind", ["broken", "silence"])
def test_every_kind_of_failure_can_be_ordered(client: Client, kind: str) -> None:
    weather(client).submit(endpoint="keys", kind=kind)
    if kind == "silence":
        with pytest.raises(requests.ConnectionError):
            keys(client)
    else:
        assert keys(client).status_code == 500


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoint": "everything"},
        {"kind": "earthquake"},
        {"csrf_token": "forged"},
        {"csrf_token": "\udcff"},
    ],
)
def test_what_was_not_on_the_page_changes_nothing(client: Client, fields: dict[str, str]) -> None:
    page = weather(client)
    if fields.get("csrf_token") == "\udcff":
        url = f"{client.server.url}/weather"
        body = b"csrf_token=%ff&endpoint=keys&kind=broken"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert client.browser.session.post(url, data=body, headers=kind).status_code == 200
    else:
        page.submit(button="Let it fail", fields=fields)
    assert client.server.emulator.failures.waiting() == []


@pytest.mark.parametrize("amount", ["", "x", "-3", "0"])
def test_an_amount_that_is_none_means_one(client: Client, amount: str) -> None:
    weather(client).submit(endpoint="keys", kind="broken", amount=amount, retry_after=amount)
    ((_, times),) = client.server.emulator.failures.waiting()
    assert times == 1


def test_what_the_page_offers_there_is() -> None:
    assert set(PLACES) <= set(ENDPOINTS)
    with pytest.raises(ValueError, match="tokens"):
        Emulator().fail_next("tokens", seconds=3)

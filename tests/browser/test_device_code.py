"""A device's code in a real browser, with the keyboard alone and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Browser, Page

from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import DESKTOP_TOOL, PASSWORD

pytestmark = pytest.mark.browser


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as running:
        yield running


@pytest.fixture
def plain_page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(java_script_enabled=False, color_scheme="dark")
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def post(server: EmulatorServer, name: str, **data: str) -> dict[str, Any]:
    url = f"{server.url}/common/oauth2/v2.0/{name}"
    body = {"client_id": DESKTOP_TOOL, **data}
    return dict(requests.post(url, data=body, timeout=15).json())


def press(page: Page, *keys: str) -> None:
    """Press keys, the last of which leads to the next page, once the page has its focus."""
    page.locator(":focus").wait_for()
    for key in keys[:-1]:
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press(keys[-1])


def write(page: Page, text: str) -> None:
    """Type into the field that has the focus, as soon as it has it."""
    page.locator("input:focus").wait_for()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def test_a_person_lets_a_device_sign_in(server: EmulatorServer, plain_page: Page) -> None:
    page = plain_page
    flow = post(server, "devicecode", scope="openid profile User.Read")
    page.goto(flow["verification_uri"])
    write(page, "not a code")
    press(page, "Enter")
    assert page.get_by_role("alert").is_visible()
    write(page, flow["user_code"].lower())
    press(page, "Enter")
    press(page, "Enter")  # The first account has the focus.
    write(page, PASSWORD)
    press(page, "Enter")
    assert page.get_by_role("heading").inner_text().startswith("Are you trying to sign in")
    press(page, "Enter")
    press(page, "Enter")  # Accept.
    assert page.get_by_role("heading").inner_text() == "You have signed in to Desktop tool"
    assert page.get_by_role("status").is_visible()
    grant = {"grant_type": "device_code", "device_code": flow["device_code"]}
    assert post(server, "token", **grant)["access_token"]


def test_a_person_stops_at_the_question(server: EmulatorServer, plain_page: Page) -> None:
    page = plain_page
    flow = post(server, "devicecode", scope="openid User.Read")
    page.goto(f"{flow['verification_uri']}?otc={flow['user_code']}")
    press(page, "Enter")
    press(page, "Enter")
    write(page, PASSWORD)
    press(page, "Enter")
    press(page, "Tab", "Enter")  # From Continue to Cancel.
    assert page.title().startswith("Cancelled")
    grant = {"grant_type": "device_code", "device_code": flow["device_code"]}
    assert post(server, "token", **grant)["error"] == "authorization_declined"

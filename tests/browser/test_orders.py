"""The whole conversation in a real browser: consent, an order, a second factor, and a role."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from support.demo import Demo

pytestmark = pytest.mark.browser

PASSWORD = "open-sesame"

both_sites = pytest.mark.parametrize("site", ["flask", "django"])


def sign_in(page: Page, username: str) -> None:
    page.get_by_role("button", name=username).click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def has_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


@both_sites
def test_from_consent_to_an_order_that_needs_a_second_factor(
    demo: Demo, page: Page, site: str
) -> None:
    base = demo.site(site)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    # Consent on the way in: to read, and to nothing else.
    page.goto(f"{base}/orders")
    sign_in(page, "ada@contoso.example")
    expect(page.get_by_role("main")).to_contain_text("Read your orders")
    expect(page.get_by_role("main")).not_to_contain_text("Place orders for you")
    page.get_by_role("button", name="Accept").click()
    expect(page).to_have_url(f"{base}/orders")

    # To order takes more, and what was typed is not lost.
    page.get_by_label("What do you need?").fill(f"A lock for {site}")
    page.get_by_role("button", name="Order", exact=True).click()
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("main")).to_contain_text("Place orders for you")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("body")).to_contain_text(f"A lock for {site}")
    page.get_by_role("button", name="Send it").click()
    expect(page).to_have_url(f"{base}/orders")
    row = page.get_by_role("row", name=f"A lock for {site}")
    # From Graph, which the API asked on the person's behalf.
    expect(row).to_contain_text("Ada Keyring")
    expect(row).to_contain_text("London / 3.14")
    expect(row).to_contain_text("Waiting")

    # To approve it takes a second factor, which the API asks for.
    page.get_by_role("link", name="Approvals").click()
    has_heading(page, "Orders to approve")
    page.get_by_role("row", name=f"A lock for {site}").get_by_role("button").click()
    page.get_by_role("link", name="Continue").click()
    has_heading(page, "Confirm it is you")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Send it").click()
    has_heading(page, "Orders to approve")
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page.get_by_role("row", name=f"A lock for {site}")).to_contain_text("Approved")
    assert errors == []


@both_sites
def test_the_page_for_a_role_is_refused_to_one_and_shown_to_another(
    demo: Demo, page: Page, site: str
) -> None:
    page.goto(f"{demo.site(site)}/orders")
    sign_in(page, "alan@contoso.example")
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("link", name="Approvals").click()
    has_heading(page, "You may not open this page")

    page.get_by_role("link", name="Use another account").click()
    sign_in(page, "ada@contoso.example")
    page.wait_for_load_state()
    if page.get_by_role("button", name="Accept").count():
        page.get_by_role("button", name="Accept").click()
    has_heading(page, "Orders to approve")


@both_sites
def test_what_a_person_takes_back_at_the_provider_the_site_has_to_ask_for(
    demo: Demo, page: Page, site: str
) -> None:
    page.goto(f"{demo.site(site)}/me")
    sign_in(page, "hedy@fabrikam.example")
    page.get_by_role("button", name="Accept").click()
    has_heading(page, "Your profile")
    page.goto(f"{demo.emulator}/consents")
    application = f"{site.title()} demo site"
    page.get_by_role("button", name=f"Take back what {application} may do").click()
    expect(page.get_by_role("main")).not_to_contain_text(application)
    page.goto(f"{demo.site(site)}/me")
    has_heading(page, "Permissions requested")
    page.get_by_role("button", name="Accept").click()
    has_heading(page, "Your profile")

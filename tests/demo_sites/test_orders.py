"""Orders in the demo: two sites, the API they call, and the provider that all of them trust."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

pytest.importorskip("flask", reason="needs Flask")
pytest.importorskip("django", reason="needs Django")

from keyfob_emulator.sample import DJANGO_SITE, FLASK_SITE, NIGHTLY_JOB, NIGHTLY_JOB_SECRET
from support.demo import Demo, running_demo
from support.form_browser import FormBrowser, Page

ADA, ALAN, GRACE = "ada@contoso.example", "alan@contoso.example", "grace@outlook.example"
PASSWORD = "open-sesame"
APPROVALS, CONSENT, CONFIRM = "Orders to approve", "Permissions requested", "Confirm it is you"
KEPT, RESUME = "One more step", "Send it now?"

both_sites = pytest.mark.parametrize("site", ["flask", "django"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture
def browser() -> Iterator[FormBrowser]:
    with FormBrowser() as browser:
        yield browser


def through(page: Page, username: str = ADA) -> tuple[Page, list[str]]:
    """Do what the pages ask for, to the end; and which pages those were."""
    seen: list[str] = []
    for _ in range(10):
        heading = page.headings[0]
        if heading == "Pick an account":
            page = page.submit(button=username)
        elif heading == "Enter the password":
            page = page.submit(button="Sign in", password=PASSWORD)
        elif heading == CONSENT:
            page = page.submit(button="Accept")
        elif heading == CONFIRM:
            page = page.submit(button="Approve")
        elif heading == KEPT:
            page = page.follow("Continue")
        elif heading == RESUME:
            page = page.submit(button="Send it")
        else:
            return page, seen
        seen.append(heading)
    raise AssertionError(f"no end: {seen}")


def visit(browser: FormBrowser, url: str, username: str = ADA) -> Page:
    return through(browser.open(url), username)[0]


def order(page: Page, item: str) -> tuple[Page, list[str]]:
    return through(page.submit(button="Order", item=item))


@both_sites
def test_a_person_agrees_on_the_way_in_and_once_more_to_order(
    demo: Demo, browser: FormBrowser, site: str
) -> None:
    page, seen = through(browser.open(f"{demo.site(site)}/orders?from=mail"))
    assert seen == ["Pick an account", "Enter the password", CONSENT]
    assert page.url == f"{demo.site(site)}/orders?from=mail"

    page, seen = order(page, f"A lock from {site}")

    assert seen == [KEPT, CONSENT, RESUME]
    assert page.url == f"{demo.site(site)}/orders"
    # Where it goes is known to Graph alone, which the API asked on the person's behalf.
    assert f"A lock from {site} Ada Keyring London / 3.14 Waiting" in page.text
    _, seen = order(page, "Another")
    assert seen == []


@both_sites
def test_an_approval_takes_a_role_and_a_second_factor(
    demo: Demo, browser: FormBrowser, site: str
) -> None:
    with FormBrowser() as alans:
        order(visit(alans, f"{demo.site(site)}/orders", ALAN), f"Chalk for {site}")
        refused = alans.open(f"{demo.site(site)}/approvals")
        assert refused.status == 403
        assert refused.headings != [APPROVALS]
        assert "Use another account" in refused.text

        page = visit(browser, f"{demo.site(site)}/approvals")
        assert page.headings == [APPROVALS]
        number = page.text.partition(f" Chalk for {site} Alan Latch Bletchley / 8")[0].split()[-1]
        page, seen = through(page.submit(button=f"number={number}"))

        assert seen in ([KEPT, CONFIRM, RESUME], [KEPT, CONSENT, RESUME, KEPT, CONFIRM, RESUME])
        assert f"Chalk for {site}" not in page.text
        mine = alans.open(f"{demo.site(site)}/orders")
        assert f"Chalk for {site} Alan Latch Bletchley / 8 Approved" in mine.text


@both_sites
def test_a_personal_account_orders_to_its_home(demo: Demo, browser: FormBrowser, site: str) -> None:
    page = visit(browser, f"{demo.site(site)}/orders", GRACE)
    page, _ = order(page, f"A compiler from {site}")
    assert f"A compiler from {site} Grace Padlock at home Waiting" in page.text


@both_sites
def test_consent_that_is_taken_back_is_asked_for_again(
    demo: Demo, browser: FormBrowser, site: str
) -> None:
    visit(browser, f"{demo.site(site)}/me")
    client_id = {"flask": FLASK_SITE, "django": DJANGO_SITE}[site]
    browser.open(f"{demo.emulator}/consents").submit(button="Take back", client_id=client_id)
    page, seen = through(browser.open(f"{demo.site(site)}/me"))
    assert seen == [CONSENT]
    assert page.headings == ["Your profile"]


@both_sites
def test_revoked_sessions_reach_a_site_through_the_api_that_it_calls(
    demo: Demo, browser: FormBrowser, site: str
) -> None:
    page, _ = order(visit(browser, f"{demo.site(site)}/orders"), "Before")
    with FormBrowser() as administrators:
        people = administrators.open(f"{demo.emulator}/sessions")
        people.submit(button=f"username={ADA}")

    page, seen = order(page, f"After, from {site}")

    # Graph refused the API, the API its caller, and the provider the site's refresh token.
    assert "Enter the password" in seen
    assert f"After, from {site} Ada Keyring" in page.text


@both_sites
def test_who_does_not_agree_orders_nothing(demo: Demo, browser: FormBrowser, site: str) -> None:
    page = visit(browser, f"{demo.site(site)}/orders", "hedy@fabrikam.example")
    page = page.submit(button="Order", item="Nothing").follow("Continue")
    assert page.headings == [CONSENT]
    page = page.submit(button="Cancel")
    assert page.status == 403
    assert urlsplit(page.url).path == "/auth/callback"
    assert "You have not ordered anything." in browser.open(f"{demo.site(site)}/orders").text


@both_sites
def test_a_graph_that_is_away_is_told_in_words(demo: Demo, browser: FormBrowser, site: str) -> None:
    page, _ = order(visit(browser, f"{demo.site(site)}/orders"), "Before")
    with FormBrowser() as another:
        sky = another.open(f"{demo.emulator}/weather")
        sky.submit(button="Let it fail", endpoint="graph", kind="broken")
    page, _ = order(page, "Too early")
    assert page.status == 502
    assert page.headings == ["This is not available"]
    assert "Too early" not in browser.open(f"{demo.site(site)}/orders").text


def test_the_api_lets_nobody_in_without_a_token(demo: Demo) -> None:
    for method, path in (("get", "orders"), ("post", "orders"), ("post", "approvals")):
        answer = requests.request(method, f"{demo.orders}/{path}", json={}, timeout=20)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_job_sees_what_waits_in_its_own_name_and_does_nothing_else(demo: Demo) -> None:
    answer = requests.post(
        f"{demo.emulator}/contoso.example/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": NIGHTLY_JOB,
            "client_secret": NIGHTLY_JOB_SECRET,
            "scope": "api://orders/.default",
        },
        timeout=20,
    )
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    waiting = requests.get(f"{demo.orders}/approvals", headers=headers, timeout=20)
    assert waiting.status_code == 200
    assert "owner" not in waiting.text
    for path in ("orders", "approvals"):
        refused = requests.post(f"{demo.orders}/{path}", headers=headers, json={}, timeout=20)
        assert refused.status_code == 403
    assert requests.get(f"{demo.orders}/orders", headers=headers, timeout=20).status_code == 403


def test_the_api_says_who_gives_its_tokens(demo: Demo) -> None:
    url = f"{demo.orders}/.well-known/oauth-protected-resource"
    document = requests.get(url, timeout=20).json()
    assert document["authorization_servers"] == [f"{demo.emulator}/common/v2.0"]
    assert "api://orders/Orders.Read" in document["scopes_supported"]

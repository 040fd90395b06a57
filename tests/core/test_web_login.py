"""Starting a sign-in: where it leads, what it asks for, and who may start it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.web import Answer
from support.bare_site import BareSite, with_apis
from support.provider import HOME_TENANT, OTHER_TENANT, Person, Provider
from support.provider_http import Reply

HOSTILE_PATHS = [
    "//evil.example",
    "/\\evil.example",
    "http:///evil.example",
    "https://evil.example/",
    "/%2F/evil.example",
    "/%5cevil.example",
    "/\t/evil.example",
    "/a/..//evil.example",
    "javascript:alert(1)",
    "/x\r\nSet-Cookie: a=b",
    "",
    "evil.example",
]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


def asked(answer: Answer) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


# Where it leads


def test_a_sign_in_ends_on_the_page_that_asked_for_it(site: BareSite) -> None:
    assert site.sign_in("next=/orders%3Fpage%3D2%26x%3D%2F%2Fy").location == "/orders?page=2&x=//y"


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_no_sign_in_ends_on_another_site(site: BareSite, path: str) -> None:
    assert site.sign_in(urlencode({"next": path})).location == "/"


def test_next_is_checked_again_when_it_is_used(site: BareSite) -> None:
    """As if an older version, or another program with the same key, had let it pass."""
    from dataclasses import replace

    from keyfob.web import attempts

    def lax(self: attempts.Attempts, attempt: attempts.Attempt, **more: object) -> object:
        return original(self, replace(attempt, next="//evil.example"), **more)  # type: ignore[arg-type]

    original = attempts.Attempts.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempts.Attempts, "start", lax)
        way_back = site.at_provider(site.login())

    assert site.come_back(*way_back).location == "/"


def test_a_site_below_a_mount_point_leads_back_to_itself(site: BareSite) -> None:
    site.root_path = "/shop"
    answer = site.login()
    assert asked(answer)["redirect_uri"] == "http://localhost:5000/shop/auth/callback"
    assert {cookie.path for cookie in answer.cookies} == {"/shop/auth"}
    assert site.come_back(*site.at_provider(answer)).location == "/shop/"

    assert site.sign_in("next=//evil.example").location == "/shop/"
    assert site.callback("/shop/auth/callback?state=x").location == "/shop/"
    site.session.clear()
    page = site.callback("/shop/auth/callback?state=x").page
    assert page is not None
    assert (page.home_url, page.retry_url) == ("/shop/", "/shop/auth/login")


def test_a_failed_start_below_a_mount_point_leads_back_to_it(site: BareSite) -> None:
    site.root_path, site.host = "/shop", "site.example"
    page = site.login("next=/shop/x").page
    assert page is not None
    assert (page.home_url, page.retry_url) == ("/shop/", "/shop/auth/login?next=%2Fshop%2Fx")


# What it asks for


def test_hints_and_prompt_travel_on(site: BareSite) -> None:
    query = asked(
        site.login("login_hint=ada%40contoso.example&domain_hint=contoso.example&prompt=login")
    )
    assert query["login_hint"] == "ada@contoso.example"
    assert query["domain_hint"] == "contoso.example"
    assert query["prompt"] == "login"


def test_a_trip_for_a_token_says_whose_and_a_plain_sign_in_does_not(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in()
        assert asked(site.login("api=api"))["login_hint"] == provider.person.preferred_username
        assert asked(site.login("api=api&login_hint=grace"))["login_hint"] == "grace"
        assert "login_hint" not in asked(site.login())
        site.session.clear()
        assert "login_hint" not in asked(site.login("api=api"))


@pytest.mark.parametrize("prompt", ["", "LOGIN", "login consent", "admin_consent", "x" * 5000])
def test_an_unknown_prompt_is_left_out(site: BareSite, prompt: str) -> None:
    assert "prompt" not in asked(site.login(urlencode({"prompt": prompt})))


@pytest.mark.parametrize("hint", ["x" * 321, "a\r\nb", "a\x00b", "\u202eevil", ""])
@pytest.mark.parametrize("name", ["login_hint", "domain_hint"])
def test_an_unlikely_hint_is_left_out(site: BareSite, name: str, hint: str) -> None:
    assert name not in asked(site.login(urlencode({name: hint})))


def test_no_parameter_of_the_link_reaches_the_provider_but_these(site: BareSite) -> None:
    evil = {
        "redirect_uri": "https://evil.example/",
        "client_id": "evil",
        "scope": "everything",
        "state": "known",
        "nonce": "known",
        "response_mode": "fragment",
        "claims": "{}",
        "ask": "forged",
    }
    query = asked(site.login(urlencode(evil)))

    assert not set(evil.values()) & set(query.values())
    assert query["scope"] == "offline_access openid profile"


def test_an_apis_scopes_are_asked_for_with_the_settings_own(provider: Provider) -> None:
    with BareSite(with_apis(provider, SCOPES=["email"])) as site:
        assert asked(site.login("api=api"))["scope"].split() == [
            "email",
            "offline_access",
            "openid",
            "orders.read",
            "profile",
        ]


def test_a_link_to_an_unknown_api_is_a_plain_sign_in(site: BareSite) -> None:
    """A visitor can write any link: it must not make the site look broken, nor tell its APIs."""
    assert site.sign_in("api=typo&next=/x").location == "/x"


# Third-party-initiated login (OpenID Connect Core §4)


@pytest.mark.parametrize(
    ("target", "end"),
    [
        ("/orders", "/orders"),
        ("http://localhost:5000/orders?x=1", "/orders?x=1"),
        ("http://localhost:5001/orders", "/"),
        ("https://evil.example/orders", "/"),
        ("//evil.example", "/"),
        ("http://localhost:5000@evil.example/", "/"),
        ("http://localhost:5000//evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_our_own_issuer_may_start_a_sign_in(
    site: BareSite, provider: Provider, method: str, target: str, end: str
) -> None:
    given = {"iss": provider.issuer, "target_link_uri": target, "login_hint": "ada"}
    answer = site.login(**given) if method == "POST" else site.login(urlencode(given))

    assert asked(answer)["login_hint"] == "ada"
    assert site.come_back(*site.at_provider(answer)).location == end


def test_a_target_is_judged_by_the_sites_public_address(provider: Provider) -> None:
    settings = {**provider.settings(), "BASE_URL": "https://site.example"}
    with BareSite(settings) as site:
        for target, end in [
            ("https://site.example/orders", "/orders"),
            ("http://localhost:5000/orders", "/"),
        ]:
            given = {"iss": provider.issuer, "target_link_uri": target}
            assert site.sign_in(urlencode(given)).location == end


@pytest.mark.parametrize("issuer", ["https://evil.example", "", "http://127.0.0.1", "{tenantid}"])
def test_no_other_issuer_may(site: BareSite, issuer: str) -> None:
    answer = site.login(urlencode({"iss": issuer, "target_link_uri": "/orders"}))

    assert answer.status == 400
    assert answer.page is not None
    assert answer.page.retry_url == "/auth/login?next=%2F"
    assert answer.page.code == "foreign_issuer"
    assert "came back" not in answer.page.text
    assert site.cookies == {}


def test_in_entra_any_tenants_issuer_may_of_an_authority_for_many(entra: Provider) -> None:
    entra.person = Person(tid=OTHER_TENANT)
    with BareSite(entra.settings()) as site:
        for tenant in (HOME_TENANT, OTHER_TENANT):
            given = {"iss": entra.tenant_issuer(tenant), "target_link_uri": "/orders"}
            assert site.sign_in(urlencode(given)).location == "/orders"
        for issuer in (
            entra.tenant_issuer("{tenantid}"),
            entra.tenant_issuer("common"),
            entra.tenant_issuer(HOME_TENANT) + "/",
            entra.tenant_issuer(f"{HOME_TENANT}/x"),
            f"https://evil.example/{HOME_TENANT}/v2.0",
        ):
            assert site.login(urlencode({"iss": issuer})).status == 400


def test_in_entra_only_the_own_tenants_issuer_may_of_an_authority_for_one(entra: Provider) -> None:
    with BareSite(entra.settings(HOME_TENANT)) as site:
        assert site.login(urlencode({"iss": entra.tenant_issuer(HOME_TENANT)})).status == 302
        assert site.login(urlencode({"iss": entra.tenant_issuer(OTHER_TENANT)})).status == 400


# A provider that cannot be used now


def reply(status: int, body: str = "", **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): v for name, v in headers.items()}, body.encode())


@pytest.mark.parametrize("endpoint", ["discovery", "token", "keys"])
@pytest.mark.parametrize(
    ("answer", "status", "retry_after"),
    [
        (reply(503, Retry_After="7"), 503, "7"),
        (reply(429, Retry_After="999999999"), 503, "3600"),
        (reply(500, "<html>oops</html>"), 503, "10"),
        (reply(200, "<html>hello</html>"), 502, None),
        (reply(200, "[]"), 502, None),
        (reply(302, Location="https://evil.example/"), 503, "10"),
    ],
    ids=["busy", "throttled", "broken", "garbage", "list", "redirect"],
)
def test_a_failing_provider_gives_a_page_and_the_next_request_tries_again(
    provider: Provider,
    site: BareSite,
    endpoint: str,
    answer: Reply,
    status: int,
    retry_after: str | None,
) -> None:
    provider.raw[endpoint] = lambda request: answer
    failed = site.sign_in("next=/orders")

    assert failed.status == status
    if endpoint == "token":
        assert failed.headers.get("Retry-After") == retry_after
    assert ("Retry-After" in failed.headers) == (status == 503)
    assert failed.headers["Cache-Control"] == "no-store"
    assert failed.page is not None
    assert failed.page.correlation_id
    assert failed.page.retry_url == "/auth/login?next=%2Forders"
    assert not site.is_signed_in

    del provider.raw[endpoint]
    assert site.sign_in("next=/orders").location == "/orders"


def test_a_provider_that_is_down_gives_a_page(provider: Provider) -> None:
    settings = {**provider.settings(), "OIDC_AUTHORITY": "http://127.0.0.1:1"}
    with BareSite(settings) as site:
        answer = site.login()
        assert answer.status == 503
        assert answer.page is not None
        assert answer.page.correlation_id
        assert "127.0.0.1" not in answer.page.text

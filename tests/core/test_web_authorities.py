"""Several authorities in one site: each signs people in by itself, and none for another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.errors import ConfigurationError, InteractionRequired, PermissionMissing
from keyfob.web import WebRequest
from keyfob.web.exchange import PostedForm, Routes
from keyfob.web.permissions import Permission, require_permission
from support.bare_site import ROUTES, BareSite, with_apis
from support.logout_tokens import order_by
from support.provider import Person, Provider

OWN = ("CLIENT_ID", "CLIENT_SECRET", "OIDC_AUTHORITY", "DOWNSTREAM_APIS")
APPROVERS = "6a0e0000-0003-46a0-9c03-000000000003"
CUSTOMER = Person(sub="customer-1", name="Charles Till", preferred_username="charles@shop.example")


@pytest.fixture
def staff() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def customers() -> Iterator[Provider]:
    with Provider(extra_claims={"sid": "session-1"}) as provider:
        provider.person = CUSTOMER
        yield provider


def settings(staff: Provider, customers: Provider, **more: object) -> dict[str, object]:
    other = {key: value for key, value in with_apis(customers).items() if key in OWN}
    return with_apis(staff, AUTHORITIES={"customers": other}, **more)


@pytest.fixture
def site(staff: Provider, customers: Provider) -> Iterator[BareSite]:
    with BareSite(settings(staff, customers)) as site:
        yield site


def name(site: BareSite) -> str:
    return site.keyfob.user.name


# Signing in


def test_each_address_leads_to_its_own_authority(
    site: BareSite, staff: Provider, customers: Provider
) -> None:
    assert site.login().location.startswith(staff.base)
    location = site.login(authority="customers").location
    assert location.startswith(customers.base)
    (redirect_uri,) = parse_qs(urlsplit(location).query)["redirect_uri"]
    assert urlsplit(redirect_uri).path == "/auth/callback/customers"


def test_whoever_signs_in_is_of_their_authority(site: BareSite) -> None:
    site.sign_in()
    assert (name(site), site.keyfob.authority) == (Person().name, "")
    site.sign_in(authority="customers")
    assert (name(site), site.keyfob.authority) == (CUSTOMER.name, "customers")
    assert site.keyfob.is_signed_in


def test_an_authority_that_there_is_not_gets_a_page(site: BareSite) -> None:
    for answer in (
        site.login(authority="nobody"),
        site.callback("/auth/callback/nobody?state=x&code=y"),
        site.logged_out("/auth/logged-out/nobody"),
        site.app.backchannel_logout(site.request("/"), "nobody"),
        site.app.frontchannel_logout(site.request("/"), lambda: None, "nobody"),
    ):
        assert answer.status == 404
        assert answer.page is not None
        assert answer.page.code == "no_authority"


@pytest.mark.parametrize(("asked", "answered"), [("customers", ""), ("", "customers")])
def test_an_answer_for_one_authority_does_not_pass_at_the_others_address(
    site: BareSite, asked: str, answered: str
) -> None:
    url, form = site.at_provider(site.login(authority=asked))
    crossed = url.replace(ROUTES.of(asked).callback, ROUTES.of(answered).callback)
    assert crossed != url
    answer = site.come_back(crossed, form)
    assert answer.status == 400
    assert not site.is_signed_in


def test_a_posted_answer_comes_back_to_its_authority(staff: Provider, customers: Provider) -> None:
    made = settings(staff, customers)
    made["AUTHORITIES"]["customers"]["RESPONSE_MODE"] = "form_post"  # type: ignore[index]
    with BareSite(made) as site:
        site.sign_in(authority="customers")
        assert site.keyfob.authority == "customers"


def test_the_tokens_are_those_of_the_authority(
    site: BareSite, staff: Provider, customers: Provider
) -> None:
    site.sign_in("api=api")
    assert site.keyfob.token(api="api") in staff._access
    site.sign_in("api=api", authority="customers")
    assert site.keyfob.token(api="api") in customers._access


def test_a_token_is_renewed_where_it_came_from(
    site: BareSite, staff: Provider, customers: Provider
) -> None:
    site.sign_in("api=api", authority="customers")
    site.clock_offset = 3500
    asked = len(customers.requests_to("token"))
    site.keyfob.token(api="api")
    assert len(customers.requests_to("token")) == asked + 1
    assert staff.requests_to("token") == []


def test_whoever_was_here_before_is_signed_out_of_the_other_authority(site: BareSite) -> None:
    site.sign_in()
    former = site.session["_keyfob"]["k"]
    site.sign_in(authority="customers")
    assert site.app.documents.read(former) is None


# Guarded views


def guard(site: BareSite, authority: str | None) -> str:
    """Where a guarded view sends to; "" where it may run."""
    try:
        site.keyfob.require(authority=authority)
    except InteractionRequired as error:
        return site.app.handle(site.request("/shop?x=1"), error).location
    return ""


def test_a_view_for_one_authority_sends_to_its_login(site: BareSite) -> None:
    assert guard(site, None) == "/auth/login?next=%2Fshop%3Fx%3D1"
    assert guard(site, "customers") == "/auth/login/customers?next=%2Fshop%3Fx%3D1"
    assert guard(site, "") == "/auth/login?next=%2Fshop%3Fx%3D1"


def test_a_view_for_one_authority_is_not_for_the_people_of_another(site: BareSite) -> None:
    site.sign_in(authority="customers")
    assert guard(site, None) == ""
    assert guard(site, "customers") == ""
    assert guard(site, "").startswith("/auth/login?")
    site.sign_in()
    assert guard(site, "customers").startswith("/auth/login/customers?")
    assert guard(site, "") == ""


def test_a_view_for_an_authority_that_there_is_not_is_a_mistake(site: BareSite) -> None:
    for sign_in in (lambda: None, site.sign_in):
        sign_in()
        with pytest.raises(ConfigurationError, match="AUTHORITIES has customers"):
            site.keyfob.require(authority="clients")


def test_a_token_that_needs_the_person_is_asked_for_where_they_signed_in(site: BareSite) -> None:
    site.sign_in(authority="customers")
    answer = site.get("/orders", "api")
    assert answer is not None
    assert answer.location.startswith("/auth/login/customers?")
    site.sign_in(urlsplit(answer.location).query, authority="customers")
    assert site.get("/orders", "api") is None


def test_a_view_for_an_api_of_one_authority_is_for_its_people(
    staff: Provider, customers: Provider
) -> None:
    made = settings(staff, customers)
    own = made["AUTHORITIES"]["customers"]  # type: ignore[index]
    shop = {"base_url": f"{customers.base}/api", "scopes": ["orders.read"]}
    own["DOWNSTREAM_APIS"] = {"shop": shop}
    with BareSite(made) as site:
        for sign_in in (lambda: None, site.sign_in):
            sign_in()
            answer = site.get("/orders", "shop")
            assert answer is not None
            assert answer.location.startswith("/auth/login/customers?")
            assert parse_qs(urlsplit(answer.location).query)["api"] == ["shop"]
        site.sign_in(urlsplit(answer.location).query, authority="customers")
        assert site.get("/orders", "shop") is None
        answer = site.get("/me", "api")
        assert answer is not None
        assert answer.location.startswith("/auth/login?")
        with pytest.raises(ConfigurationError, match="no downstream API 'x'"):
            site.get("/me", "x")


def test_lost_tokens_come_back_from_where_they_were(site: BareSite) -> None:
    site.sign_in(authority="customers")
    key = site.session["_keyfob"]["k"]
    site.app.members.of_key(key).documents.delete(key)
    answer = site.get("/orders")
    assert answer is not None
    assert answer.location.startswith("/auth/login/customers?")
    site.sign_in(urlsplit(answer.location).query, authority="customers")
    assert name(site) == CUSTOMER.name


def test_no_trip_ends_on_a_view_of_ours(site: BareSite) -> None:
    site.login("next=/auth/login/customers")
    url, form = site.at_provider(site.login("next=/auth/callback/customers"))
    assert site.come_back(url, form).location == "/"


# Signing out


def test_the_sign_out_goes_to_who_signed_the_person_in(site: BareSite, customers: Provider) -> None:
    site.sign_in(authority="customers")
    location = site.logout().location
    assert location.startswith(customers.base)
    (back,) = parse_qs(urlsplit(location).query)["post_logout_redirect_uri"]
    assert urlsplit(back).path == "/auth/logged-out/customers"
    assert not site.is_signed_in
    (state,) = parse_qs(urlsplit(location).query)["state"]
    page = site.logged_out(f"{urlsplit(back).path}?state={state}").page
    assert page is not None
    assert "of the sign-in service" in page.text
    assert page.retry_url == "/auth/login/customers"


def test_a_back_channel_logout_ends_the_sessions_of_its_authority(
    site: BareSite, customers: Provider
) -> None:
    site.sign_in(authority="customers")
    posted = site.request("/", "POST", {"logout_token": order_by(customers, sid="session-1")})
    assert site.app.backchannel_logout(posted).status == 400, "the site's own never said so"
    assert site.get() is None
    posted = site.request("/", "POST", {"logout_token": order_by(customers, sid="session-1")})
    assert site.app.backchannel_logout(posted, "customers").status == 200
    assert site.get() is not None


def test_signing_out_everywhere_reaches_all_authorities(site: BareSite) -> None:
    site.sign_in(authority="customers")
    key = site.keyfob.user.key
    assert site.app.sign_out_everywhere(key or "") == 1
    assert site.get() is not None


# Several accounts


def test_accounts_of_several_authorities_wait_together(
    staff: Provider, customers: Provider
) -> None:
    with BareSite(settings(staff, customers, MAX_ACCOUNTS=2)) as site:
        site.sign_in("api=api")
        site.sign_in("add=1&api=api", authority="customers")
        accounts = site.app.accounts(site.request("/auth/accounts"))
        assert [account.name for account in accounts] == [CUSTOMER.name, Person().name]
        form = {"account": accounts[1].key}
        request = site.request("/auth/accounts", "POST", form)
        site.app.choose_account(request, site.established.append)
        assert (name(site), site.keyfob.authority) == (Person().name, "")
        assert site.keyfob.token(api="api") in staff._access
        keys = [site.session["_keyfob"]["k"], site.keyfob.waiting[0].key]
        site.logout()
        for key in keys:
            assert site.app.members.of_key(key).documents.read(key) is None


def test_a_view_for_another_authority_signs_nobody_out_where_there_is_room(
    staff: Provider, customers: Provider
) -> None:
    with BareSite(settings(staff, customers, MAX_ACCOUNTS=2)) as site:
        site.sign_in()
        site.sign_in(urlsplit(guard(site, "customers")).query, authority="customers")
        assert (name(site), len(site.keyfob.waiting)) == (CUSTOMER.name, 1)
        assert "add=" not in guard(site, "customers")
        assert site.get("/orders", "api") is not None
        assert "add=" not in site.get("/orders", "api").location  # type: ignore[union-attr]


# Settings


def test_one_application_at_one_authority_is_one(staff: Provider) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        BareSite(settings(staff, staff))


def test_routes_know_their_own_addresses() -> None:
    customers = ROUTES.of("customers")
    assert customers.logout == ROUTES.logout
    assert customers.of("") == ROUTES == customers.base
    assert customers.of("customers") is customers
    assert customers.folder == ROUTES.folder == "/auth"
    assert Routes("/login", "/callback", "/logout", "/out").folder == "/"
    for path in ("/auth/login", "/auth/callback/customers", "/auth/logged-out/x"):
        assert ROUTES.has(path)
        assert customers.has(path)
    for path in ("/auth/accounts", "/auth/loginx", "/", "/auth"):
        assert not ROUTES.has(path)


# Forms


def posted(site: BareSite) -> WebRequest:
    return replace(
        site.request("/order", "POST"),
        headers={
            "origin": f"http://{site.host}",
            "content-type": "application/x-www-form-urlencoded",
        },
        posted_form=lambda: PostedForm([("a", "b")]),
    )


def test_a_form_of_another_authoritys_person_is_kept_for_them(
    site: BareSite, customers: Provider
) -> None:
    site.sign_in(authority="customers")
    request = posted(site)
    error = InteractionRequired("consent", api="api", scopes=("orders.read",))
    answer = site._kept(site.app.handle(request, error))
    assert answer.page is not None
    assert answer.page.code == "form_kept"
    login = urlsplit(answer.page.retry_url)
    assert login.path == "/auth/login/customers"
    (url,) = parse_qs(login.query)["next"]
    shown = site.app.resume(site.request(url), ())
    assert shown.page is not None
    assert shown.page.form is not None
    site.session.clear()
    again = site.app.resume(site.request(url), ())
    assert again.location.startswith("/auth/login/customers?next=%2Fauth%2Fresume")
    site.sign_in()
    assert site.app.resume(site.request(url), ()).status == 403  # staff, and not a customer


def test_a_form_for_people_of_another_authority_waits_for_one_of_them(site: BareSite) -> None:
    site.sign_in()
    with pytest.raises(InteractionRequired) as raised:
        site.keyfob.require(authority="customers")
    answer = site._kept(site.app.handle(posted(site), raised.value))
    assert answer.page is not None
    login = urlsplit(answer.page.retry_url)
    assert login.path == "/auth/login/customers"
    back = site.sign_in(login.query, authority="customers")
    assert site.app.resume(site.request(back.location), ()).status == 200


def test_who_must_prove_themselves_anew_is_sent_to_their_own_authority(
    site: BareSite, customers: Provider
) -> None:
    with pytest.raises(InteractionRequired) as raised:
        site.keyfob.require_recent(300, authority="customers")
    answer = site.app.handle(site.request("/pay"), raised.value)
    login = urlsplit(answer.location)
    assert login.path == "/auth/login/customers"
    site.sign_in(login.query, authority="customers")
    assert customers.requests_to("authorize")[-1].query["max_age"] == "300"
    site.keyfob.require_recent(300, authority="customers")


# What one authority knows is not told to another


def asked_at_customers(site: BareSite, query: str = "") -> dict[str, list[str]]:
    return parse_qs(urlsplit(site.login(query, authority="customers").location).query)


def test_what_one_authority_granted_is_not_asked_of_another(site: BareSite) -> None:
    site.sign_in("api=api")
    assert "orders.read" not in asked_at_customers(site)["scope"][0].split()
    site.sign_in("api=api", authority="customers")
    assert "orders.read" in asked_at_customers(site)["scope"][0].split()


def test_one_authority_does_not_hear_who_was_signed_in_by_another(site: BareSite) -> None:
    site.sign_in()
    with pytest.raises(InteractionRequired) as raised:
        site.keyfob.require_recent(300, authority="customers")
    query = urlsplit(site.app.handle(site.request("/pay"), raised.value).location).query
    assert "login_hint" not in asked_at_customers(site, query)
    assert "login_hint" not in asked_at_customers(site, "api=api")


def test_a_frame_of_one_authority_ends_no_sign_in_of_another(site: BareSite) -> None:
    site.sign_in()
    frame = replace(site.request("/"), headers={"sec-fetch-dest": "iframe"})
    assert site.app.frontchannel_logout(frame, site.session.clear, "customers").status == 200
    assert site.is_signed_in
    site.app.frontchannel_logout(frame, site.session.clear)
    assert not site.is_signed_in


# Groups and roles


def test_a_group_of_the_sites_own_is_no_mistake_for_the_people_of_another(
    staff: Provider, customers: Provider
) -> None:
    customers.extra_claims = {"groups": ["approvers", APPROVERS]}
    with BareSite(settings(staff, customers, GROUPS={"approvers": APPROVERS})) as site:
        site.sign_in(authority="customers")
        assert not site.keyfob.in_group("approvers")
        with pytest.raises(PermissionMissing):
            require_permission(site.keyfob, Permission("group", ("approvers",)))
        with pytest.raises(ConfigurationError, match="no group 'aprovers'"):
            site.keyfob.in_group("aprovers")


def test_a_group_by_one_name_is_each_authoritys_own(staff: Provider, customers: Provider) -> None:
    made = settings(staff, customers, GROUPS={"approvers": APPROVERS})
    made["AUTHORITIES"]["customers"]["GROUPS"] = {"approvers": "/heads"}  # type: ignore[index]
    customers.extra_claims = {"groups": ["/heads"]}
    staff.extra_claims = {"groups": ["/heads"]}
    with BareSite(made) as site:
        site.sign_in(authority="customers")
        assert site.keyfob.in_group("approvers")
        site.sign_in()
        assert not site.keyfob.in_group("approvers")

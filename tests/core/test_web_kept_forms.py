"""Forms that came before their person could be let in: kept for them, and for nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyfob.errors import InteractionRequired, KeyfobError
from keyfob.web import Answer, WebRequest
from keyfob.web.allowance import Allowances
from keyfob.web.exchange import PostedForm, ResumedForm
from keyfob.web.kept_forms import MAX_BYTES, MAX_FIELDS, PERSONS_FORMS, STRANGERS_FORMS
from keyfob.web.own_pages import is_from_here
from keyfob.web.stores import MemoryStore
from support.bare_site import HOST, BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import Provider

HERE = {"origin": f"http://{HOST}", "content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


def posted(
    site: BareSite, fields: Any = (("a", "b"),), *, files: int = 0, url: str = "/order?x=1",
    form: PostedForm | None = None, **headers: str,
) -> WebRequest:  # fmt: skip
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    found = PostedForm(list(fields), files) if form is None else form
    size = {"content-length": "4"} if fields else {"content-length": "0"}
    request = site.request(url, "POST")
    return replace(request, headers={**HERE, **size, **given}, posted_form=lambda: found)


def send(site: BareSite, request: WebRequest, error: KeyfobError | None = None) -> Answer:
    """What a view answers that needs the API `api`."""
    needed = error or InteractionRequired("consent", api="api", scopes=("orders.read",))
    return site._kept(site.app.handle(request, needed))


def is_kept(answer: Answer) -> bool:
    return answer.page is not None and answer.page.code == "form_kept"


def resume_of(site: BareSite, answer: Answer) -> str:
    """The address of the page that shows the form, when its person comes back."""
    assert is_kept(answer)
    assert answer.page is not None
    back = site.sign_in(urlsplit(answer.page.retry_url).query)
    assert back.location.startswith("/auth/resume?form=")
    return back.location


def show(site: BareSite, url: str, fresh: Any = ()) -> Answer:
    return site.app.resume(site.request(url), fresh)


def shown(site: BareSite, url: str, fresh: Any = ()) -> ResumedForm:
    answer = show(site, url, fresh)
    assert answer.status == 200
    assert answer.page is not None
    assert answer.page.form is not None
    return answer.page.form


def click(site: BareSite, url: str, **headers: str) -> Answer:
    return site.app.resume(replace(site.request(url, "POST"), headers=headers or HERE), ())


def test_a_form_is_kept_shown_and_sent_on_once(site: BareSite) -> None:
    site.sign_in()
    url = resume_of(site, send(site, posted(site, [("a", "1"), ("a", "2"), ("b", "")])))
    form = shown(site, url)
    assert form.fields == [("a", "1"), ("a", "2"), ("b", "")]
    assert form.target == "/order?x=1"
    assert form.action == url
    answer = click(site, url)
    assert (answer.status, answer.location) == (307, "/order?x=1")
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert click(site, url).status == 410
    assert show(site, url).status == 410


def test_a_form_is_kept_for_an_hour(provider: Provider) -> None:
    offset = [0.0]
    store = MemoryStore(clock=lambda: time.time() + offset[0])
    with BareSite(with_apis(provider), store=store) as site:
        site.sign_in()
        url = resume_of(site, send(site, posted(site)))
        offset[0] = site.clock_offset = 3500
        assert show(site, url).status == 200
        offset[0] = site.clock_offset = 3700
        assert show(site, url).status == 410


def test_nothing_of_it_is_in_the_page_the_cookie_or_the_store(site: BareSite) -> None:
    site.sign_in()
    answer = send(site, posted(site, [("plan", "a-very-secret-plan")]))
    [cookie] = answer.cookies
    text = f"{answer.page} {cookie.value} {answer.headers} {vars(site.store)}"
    assert "very-secret" not in text
    assert cookie.name.startswith("keyfob-")
    assert (cookie.path, cookie.max_age, cookie.same_site) == ("/", 3600, "Lax")
    assert not cookie.secure
    assert "very-secret" not in repr(site.app.session(site.session))


def test_the_cookie_is_secure_where_the_site_is(provider: Provider) -> None:
    with BareSite(with_apis(provider, BASE_URL="https://site.example")) as site:
        answer = send(site, posted(site, origin="https://site.example"))
        [cookie] = answer.cookies
        assert cookie.secure


def test_two_forms_of_one_browser_are_both_kept(site: BareSite) -> None:
    site.sign_in()
    first = send(site, posted(site, [("a", "1")]))
    second = send(site, posted(site, [("a", "2")]))
    assert shown(site, resume_of(site, first)).fields == [("a", "1")]
    assert shown(site, resume_of(site, second)).fields == [("a", "2")]


def test_the_address_alone_shows_nothing(site: BareSite) -> None:
    site.sign_in()
    url = resume_of(site, send(site, posted(site)))
    thief = site.another_browser()
    thief.sign_in()
    assert show(thief, url).status == 410
    assert click(thief, url).status == 410
    thief.cookies.update(site.cookies)
    assert show(thief, url + "x").status == 410


def test_another_site_with_the_same_store_and_key_shows_nothing(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    url = resume_of(site, send(site, posted(site)))
    settings = {**with_apis(provider), "CLIENT_ID": "another-client"}
    with BareSite(settings, store=site.store) as other:
        name = f"keyfob-{other.app.cookie_site}-forms"
        other.cookies = {name: site.cookies[f"keyfob-{site.app.cookie_site}-forms"]}
        assert show(other, url).status == 410


def test_an_account_that_is_another_is_refused_and_the_form_stays(
    site: BareSite, provider: Provider
) -> None:
    from support.contract_base import GRACE

    site.sign_in()
    url = resume_of(site, send(site, posted(site, [("plan", "secret")])))
    ada, provider.person = provider.person, GRACE
    try:
        site.sign_in()
        for answer in (show(site, url), click(site, url)):
            assert answer.status == 403
            assert answer.page is not None
            assert answer.page.form is None
    finally:
        provider.person = ada
    site.sign_in()
    assert shown(site, url).fields == [("plan", "secret")]


def test_who_is_not_signed_in_any_more_is_sent_to_sign_in(site: BareSite) -> None:
    url = resume_of(site, send(site, posted(site)))
    site.session.clear()
    for answer, status in ((show(site, url), 302), (click(site, url), 303)):
        assert answer.status == status
        assert answer.location.startswith("/auth/login?next=%2Fauth%2Fresume")
        assert "api=api" in answer.location


def test_the_frameworks_own_field_is_replaced(site: BareSite) -> None:
    site.sign_in()
    fields = [("csrf", "old"), ("a", "b"), ("csrf", "older")]
    url = resume_of(site, send(site, posted(site, fields)))
    form = shown(site, url, [("csrf", "new"), ("another", "x")])
    assert form.fields == [("csrf", "new"), ("a", "b")]
    assert form.shown == [("a", "b")]


# What is not kept


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": f"https://{HOST}"},
        {"origin": "http://localhost:5001"},
        {"origin": f"http://{HOST}.evil.example"},
        {"origin": f"http://{HOST}@evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": ""},
        {"content_type": "application/json"},
        {"content_type": "text/plain"},
        {"content_type": ""},
        {"content_type": "application/x-www-form-urlencoded2"},
    ],
)
def test_what_no_form_of_ours_sent_is_not_kept(site: BareSite, headers: dict[str, str]) -> None:
    site.sign_in()
    answer = send(site, posted(site, **headers))  # type: ignore[arg-type]
    assert not is_kept(answer)
    assert answer.cookies == ()
    assert answer.page is not None
    assert answer.page.title == "Nothing was sent"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, False),
        ({"referer": f"http://{HOST}/x?y"}, True),
        ({"referer": "https://evil.example/"}, False),
        ({"origin": f"http://{HOST}"}, True),
        ({"origin": f"HTTP://{HOST.upper()}"}, True),
        ({"origin": "null", "referer": f"http://{HOST}/"}, False),
        ({"origin": "https://site.example"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"sec-fetch-site": "cross-site", "origin": f"http://{HOST}"}, False),
    ],
)
def test_which_requests_are_from_here(site: BareSite, headers: dict[str, str], ours: bool) -> None:
    request = replace(site.request("/", "POST"), headers=headers)
    assert is_from_here(request, "https://site.example/shop") is ours


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_only_posts_are_kept(site: BareSite, method: str) -> None:
    site.sign_in()
    assert not is_kept(send(site, replace(posted(site), method=method)))


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "/%2e%2e//evil.example"])
def test_a_form_for_a_hostile_path_is_not_kept(site: BareSite, path: str) -> None:
    site.sign_in()
    assert not is_kept(send(site, replace(posted(site), path=path)))


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ([("a", "x" * (MAX_BYTES - 1))], True),
        ([("a", "x" * MAX_BYTES)], False),
        ([("a", "\u20ac" * (MAX_BYTES // 3 + 1))], False),
        ([("a", "")] * MAX_FIELDS, True),
        ([("a", "")] * (MAX_FIELDS + 1), False),
        ([("a", "\udc80")], False),
        ([("\x00", "a")], False),
        ([], True),  # a form with a button and nothing else
    ],
)
def test_a_form_has_its_bounds(site: BareSite, fields: list[tuple[str, str]], kept: bool) -> None:
    site.sign_in()
    assert is_kept(send(site, posted(site, fields))) is kept


def test_a_form_that_was_read_already_is_not_taken_for_an_empty_one(site: BareSite) -> None:
    site.sign_in()
    assert not is_kept(send(site, posted(site, [], content_length="11")))
    unreadable = replace(posted(site), posted_form=lambda: None)
    assert not is_kept(send(site, unreadable))


def test_a_store_that_is_away_keeps_nothing_and_the_page_says_so(provider: Provider) -> None:
    store = FailingStore()
    with BareSite(with_apis(provider), store=store) as site:
        site.sign_in()
        url = resume_of(site, send(site, posted(site)))
        store.down = "create"
        answer = send(site, posted(site))
        assert answer.page is not None
        assert answer.page.title == "Nothing was sent"
        for call, answers in (("load", show), ("delete", click)):
            store.down = call
            away = answers(site, url)
            assert away.status == 503
            assert away.page is not None
            assert away.page.retry_url == url
        store.down = ""
        assert click(site, url).status == 307


def test_strangers_fill_no_store(site: BareSite) -> None:
    answers = [send(site, posted(site)) for _ in range(STRANGERS_FORMS + 5)]
    assert sum(map(is_kept, answers)) in (STRANGERS_FORMS, STRANGERS_FORMS + 1)
    assert not is_kept(answers[-1])
    site.sign_in()
    assert is_kept(send(site, posted(site)))


def _count_anew(site: BareSite) -> None:
    """As if no trip to the provider had been in vain."""
    site.session["_keyfob"] = {k: v for k, v in site.session["_keyfob"].items() if k != "r"}


def test_nobody_fills_the_store_either(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    answers = []
    for _ in range(PERSONS_FORMS + 5):
        answers.append(send(site, posted(site)))
        _count_anew(site)
    assert sum(map(is_kept, answers)) in (PERSONS_FORMS, PERSONS_FORMS + 1)
    assert not is_kept(answers[-1])
    other = site.another_browser()
    provider.person = replace(provider.person, sub="somebody-else")
    other.sign_in()
    assert is_kept(send(other, posted(other))), "each has their own"
    site.clock_offset = 61
    assert is_kept(send(site, posted(site)))


# What is shown


def test_secrets_are_not_shown_and_passwords_not_even_kept(site: BareSite) -> None:
    site.sign_in()
    fields = [("New-Password", "p"), ("api_token", "t"), ("pin", "1"), ("x", "y" * 100)]
    fields += [("card", "")]
    form = shown(site, resume_of(site, send(site, posted(site, fields))))
    dots = "\u2022\u2022\u2022"
    assert form.shown == [
        ("api_token", dots),
        ("pin", dots),
        ("x", "y" * 60 + "\u2026"),
        ("card", ""),
    ]
    assert form.passwords == ("New-Password",)
    assert dict(form.fields)["api_token"] == "t"
    assert "p" not in dict(form.fields).values()


def test_files_are_counted_and_told(site: BareSite) -> None:
    site.sign_in()
    answer = send(site, posted(site, files=2, content_type="multipart/form-data; boundary=x"))
    assert answer.page is not None
    assert "Files are not kept" in answer.page.advice
    form = shown(site, resume_of(site, answer))
    assert (form.files, form.enctype) == (2, "multipart/form-data")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fields=st.lists(st.tuples(TEXTS, TEXTS), max_size=30))
def test_any_form_comes_back_as_it_was(site: BareSite, fields: list[tuple[str, str]]) -> None:
    if not site.is_signed_in:
        site.sign_in("api=api")
        site.app.persons_forms = Allowances(1000, 1.0)
    answer = send(site, posted(site, fields, content_length="0" if not fields else "1"))
    _count_anew(site)
    assert is_kept(answer)
    assert answer.page is not None
    url = parse_qs(urlsplit(answer.page.retry_url).query)["next"][0]
    form = shown(site, url)
    kept = [pair for pair in fields if pair[0] not in form.passwords]
    assert form.fields == kept
    assert len(form.passwords) + len(form.fields) == len(fields)
    for pair in form.shown:
        assert all(text.isprintable() and len(text) <= 61 for text in pair)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(mark=st.text(max_size=60), cookie=st.text(max_size=60))
def test_forged_addresses_and_cookies_show_nothing(site: BareSite, mark: str, cookie: str) -> None:
    site.cookies[f"keyfob-{site.app.cookie_site}-forms"] = cookie
    request = replace(site.request("/auth/resume"), query=[("form", mark)])
    assert site.app.resume(request, ()).status == 410


def test_a_record_of_another_kind_is_no_form(site: BareSite) -> None:
    site.sign_in()
    url = resume_of(site, send(site, posted(site)))
    mark = url.rpartition("=")[2]
    browser = site.cookies[f"keyfob-{site.app.cookie_site}-forms"]
    key = f"kept form {site.app.cookie_site} {mark} {browser}"
    site.app.store.delete(key)
    for value in (b"", b"{}", b"[]", b'{"target":1}', b"\xff"):
        site.app.store.create(key, value, site.app.clock() + 60)
        assert show(site, url).status == 410


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "", "x"],
)
def test_a_record_that_leads_elsewhere_leads_nowhere(site: BareSite, target: str) -> None:
    site.sign_in()
    url = resume_of(site, send(site, posted(site)))
    mark = url.rpartition("=")[2]
    browser = site.cookies[f"keyfob-{site.app.cookie_site}-forms"]
    key = f"kept form {site.app.cookie_site} {mark} {browser}"
    record = site.app.store.load(key)
    assert record is not None
    value = record.value.replace(b"/order?x=1", json.dumps(target)[1:-1].encode())
    site.app.store.replace(key, value, record.version, site.app.clock() + 60)
    assert show(site, url).status == 410
    assert click(site, url).status == 410


def test_a_page_without_a_way_on_is_not_made_of_a_get(site: BareSite) -> None:
    site.sign_in()
    answer = send(site, site.request("/order"))
    assert answer.status == 302

"""The keys by which requests are told apart: no two people share one, and none holds a secret."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from keyfob.protocol.http import HttpRequest
from keyfob.transport.throttle_keys import exact_key, need_key, quotes_a_secret

PERSONAL = [
    "refresh_token",
    "code",
    "username",
    "user_id",
    "assertion",
    "device_code",
    "user_federated_identity_credential",
    "subject_token",
    "something_new",
]
texts = st.text(max_size=12)
forms = st.dictionaries(st.sampled_from([*PERSONAL, "scope", "client_id", "grant_type"]), texts)
HEADER_NAMES = ["X-AnchorMailbox", "Authorization", "X-New"]
headers = st.dictionaries(st.sampled_from(HEADER_NAMES), texts)


def post(form: dict[str, str], headers: dict[str, str] | None = None, **more: Any) -> HttpRequest:
    return HttpRequest("POST", "https://x", "x", headers=headers or {}, form=form, **more)


@given(forms, st.sampled_from(PERSONAL), texts, texts)
def test_two_requests_of_different_people_never_share_a_key(
    form: dict[str, str], name: str, ada: str, bob: str
) -> None:
    assume(ada != bob)
    hers, his = post({**form, name: ada}), post({**form, name: bob})
    assert need_key(hers) != need_key(his)
    assert exact_key(hers, b"") != exact_key(his, b"")


@given(forms, forms, headers, headers)
def test_requests_share_a_key_only_if_they_say_the_same(
    form: dict[str, str], other: dict[str, str], named: dict[str, str], others: dict[str, str]
) -> None:
    one, two = post(form, named), post(other, others)
    same = (form, named) == (other, others)
    assert (exact_key(one, b"") == exact_key(two, b"")) == same
    if form != other:
        assert need_key(one) != need_key(two)


@given(st.text(min_size=1), st.text(min_size=1))
def test_what_stands_in_one_member_cannot_be_moved_into_another(one: str, two: str) -> None:
    assume(one != two)
    assert need_key(post({"code": one + two})) != need_key(post({"code": one, "scope": two}))
    assert need_key(post({"code": one, "scope": two})) != need_key(
        post({"code": two, "scope": one})
    )


@given(forms, texts, texts)
def test_how_the_client_proves_itself_is_no_part_of_the_need(
    form: dict[str, str], one: str, two: str
) -> None:
    for name in ("client_secret", "client_assertion", "password"):
        assert need_key(post({**form, name: one})) == need_key(post({**form, name: two}))
        keys = {exact_key(post({**form, name: text}), b"pepper") for text in (one, two)}
        assert len(keys) == len({one, two})


def test_the_order_of_members_and_the_case_of_headers_do_not_matter() -> None:
    one = post({"a": "1", "b": "2"}, {"X-New": "x", "Accept": "y"})
    two = post({"b": "2", "a": "1"}, {"x-new": "x", "accept": "z"})
    assert need_key(one) == need_key(two)
    assert exact_key(one, b"") == exact_key(two, b"")


def test_address_query_and_method_tell_requests_apart() -> None:
    requests = [
        HttpRequest("GET", "https://x", "x"),
        HttpRequest("POST", "https://x", "x"),
        HttpRequest("GET", "https://x/y", "x"),
        HttpRequest("GET", "https://x", "x", params={"resource": "a"}),
        HttpRequest("GET", "https://x", "x", params={"resource": "b"}),
    ]
    assert len({need_key(request) for request in requests}) == len(requests)


@given(st.text(min_size=1))
def test_half_characters_fail_nowhere(text: str) -> None:
    request = post({"code": text + "\ud800", "password": "\udfff"}, {"Authorization": "Basic é"})
    assert need_key(request).isascii()
    assert exact_key(request, b"pepper").isascii()
    assert not quotes_a_secret(request, b"")

"""What a provider, a cache file or a federated server may do, and what must not come of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import keyfob
from keyfob import PublicClientApplication, SerializableTokenCache
from keyfob.cache.access_token import read_access_token
from keyfob.cache.entries import epoch
from keyfob.errors import FederationError, SubjectChangedError
from keyfob.flows.client import Client
from keyfob.flows.provider import Provider as KnownProvider
from keyfob.flows.silent import _judge_account
from keyfob.protocol.authority import microsoft_authority
from keyfob.protocol.http import HttpRequest, HttpResponse, strict_json
from keyfob.protocol.wstrust import _V13, TrustEndpoint, parse_trust_response
from keyfob.transport import HttpCache
from keyfob.transport.throttle_keys import quotes_a_secret
from support import verbs
from support.federated_server import SAML11, WST13
from support.provider import Provider
from support.sign_in import application, signed_in

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize("body", [b'{"a": "s3cret', b"\xffs3cret", b'"s3cret\\ud800"', b"NaN"])
def test_what_is_no_json_hangs_on_no_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="it ") as caught:
        strict_json(body)
    assert caught.value.__context__ is None
    assert "s3cret" not in repr(vars(caught.value)) + repr(caught.value)


def test_a_correlation_id_is_a_guid_or_nothing() -> None:
    def found(**headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return HttpResponse(503, named, b"").correlation_id

    assert found(client_request_id=GUID) == GUID
    assert found(client_request_id="s3cret", x_ms_request_id=GUID.upper()) == GUID.upper()
    assert found(x_ms_request_id=f"{GUID} s3cret") == ""
    assert found() == ""


@pytest.mark.parametrize(
    "body",
    [
        b"s3cret &\"'<~/+", b"s3cret%20%26%22%27%3C~/%2B", b"s3cret+%26%22%27%3C~%2F%2B",
        b"s3cret &amp;&quot;&#x27;&lt;~/+", b's3cret &\\"\'<~/+',
    ],
)  # fmt: skip
def test_an_answer_that_quotes_a_secret_in_another_spelling_is_not_kept(body: bytes) -> None:
    form = {"grant_type": "x", "assertion": "s3cret &\"'<~/+"}
    request = HttpRequest("POST", "https://idp.example/token", "x", form=form)
    assert quotes_a_secret(request, b"you sent: " + body)
    assert not quotes_a_secret(request, b"you sent: nothing")


def test_an_access_token_in_the_index_does_not_show() -> None:
    read = read_access_token({"secret": "s3cret", "expires_on": "5", "target": "a"})
    assert "s3cret" not in repr(read)


@pytest.mark.parametrize("kind", ["adfs", "dstsv2/common"])
def test_a_refresh_of_another_subject_where_nobody_is_named_but_by_it(kind: str) -> None:
    """AD FS and dSTS send no client_info, and there may be no earlier ID token to compare with."""
    provider = KnownProvider(microsoft_authority(f"https://sts.contoso.example/{kind}"))
    client = Client("client", provider, SerializableTokenCache())
    tokens: dict[str, Any] = {"id_token": "x", "id_token_claims": {"sub": "somebody-else"}}
    with pytest.raises(SubjectChangedError):
        _judge_account(client, tokens, "ada", None)
    _judge_account(client, {**tokens, "id_token_claims": {"sub": "ada"}}, "ada", None)
    # Where an ID token was at hand, this one was compared with that.
    _judge_account(client, tokens, "ada", {"sub": "somebody-else"})


@pytest.mark.parametrize("text", ["9" * 400, "1" + "0" * 15, 10**400, 1e308, float("inf")])
def test_the_end_of_time_is_no_time(text: Any) -> None:
    assert epoch(text) is None


@pytest.mark.parametrize("text", ["9" * 400, "9" * 5000, "inf", "nan", "-1", "", "1e400"])
def test_a_cache_file_with_an_impossible_time_serves_nothing_and_breaks_nothing(text: str) -> None:
    with verbs.provider() as provider:
        app = verbs.application(keyfob, "ConfidentialClientApplication", provider)
        app.token_cache = SerializableTokenCache()
        first = app.acquire_token_for_client(verbs.OWN_SCOPE)
        document = json.loads(app.token_cache.serialize())
        [entry] = document["AccessToken"].values()
        entry["expires_on"] = text
        app.token_cache.deserialize(json.dumps(document))
        again = app.acquire_token_for_client(verbs.OWN_SCOPE)
        assert again["access_token"] != first["access_token"]
        app.close()


def test_an_assertion_with_nothing_in_it_is_none() -> None:
    body = (
        f'<e xmlns:t="{WST13}"><t:RequestSecurityTokenResponse><t:TokenType>{SAML11}</t:TokenType>'
        "<t:RequestedSecurityToken><a/></t:RequestedSecurityToken>"
        "</t:RequestSecurityTokenResponse></e>"
    )
    endpoint = TrustEndpoint("https://sts.example", _V13)
    with pytest.raises(FederationError, match="without an assertion"):
        parse_trust_response(HttpResponse(200, {}, body.encode()), endpoint)


def test_msals_own_guide_begins_as_it_is_printed() -> None:
    app = PublicClientApplication(
        "your_client_id",
        authority="https://login.microsoftonline.com/Enter_the_Tenant_Name_Here",
    )
    assert app.get_accounts() == []
    app.close()


def test_an_account_of_another_provider_is_nobody_here() -> None:
    """Two providers may both have a person with the subject 1."""
    with Provider() as provider:
        app = application(provider)
        account = signed_in(app, ["email"])
        assert app.acquire_token_silent(["email"], account)
        stranger = {**account, "environment": "idp.example"}
        assert app.acquire_token_silent(["email"], stranger) is None
        assert app.acquire_token_silent_with_error(["email"], stranger) is None
        assert app.token_at_hand(["email"], stranger) is None
        app.remove_account(stranger)
        assert app.get_accounts() == [account]
        # MSAL's callers may keep the id alone.
        assert app.acquire_token_silent(["email"], {"home_account_id": account["home_account_id"]})
        app.close()


class Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = object.__hash__


@pytest.mark.parametrize(
    "value",
    [
        ("keyfob.http", 10**400, 200, (), b"", "u"),
        (Hostile(),) * 6,
        ("keyfob.http", Hostile(), 200, (), b"", "u"),
        ("keyfob.http", 1e9 + 5, 200, ((1, 2, 3),), b"", "u"),
    ],
    ids=["no float", "hostile", "hostile time", "odd headers"],
)
def test_what_somebody_else_left_in_an_http_cache_is_passed_over(value: Any) -> None:
    mapping: dict[str, Any] = {"keyfob:1:theirs": value}
    cache = HttpCache(mapping, clock=lambda: 1e9)
    assert cache.get("keyfob:1:theirs", 1e10) is None
    cache.put("keyfob:1:ours", HttpResponse(200, {}, b"x"), 5)
    assert cache.get("keyfob:1:ours", 10) is not None

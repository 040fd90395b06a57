"""Nothing secret in a repr, a message or a log."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from keyfob.cache import TokenCache
from keyfob.errors import KeyfobError
from keyfob.flows.client import Client
from keyfob.flows.provider import Provider as KnownProvider
from keyfob.protocol.authority import oidc_authority
from keyfob.protocol.authorization import AuthorizationCode
from keyfob.protocol.client_auth import ClientSecret
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.protocol.id_token import Expectations, SignedIdToken, UnverifiedIdToken
from keyfob.transport import HttpClientTransport, RequestsTransport
from support.provider import Provider
from support.provider_http import Reply, drop
from support.sign_in import REDIRECT_URI, application, come_back, sign_in

SECRET = "s3cret"
METADATA: Any = None
CLIENT = Client(
    "client",
    KnownProvider(oidc_authority("https://idp.example")),
    TokenCache(),
    ClientSecret("client", SECRET),
)


class Session:
    get = post = lambda self: None

    def __repr__(self) -> str:
        return SECRET


@pytest.mark.parametrize(
    "value",
    [
        ClientSecret("client", SECRET),
        CLIENT,
        CLIENT.provider,
        AuthorizationCode(SECRET, SECRET),
        HttpRequest(
            "POST", "https://x", "x", {"a": SECRET}, {"Authorization": SECRET}, {"b": SECRET}
        ),
        HttpResponse(200, {"a": SECRET}, SECRET.encode()),
        UnverifiedIdToken(SECRET, "RS256", "k"),
        SignedIdToken({"sub": SECRET}, "RS256", None),
        Expectations("c", METADATA, 0.0, access_token=SECRET, code=SECRET, previous={"a": SECRET}),
        RequestsTransport(proxies={"https": f"http://user:{SECRET}@proxy.example"}),
        HttpClientTransport(Session()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_repr_tells_no_secret(value: object) -> None:
    assert SECRET not in repr(value) + str(value) + f"{value!r:>5}"
    assert type(value).__name__ in repr(value)


def test_a_whole_life_leaves_no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    with Provider(extra_claims={"name": "Ada"}) as provider:
        app = application(provider)
        result = sign_in(app, ["email"])
        account = app.get_accounts()[0]
        renewed = app.acquire_token_silent(["email"], account, force_refresh=True) or {}
        flow = app.initiate_auth_code_flow([], redirect_uri=REDIRECT_URI)
        response = come_back(flow["auth_uri"])
        secrets = [provider.client_secret, flow["code_verifier"], flow["nonce"], response["code"]]
        for found in (result, renewed):
            secrets += [found[name] for name in ("access_token", "refresh_token", "id_token")]
        # What the test's own HTTP client logged of the browser's way is not ours.
        kept = [r for r in caplog.records if "/authorize" not in r.getMessage()]

        caplog.clear()
        failures: list[Any] = [drop, Reply(503, {}, b""), Reply(200, {}, b"<"), Reply(302, {}, b"")]
        for failure in failures:
            provider.raw["token"] = lambda _, failure=failure: failure
            for call in (
                lambda: app.acquire_token_by_auth_code_flow(flow, response),
                lambda: app.acquire_token_silent(["email"], account, force_refresh=True),
                lambda: app.acquire_token_for_client(["api"]),
            ):
                with pytest.raises(KeyfobError) as caught:
                    call()
                told += traceback.format_exception(caught.value)
                told += [repr(caught.value), repr(caught.value.__dict__)]
        with pytest.raises(KeyfobError) as mismatch:
            app.acquire_token_by_auth_code_flow(flow, {**response, "state": "other"})
        told += [str(mismatch.value), repr(app), repr(app.token_cache), repr(app.__dict__)]
        app.close()
    told += [record.getMessage() for record in [*kept, *caplog.records]]
    text = "\n".join(told)
    assert "HTTP 200" in text
    assert [secret for secret in secrets if secret in text] == []
    assert flow["state"] not in text

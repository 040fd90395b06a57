"""Azure Cloud Shell: the token of the person who sits there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.cache import TokenCache
from keyfob.errors import (
    ConfigurationError,
    KeyfobError,
    ProviderUnavailable,
    TokenResponseError,
)
from keyfob.flows import cloud_shell as flows
from keyfob.protocol.http import HttpResponse
from keyfob.protocol.managed_identity import cloud_shell
from keyfob.transport import run
from support.managed_identity import Endpoint, Redirected, reply
from support.provider_jose import b64, dumps

SCOPE = "https://management.azure.com/.default"
HOST = "login.microsoftonline.com"


def jwt(**claims: Any) -> str:
    return f"{b64(dumps({'alg': 'none'}))}.{b64(dumps(claims))}.c2ln"


ADA = jwt(iss="i", sub="s", oid="o", tid="t", iat=1, exp=2, unique_name="ada@example.com")
TOKEN = {"access_token": ADA, "token_type": "Bearer", "expires_in": "3600"}


class Shell:
    def __init__(self) -> None:
        self.endpoint = Endpoint()
        self.endpoint.answer(reply(TOKEN))
        self.transport = Redirected(self.endpoint.url)
        self.cache = TokenCache()

    def fetch(self, scopes: Any = (SCOPE,), **options: Any) -> dict[str, Any]:
        flow = flows.acquire(
            list(scopes),
            client_id="client",
            environment=HOST,
            realm="organizations",
            cache=self.cache,
            **options,
        )
        return run(flow, self.transport)

    def accounts(self) -> list[dict[str, Any]]:
        return self.cache.accounts([HOST], authority_types=[flows.AUTHORITY_TYPE])


@pytest.fixture
def shell() -> Iterator[Shell]:
    found = Shell()
    yield found
    found.transport.close()
    found.endpoint.close()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"AZUREPS_HOST_ENVIRONMENT": "cloud-shell/1.0"}, True),
        ({"AZUREPS_HOST_ENVIRONMENT": "x"}, False),
    ],
)
def test_it_is_known_by_its_environment(environ: dict[str, str], expected: bool) -> None:
    assert cloud_shell.is_cloud_shell(environ) is expected


@pytest.mark.parametrize(
    ("scope", "resource"),
    [
        ("https://graph.microsoft.com/User.Read", "https://graph.microsoft.com"),
        ("https://management.core.windows.net//.default", "https://management.core.windows.net/"),
        ("https://analysis.windows.net/powerbi/api/.default",
         "https://analysis.windows.net/powerbi/api"),
        ("https://pas.windows.net/CheckMyAccess/Linux/.default",
         "https://pas.windows.net/CheckMyAccess/Linux/.default"),
        ("00000003-0000-0000-c000-000000000000/.default", "00000003-0000-0000-c000-000000000000"),
        ("api://app/scope", "api://app"),
        ("User.Read", "User.Read"),
    ],
)  # fmt: skip
def test_a_scope_is_named_by_its_resource(scope: str, resource: str) -> None:
    assert cloud_shell.resource_for(scope) == resource


def test_the_token_comes_and_the_account_is_known(shell: Shell) -> None:
    found = shell.fetch()
    assert found == {
        "access_token": ADA,
        "token_type": "Bearer",
        "expires_in": 3600,
        "token_source": "broker",
    }
    [request] = shell.endpoint.requests
    assert request.method == "POST"
    assert request.form == {"resource": "https://management.azure.com"}
    assert request.headers["metadata"] == "true"
    assert shell.transport.asked[0].url == "http://localhost:50342/oauth2/token"
    [account] = shell.accounts()
    assert account["home_account_id"] == "o.t"
    assert account["username"] == "ada@example.com"
    [entry] = shell.cache.search("AccessToken")
    assert (entry["target"], entry["realm"]) == (SCOPE, "organizations")
    assert not list(shell.cache.search("IdToken"))


def test_several_scopes_of_one_resource_name_it_once(shell: Shell) -> None:
    shell.fetch(["https://a.example/x", "https://a.example/y"])
    assert shell.endpoint.requests[0].form == {"resource": "https://a.example"}


def test_an_ssh_certificate_can_be_asked_for(shell: Shell) -> None:
    shell.endpoint.answer(reply({**TOKEN, "access_token": "cert", "token_type": "ssh-cert"}))
    data = {"token_type": "ssh-cert", "key_id": "k", "req_cnf": "{}"}
    assert shell.fetch(data=data)["token_type"] == "ssh-cert"
    assert shell.endpoint.requests[0].form.items() >= data.items()
    [account] = shell.accounts()
    assert (account["home_account_id"], account["username"]) == (
        "user.cloudshell",
        "currentuser@cloudshell",
    )


def test_a_portal_that_gives_none_is_an_error(shell: Shell) -> None:
    found = shell.fetch(data={"token_type": "ssh-cert"})
    assert found["error"] == "broker_error"
    assert "ssh-cert" in found["error_description"]
    assert shell.accounts() == []


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (400, {"error": {"code": "AudienceNotSupported", "message": "m"}},
         {"error": "AudienceNotSupported", "error_description": "m"}),
        (500, {"error": {"code": "x"}}, {"error": "x"}),
        (400, {"error": "x"}, {"error": "x"}),
        (400, {}, {"error": "invalid_request"}),
    ],
)  # fmt: skip
def test_a_refusal_is_returned(shell: Shell, status: int, document: Any, expected: Any) -> None:
    shell.endpoint.answer(reply(document, status))
    assert shell.fetch() == expected
    assert shell.accounts() == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(b"<html>"), TokenResponseError),
        (reply({}), TokenResponseError),
        (reply({**TOKEN, "expires_in": "soon"}), TokenResponseError),
        (reply({}, 503), ProviderUnavailable),
    ],
)
def test_what_makes_no_sense_is_an_error(
    shell: Shell, answer: Any, kind: type[KeyfobError]
) -> None:
    shell.endpoint.answer(answer)
    with pytest.raises(kind, match=r"(?i)cloud shell"):
        shell.fetch()
    assert shell.accounts() == []


@pytest.mark.parametrize("scopes", [["openid"], ["a b"], [1]])
def test_scopes_are_judged(shell: Shell, scopes: Any) -> None:
    with pytest.raises(ConfigurationError):
        shell.fetch(scopes)
    assert shell.endpoint.requests == []


@given(
    document=st.dictionaries(
        st.sampled_from("access_token expires_in token_type refresh_token error".split()),
        st.none() | st.text(max_size=5) | st.integers() | st.lists(st.none(), max_size=1),
    ),
    status=st.sampled_from([200, 400, 500]),
)
def test_whatever_answers_gives_a_token_a_refusal_or_one_of_our_errors(
    document: Any, status: int
) -> None:
    response = HttpResponse(status, {}, json.dumps(document).encode())
    try:
        found = cloud_shell.parse_answer(response)
    except KeyfobError:
        return
    assert ("error" in found) != ("access_token" in found)

"""Service Fabric: a server that is known by its certificate's thumbprint, and by nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from keyfob.errors import (
    ConfigurationError,
    ManagedIdentityError,
    ProviderUnavailable,
    ProviderUnreachable,
    TokenResponseError,
)
from keyfob.managed_identity import (
    ManagedIdentityClient,
    SystemAssignedManagedIdentity,
    UserAssignedManagedIdentity,
)
from keyfob.protocol.http import HttpRequest
from keyfob.transport import HttpClientTransport, RequestsTransport
from support.managed_identity import RESOURCE, VARIABLES, Endpoint, reply
from support.tls import self_signed

SYSTEM = SystemAssignedManagedIdentity()
TOKEN = {"access_token": "at", "token_type": "Bearer", "expires_on": 4102444800}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A certificate that nobody vouches for, and its thumbprint."""
    files = self_signed(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    der = ssl.PEM_cert_to_DER_cert(Path(files[0]).read_text())
    return context, hashlib.sha1(der).hexdigest()


@pytest.fixture
def fabric(
    certificate: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Endpoint]:
    context, thumbprint = certificate
    endpoint = Endpoint(context)
    endpoint.answer(reply(TOKEN))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/metadata/identity/oauth2/token")
    monkeypatch.setenv("IDENTITY_HEADER", "s3cret")
    monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", thumbprint)
    yield endpoint
    endpoint.close()


@pytest.fixture
def client(fabric: Endpoint) -> Iterator[ManagedIdentityClient]:
    found = ManagedIdentityClient(SYSTEM)
    yield found
    found.close()


def test_the_secret_goes_to_the_server_with_that_certificate(
    client: ManagedIdentityClient, fabric: Endpoint
) -> None:
    found = client.acquire_token_for_client(resource=RESOURCE)
    assert (found["access_token"], found["token_source"]) == ("at", "identity_provider")
    [request] = fabric.requests
    assert (request.method, request.path) == ("GET", "/metadata/identity/oauth2/token")
    assert request.query == {"api-version": "2019-07-01-preview", "resource": RESOURCE}
    assert request.headers["secret"] == "s3cret"
    assert client.acquire_token_for_client(resource=RESOURCE)["token_source"] == "cache"


def test_another_certificate_gets_nothing(
    client: ManagedIdentityClient, fabric: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", "0" * 40)
    with pytest.raises(ProviderUnreachable) as caught:
        client.acquire_token_for_client(resource=RESOURCE)
    assert caught.value.code == "certificate"
    assert "expected" in str(caught.value)
    assert fabric.requests == []


def test_a_thumbprint_is_read_as_people_copy_it(
    client: ManagedIdentityClient,
    certificate: tuple[ssl.SSLContext, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = [certificate[1].upper()[i : i + 2] for i in range(0, 40, 2)]
    monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", f" {':'.join(pairs)}\n")
    assert "access_token" in client.acquire_token_for_client(resource=RESOURCE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IDENTITY_SERVER_THUMBPRINT", "bar"),
        ("IDENTITY_SERVER_THUMBPRINT", "0" * 64),
        ("IDENTITY_SERVER_THUMBPRINT", "g" * 40),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token"),
        ("IDENTITY_ENDPOINT", "https://"),
        ("IDENTITY_HEADER", "s3cret\nX: y"),
    ],
)
def test_a_variable_that_cannot_be_is_named(
    client: ManagedIdentityClient,
    fabric: Endpoint,
    name: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ManagedIdentityError, match=name) as caught:
        client.acquire_token_for_client(resource=RESOURCE)
    assert caught.value.source == "Azure Service Fabric"
    assert "s3cret" not in str(caught.value)
    assert fabric.requests == []


def test_the_cluster_says_which_identity_it_is(fabric: Endpoint) -> None:
    client = ManagedIdentityClient(UserAssignedManagedIdentity(client_id="foo"))
    client.acquire_token_for_client(resource=RESOURCE)
    assert set(fabric.requests[0].query) == {"api-version", "resource"}
    client.close()


def test_capabilities_and_the_refused_token_are_told(fabric: Endpoint) -> None:
    client = ManagedIdentityClient(SYSTEM, client_capabilities=["CP1", "CP2"])
    client.acquire_token_for_client(resource=RESOURCE, claims_challenge="foo")
    client.acquire_token_for_client(resource=RESOURCE, claims_challenge="foo")
    first, second = (request.query for request in fabric.requests)
    assert first["xms_cc"] == second["xms_cc"] == "CP1,CP2"
    assert "token_sha256_to_refresh" not in first, "there was none"
    assert second["token_sha256_to_refresh"] == hashlib.sha256(b"at").hexdigest()
    client.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SecretHeaderNotFound", "unauthorized_client"),
        ("ManagedIdentityNotFound", "invalid_client"),
        ("ArgumentNullOrEmpty", "invalid_scope"),
        ("InvalidApiVersion", "invalid_request"),
        (["x"], "invalid_request"),
        (None, "invalid_request"),
    ],
)
def test_its_refusals_have_oauths_names(
    client: ManagedIdentityClient, fabric: Endpoint, code: Any, expected: str
) -> None:
    refusal = reply({"error": {"correlationId": "c", "code": code, "message": "m"}}, 404)
    fabric.answer(refusal)
    found = client.acquire_token_for_client(resource=RESOURCE)
    assert found == {"error": expected, "error_description": refusal.body.decode()}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"error": {"code": "InternalServerError"}}, 500), ProviderUnavailable),
        (reply(b"<html>"), TokenResponseError),
        (reply({}), TokenResponseError),
    ],
)
def test_other_failures_are_errors(
    client: ManagedIdentityClient, fabric: Endpoint, answer: Any, kind: type[Exception]
) -> None:
    fabric.answer(answer)
    with pytest.raises(kind, match=r"(?i)service fabric"):
        client.acquire_token_for_client(resource=RESOURCE)
    assert len(fabric.requests) == 1


def test_with_a_requests_session_the_certificate_is_held_to_as_well(
    fabric: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with requests.Session() as session:
        session.verify = False
        client = ManagedIdentityClient(SYSTEM, http_client=session)
        assert "access_token" in client.acquire_token_for_client(resource=RESOURCE)
        monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", "0" * 40)
        with pytest.raises(ProviderUnreachable):
            client.acquire_token_for_client(resource="other")
        client.close()
    assert len(fabric.requests) == 1


def test_another_http_client_cannot_promise_it(fabric: Endpoint) -> None:
    class Other:
        def get(self, *_: Any, **__: Any) -> Any:
            raise AssertionError

        def close(self) -> None: ...

    client = ManagedIdentityClient(SYSTEM, http_client=Other())
    with pytest.raises(ManagedIdentityError, match=r"requests\.Session") as caught:
        client.acquire_token_for_client(resource=RESOURCE)
    assert caught.value.code == "cannot_pin"
    assert fabric.requests == []


class TestTransport:
    @pytest.fixture
    def request_to(self, fabric: Endpoint, certificate: Any) -> HttpRequest:
        return HttpRequest("GET", fabric.url, "the endpoint", fingerprint=certificate[1])

    def test_one_transport_holds_to_several_certificates_and_to_none(
        self, request_to: HttpRequest, fabric: Endpoint, tmp_path: Path
    ) -> None:
        transport = RequestsTransport(timeout=5)
        for _ in range(2):
            assert transport.send(request_to).status == 200
            for other in ("0" * 40, None):
                with pytest.raises(ProviderUnreachable) as caught:
                    transport.send(dataclasses.replace(request_to, fingerprint=other))
                assert caught.value.code == "certificate"
            transport.close()
        assert len(fabric.requests) == 2

    def test_what_vouches_for_it_elsewhere_does_not_count(
        self, request_to: HttpRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = self_signed(tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files[0]))
        for verify in (True, False, str(files[0])):
            transport = RequestsTransport(verify=verify)
            assert transport.send(request_to).status == 200
            with pytest.raises(ProviderUnreachable):
                transport.send(dataclasses.replace(request_to, fingerprint="1" * 40))
            transport.close()

    def test_plain_http_has_no_certificate_and_gets_nothing(self) -> None:
        endpoint = Endpoint()
        endpoint.answer(reply({}))
        transport = RequestsTransport()
        with pytest.raises(ProviderUnreachable):
            transport.send(HttpRequest("GET", endpoint.url, "x", fingerprint="0" * 40))
        transport.close()
        endpoint.close()
        assert endpoint.requests == []

    def test_a_transport_that_cannot_do_it_says_so(self, request_to: HttpRequest) -> None:
        with pytest.raises(ConfigurationError):
            HttpClientTransport(object()).send(request_to)

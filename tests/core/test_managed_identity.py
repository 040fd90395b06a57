"""Managed identity: which identity, which source, what is sent, what comes back, what is kept."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keyfob
from keyfob.cache import TokenCache
from keyfob.errors import (
    AnswerRefused,
    ConfigurationError,
    KeyfobError,
    ManagedIdentityError,
    ProviderUnavailable,
    ProviderUnreachable,
    TokenResponseError,
)
from keyfob.managed_identity import (
    APP_SERVICE,
    AZURE_ARC,
    CLOUD_SHELL,
    DEFAULT_TO_VM,
    MACHINE_LEARNING,
    SERVICE_FABRIC,
    ManagedIdentityClient,
    UserAssignedManagedIdentity,
    get_managed_identity_source,
)
from keyfob.protocol.http import HttpResponse
from keyfob.protocol.managed_identity import (
    app_service,
    imds,
    machine_learning,
    service_fabric,
)
from support.managed_identity import (
    RESOURCE,
    SHORT,
    SYSTEM,
    TOKEN,
    VARIABLES,
    Endpoint,
    clients,
    machine,
    reply,
)
from support.provider_http import drop, endless, hang, redirect

SOURCES = ["imds", "app_service", "machine_learning"]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    found.answer(reply(SHORT))
    yield found
    found.close()


@pytest.fixture
def at(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with clients(endpoint, monkeypatch) as make:
        yield make


class TestIdentity:
    def test_the_classes_are_msals_dicts(self) -> None:
        assert SYSTEM == {"ManagedIdentityIdType": "SystemAssigned", "Id": None}
        for name, kind in (
            ("client_id", "ClientId"),
            ("resource_id", "ResourceId"),
            ("object_id", "ObjectId"),
        ):
            found = UserAssignedManagedIdentity(**{name: "x"})
            assert json.loads(json.dumps(found)) == {"ManagedIdentityIdType": kind, "Id": "x"}

    @pytest.mark.parametrize("names", [{}, {"client_id": ""}, {"client_id": "a", "object_id": "b"}])
    def test_a_user_assigned_one_has_exactly_one_name(self, names: Any) -> None:
        with pytest.raises(ManagedIdentityError, match="exactly one"):
            UserAssignedManagedIdentity(**names)

    @pytest.mark.parametrize(
        "given",
        [
            None,
            "SystemAssigned",
            {},
            {"foo": "bar"},
            {"ManagedIdentityIdType": "undefined", "Id": "x"},
            {"ManagedIdentityIdType": "ClientId"},
            {"ManagedIdentityIdType": "ClientId", "Id": None},
            {"ManagedIdentityIdType": "ClientId", "Id": " "},
            {"ManagedIdentityIdType": ["ClientId"], "Id": "x"},
            {"ManagedIdentityIdType": "ClientId", "Id": 7},
        ],
    )
    def test_what_is_none_is_refused_at_once(self, given: Any) -> None:
        with pytest.raises(ManagedIdentityError, match="managed_identity is"):
            ManagedIdentityClient(given)

    def test_a_client_names_its_identity_and_does_nothing_else(self) -> None:
        client = ManagedIdentityClient({"ManagedIdentityIdType": "ClientId", "Id": "x"})
        assert repr(client) == "<ManagedIdentityClient x>"
        assert repr(keyfob.ManagedIdentityClient(SYSTEM)).endswith("SystemAssigned>")

    @pytest.mark.parametrize("given", ["CP1", [1], ["a,b"], [""], {"a": 1}])
    def test_capabilities_are_a_list(self, given: Any) -> None:
        with pytest.raises(ConfigurationError, match="capabilit"):
            ManagedIdentityClient(SYSTEM, client_capabilities=given)

    @pytest.mark.parametrize("resource", [None, "", "a b", "a\r\nb", 1, ["a"], "ä"])
    def test_a_resource_is_one_name(self, at: Any, endpoint: Endpoint, resource: Any) -> None:
        with pytest.raises(ConfigurationError, match="resource is"):
            at("imds").acquire_token_for_client(resource=resource)
        assert endpoint.requests == []

    def test_a_claims_challenge_is_a_text(self, at: Any, endpoint: Endpoint) -> None:
        with pytest.raises(ConfigurationError, match="claims"):
            at("imds").acquire_token_for_client(resource="r", claims_challenge={"a": 1})
        assert endpoint.requests == []


IDENTITY = {"IDENTITY_ENDPOINT": "http://localhost", "IDENTITY_HEADER": "foo"}


class TestDetection:
    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({}, DEFAULT_TO_VM),
            ({**IDENTITY, "IDENTITY_SERVER_THUMBPRINT": "x"}, SERVICE_FABRIC),
            (IDENTITY, APP_SERVICE),
            ({**IDENTITY, "IDENTITY_SERVER_THUMBPRINT": ""}, APP_SERVICE),
            ({**IDENTITY, "MSI_ENDPOINT": "x", "MSI_SECRET": "x"}, APP_SERVICE),
            ({**IDENTITY, "IMDS_ENDPOINT": "x"}, APP_SERVICE),
            ({"MSI_ENDPOINT": "x", "MSI_SECRET": "x"}, MACHINE_LEARNING),
            ({"MSI_ENDPOINT": "x"}, DEFAULT_TO_VM),
            ({"IDENTITY_ENDPOINT": "x", "IMDS_ENDPOINT": "x"}, AZURE_ARC),
            ({"IDENTITY_ENDPOINT": "x"}, DEFAULT_TO_VM),
            ({"AZUREPS_HOST_ENVIRONMENT": "cloud-shell/1.0"}, CLOUD_SHELL),
            ({"AZUREPS_HOST_ENVIRONMENT": "elsewhere"}, DEFAULT_TO_VM),
            ({"AZUREPS_HOST_ENVIRONMENT": "cloud-shell", "MSI_ENDPOINT": "x"}, CLOUD_SHELL),
        ],
    )
    def test_the_environment_tells_the_source(self, environ: Any, expected: Any) -> None:
        assert machine(environ).source(environ) is expected

    @pytest.mark.parametrize(
        ("platform", "environ", "path"),
        [
            ("linux", {}, "/opt/azcmagent/bin/himds"),
            (
                "win32",
                {"PROGRAMFILES": r"C:\Program Files"},
                r"C:\Program Files\AzureConnectedMachineAgent\himds.exe",
            ),
        ],
    )
    def test_azure_arcs_agent_tells_it_too(self, platform: str, environ: Any, path: str) -> None:
        looked: list[str] = []

        def exists(name: str) -> bool:
            looked.append(name)
            return True

        found = machine(environ, platform=platform, exists=exists)
        assert found.source(environ) is AZURE_ARC
        assert looked == [path]
        assert found.source({**environ, **IDENTITY}) is APP_SERVICE

    def test_other_systems_have_no_agent(self) -> None:
        found = machine({}, platform="darwin", exists=lambda _: True)
        assert found.source({}) is DEFAULT_TO_VM

    def test_this_machine_can_be_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in IDENTITY.items():
            monkeypatch.setenv(name, value)
        assert get_managed_identity_source() is APP_SERVICE

    def test_cloud_shell_has_no_identity_of_its_own(
        self, at: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZUREPS_HOST_ENVIRONMENT", "cloud-shell/1.0")
        with pytest.raises(ManagedIdentityError, match="acquire_token_interactive") as caught:
            at("imds").acquire_token_for_client(resource=RESOURCE)
        assert caught.value.source == "Azure Cloud Shell"
        assert endpoint.requests == []


#: Per source: the path, the parameters beside resource, the headers, and what names an identity.
REQUESTS: dict[str, tuple[str, dict[str, str], dict[str, str], tuple[str, str, str]]] = {
    "imds": (
        "/metadata/identity/oauth2/token",
        {"api-version": "2018-02-01"},
        {"metadata": "true", "x-client-sku": "Keyfob.Python"},
        ("client_id", "msi_res_id", "object_id"),
    ),
    "app_service": (
        "/msi/token",
        {"api-version": "2019-08-01"},
        {"metadata": "true", "x-identity-header": "h3ader"},
        ("client_id", "mi_res_id", "object_id"),
    ),
    "machine_learning": (
        "/ml",
        {"api-version": "2017-09-01"},
        {"secret": "s3cret"},
        ("clientid", "msi_res_id", "object_id"),
    ),
}


class TestRequest:
    @pytest.mark.parametrize("source", SOURCES)
    def test_each_source_is_asked_in_its_own_way(
        self, at: Any, endpoint: Endpoint, source: str
    ) -> None:
        path, params, headers, _ = REQUESTS[source]
        found = at(source).acquire_token_for_client(resource=RESOURCE)
        assert found == {
            **TOKEN,
            "expires_in": 3600,
            "token_source": "identity_provider",
        }
        [request] = endpoint.requests
        assert (request.method, request.path) == ("GET", path)
        assert request.query == {**params, "resource": RESOURCE}
        assert headers.items() <= request.headers.items()

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("kind", [0, 1, 2])
    def test_a_user_assigned_identity_is_named(
        self, at: Any, endpoint: Endpoint, source: str, kind: int
    ) -> None:
        argument = ("client_id", "resource_id", "object_id")[kind]
        _, params, _, names = REQUESTS[source]
        at(source, UserAssignedManagedIdentity(**{argument: "/the/id"})).acquire_token_for_client(
            resource=RESOURCE
        )
        [request] = endpoint.requests
        assert request.query == {**params, "resource": RESOURCE, names[kind]: "/the/id"}

    def test_two_requests_to_imds_can_be_told_apart(self, at: Any, endpoint: Endpoint) -> None:
        client = at("imds")
        for resource in ("a", "b"):
            client.acquire_token_for_client(resource=resource)
        assert len({r.headers["x-ms-client-request-id"] for r in endpoint.requests}) == 2

    @pytest.mark.parametrize("source", SOURCES)
    def test_no_proxy_comes_in_between(
        self, at: Any, endpoint: Endpoint, source: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert "access_token" in at(source).acquire_token_for_client(resource=RESOURCE)
        import requests

        with requests.Session() as session:
            client = at(source, http_client=session)
            assert "access_token" in client.acquire_token_for_client(resource=RESOURCE)

    @pytest.mark.parametrize(
        ("source", "name", "value"),
        [
            ("imds", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "nowhere"),
            ("app_service", "IDENTITY_ENDPOINT", "file:///etc/passwd"),
            ("app_service", "IDENTITY_HEADER", "s3cret\nX-Other: 1"),
            ("machine_learning", "MSI_ENDPOINT", "http://user@host/"),
            ("machine_learning", "MSI_SECRET", "s3crét"),
        ],
    )
    def test_a_variable_that_cannot_be_is_named_and_its_secret_is_not(
        self, at: Any, source: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = at(source)
        monkeypatch.setenv(name, value)
        with pytest.raises(ManagedIdentityError, match=name) as caught:
            client.acquire_token_for_client(resource=RESOURCE)
        assert caught.value.source
        assert "s3cr" not in str(caught.value)


class TestLifetime:
    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("as_text", [True, False])
    def test_an_end_serves_as_well_as_a_life(
        self, at: Any, endpoint: Endpoint, source: str, as_text: bool
    ) -> None:
        end: Any = int(time.time()) + 5000
        endpoint.answer(reply({**TOKEN, "expires_on": str(end) if as_text else end}))
        found = at(source).acquire_token_for_client(resource=RESOURCE)
        assert 4900 < found["expires_in"] <= 5000
        assert "refresh_on" not in found

    def test_an_end_that_is_past_is_no_life(self, at: Any, endpoint: Endpoint) -> None:
        endpoint.answer(reply({"access_token": "at", "expires_on": 12345}))
        client = at("app_service")
        found = client.acquire_token_for_client(resource=RESOURCE)
        assert (found["expires_in"], found["resource"]) == (0, RESOURCE)
        client.acquire_token_for_client(resource=RESOURCE)
        assert len(endpoint.requests) == 2, "it serves nobody else"


class TestRefusal:
    @pytest.mark.parametrize(
        ("source", "status", "document", "expected"),
        [
            (
                "imds",
                400,
                {"error": "invalid_resource", "error_description": "AADSTS500011", "x": 1},
                {"error": "invalid_resource", "error_description": "AADSTS500011", "x": 1},
            ),
            ("imds", 400, {"raw": "form"}, {"raw": "form", "error": "invalid_request"}),
            (
                "imds",
                400,
                {"error": "e", "access_token": None, "token_source": "cache"},
                {"error": "e"},
            ),
            (
                "app_service",
                500,
                {"statusCode": 500, "message": "undefined"},
                {"error": "invalid_scope", "error_description": "500, undefined"},
            ),
            (
                "app_service",
                400,
                {"statusCode": 400, "message": "no such identity"},
                {"error": "invalid_scope", "error_description": "400, no such identity"},
            ),
            (
                "machine_learning",
                500,
                {"error": "a", "message": "b"},
                {
                    "error": "invalid_scope",
                    "error_description": "{'error': 'a', 'message': 'b'}",
                },
            ),
        ],
    )
    def test_a_refusal_is_returned_and_not_kept(
        self, at: Any, endpoint: Endpoint, source: str, status: int, document: Any, expected: Any
    ) -> None:
        endpoint.answer(reply(document, status))
        client = at(source)
        assert client.acquire_token_for_client(resource=RESOURCE) == expected
        assert not list(client.token_cache.search("AccessToken"))
        endpoint.answer(reply(SHORT))
        assert "access_token" in client.acquire_token_for_client(resource=RESOURCE)

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (reply(b"<html>"), TokenResponseError),
            (reply(b"<html>", 400), TokenResponseError),
            (reply(b'{"access_token": "at", '), TokenResponseError),
            (reply([SHORT]), TokenResponseError),
            (reply({}), TokenResponseError),
            (reply({"access_token": "at"}), TokenResponseError),
            (reply({**SHORT, "access_token": "a\nb"}), TokenResponseError),
            (reply({**SHORT, "access_token": 7}), TokenResponseError),
            (reply({**SHORT, "token_type": "mac"}), TokenResponseError),
            (reply({**SHORT, "expires_in": "soon"}), TokenResponseError),
            (reply({**SHORT, "expires_in": True}), TokenResponseError),
            (reply({**SHORT, "expires_in": "nan"}), TokenResponseError),
            (reply(SHORT, 403), TokenResponseError),
            (redirect(302, "http://127.0.0.1:1/"), AnswerRefused),
            (endless, AnswerRefused),
            (drop, ProviderUnreachable),
        ],
    )
    def test_what_makes_no_sense_is_an_error_that_names_the_source(
        self, at: Any, endpoint: Endpoint, source: str, answer: Any, kind: type[KeyfobError]
    ) -> None:
        endpoint.answer(answer)
        client = at(source)
        with pytest.raises(kind) as caught:
            client.acquire_token_for_client(resource=RESOURCE)
        name = {"imds": "imds", "app_service": "app service", "machine_learning": "learning"}
        assert name[source] in str(caught.value).lower()
        assert not list(client.token_cache.search("AccessToken"))

    @pytest.mark.parametrize("source", ["app_service", "machine_learning"])
    @pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]"])
    def test_a_gateways_5xx_is_no_refusal(
        self, at: Any, endpoint: Endpoint, source: str, body: bytes
    ) -> None:
        endpoint.answer(reply(body, 502))
        with pytest.raises(ProviderUnavailable) as caught:
            at(source).acquire_token_for_client(resource=RESOURCE)
        assert caught.value.status == 502

    def test_a_machine_that_is_not_in_azure_is_told_so(
        self, at: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = at("imds")
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
        with pytest.raises(ProviderUnreachable, match=r"(?i)imds"):
            client.acquire_token_for_client(resource=RESOURCE)

    def test_an_endpoint_that_says_nothing_is_given_up_in_time(
        self, at: Any, endpoint: Endpoint
    ) -> None:
        endpoint.answer(hang(30))
        with pytest.raises(ProviderUnreachable) as caught:
            at("imds", timeout=0.3).acquire_token_for_client(resource=RESOURCE)
        assert caught.value.code == "timeout"

    def test_no_secret_is_told(
        self, at: Any, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        told: list[str] = []
        secret_token = "t0k3n-that-is-secret"
        for source in SOURCES:
            client = at(source, token_cache=TokenCache())
            for document in (
                {**SHORT, "access_token": secret_token},
                {**SHORT, "access_token": secret_token, "expires_in": "x"},
            ):
                endpoint.answer(reply(document))
                try:
                    client.acquire_token_for_client(resource=RESOURCE, claims_challenge="{}")
                except KeyfobError as error:
                    told += [str(error), repr(error), repr(error.__dict__)]
            told += [repr(client), repr(client.__dict__)]
        told += [record.getMessage() for record in caplog.records]
        for secret in (secret_token, "h3ader", "s3cret"):
            assert [text for text in told if secret in text] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    "access_token expires_in expires_on token_type resource error message statusCode".split()
)
BODIES = st.binary(max_size=60) | st.dictionaries(NAMES, JSON, max_size=6).map(
    lambda document: json.dumps(document).encode()
)


@given(body=BODIES, status=st.sampled_from([200, 204, 302, 400, 401, 404, 410, 429, 500]))
def test_whatever_answers_gives_a_token_a_refusal_or_one_of_our_errors(
    body: bytes, status: int
) -> None:
    response = HttpResponse(status, {}, body, "http://127.0.0.1/")
    for source in (imds, app_service, machine_learning, service_fabric):
        try:
            found = source.parse_answer(response, resource="r", now=1000.0)
        except KeyfobError:
            continue
        if "error" in found:
            assert isinstance(found["error"], str)
            assert "access_token" not in found
        else:
            assert status == 200
            assert isinstance(found["access_token"], str)
            assert found["expires_in"] >= 0
            assert isinstance(found["resource"], str)

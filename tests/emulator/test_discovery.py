"""Metadata, keys and instance discovery."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from joserfc.errors import JoseError

from keyfob_emulator import CONSUMERS_TENANT
from keyfob_emulator.sample import CONTOSO

if TYPE_CHECKING:
    from emulator.conftest import Client


def metadata(client: Client, tenant: str, host: str | None = None) -> requests.Response:
    base = host or client.server.url
    return client.http.get(f"{base}/{tenant}/v2.0/.well-known/openid-configuration")


@pytest.mark.parametrize(
    ("tenant", "issuer_tenant", "segment"),
    [
        ("common", "{tenantid}", "common"),
        ("organizations", "{tenantid}", "organizations"),
        ("consumers", CONSUMERS_TENANT, "consumers"),
        (CONTOSO, CONTOSO, CONTOSO),
        (CONTOSO.upper(), CONTOSO, CONTOSO),
        ("contoso.example", CONTOSO, CONTOSO),
        (CONSUMERS_TENANT, CONSUMERS_TENANT, CONSUMERS_TENANT),
    ],
)
def test_metadata_names_issuer_and_endpoints_of_the_tenant(
    client: Client, tenant: str, issuer_tenant: str, segment: str
) -> None:
    base = client.server.url
    document = metadata(client, tenant).json()
    assert document["issuer"] == f"{base}/{issuer_tenant}/v2.0"
    assert document["token_endpoint"] == f"{base}/{segment}/oauth2/v2.0/token"
    assert document["authorization_endpoint"] == f"{base}/{segment}/oauth2/v2.0/authorize"
    assert document["end_session_endpoint"] == f"{base}/{segment}/oauth2/v2.0/logout"
    assert document["jwks_uri"] == f"{base}/{segment}/discovery/v2.0/keys"
    assert document["userinfo_endpoint"] == f"{base}/oidc/userinfo"
    assert document["msgraph_host"] == base.removeprefix("http://")


def test_metadata_promises_only_what_is_served(client: Client) -> None:
    document = metadata(client, "common").json()
    endpoints = f"{client.server.url}/common/oauth2/v2.0"
    assert document["device_authorization_endpoint"] == f"{endpoints}/devicecode"
    assert "code_challenge_methods_supported" not in document
    assert document["response_types_supported"] == ["code"]
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert document["subject_types_supported"] == ["pairwise"]
    assert set(document["response_modes_supported"]) == {"query", "fragment", "form_post"}


def test_an_unknown_tenant_is_aadsts90002_with_the_callers_correlation_id(client: Client) -> None:
    mine = "11111111-2222-3333-4444-555555555555"
    response = client.http.get(
        f"{client.server.url}/nowhere.example/v2.0/.well-known/openid-configuration",
        headers={"client-request-id": mine},
    )
    assert response.status_code == 400
    body = response.json()
    assert body["error"] == "invalid_request"
    assert body["error_codes"] == [90002]
    assert body["error_description"].startswith("AADSTS90002: ")
    assert body["correlation_id"] == mine
    assert f"Correlation ID: {mine}" in body["error_description"]
    assert body["trace_id"] in body["error_description"]
    assert body["timestamp"] in body["error_description"]
    assert response.headers["x-ms-request-id"]


def test_a_correlation_id_that_is_not_a_guid_is_not_echoed(client: Client) -> None:
    response = client.http.get(
        f"{client.server.url}/x.example/v2.0/.well-known/openid-configuration",
        headers={"client-request-id": "<script>"},
    )
    assert "<script>" not in response.text
    assert response.headers["client-request-id"] == response.json()["correlation_id"]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:1", "[::2]", ""]
)
def test_other_hosts_than_loopback_with_this_port_are_refused(client: Client, host: str) -> None:
    url = f"{client.server.url}/common/v2.0/.well-known/openid-configuration"
    response = client.http.get(url, headers={"Host": host})
    assert response.status_code == 400
    assert "issuer" not in response.text


def test_each_loopback_name_has_its_own_issuer(client: Client) -> None:
    base = f"http://127.0.0.1:{client.server.port}"
    assert metadata(client, CONTOSO, base).json()["issuer"] == f"{base}/{CONTOSO}/v2.0"


def test_each_key_says_which_issuer_it_belongs_to(client: Client) -> None:
    base = client.server.url
    template, personal = f"{base}/{{tenantid}}/v2.0", f"{base}/{CONSUMERS_TENANT}/v2.0"
    assert [key["issuer"] for key in client.keys("common")] == [template, personal]
    assert [key["issuer"] for key in client.keys("organizations")] == [template]
    assert [key["issuer"] for key in client.keys(CONTOSO)] == [template]
    assert [key["issuer"] for key in client.keys("consumers")] == [personal]


def test_a_key_carries_its_certificate_and_its_thumbprint(client: Client) -> None:
    (key,) = client.keys("organizations")
    assert (key["kty"], key["use"]) == ("RSA", "sig")
    assert "d" not in key
    certificate = x509.load_der_x509_certificate(base64.b64decode(key["x5c"][0]))
    sha1 = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA1())).rstrip(b"=").decode()
    assert key["kid"] == key["x5t"] == sha1
    number = int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="), "big")
    assert certificate.public_key().public_numbers().n == number  # type: ignore[union-attr]
    assert number.bit_length() == 2048


def test_rotated_keys_are_published_beside_the_old_ones_until_those_are_withdrawn(
    client: Client,
) -> None:
    tokens = client.tokens()
    (old,) = client.keys("organizations")
    client.server.emulator.rotate_keys()
    new, still = client.keys("organizations")
    assert still["kid"] == old["kid"] != new["kid"]
    assert client.claims(tokens["id_token"])["name"] == "Ada Keyring"
    client.server.emulator.rotate_keys(keep_old=False)
    assert old["kid"] not in {key["kid"] for key in client.keys("common")}
    with pytest.raises(JoseError, match="No key for kid"):
        client.claims(tokens["id_token"])


def instance(client: Client, endpoint: str | None) -> requests.Response:
    parameters = {"api-version": "1.1"}
    if endpoint is not None:
        parameters["authorization_endpoint"] = endpoint
    return client.http.get(f"{client.server.url}/common/discovery/instance", params=parameters)


def test_instance_discovery_knows_its_own_names(client: Client) -> None:
    base, port = client.server.url, client.server.port
    body = instance(client, f"{base}/common/oauth2/v2.0/authorize").json()
    assert body["tenant_discovery_endpoint"] == (
        f"{base}/common/v2.0/.well-known/openid-configuration"
    )
    (entry,) = body["metadata"]
    assert entry["preferred_network"] == f"localhost:{port}"
    assert set(entry["aliases"]) == {f"{n}:{port}" for n in ("localhost", "127.0.0.1", "[::1]")}


@pytest.mark.parametrize("endpoint", ["https://evil.example/common/x", "http://[", "nonsense", ""])
def test_instance_discovery_refuses_other_hosts(client: Client, endpoint: str) -> None:
    response = instance(client, endpoint)
    assert response.status_code == 400
    assert response.json()["error"] in ("invalid_instance", "invalid_request")

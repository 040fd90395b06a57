"""Side by side with MSAL: the same requests, the same refusals, each other's cache."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import keyfob
from keyfob.flows.managed_identity import acquire
from keyfob.managed_identity import get_managed_identity_source
from keyfob.protocol.managed_identity import cloud_shell, identity_of
from keyfob.transport import RequestsTransport, run
from support.managed_identity import KEY_FOLDER, RESOURCE, VARIABLES, Endpoint, machine, reply
from support.provider_http import Request
from support.tls import self_signed

msal = pytest.importorskip("msal")

SYSTEM = {"ManagedIdentityIdType": "SystemAssigned", "Id": None}
IDENTITIES = [
    SYSTEM,
    {"ManagedIdentityIdType": "ClientId", "Id": "the-id"},
    {"ManagedIdentityIdType": "ResourceId", "Id": "the-id"},
    {"ManagedIdentityIdType": "ObjectId", "Id": "the-id"},
]
TOKEN = {"access_token": "at", "token_type": "Bearer", "resource": RESOURCE}
LIFE = {"expires_in": "80000", "expires_on": str(int(time.time()) + 80_000)}
SOURCES = ["imds", "app_service", "machine_learning"]
#: Of the headers, those that say something to the source. What differs is the library's name.
MEANINGFUL = {
    "metadata", "x-identity-header", "secret", "authorization", "x-client-sku", "x-client-ver",
    "x-ms-client-request-id", "content-type",
}  # fmt: skip
OWN = {"x-client-sku", "x-client-ver", "x-ms-client-request-id"}


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as found:
        yield found


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    found.answer(reply({**TOKEN, **LIFE}))
    yield found
    found.close()


def said(request: Request) -> tuple[Any, ...]:
    headers = {
        name: "..." if name in OWN else value
        for name, value in request.headers.items()
        if name in MEANINGFUL
    }
    return request.method, request.path, request.query, request.form, headers


def both(ask: Callable[[Any], Any], endpoint: Endpoint) -> tuple[Any, Any]:
    """What MSAL and Keyfob make of it, after the same requests."""
    found, sent = [], []
    for library in (msal, keyfob):
        endpoint.requests.clear()
        found.append(ask(library))
        sent.append([said(request) for request in endpoint.requests])
    assert sent[0] == sent[1]
    assert sent[0]
    return found[0], found[1]


def asking(identity: Any, session: Any, **options: Any) -> Callable[[Any], Any]:
    def ask(library: Any) -> Any:
        client = library.ManagedIdentityClient(identity, http_client=session, **options)
        return client.acquire_token_for_client(resource=RESOURCE)

    return ask


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda found: found["ManagedIdentityIdType"])
def test_the_same_request_gets_the_same_token(
    endpoint: Endpoint,
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    identity: Any,
) -> None:
    for name, value in endpoint.environ(source).items():
        monkeypatch.setenv(name, value)
    theirs, ours = both(asking(identity, session), endpoint)
    # Known and meant: MSAL's result has the refresh_in that it made up.
    theirs.pop("refresh_in")
    for name in ("refresh_on", "expires_in"):
        # A busy machine may have written the answer a while ago.
        assert abs(theirs.pop(name) - ours.pop(name)) <= 600
    assert theirs == ours


@pytest.mark.parametrize(
    ("source", "status", "document"),
    [
        ("imds", 400, {"error": "invalid_resource", "error_description": "x"}),
        ("app_service", 500, {"statusCode": 500, "message": "undefined"}),
        ("app_service", 400, {"statusCode": 400, "message": "undefined"}),
        ("machine_learning", 500, {"error": "a", "message": "b"}),
        ("machine_learning", 400, {"message": "b"}),
    ],
)
def test_the_same_refusal_is_returned(
    endpoint: Endpoint,
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    status: int,
    document: Any,
) -> None:
    for name, value in endpoint.environ(source).items():
        monkeypatch.setenv(name, value)
    endpoint.answer(reply(document, status))
    theirs, ours = both(asking(SYSTEM, session), endpoint)
    assert theirs == ours


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("identity", IDENTITIES[1:], ids=str)
def test_each_reads_the_others_cache(
    endpoint: Endpoint,
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    identity: Any,
) -> None:
    for name, value in endpoint.environ(source).items():
        monkeypatch.setenv(name, value)
    for writer, reader in ((msal, keyfob), (keyfob, msal)):
        written, read = writer.SerializableTokenCache(), reader.SerializableTokenCache()
        endpoint.requests.clear()
        asking(identity, session, token_cache=written)(writer)
        assert len(endpoint.requests) == 1
        read.deserialize(written.serialize())
        found = asking(identity, session, token_cache=read)(reader)
        assert (found["access_token"], found["token_source"]) == ("at", "cache")
        assert len(endpoint.requests) == 1


def test_both_file_the_same_entries(
    endpoint: Endpoint, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in endpoint.environ("imds").items():
        monkeypatch.setenv(name, value)
    documents = []
    for library in (msal, keyfob):
        cache = library.SerializableTokenCache()
        asking(IDENTITIES[1], session, token_cache=cache)(library)
        documents.append(json.loads(cache.serialize()))
    theirs, ours = documents
    for document in documents:
        for entry in document["AccessToken"].values():
            for name in ("cached_at", "expires_on", "extended_expires_on", "refresh_on"):
                entry[name] = "..."
    assert theirs == ours


def test_the_machines_own_tokens_of_msal_are_understood_and_ours_by_its_documented_name(
    endpoint: Endpoint, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in endpoint.environ("imds").items():
        monkeypatch.setenv(name, value)
    theirs, ours = msal.SerializableTokenCache(), keyfob.SerializableTokenCache()
    asking(SYSTEM, session, token_cache=theirs)(msal)
    ours.deserialize(theirs.serialize())
    assert asking(SYSTEM, session, token_cache=ours)(keyfob)["token_source"] == "cache"

    written = keyfob.SerializableTokenCache()
    asking(SYSTEM, session, token_cache=written)(keyfob)
    theirs.deserialize(written.serialize())
    without_id = {"ManagedIdentityIdType": "SystemAssigned"}
    found = asking(without_id, session, token_cache=theirs)(msal)
    assert found["token_source"] == "cache"


def test_service_fabric_gets_the_same_request(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    der = ssl.PEM_cert_to_DER_cert(Path(files[0]).read_text())
    fabric = Endpoint(context)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fabric.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "s3cret")
    monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", hashlib.sha1(der).hexdigest().upper())

    def challenged(library: Any) -> Any:
        client = library.ManagedIdentityClient(
            SYSTEM, http_client=session, client_capabilities=["CP1", "CP2"]
        )
        client.acquire_token_for_client(resource=RESOURCE)
        found = client.acquire_token_for_client(resource=RESOURCE, claims_challenge="{}")
        if library is keyfob:
            client.close()
        return found

    fabric.answer(reply({**TOKEN, **LIFE}))
    theirs, ours = both(challenged, fabric)
    assert theirs["access_token"] == ours["access_token"]
    for code in ("SecretHeaderNotFound", "ManagedIdentityNotFound", "ArgumentNullOrEmpty", "x"):
        fabric.answer(reply({"error": {"code": code, "message": "m"}}, 400))
        theirs, ours = both(asking(SYSTEM, session), fabric)
        assert theirs == ours
    fabric.close()


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda found: found["ManagedIdentityIdType"])
def test_azure_arc_gets_the_same_requests(
    endpoint: Endpoint,
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    identity: Any,
) -> None:
    from msal import managed_identity as theirs_inside

    platforms = theirs_inside._supported_arc_platforms_and_their_prefixes
    monkeypatch.setitem(platforms, "linux", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "a.key").write_text("k3y")
    for name, value in endpoint.environ("arc").items():
        monkeypatch.setenv(name, value)
    echo = dict.fromkeys(("client_id", "msi_res_id", "object_id"), "THE-ID")
    transport = RequestsTransport()

    def ask(library: Any) -> Any:
        challenge = reply({}, 401, WWW_Authenticate=f"Basic realm={KEY_FOLDER}/a.key")
        endpoint.answer(challenge, reply({**TOKEN, **LIFE, **echo}))
        if library is msal:
            return asking(identity, session)(msal)
        cache, here = keyfob.TokenCache(), machine(endpoint.environ("arc"), tmp_path)
        return run(acquire(identity_of(identity), RESOURCE, cache=cache, machine=here), transport)

    theirs, ours = both(ask, endpoint)
    transport.close()
    for found in (theirs, ours):
        for name in ("refresh_in", "refresh_on"):
            found.pop(name, None)  # as above
    assert theirs == ours


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"),
        ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
        ("IDENTITY_ENDPOINT", "IMDS_ENDPOINT"),
        ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"),
        ("IDENTITY_ENDPOINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"),
        ("MSI_ENDPOINT", "MSI_SECRET", "AZUREPS_HOST_ENVIRONMENT"),
        ("IDENTITY_ENDPOINT", "IMDS_ENDPOINT", "AZUREPS_HOST_ENVIRONMENT"),
        ("MSI_ENDPOINT", "AZUREPS_HOST_ENVIRONMENT"),
    ],
)
def test_the_source_is_the_same(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    from msal import managed_identity as theirs

    for name in names:
        monkeypatch.setenv(name, "cloud-shell")
    assert getattr(theirs, get_managed_identity_source().name) is (
        theirs.get_managed_identity_source()
    )


@pytest.mark.parametrize(
    "scope",
    [
        "https://graph.microsoft.com/User.Read",
        "https://management.core.windows.net//.default",
        "https://analysis.windows.net/powerbi/api/.default",
        "https://pas.windows.net/CheckMyAccess/Linux/.default",
        "00000003-0000-0000-c000-000000000000/.default",
        "00000003-0000-0000-c000-000000000000",
        "api://app/scope",
        "User.Read",
    ],
)
def test_cloud_shell_is_asked_for_the_same_resource(scope: str) -> None:
    from msal import cloudshell

    assert cloud_shell.resource_for(scope) == cloudshell._scope_to_resource(scope)

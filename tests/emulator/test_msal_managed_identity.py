"""Real msal's ManagedIdentityClient at every source."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msal
import pytest
import requests

from keyfob_emulator import Emulator, EmulatorServer, Source
from keyfob_emulator.in_process import mount
from keyfob_emulator.managed_identity import (
    CLOUD_SHELL_ORIGIN,
    IMDS_ORIGIN,
    SYSTEM_ASSIGNED,
    USER_ASSIGNED,
    VARIABLES,
)
from keyfob_emulator.sample import CONTOSO, DESKTOP_TOOL, NIGHTLY_JOB, NIGHTLY_JOB_SECRET

VAULT = "https://vault.azure.net"
SOURCES = [
    Source.APP_SERVICE,
    Source.MACHINE_LEARNING,
    Source.VIRTUAL_MACHINE,
    Source.ARC,
    Source.SERVICE_FABRIC,
]


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.fixture(autouse=True)
def arc_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where msal looks for Azure Arc's keys: fixed in it, and only root may write there."""
    folders = {sys.platform: str(tmp_path)}
    monkeypatch.setattr(
        "msal.managed_identity._supported_arc_platforms_and_their_prefixes", folders
    )
    return tmp_path


@pytest.fixture(params=SOURCES, ids=lambda source: source.value)
def source(request: pytest.FixtureRequest) -> Source:
    return Source(request.param)


@pytest.fixture
def server(source: Source, arc_folder: Path) -> Iterator[EmulatorServer]:
    """A server, and this process's environment as a program at the source would find it."""
    with EmulatorServer(tls=source is Source.SERVICE_FABRIC) as running:
        running.emulator.machine.arc_key_folder = arc_folder
        with running.environment(source).active():
            yield running


def client(session: requests.Session, identity: Any = None, **more: Any) -> Any:
    chosen = identity or msal.SystemAssignedManagedIdentity()
    return msal.ManagedIdentityClient(chosen, http_client=session, **more)


def claims(server: EmulatorServer, result: dict[str, Any]) -> dict[str, Any]:
    told = server.emulator.keys.verify(result["access_token"])
    assert told is not None
    return told


def test_msal_gets_a_token_for_the_system_assigned_identity(
    session: requests.Session, server: EmulatorServer
) -> None:
    app = client(session)
    result = app.acquire_token_for_client(resource=VAULT)
    assert claims(server, result)["oid"] == SYSTEM_ASSIGNED.object_id
    assert result["resource"] == VAULT
    assert result["token_type"] == "Bearer"
    assert 86000 < result["expires_in"] <= 86400
    assert app.acquire_token_for_client(resource=VAULT)["token_source"] == "cache"


@pytest.mark.parametrize(
    "identity",
    [
        {"client_id": USER_ASSIGNED.client_id},
        {"resource_id": USER_ASSIGNED.resource_id},
        {"object_id": USER_ASSIGNED.object_id},
    ],
    ids=lambda identity: next(iter(identity)),
)
def test_msal_gets_a_token_for_a_user_assigned_identity(
    session: requests.Session, server: EmulatorServer, source: Source, identity: dict[str, str]
) -> None:
    app = client(session, msal.UserAssignedManagedIdentity(**identity))
    result = app.acquire_token_for_client(resource=VAULT)
    # At Service Fabric an application has one identity, whatever is asked for.
    expected = SYSTEM_ASSIGNED if source is Source.SERVICE_FABRIC else USER_ASSIGNED
    assert claims(server, result)["oid"] == expected.object_id


def test_msal_tells_an_error_for_an_unknown_resource(
    session: requests.Session, server: EmulatorServer
) -> None:
    result = client(session).acquire_token_for_client(resource="https://nothing.example")
    assert "error" in result
    assert "AADSTS500011" in result["error_description"]


# msal asks Service Fabric past its own throttling.
@pytest.mark.parametrize("source", SOURCES[:-1], ids=lambda source: source.value)
def test_msal_holds_back_after_a_429(session: requests.Session, server: EmulatorServer) -> None:
    body = '{"error": "slow down"}'
    server.emulator.fail_next("managed_identity", status=429, retry_after=60, body=body)
    asked: list[str] = []
    session.hooks["response"].append(lambda r, **_: asked.append(r.url))
    app = client(session)
    for _ in range(2):
        assert "error" in app.acquire_token_for_client(resource=VAULT)
    assert len(asked) == 1


def test_msal_refuses_an_old_arc_agents_answer(session: requests.Session, arc_folder: Path) -> None:
    with EmulatorServer() as server, server.environment(Source.ARC).active():
        server.emulator.machine.arc_key_folder = arc_folder
        server.emulator.machine.arc_is_old = True
        identity = msal.UserAssignedManagedIdentity(client_id=USER_ASSIGNED.client_id)
        with pytest.raises(msal.ManagedIdentityError, match="did not confirm"):
            client(session, identity).acquire_token_for_client(resource=VAULT)


def test_msal_sends_nothing_to_a_service_fabric_with_another_certificate(
    session: requests.Session,
) -> None:
    with EmulatorServer(tls=True) as server:
        machine = server.emulator.machine
        pinned = machine.environment(Source.SERVICE_FABRIC, server.url, thumbprint="0" * 40)
        with pinned.active(), pytest.raises(requests.exceptions.SSLError):
            client(session).acquire_token_for_client(resource=VAULT)


def test_msal_has_service_fabric_renew_a_token_after_a_claims_challenge(
    session: requests.Session,
) -> None:
    with EmulatorServer(tls=True) as server, server.environment(Source.SERVICE_FABRIC).active():
        app = client(session, client_capabilities=["cp1"])
        first = app.acquire_token_for_client(resource=VAULT)
        challenge = '{"access_token": {"nbf": {"essential": true}}}'
        second = app.acquire_token_for_client(resource=VAULT, claims_challenge=challenge)
        assert second["access_token"] != first["access_token"]
        assert claims(server, second)["xms_cc"] == ["cp1"]


def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "REGION_NAME", "MSAL_FORCE_REGION"):
        monkeypatch.delenv(name, raising=False)


def test_msal_in_process_finds_the_metadata_service_where_it_is_in_azure(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_variables(monkeypatch)
    emulator = mount(session, origins=(IMDS_ORIGIN,))
    result = client(session).acquire_token_for_client(resource=VAULT)
    assert emulator.keys.verify(result["access_token"])


def test_msal_in_process_detects_the_region_and_goes_there(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_variables(monkeypatch)
    region = "https://westeurope.login.microsoft.com"
    mount(session, origins=(IMDS_ORIGIN, region))
    asked: list[str] = []
    session.hooks["response"].append(lambda r, **_: asked.append(r.url))
    app = msal.ConfidentialClientApplication(
        NIGHTLY_JOB,
        NIGHTLY_JOB_SECRET,
        authority=f"https://login.microsoftonline.com/{CONTOSO}",
        azure_region=msal.ConfidentialClientApplication.ATTEMPT_REGION_DISCOVERY,
        http_client=session,
    )
    assert "access_token" in app.acquire_token_for_client([f"{VAULT}/.default"])
    assert asked[-1].startswith(f"{region}/{CONTOSO}/")


def test_msal_in_process_signs_the_person_in_cloud_shell_in(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator: Emulator = mount(session, origins=(CLOUD_SHELL_ORIGIN,))
    with emulator.machine.environment(Source.CLOUD_SHELL, CLOUD_SHELL_ORIGIN).active():
        assert os.environ["AZUREPS_HOST_ENVIRONMENT"].startswith("cloud-shell")
        app = msal.PublicClientApplication(DESKTOP_TOOL, http_client=session)
        result = app.acquire_token_interactive([f"{VAULT}/.default"], prompt="none")
        told = emulator.keys.verify(result["access_token"])
        assert told is not None
        assert told["upn"] == "ada@contoso.example"
        (account,) = app.get_accounts()
        assert account["username"] == "ada@contoso.example"

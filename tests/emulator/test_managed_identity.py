"""Managed identity's agents, as requests and answers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from keyfob_emulator import Emulator, EmulatorServer, Lifetimes, Machine, ManagedIdentity, Source
from keyfob_emulator.in_process import mount
from keyfob_emulator.managed_identity import (
    ARC_ORIGIN,
    CLOUD_SHELL_ORIGIN,
    IMDS_ORIGIN,
    PATHS,
    SYSTEM_ASSIGNED,
    USER_ASSIGNED,
    VARIABLES,
)
from keyfob_emulator.sample import CONTOSO

VAULT = "https://vault.azure.net"
VERSIONS = {
    Source.APP_SERVICE: "2019-08-01",
    Source.MACHINE_LEARNING: "2017-09-01",
    Source.VIRTUAL_MACHINE: "2018-02-01",
    Source.ARC: "2020-06-01",
    Source.SERVICE_FABRIC: "2019-07-01-preview",
}
SECRET_HEADERS = {
    Source.APP_SERVICE: "X-IDENTITY-HEADER",
    Source.MACHINE_LEARNING: "secret",
    Source.SERVICE_FABRIC: "Secret",
}
NAMES = {  # client id, resource id, object id
    Source.APP_SERVICE: ("client_id", "mi_res_id", "object_id"),
    Source.MACHINE_LEARNING: ("clientid", "mi_res_id", "object_id"),
    Source.VIRTUAL_MACHINE: ("client_id", "msi_res_id", "object_id"),
    Source.ARC: ("client_id", "msi_res_id", "object_id"),
}


class Agent:
    """A program on the machine that asks for tokens."""

    def __init__(self, session: requests.Session, emulator: Emulator, url: str) -> None:
        self.session = session
        self.emulator = emulator
        self.url = url

    @property
    def machine(self) -> Machine:
        return self.emulator.machine

    def ask(
        self, source: Source, *, headers: dict[str, str] | None = None, **parameters: str | None
    ) -> requests.Response:
        """A right request to a source, but for the changes; None leaves a parameter out."""
        given = {"api-version": VERSIONS.get(source), "resource": VAULT, **parameters}
        kept = {name: value for name, value in given.items() if value is not None}
        if headers is None:
            header = SECRET_HEADERS.get(source)
            headers = {header: self.machine.secret} if header else {"Metadata": "true"}
        if source is Source.CLOUD_SHELL:
            return self.session.post(self.url + PATHS[source], data=kept, headers=headers)
        response = self.session.get(self.url + PATHS[source], params=kept, headers=headers)
        challenge = response.headers.get("WWW-Authenticate", "")
        if source is Source.ARC and response.status_code == 401 and "Authorization" not in headers:
            key = Path(challenge.removeprefix("Basic realm=")).read_text(encoding="ascii")
            again = {**headers, "Authorization": f"Basic {key}"}
            return self.session.get(self.url + PATHS[source], params=kept, headers=again)
        return response

    def claims(self, source: Source, **parameters: str | None) -> dict[str, Any]:
        response = self.ask(source, **parameters)
        assert response.status_code == 200, response.text
        told = self.emulator.keys.verify(response.json()["access_token"])
        assert told is not None
        return told


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with EmulatorServer() as server, requests.Session() as session:
        session.trust_env = False
        server.emulator.machine.arc_key_folder = tmp_path
        yield Agent(session, server.emulator, server.url)


OWN = [source for source in Source if source is not Source.CLOUD_SHELL]


@pytest.mark.parametrize("source", OWN)
def test_the_system_assigned_identity_gets_a_token(agent: Agent, source: Source) -> None:
    told = agent.claims(source)
    assert told["aud"] == VAULT
    assert told["appid"] == SYSTEM_ASSIGNED.client_id
    assert told["oid"] == told["sub"] == SYSTEM_ASSIGNED.object_id
    assert told["tid"] == CONTOSO
    assert told["xms_mirid"] == SYSTEM_ASSIGNED.resource_id
    assert (told["idtyp"], told["appidacr"]) == ("app", "2")


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_user_assigned_identity_is_named_by_any_of_its_ids(
    agent: Agent, source: Source, kind: int
) -> None:
    ids = (USER_ASSIGNED.client_id, USER_ASSIGNED.resource_id, USER_ASSIGNED.object_id)
    assert agent.claims(source, **{NAMES[source][kind]: ids[kind].upper()})["oid"] == ids[2]


@pytest.mark.parametrize("source", NAMES)
def test_an_identity_the_machine_does_not_have_is_refused(agent: Agent, source: Source) -> None:
    response = agent.ask(source, **{NAMES[source][0]: "00000000-0000-0000-0000-000000000000"})
    assert response.status_code == 400
    assert "Identity not found" in response.text


@pytest.mark.parametrize("source", OWN)
def test_a_machine_without_an_identity_gets_no_token(agent: Agent, source: Source) -> None:
    agent.machine.system_assigned = None
    response = agent.ask(source)
    assert response.status_code == 400
    assert "Identity not found" in response.text


def test_each_source_answers_in_its_own_format(agent: Agent) -> None:
    names = {source: set(agent.ask(source).json()) for source in Source}
    basic = {"access_token", "expires_on", "resource", "token_type"}
    times = {"expires_in", "ext_expires_in", "not_before"}
    assert names == {
        Source.APP_SERVICE: basic | {"client_id"},
        Source.MACHINE_LEARNING: basic,
        Source.VIRTUAL_MACHINE: basic | times | {"client_id"},
        Source.ARC: basic | times | {"client_id", "object_id", "msi_res_id"},
        Source.SERVICE_FABRIC: basic,
        Source.CLOUD_SHELL: basic | times | {"refresh_token"},
    }
    body = agent.ask(Source.VIRTUAL_MACHINE).json()
    assert body["expires_in"] == str(Lifetimes().managed_identity)
    assert int(body["expires_on"]) - int(body["not_before"]) == Lifetimes().managed_identity + 300
    assert isinstance(agent.ask(Source.SERVICE_FABRIC).json()["expires_on"], int)


@pytest.mark.parametrize("source", SECRET_HEADERS)
@pytest.mark.parametrize("value", [None, "wrong"])
def test_the_secret_of_the_environment_must_be_shown(
    agent: Agent, source: Source, value: str | None
) -> None:
    headers = {SECRET_HEADERS[source]: value} if value else {"Metadata": "true"}
    response = agent.ask(source, headers=headers)
    assert response.status_code == 401
    assert "access_token" not in response.text


@pytest.mark.parametrize("source", [Source.VIRTUAL_MACHINE, Source.ARC, Source.CLOUD_SHELL])
@pytest.mark.parametrize("headers", [{}, {"Metadata": "true", "X-Forwarded-For": "192.0.2.1"}])
def test_the_metadata_header_keeps_browsers_and_proxies_out(
    agent: Agent, source: Source, headers: dict[str, str]
) -> None:
    response = agent.ask(source, headers=headers)
    assert response.status_code == 400
    assert "bad_request_102" in response.text


@pytest.mark.parametrize("source", OWN)
@pytest.mark.parametrize(
    "changes",
    [{"api-version": None}, {"api-version": "1999-01-01"}, {"resource": None}],
    ids=["no version", "unknown version", "no resource"],
)
def test_version_and_resource_are_required(
    agent: Agent, source: Source, changes: dict[str, str | None]
) -> None:
    response = agent.ask(source, **changes)
    assert response.status_code == 400
    assert "access_token" not in response.text


@pytest.mark.parametrize("source", list(Source))
def test_an_unknown_resource_is_refused(agent: Agent, source: Source) -> None:
    response = agent.ask(source, resource="https://nothing.example")
    assert response.status_code == 400
    assert "AADSTS500011" in response.text


def test_each_source_refuses_in_its_own_format(agent: Agent) -> None:
    wrong = {"resource": "https://nothing.example"}
    shape = {source: agent.ask(source, **wrong).json() for source in Source}
    for source in (Source.APP_SERVICE, Source.MACHINE_LEARNING):
        assert shape[source]["statusCode"] == 400
        assert "AADSTS500011" in shape[source]["message"]
    for source in (Source.VIRTUAL_MACHINE, Source.ARC):
        assert shape[source]["error"] == "invalid_resource"
        assert shape[source]["error_description"].startswith("AADSTS500011")
    for source in (Source.SERVICE_FABRIC, Source.CLOUD_SHELL):
        assert shape[source]["error"]["code"] == "invalid_resource"
        assert "AADSTS500011" in shape[source]["error"]["message"]
    codes = {
        "SecretHeaderNotFound": agent.ask(Source.SERVICE_FABRIC, headers={}),
        "ArgumentNullOrEmpty": agent.ask(Source.SERVICE_FABRIC, resource=None),
    }
    agent.machine.system_assigned = None
    codes["ManagedIdentityNotFound"] = agent.ask(Source.SERVICE_FABRIC)
    for code, response in codes.items():
        assert response.json()["error"]["code"] == code


@pytest.mark.parametrize("source", list(Source))
def test_any_source_can_be_made_to_throttle(agent: Agent, source: Source) -> None:
    agent.emulator.fail_next("managed_identity", status=429, retry_after=9, body='{"error": "x"}')
    response = agent.ask(source)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "9")
    assert agent.ask(source).status_code == 200


@pytest.mark.parametrize("source", [Source.VIRTUAL_MACHINE, Source.CLOUD_SHELL])
def test_the_method_of_a_source_is_the_only_one(agent: Agent, source: Source) -> None:
    other = "GET" if source is Source.CLOUD_SHELL else "POST"
    assert agent.session.request(other, agent.url + PATHS[source]).status_code == 405


def test_the_lifetime_of_its_tokens_is_a_knob(agent: Agent) -> None:
    agent.emulator.lifetimes = replace(agent.emulator.lifetimes, managed_identity=60)
    assert agent.ask(Source.VIRTUAL_MACHINE).json()["expires_in"] == "60"


# Azure Arc


def test_arc_wants_a_key_that_only_the_machine_can_read(agent: Agent, tmp_path: Path) -> None:
    url = agent.url + PATHS[Source.ARC]
    parameters = {"api-version": "2020-06-01", "resource": VAULT}
    first = agent.session.get(url, params=parameters, headers={"Metadata": "true"})
    assert first.status_code == 401
    path = Path(first.headers["WWW-Authenticate"].removeprefix("Basic realm="))
    assert (path.parent, path.suffix) == (tmp_path, ".key")
    headers = {"Metadata": "true", "Authorization": f"Basic {path.read_text(encoding='ascii')}"}
    assert agent.session.get(url, params=parameters, headers=headers).status_code == 200
    assert not path.exists()
    again = agent.session.get(url, params=parameters, headers=headers)
    assert again.status_code == 401
    wrong = {"Metadata": "true", "Authorization": "Basic wrong"}
    assert agent.session.get(url, params=parameters, headers=wrong).status_code == 401


def test_arc_without_a_folder_says_what_to_set(agent: Agent) -> None:
    agent.machine.arc_key_folder = None
    response = agent.ask(Source.ARC)
    assert response.status_code == 500
    assert "arc_key_folder" in response.text


def test_an_old_arc_agent_overlooks_which_identity_is_asked_for(agent: Agent) -> None:
    agent.machine.arc_is_old = True
    body = agent.ask(Source.ARC, client_id=USER_ASSIGNED.client_id).json()
    assert body["client_id"] == SYSTEM_ASSIGNED.client_id
    assert "msi_res_id" not in body


# Service Fabric


def test_service_fabric_keeps_a_token_until_it_is_told_that_it_is_no_good(agent: Agent) -> None:
    first = agent.ask(Source.SERVICE_FABRIC).json()["access_token"]
    assert agent.ask(Source.SERVICE_FABRIC).json()["access_token"] == first
    digest = hashlib.sha256(first.encode()).hexdigest()
    second = agent.ask(Source.SERVICE_FABRIC, token_sha256_to_refresh=digest).json()
    assert second["access_token"] != first
    assert agent.ask(Source.SERVICE_FABRIC, token_sha256_to_refresh=digest).json() == second


def test_service_fabric_passes_client_capabilities_on(agent: Agent) -> None:
    assert "xms_cc" not in agent.claims(Source.SERVICE_FABRIC)
    assert agent.claims(Source.SERVICE_FABRIC, xms_cc="cp1,cp2")["xms_cc"] == ["cp1", "cp2"]


# Cloud Shell


def test_cloud_shell_acts_for_the_person_in_front_of_it(agent: Agent) -> None:
    told = agent.claims(Source.CLOUD_SHELL)
    assert (told["upn"], told["scp"], told["idtyp"]) == (
        "ada@contoso.example",
        "user_impersonation",
        "user",
    )
    agent.machine.cloud_shell_user = "nobody@contoso.example"
    assert agent.ask(Source.CLOUD_SHELL).status_code == 400
    assert agent.ask(Source.CLOUD_SHELL, token_type="ssh-cert").status_code == 400


# The metadata service


def test_the_metadata_service_says_where_the_machine_is(agent: Agent) -> None:
    url = f"{agent.url}/metadata/instance/compute"
    header, version = {"Metadata": "true"}, {"api-version": "2021-02-01"}
    agent.machine.location = "westus2"
    facts = agent.session.get(url, params=version, headers=header).json()
    assert facts["location"] == "westus2"
    assert facts["name"] == SYSTEM_ASSIGNED.name
    assert facts["subscriptionId"] in SYSTEM_ASSIGNED.resource_id
    text = agent.session.get(f"{url}/location?format=text", params=version, headers=header)
    assert text.text == "westus2"
    assert agent.session.get(f"{url}/location", params=version, headers=header).json() == "westus2"
    assert agent.session.get(f"{url}/nothing", params=version, headers=header).status_code == 404
    assert agent.session.get(url, params=version).status_code == 400
    assert agent.session.get(url, headers=header).status_code == 400
    agent.emulator.fail_next("compute", status=500)
    assert agent.session.get(url, params=version, headers=header).status_code == 500


# Where it is found


def test_in_process_the_agents_are_at_the_addresses_they_have_in_azure(tmp_path: Path) -> None:
    with requests.Session() as session:
        emulator = mount(session, origins=(IMDS_ORIGIN, ARC_ORIGIN, CLOUD_SHELL_ORIGIN))
        emulator.machine.arc_key_folder = tmp_path
        path, header = "/metadata/identity/oauth2/token", {"Metadata": "true"}
        parameters = {"api-version": "2018-02-01", "resource": VAULT}
        token = session.get(IMDS_ORIGIN + path, params=parameters, headers=header).json()
        told = emulator.keys.verify(token["access_token"])
        assert told is not None
        assert told["iss"] == f"https://sts.windows.net/{CONTOSO}/"
        parameters["api-version"] = "2020-06-01"
        challenged = session.get(ARC_ORIGIN + path, params=parameters, headers=header)
        assert challenged.headers["WWW-Authenticate"].startswith(f"Basic realm={tmp_path}")
        url = f"{CLOUD_SHELL_ORIGIN}/oauth2/token"
        shell = session.post(url, data={"resource": VAULT}, headers=header)
        assert "access_token" in shell.json()


def test_an_environment_sets_its_own_variables_and_hides_those_of_other_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MSI_SECRET", "left over")
    machine = Emulator().machine
    environment = machine.environment(Source.APP_SERVICE, "http://localhost:1/")
    merged = environment.merged({"MSI_SECRET": "left over", "HOME": "/"})
    assert merged == {
        "HOME": "/",
        "IDENTITY_ENDPOINT": "http://localhost:1/app-service/msi/token",
        "IDENTITY_HEADER": machine.secret,
    }
    with environment.active():
        assert {n: os.environ[n] for n in VARIABLES if n in os.environ} == environment.variables
    assert os.environ["MSI_SECRET"] == "left over"
    assert "IDENTITY_HEADER" not in os.environ
    assert machine.secret not in repr(environment)


def test_an_agents_own_address_has_azures_path() -> None:
    machine = Emulator().machine
    arc = machine.environment(Source.ARC, ARC_ORIGIN).variables
    assert arc["IDENTITY_ENDPOINT"] == f"{ARC_ORIGIN}/metadata/identity/oauth2/token"
    shell = machine.environment(Source.CLOUD_SHELL, CLOUD_SHELL_ORIGIN).variables
    assert shell["MSI_ENDPOINT"] == f"{CLOUD_SHELL_ORIGIN}/oauth2/token"


def test_service_fabrics_environment_needs_tls() -> None:
    machine = Emulator().machine
    with pytest.raises(ValueError, match="tls=True"):
        machine.environment(Source.SERVICE_FABRIC, "http://localhost:1", thumbprint="00")
    with pytest.raises(ValueError, match="tls=True"):
        machine.environment(Source.SERVICE_FABRIC, "https://localhost:1")


def test_a_machine_can_have_other_identities(agent: Agent) -> None:
    other = ManagedIdentity("a", "11111111-0000-0000-0000-000000000000", "2", "/x/y")
    agent.machine.user_assigned = (other,)
    assert agent.claims(Source.VIRTUAL_MACHINE, client_id=other.client_id)["oid"] == "2"
    assert agent.ask(Source.VIRTUAL_MACHINE, client_id=USER_ASSIGNED.client_id).status_code == 400

"""The agents that give managed identities their tokens: one wire format for each source.

App Service ("REST endpoint reference", 2019-08-01), Azure Machine Learning (2017-09-01), Azure
Instance Metadata Service (2018-02-01), Azure Arc (2020-06-01), Service Fabric (2019-07-01-preview),
Cloud Shell. Requests come in as values, answers go out as values.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from keyfob_emulator.authorities import Authority
from keyfob_emulator.grants import Grant
from keyfob_emulator.managed_identity import FabricToken, Machine, ManagedIdentity, Source
from keyfob_emulator.model import Application
from keyfob_emulator.realm import Realm
from keyfob_emulator.scopes import ResourceScopes, parse_scopes
from keyfob_emulator.state import Emulator
from keyfob_emulator.tokens import Minting, access_token_claims, app_token_claims

_CLOUD_SHELL_CLIENT: Final = "b677c290-cf4b-4a8e-a60e-91ba650a4abe"


class Refused(Exception):
    """A refusal, before it is put into the words of a source."""

    def __init__(self, status: int, code: str, text: str, header: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.challenge = header
        """``WWW-Authenticate``"""


@dataclass(frozen=True)
class AgentRequest:
    """A request: the parameters of query or form, and headers with small letters."""

    parameters: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Issued:
    """A token that was made, and for whom. Times are seconds since the epoch."""

    access_token: str = field(repr=False)
    now: int
    expires_on: int
    resource: str
    identity: ManagedIdentity | None = None


@dataclass(frozen=True)
class Agents:
    """All agents, at one address. ``graph_urls`` are the addresses that mean Microsoft Graph."""

    emulator: Emulator
    authority: Authority
    graph_urls: tuple[str, ...]

    @property
    def machine(self) -> Machine:
        """The machine they run on."""
        return self.emulator.machine

    def answer(self, source: Source, request: AgentRequest) -> dict[str, Any]:
        """A source's answer with a token, or :class:`Refused`."""
        answers: dict[Source, Callable[[AgentRequest], dict[str, Any]]] = {
            Source.APP_SERVICE: self._app_service,
            Source.MACHINE_LEARNING: self._machine_learning,
            Source.VIRTUAL_MACHINE: self._virtual_machine,
            Source.ARC: self._arc,
            Source.SERVICE_FABRIC: self._service_fabric,
            Source.CLOUD_SHELL: self._cloud_shell,
        }
        return answers[source](request)

    # The sources

    def _app_service(self, request: AgentRequest) -> dict[str, Any]:
        self._need_secret(request, "x-identity-header")
        self._need_version(request, "2019-08-01")
        identity = self._identity(request, "client_id", ("mi_res_id",), "object_id", "principal_id")
        issued = self._issue(identity, request)
        return {**_basics(issued), "client_id": identity.client_id}

    def _machine_learning(self, request: AgentRequest) -> dict[str, Any]:
        self._need_secret(request, "secret")
        self._need_version(request, "2017-09-01")
        identity = self._identity(request, "clientid", ("mi_res_id", "msi_res_id"), "object_id")
        return _basics(self._issue(identity, request))

    def _virtual_machine(self, request: AgentRequest) -> dict[str, Any]:
        _need_metadata_header(request)
        self._need_version(request, "2018-02-01")
        identity = self._identity(request, "client_id", ("msi_res_id", "mi_res_id"), "object_id")
        issued = self._issue(identity, request)
        return {**_basics(issued), **_times(issued), "client_id": identity.client_id}

    def _arc(self, request: AgentRequest) -> dict[str, Any]:
        _need_metadata_header(request)
        self._need_version(request, "2020-06-01", "2019-11-01")
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or not self.machine.spend_arc_key(key.strip()):
            try:
                path = self.machine.new_arc_key()
            except ValueError as error:
                raise Refused(500, "server_error", str(error)) from error
            raise Refused(
                401, "unauthorized_client", "Missing Basic Authorization header",
                f"Basic realm={path}",
            )  # fmt: skip
        if self.machine.arc_is_old:
            identity, echo = self._identity(AgentRequest({}, {})), {}
        else:
            identity = self._identity(request, "client_id", ("msi_res_id",), "object_id")
            echo = {"object_id": identity.object_id, "msi_res_id": identity.resource_id}
        issued = self._issue(identity, request)
        return {**_basics(issued), **_times(issued), "client_id": identity.client_id, **echo}

    def _service_fabric(self, request: AgentRequest) -> dict[str, Any]:
        self._need_secret(request, "secret")
        self._need_version(request, "2019-07-01-preview")
        identity = self._identity(AgentRequest({}, {}))
        resource = _resource(request)
        capabilities = [c for c in request.parameters.get("xms_cc", "").split(",") if c]
        key = "|".join((identity.client_id, resource, *capabilities))
        refused = request.parameters.get("token_sha256_to_refresh")
        kept = self.machine.fabric_token(key, refused)
        if kept is None:
            more = {"xms_cc": capabilities} if capabilities else {}
            issued = self._issue(identity, request, **more)
            digest = hashlib.sha256(issued.access_token.encode()).hexdigest()
            kept = FabricToken(issued.access_token, issued.expires_on, digest)
            self.machine.keep_fabric_token(key, kept)
        return {
            "token_type": "Bearer",
            "access_token": kept.access_token,
            "expires_on": kept.expires_on,
            "resource": resource,
        }

    def _cloud_shell(self, request: AgentRequest) -> dict[str, Any]:
        _need_metadata_header(request)
        if request.parameters.get("token_type", "Bearer") != "Bearer":
            raise Refused(400, "invalid_request", "Only bearer tokens are given out here.")
        issued = self._issue_for_person(_resource(request))
        return {**_basics(issued), **_times(issued), "refresh_token": ""}

    # What they share

    def _need_secret(self, request: AgentRequest, header: str) -> None:
        given = request.headers.get(header)
        if given is None:
            raise Refused(401, "SecretHeaderNotFound", f"The header {header} is missing.")
        if given != self.machine.secret:
            raise Refused(401, "Unauthorized", f"The header {header} is wrong.")

    def _need_version(self, request: AgentRequest, *versions: str) -> None:
        given = request.parameters.get("api-version")
        if given not in versions:
            raise Refused(400, "InvalidApiVersion", f"api-version must be {' or '.join(versions)}.")

    def _identity(
        self,
        request: AgentRequest,
        client: str = "",
        resources: tuple[str, ...] = (),
        *objects: str,
    ) -> ManagedIdentity:
        """The identity asked for, by the names a source has for the three kinds of id."""

        def first(*names: str) -> str | None:
            return next((v for name in names if (v := request.parameters.get(name))), None)

        found = self.machine.find(
            client_id=first(client), resource_id=first(*resources), object_id=first(*objects)
        )
        if found is None:
            raise Refused(400, "ManagedIdentityNotFound", "Identity not found")
        return found

    def _target(self, resource: str) -> ResourceScopes:
        urls = {url.lower(): resource for url in self.graph_urls}
        directory = self.emulator.directory
        text = "https://graph.microsoft.com" if resource.rstrip("/").lower() in urls else resource
        found = directory.resource(text)
        if found is None:
            told = f"AADSTS500011: The resource principal named {resource} was not found."
            raise Refused(400, "invalid_resource", told)
        return ResourceScopes(found, resource, ())

    def _minting(self) -> tuple[Minting, str]:
        tenant_id = self.emulator.home_tenant
        if tenant_id is None:
            raise Refused(400, "ManagedIdentityNotFound", "The directory has no organisation.")
        lifetime = self.emulator.lifetimes.managed_identity
        now = int(self.emulator.now())
        return Minting(self.authority, now, lifetime, lifetime, include_at_hash=False), tenant_id

    def _issue(self, identity: ManagedIdentity, request: AgentRequest, **more: Any) -> Issued:
        resource = _resource(request)
        target = self._target(resource)
        minting, tenant_id = self._minting()
        client = Application(identity.client_id, identity.name, tenant_id)
        claims = app_token_claims(
            minting, client, tenant_id, target=target, roles=[], asked={}, fmi_path=None
        )
        strength = "azpacr" if "azpacr" in claims else "appidacr"
        claims |= {
            "oid": identity.object_id,
            "sub": identity.object_id,
            "xms_mirid": identity.resource_id,
            strength: "2",
            **more,
        }
        token = self.emulator.keys.sign(claims, tenant_id)
        return Issued(token, minting.now, claims["exp"], resource, identity)

    def _issue_for_person(self, resource: str) -> Issued:
        """Cloud Shell acts for the person in front of it."""
        target = self._target(resource)
        minting, tenant_id = self._minting()
        directory = self.emulator.directory
        account = directory.account(self.machine.cloud_shell_user)
        realm = Realm.resolve(tenant_id, directory, self.authority)
        identity = realm.identity(account) if account else None
        if identity is None:
            raise Refused(400, "invalid_request", "machine.cloud_shell_user is not one of ours.")
        client = Application(_CLOUD_SHELL_CLIENT, "Azure Cloud Shell", tenant_id)
        scopes = [scope.value for scope in target.resource.scopes if not scope.admin_only]
        scope = f"{target.resource.client_id}/.default"
        grant = Grant(
            client_id=client.client_id,
            home_object_id=identity.account.object_id,
            tenant_id=tenant_id,
            scope=parse_scopes(scope, directory, self.graph_urls, client).text,
            auth_time=minting.now,
            sid=str(uuid.uuid4()),
        )
        claims = access_token_claims(minting, identity, client, grant, target=target, names=scopes)
        token = self.emulator.keys.sign(claims, tenant_id)
        return Issued(token, minting.now, claims["exp"], resource)


def _resource(request: AgentRequest) -> str:
    resource = request.parameters.get("resource")
    if not resource:
        text = "Required query variable 'resource' is missing"
        raise Refused(400, "ArgumentNullOrEmpty", text)
    return resource


def _need_metadata_header(request: AgentRequest) -> None:
    # A page in a browser cannot set the first, a careless proxy adds the second.
    if request.headers.get("metadata", "").lower() != "true":
        raise Refused(400, "bad_request_102", "Required metadata header not specified")
    if "x-forwarded-for" in request.headers:
        raise Refused(400, "bad_request_102", "X-Forwarded-For is not allowed")


def _basics(issued: Issued) -> dict[str, Any]:
    return {
        "access_token": issued.access_token,
        "expires_on": str(issued.expires_on),
        "resource": issued.resource,
        "token_type": "Bearer",
    }


def _times(issued: Issued) -> dict[str, Any]:
    left = str(issued.expires_on - issued.now)
    return {"expires_in": left, "ext_expires_in": left, "not_before": str(issued.now - 300)}


# Refusals in the words of each source

_OAUTH_CODES: Final = {
    "ArgumentNullOrEmpty": "invalid_request",
    "InvalidApiVersion": "invalid_request",
    "ManagedIdentityNotFound": "invalid_request",
    "SecretHeaderNotFound": "unauthorized_client",
    "Unauthorized": "unauthorized_client",
}


def told(source: Source, refused: Refused, correlation_id: str) -> dict[str, Any]:
    """The body of a refusal."""
    if source in (Source.APP_SERVICE, Source.MACHINE_LEARNING):
        return {
            "statusCode": refused.status,
            "message": refused.text,
            "correlationId": correlation_id,
        }
    if source is Source.SERVICE_FABRIC:
        return {
            "error": {
                "correlationId": correlation_id,
                "code": refused.code,
                "message": refused.text,
            }
        }
    code = _OAUTH_CODES.get(refused.code, refused.code)
    if source is Source.CLOUD_SHELL:
        return {"error": {"code": code, "message": refused.text}}
    return {"error": code, "error_description": refused.text}


def compute(machine: Machine) -> dict[str, Any]:
    """What the metadata service says about the machine (``/metadata/instance/compute``)."""
    identity = machine.system_assigned
    parts = identity.resource_id.split("/") if identity else []
    return {
        "azEnvironment": "AzurePublicCloud",
        "location": machine.location,
        "name": parts[-1] if parts else "machine",
        "osType": "Linux",
        "provider": "Microsoft.Compute",
        "resourceGroupName": parts[4] if len(parts) > 4 else "",
        "resourceId": identity.resource_id if identity else "",
        "subscriptionId": parts[2] if len(parts) > 2 else "",
    }

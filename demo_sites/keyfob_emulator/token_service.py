"""The token endpoint's decisions, in and out as values: the three grants every site uses.

RFC 6749 sections 4.1.3, 6 and 4.4, RFC 7636 section 4.6 (PKCE), OpenID Connect Core sections 3.1.3
and 12. The other grants have modules of their own and share what is said here about people, scopes
and answers.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from keyfob_emulator import on_behalf, password, ssh_cert
from keyfob_emulator.authorize import read_claims
from keyfob_emulator.claim_shapes import shaped
from keyfob_emulator.claims_request import merged
from keyfob_emulator.client_auth import require_public_flows
from keyfob_emulator.consent import Identity
from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.grants import Grant
from keyfob_emulator.groups import group_claims
from keyfob_emulator.keys import SSH
from keyfob_emulator.model import GRAPH_CLIENT_ID, Account, Application
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.realm import Realm
from keyfob_emulator.scopes import OIDC_SCOPES, RequestedScopes, ResourceScopes, parse_scopes
from keyfob_emulator.state import Emulator
from keyfob_emulator.tokens import (
    Minting,
    access_token_claims,
    app_token_claims,
    encode_client_info,
    id_token_claims,
)

_URN: Final = "urn:ietf:params:oauth:grant-type:"
JWT_BEARER: Final = f"{_URN}jwt-bearer"
DEVICE_CODE: Final = f"{_URN}device_code"
SAML_1: Final = f"{_URN}saml1_1-bearer"
SAML_2: Final = f"{_URN}saml2-bearer"
_FMI_PATH: Final = re.compile(r"[!-~]{1,1024}")
_SHOWN_OIDC: Final = tuple(scope for scope in OIDC_SCOPES if scope != "offline_access")


@dataclass(frozen=True)
class TokenService:
    """The token endpoint of one realm at one address."""

    emulator: Emulator
    realm: Realm
    graph_urls: tuple[str, ...]
    ssh_key: ssh_cert.SshKey | None = None
    """The key of a request for an SSH certificate."""

    def answer(self, parameters: Parameters, authorization: str | None) -> dict[str, Any]:
        """A token response (RFC 6749 section 5.1), or a :class:`ProtocolError`."""
        parameters.refuse_repeated()
        grant_type = parameters.require("grant_type")
        grants: dict[str, Callable[[Parameters, Application], dict[str, Any]]] = {
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
            "client_credentials": self._client_credentials,
            "device_code": self._device_code,
            DEVICE_CODE: self._device_code,
            "password": partial(password.with_password, self),
            SAML_1: partial(password.with_assertion, self, 1),
            SAML_2: partial(password.with_assertion, self, 2),
            JWT_BEARER: partial(on_behalf.on_behalf_of, self),
            "user_fic": partial(on_behalf.user_federated_identity, self),
        }
        if grant_type not in grants:
            raise problem(70003, grant_type=grant_type)
        client = self.emulator.client_authentication.authenticate(
            parameters, authorization, self.realm, self._assertion_audiences(), self.emulator.now()
        )
        return grants[grant_type](parameters, client)

    def _assertion_audiences(self) -> Iterable[str]:
        tenants = {self.realm.segment, self.realm.endpoint_segment}
        return self.realm.authority.assertion_audiences(tenants)

    # The grants

    def _authorization_code(self, parameters: Parameters, client: Application) -> dict[str, Any]:
        text = parameters.require("code")
        redirect_uri = parameters.require("redirect_uri")
        code = self.emulator.grants.peek_code(text, client.client_id)
        if redirect_uri != code.redirect_uri:
            raise problem(500112, redirect_uri=redirect_uri, expected=code.redirect_uri)
        code.check_verifier(parameters.get("code_verifier"))
        identity = self.identity(code.grant, wrong_tenant=problem(700005))
        original = self.scopes(code.grant.scope, client)
        asked = self._scopes_asked(parameters.get("scope"), original, client)
        grant = _asked_again(parameters, code.grant)
        self.check_access(asked, identity, client, grant)
        # Used up only now: a request that was refused above has not spent the code.
        self.emulator.grants.redeem_code(text, client.client_id)
        # OpenID Connect Core 3.1.3.3: what the authorization asked for is owed here, whatever the
        # scope parameter, a Microsoft extension, narrows the access token to.
        asked = replace(asked, oidc=asked.oidc | original.oidc)
        return self.respond(identity, client, grant, asked, code.family)

    def _refresh_token(self, parameters: Parameters, client: Application) -> dict[str, Any]:
        text = parameters.require("refresh_token")
        grant, family = self.emulator.grants.peek_refresh(text, client)
        claims = read_claims(parameters)
        identity = self.identity(grant, wrong_tenant=None)
        original = self.scopes(grant.scope, client)
        asked = self._scopes_asked(parameters.get("scope"), original, client)
        grant = replace(
            grant,
            client_info=_wants_client_info(parameters, grant),
            claims=claims,
        )
        self.check_access(asked, identity, client, grant)
        self.emulator.grants.use_refresh(text)
        # A refresh always brings the next refresh token.
        asked = replace(asked, oidc=asked.oidc | {"offline_access"})
        return self.respond(identity, client, grant, asked, family)

    def _client_credentials(self, parameters: Parameters, client: Application) -> dict[str, Any]:
        tenant = self.realm.tenant
        if tenant is None or tenant.personal:
            raise problem(50059, tenant=self.realm.segment)
        if client.public:
            raise problem(7000218)
        text, fmi_path = parameters.require("scope"), parameters.get("fmi_path")
        if fmi_path is not None and not _FMI_PATH.fullmatch(fmi_path):
            raise problem(90023, value=fmi_path, parameter="fmi_path")
        words = text.split()
        if not words or not all(word.endswith("/.default") for word in words):
            raise problem(1002012, scope=text)
        asked = self.scopes(text, client)
        target = self.only_resource(asked)
        roles = [
            role
            for role in target.resource.app_roles
            if any(
                permission.rpartition("/")[2] == role
                and self.emulator.directory.resource(permission.rpartition("/")[0])
                == target.resource
                for permission in client.application_permissions
            )
        ]
        claims = app_token_claims(
            self.minting(),
            client,
            tenant.tenant_id,
            target=target,
            roles=roles,
            asked=read_claims(parameters),
            fmi_path=fmi_path,
        )
        told = shaped(self.realm.authority, claims)
        return self._access_token(told, tenant.tenant_id, [client.principal_id])

    def _device_code(self, parameters: Parameters, client: Application) -> dict[str, Any]:
        """A device asks whether somebody has signed in for it (RFC 8628 section 3.4)."""
        require_public_flows(client)
        text = parameters.get("device_code") or parameters.require("code")
        devices = self.emulator.devices
        grant = devices.poll(text, client.client_id)
        identity = self.identity(grant, wrong_tenant=problem(700005))
        asked = self.scopes(grant.scope, client)
        self.only_resource(asked)
        grant = _asked_again(parameters, grant)
        self.check_access(asked, identity, client, grant)
        devices.use(text)
        family = self.emulator.grants.open_family(grant)
        return self.respond(identity, client, grant, asked, family)

    # What they share

    def identity(self, grant: Grant, wrong_tenant: ProtocolError | None) -> Identity:
        """The person of a grant, as the realm of this request knows them."""
        if grant.policy != self.realm.authority.policy:
            raise problem(90088, policy=grant.policy, asked=self.realm.authority.policy)
        account = self.emulator.directory.account_by_id(grant.home_object_id)
        if account is None:
            raise problem(50034, username=grant.home_object_id, tenant=self.realm.title)
        if not account.enabled:
            raise problem(50057)
        client = self.emulator.application(grant.client_id)
        self.emulator.interactions.check(account.object_id, client)
        if wrong_tenant is not None:
            identity = self.realm.identity(account)
            if identity is None or identity.tenant.tenant_id != grant.tenant_id:
                # A code issued to a guest's tenant cannot be redeemed at /common, which means home.
                raise wrong_tenant
            return identity
        try:
            return self.realm.admit(account, client)
        except ProtocolError as refused:
            refused.error = "invalid_grant"
            raise

    def scopes(self, text: str, client: Application) -> RequestedScopes:
        """A ``scope`` parameter, read."""
        return parse_scopes(text, self.emulator.directory, self.graph_urls, client)

    def _scopes_asked(
        self, text: str | None, original: RequestedScopes, client: Application
    ) -> RequestedScopes:
        """The scopes of this request; without a ``scope`` parameter, those of the grant."""
        if text is not None:
            asked = self.scopes(text, client)
            self.only_resource(asked)
            return asked
        if len(original.resources) > 1:
            raise problem(28003)
        return original

    def only_resource(self, asked: RequestedScopes) -> ResourceScopes:
        """One access token is for one resource. OpenID Connect scopes alone mean Graph's."""
        if len(asked.resources) > 1:
            names = ", ".join(entry.resource.name for entry in asked.resources)
            raise problem(28000, scope=asked.text, resources=names)
        if asked.resources:
            return asked.resources[0]
        return ResourceScopes(self.emulator.application(GRAPH_CLIENT_ID), "", ())

    def check_access(
        self, asked: RequestedScopes, identity: Identity, client: Application, grant: Grant
    ) -> None:
        """Refuse what only a person on a page could give.

        AADSTS65001 for permissions that neither the person nor an administrator agreed to,
        AADSTS50076 for claims and resources that need a second factor.
        """
        self.emulator.conditional_access.check(grant, asked.apis, client)
        missing = self.emulator.consents.missing(asked, identity, client)
        if missing:
            words = ", ".join(sorted(missing))
            raise problem(
                65001,
                suberror="consent_required",
                client_id=client.client_id,
                name=client.name,
                missing=words,
            )

    def minting(self) -> Minting:
        """The circumstances of this moment."""
        lifetimes = self.emulator.lifetimes
        return Minting(
            self.realm.authority,
            int(self.emulator.now()),
            lifetimes.access_token,
            lifetimes.id_token,
            self.emulator.include_at_hash,
            self.emulator.conditional_access,
        )

    def new_grant(
        self,
        parameters: Parameters,
        client: Application,
        account: Account,
        tenant_id: str,
        sid: str | None = None,
        *,
        multi_factor: bool = False,
    ) -> Grant:
        """The grant of a flow without a browser, in which everything is in one request."""
        return Grant(
            client_id=client.client_id,
            home_object_id=account.object_id,
            tenant_id=tenant_id,
            scope=parameters.require("scope"),
            auth_time=int(self.emulator.now()),
            sid=sid or str(uuid.uuid4()),
            client_info=parameters.get("client_info") == "1",
            claims=read_claims(parameters),
            policy=self.realm.authority.policy,
            multi_factor=multi_factor,
        )

    def respond_to(
        self, grant: Grant, client: Application, wrong_tenant: ProtocolError | None
    ) -> dict[str, Any]:
        """The answer to a grant that has just come into being, or why there is none."""
        asked = self.scopes(grant.scope, client)
        identity = self.identity(grant, wrong_tenant=wrong_tenant)
        self.only_resource(asked)
        self.check_access(asked, identity, client, grant)
        family = self.emulator.grants.open_family(grant)
        return self.respond(identity, client, grant, asked, family)

    def _access_token(
        self, claims: dict[str, Any], tenant_id: str, principals: list[str]
    ) -> dict[str, Any]:
        """What every answer begins with: the token and for how long it is good."""
        keys, lifetimes = self.emulator.keys, self.emulator.lifetimes
        lifetime = lifetimes.access_token
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
        }
        if lifetimes.refresh_in is not None:
            answer["refresh_in"] = lifetimes.refresh_in
        if self.ssh_key is None:
            return {**answer, "access_token": keys.sign(claims, tenant_id)}
        authority, now = keys.current(SSH).private, int(self.emulator.now())
        text = ssh_cert.certificate(self.ssh_key, authority, principals, now, lifetime)
        return {**answer, "token_type": ssh_cert.TOKEN_TYPE, "access_token": text}

    def respond(
        self,
        identity: Identity,
        client: Application,
        grant: Grant,
        asked: RequestedScopes,
        family: str,
    ) -> dict[str, Any]:
        """A token response for a person (RFC 6749 section 5.1, OpenID Connect Core 3.1.3.3)."""
        minting, keys = self.minting(), self.emulator.keys
        target = self.only_resource(asked)
        names, shown = self._granted(target, identity, client, asked)
        groups = partial(group_claims, minting.authority, self.emulator.directory, identity)
        claims = access_token_claims(
            minting,
            identity,
            client,
            grant,
            target=target,
            names=names,
            groups=groups(target.resource),
        )
        tenant_id, account = identity.tenant.tenant_id, identity.account
        self.emulator.grants.note_access_token(
            family,
            claims["uti"],
            capable="cp1" in claims.get("xms_cc", ()),
            multi_factor=grant.multi_factor,
        )
        told = shaped(self.realm.authority, claims, identity)
        answer = self._access_token(told, tenant_id, [account.username, identity.object_id])
        answer["scope"] = " ".join(shown)
        if "offline_access" in asked.oidc:
            answer["refresh_token"] = self.emulator.grants.issue_refresh(
                grant, family, self.emulator.lifetimes.refresh_token, client.family
            )
            if client.family is not None:
                answer["foci"] = client.family
        if "openid" in asked.oidc:
            id_claims = id_token_claims(
                minting,
                identity,
                client,
                grant,
                oidc=asked.oidc,
                access_token=answer["access_token"],
                groups=groups(client),
            )
            told = shaped(self.realm.authority, id_claims, identity)
            answer["id_token"] = keys.sign(told, tenant_id)
        if grant.client_info:
            answer["client_info"] = encode_client_info(account)
        return answer

    def _granted(
        self,
        target: ResourceScopes,
        identity: Identity,
        client: Application,
        asked: RequestedScopes,
    ) -> tuple[list[str], list[str]]:
        """``scp`` and the answer's ``scope``: all there is for the resource, as at Entra."""
        consents = self.emulator.consents
        names = consents.granted_names(target.resource, identity, client)
        spelled = [target.spelled(name) for name in names]
        if target.resource == client and not target.prefix:
            spelled.append(client.client_id)  # asked for by its bare id, as B2C's clients do
        if target.resource.client_id != GRAPH_CLIENT_ID:
            return names, spelled
        given = consents.given(identity, client) & asked.oidc
        oidc = [scope for scope in _SHOWN_OIDC if scope in given]
        return [*oidc, *names], [*spelled, *oidc]


def _asked_again(parameters: Parameters, grant: Grant) -> Grant:
    """The grant with what the token request asks for beside it."""
    return replace(
        grant,
        client_info=_wants_client_info(parameters, grant),
        claims=merged(grant.claims, read_claims(parameters)),
    )


def _wants_client_info(parameters: Parameters, grant: Grant) -> bool:
    return grant.client_info or parameters.get("client_info") == "1"

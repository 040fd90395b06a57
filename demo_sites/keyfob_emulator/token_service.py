"""The token endpoint's decisions: four grants, in and out as values.

RFC 6749 sections 4.1.3, 6 and 4.4, RFC 7523, RFC 7636 section 4.6 (PKCE), OpenID Connect Core
sections 3.1.3 and 12.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from keyfob_emulator.authorize import read_claims
from keyfob_emulator.claim_shapes import shaped
from keyfob_emulator.consent import Identity
from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.grants import Code, Grant
from keyfob_emulator.keys import base64url
from keyfob_emulator.model import GRAPH_CLIENT_ID, Application
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

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SHOWN_OIDC: Final = tuple(scope for scope in OIDC_SCOPES if scope != "offline_access")


@dataclass(frozen=True)
class TokenService:
    """The token endpoint of one realm at one address."""

    emulator: Emulator
    realm: Realm
    base_url: str
    graph_urls: tuple[str, ...]

    def answer(self, parameters: Parameters, authorization: str | None) -> dict[str, Any]:
        """A token response (RFC 6749 section 5.1), or a :class:`ProtocolError`."""
        parameters.refuse_repeated()
        grant_type = parameters.require("grant_type")
        grants = {
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
            "client_credentials": self._client_credentials,
            JWT_BEARER: self._on_behalf_of,
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
        _check_verifier(parameters.get("code_verifier"), code)
        identity = self._identity(code.grant, wrong_tenant=problem(700005))
        original = self._scopes(code.grant.scope, client)
        asked = self._scopes_asked(parameters.get("scope"), original, client)
        self._check_consent(asked, identity, client)
        # Used up only now: a request that was refused above has not spent the code.
        self.emulator.grants.redeem_code(text, client.client_id)
        grant = replace(code.grant, client_info=_wants_client_info(parameters, code.grant))
        # OpenID Connect Core 3.1.3.3: what the authorization asked for is owed here, whatever the
        # scope parameter, a Microsoft extension, narrows the access token to.
        asked = replace(asked, oidc=asked.oidc | original.oidc)
        return self._respond(identity, client, grant, asked, code.family)

    def _refresh_token(self, parameters: Parameters, client: Application) -> dict[str, Any]:
        text = parameters.require("refresh_token")
        grant, family = self.emulator.grants.peek_refresh(text, client.client_id)
        claims = read_claims(parameters)
        identity = self._identity(grant, wrong_tenant=None)
        original = self._scopes(grant.scope, client)
        asked = self._scopes_asked(parameters.get("scope"), original, client)
        self._check_consent(asked, identity, client)
        self.emulator.grants.use_refresh(text)
        grant = replace(
            grant,
            client_info=_wants_client_info(parameters, grant),
            claims=claims,
        )
        # A refresh always brings the next refresh token.
        asked = replace(asked, oidc=asked.oidc | {"offline_access"})
        return self._respond(identity, client, grant, asked, family)

    def _client_credentials(self, parameters: Parameters, client: Application) -> dict[str, Any]:
        tenant = self.realm.tenant
        if tenant is None or tenant.personal:
            raise problem(50059, tenant=self.realm.segment)
        if client.public:
            raise problem(7000218)
        text = parameters.require("scope")
        words = text.split()
        if not words or not all(word.endswith("/.default") for word in words):
            raise problem(1002012, scope=text)
        asked = self._scopes(text, client)
        target = self._only_resource(asked)
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
        minting = self._minting()
        claims = app_token_claims(minting, client, tenant.tenant_id, target, roles)
        lifetime = minting.access_token_lifetime
        return {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._sign(claims, tenant.tenant_id),
        }

    def _on_behalf_of(self, parameters: Parameters, client: Application) -> dict[str, Any]:
        """An API goes on in the name of its caller (RFC 7523, and Entra's on-behalf-of flow)."""
        if parameters.require("requested_token_use") != "on_behalf_of":
            raise problem(90023, value="...", parameter="requested_token_use")
        assertion = parameters.require("assertion")
        asked = self._scopes(parameters.require("scope"), client)
        if client.public:
            raise problem(7000218)
        told = self._caller(assertion, client)
        account = self.emulator.directory.account_in(told["tid"], told["oid"])
        if account is None:
            raise problem(50034, username=told["oid"], tenant=told["tid"])
        grant = Grant(
            client_id=client.client_id,
            home_object_id=account.object_id,
            tenant_id=told["tid"],
            scope=asked.text,
            auth_time=int(self.emulator.now()),
            sid=told["sid"],
            client_info=parameters.get("client_info") == "1",
            claims=read_claims(parameters),
        )
        identity = self._identity(grant, wrong_tenant=problem(50013, reason="another tenant's"))
        self._only_resource(asked)
        self._check_consent(asked, identity, client)
        family = self.emulator.grants.open_family(grant)
        return self._respond(identity, client, grant, asked, family)

    def _caller(self, assertion: str, client: Application) -> dict[str, Any]:
        """The claims of the access token an API was called with, which must be its own."""
        claims = self.emulator.keys.verify(assertion)
        if claims is None:
            raise problem(50013, reason="not signed by this provider")
        if not {"scp", "oid", "tid", "sid"} <= claims.keys():
            raise problem(50013, reason="not an access token for a person")
        if self.emulator.directory.resource(str(claims["aud"])) != client:
            raise problem(500131, audience=claims["aud"], client_id=client.client_id)
        if self.emulator.now() >= claims["exp"]:
            raise problem(500133)
        return claims

    # What they share

    def _identity(self, grant: Grant, wrong_tenant: ProtocolError | None) -> Identity:
        """The person of a grant, as the realm of this request knows them."""
        if grant.policy != self.realm.authority.policy:
            raise problem(90088, policy=grant.policy, asked=self.realm.authority.policy)
        account = self.emulator.directory.account_by_id(grant.home_object_id)
        if account is None:
            raise problem(50034, username=grant.home_object_id, tenant=self.realm.title)
        if not account.enabled:
            raise problem(50057)
        client = self.emulator.application(grant.client_id)
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

    def _scopes(self, text: str, client: Application) -> RequestedScopes:
        return parse_scopes(text, self.emulator.directory, self.graph_urls, client)

    def _scopes_asked(
        self, text: str | None, original: RequestedScopes, client: Application
    ) -> RequestedScopes:
        """The scopes of this request; without a ``scope`` parameter, those of the grant."""
        if text is not None:
            asked = self._scopes(text, client)
            self._only_resource(asked)
            return asked
        if len(original.resources) > 1:
            raise problem(28003)
        return original

    def _only_resource(self, asked: RequestedScopes) -> ResourceScopes:
        """One access token is for one resource. OpenID Connect scopes alone mean Graph's."""
        if len(asked.resources) > 1:
            names = ", ".join(entry.resource.name for entry in asked.resources)
            raise problem(28000, scope=asked.text, resources=names)
        if asked.resources:
            return asked.resources[0]
        return ResourceScopes(self.emulator.application(GRAPH_CLIENT_ID), "", ())

    def _check_consent(
        self, asked: RequestedScopes, identity: Identity, client: Application
    ) -> None:
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

    def _minting(self) -> Minting:
        lifetimes = self.emulator.lifetimes
        return Minting(
            self.realm.authority,
            int(self.emulator.now()),
            lifetimes.access_token,
            lifetimes.id_token,
            self.emulator.include_at_hash,
        )

    def _sign(
        self, claims: dict[str, Any], tenant_id: str, identity: Identity | None = None
    ) -> str:
        told = shaped(self.realm.authority, claims, identity)
        return self.emulator.keys.sign(told, tenant_id)

    def _respond(
        self,
        identity: Identity,
        client: Application,
        grant: Grant,
        asked: RequestedScopes,
        family: str,
    ) -> dict[str, Any]:
        minting = self._minting()
        target = self._only_resource(asked)
        names, shown = self._granted(target, identity, client, asked)
        lifetime = minting.access_token_lifetime
        claims = access_token_claims(
            minting, identity, client, grant, target=target, names=names, lifetime=lifetime
        )
        tenant_id = identity.tenant.tenant_id
        self.emulator.grants.note_access_token(family, claims["uti"])
        access_token = self._sign(claims, tenant_id, identity)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(shown),
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": access_token,
        }
        if "offline_access" in asked.oidc:
            answer["refresh_token"] = self.emulator.grants.issue_refresh(
                grant, family, self.emulator.lifetimes.refresh_token
            )
        if "openid" in asked.oidc:
            id_claims = id_token_claims(
                minting, identity, client, grant, oidc=asked.oidc, access_token=access_token
            )
            answer["id_token"] = self._sign(id_claims, tenant_id, identity)
        if grant.client_info:
            answer["client_info"] = encode_client_info(identity.account)
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


def _check_verifier(verifier: str | None, code: Code) -> None:
    """RFC 7636 section 4.6; a verifier nobody announced is refused too (RFC 9700 section 2.1.1)."""
    if code.code_challenge is None:
        if verifier is not None:
            raise problem(501481)
        return
    if verifier is None:
        raise problem(50148)
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    if not hmac.compare_digest(base64url(digest), code.code_challenge):
        raise problem(501481)


def _wants_client_info(parameters: Parameters, grant: Grant) -> bool:
    return grant.client_info or parameters.get("client_info") == "1"

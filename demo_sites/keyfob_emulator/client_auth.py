"""Client authentication at the token endpoint.

RFC 6749 section 2.3.1 (``client_secret_basic``, ``client_secret_post``), RFC 7523 and OpenID
Connect Core section 9 (``private_key_jwt``), public clients by their id alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_plus

from keyfob_emulator.client_assertion import (
    check_federated_assertion,
    check_own_assertion,
    unverified_claims,
)
from keyfob_emulator.errors import problem
from keyfob_emulator.keys import KeyRings
from keyfob_emulator.model import Application, Directory
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.realm import Realm
from keyfob_emulator.workload_identity import ExternalIssuer

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientAuthentication:
    """Decides which application sent a token request."""

    def __init__(self, directory: Directory, keys: KeyRings) -> None:
        self._directory = directory
        self._keys = keys
        self.issuers: dict[str, ExternalIssuer] = {}
        """Other issuers whose keys are known here."""

    def authenticate(
        self,
        parameters: Parameters,
        authorization: str | None,
        realm: Realm,
        audiences: Iterable[str],
        now: float,
    ) -> Application:
        """The application, proved. ``audiences`` are the values an assertion may be made out to."""
        basic = _basic(authorization)
        assertion = parameters.get("client_assertion")
        secret = parameters.get("client_secret")
        # RFC 6749 section 2.3: one method per request.
        if sum(given is not None for given in (basic, assertion, secret)) > 1:
            raise problem(9002313, reason="more than one way of client authentication")
        client = self._client(parameters, basic, realm)
        if basic is not None:
            secret = basic[1]
        if assertion is not None:
            self._check_assertion(client, parameters, assertion, set(audiences), now)
        elif secret is not None:
            _check_secret(client, secret)
        elif not client.public:
            raise problem(7000218)
        return client

    def _client(
        self, parameters: Parameters, basic: tuple[str, str] | None, realm: Realm
    ) -> Application:
        client_id = parameters.get("client_id")
        if basic is not None:
            if client_id is not None and client_id.lower() != basic[0].lower():
                raise problem(9002313, reason="two different client ids")
            client_id = basic[0]
        if client_id is None:
            raise problem(900144, parameter="client_id")
        client = self._directory.application(client_id)
        if client is None:
            raise problem(700016, client_id=client_id, tenant=realm.title)
        realm.check_application(client)
        return client

    def _check_assertion(
        self,
        client: Application,
        parameters: Parameters,
        assertion: str,
        audiences: set[str],
        now: float,
    ) -> None:
        """RFC 7523 section 3: signed by the client itself, or by an issuer it trusts."""
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise problem(900144, parameter="client_assertion_type")
        if client.public:
            raise problem(700025)
        told = unverified_claims(assertion)
        if client.federated_credentials and told.get("iss") != client.client_id:
            check_federated_assertion(client, assertion, self.issuers, self._keys, now)
        else:
            check_own_assertion(client, assertion, audiences, now)


def require_public_flows(client: Application) -> None:
    """AADSTS7000218 for a client without credentials that is not allowed to do without."""
    if client.public and not client.public_flows:
        raise problem(7000218)


def _basic(authorization: str | None) -> tuple[str, str] | None:
    """Client id and secret of a Basic header; both are form-urlencoded inside it."""
    if authorization is None:
        return None
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise problem(9002313, reason=f"authorization scheme {scheme}")
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise problem(9002313, reason="the Authorization header is not base64") from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise problem(9002313, reason="the Authorization header has no colon")
    return unquote_plus(client_id), unquote_plus(secret)


def _check_secret(client: Application, secret: str) -> None:
    if client.public:
        raise problem(700025)
    given = secret.encode("utf-8", "surrogatepass")
    if not any(hmac.compare_digest(given, known.encode()) for known in client.secrets):
        raise problem(7000215, client_id=client.client_id)

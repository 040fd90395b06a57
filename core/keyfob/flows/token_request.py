"""One request to the token endpoint, with all that belongs to every one of them."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyfob.flows import Flow, send
from keyfob.flows.client import Client
from keyfob.flows.credentials import Credential, Occasion
from keyfob.flows.telemetry import Api, Reason
from keyfob.protocol.claims import claims_parameter
from keyfob.protocol.client_auth import NO_PROOF, Proof
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.token_endpoint import build_token_request, parse_token_response

_log = logging.getLogger(__name__)

#: A field that is in no form: MSAL's name, in the cache, for claims that were forwarded.
FORWARDED_CLAIMS = "client_claims"


@dataclass(frozen=True)
class TokenRequest:
    """What a flow asks for.

    :param grant: the grant's own fields; those that are None or empty are left out.
    :param api: the verb, as Microsoft's telemetry numbers them.
    :param reason: why the cache gave no token.
    :param headers: beyond those of every request.
    :param claims_challenge: an API's, a JSON object as text.
    :param forwarded_claims: the application's own, likewise.
    :param endpoint: another token endpoint than the metadata's, such as a region's.
    :param correlation_id: by which the provider's support finds it; made here where None.
    """

    grant: Mapping[str, str | None] = field(repr=False)
    api: Api
    reason: Reason = Reason.NOT_ASKED
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    claims_challenge: str | None = None
    forwarded_claims: str | None = None
    endpoint: str | None = None
    correlation_id: str | None = None


def ask(client: Client, metadata: ProviderMetadata, request: TokenRequest) -> Flow[dict[str, Any]]:
    """The judged answer: a dict with `access_token`, or one with `error`.

    A client with several credentials tries them in order, as long as one cannot be had, or the
    provider does not know the client by it (`invalid_client`).

    :raises TokenResponseError: the answer is neither.
    :raises TransportError: there is none.
    """
    correlation_id = request.correlation_id or str(uuid.uuid4())
    if not client.credentials:
        answer = yield from _exchange(client, metadata, request, NO_PROOF, correlation_id)
    else:
        answer = yield from _ask_with_proof(client, metadata, request, correlation_id)
    if "error" in answer:
        client.telemetry.failed(request.api, correlation_id, answer["error"])
    else:
        client.telemetry.succeeded()
    return answer


def _ask_with_proof(
    client: Client, metadata: ProviderMetadata, request: TokenRequest, correlation_id: str
) -> Flow[dict[str, Any]]:
    """The answer to the first credential that can be had and that the provider knows; else the
    last one's error, the provider's before our own."""
    occasion = Occasion(client.client_id, metadata, client.clock(), request.grant.get("fmi_path"))
    answer: dict[str, Any] = {}
    failure: Exception | None = None
    for credential in client.credentials.in_order():
        proof = yield from _proof(client, credential, occasion)
        if isinstance(proof, Exception):
            failure = proof
            continue
        answer = yield from _exchange(client, metadata, request, proof, correlation_id)
        if answer.get("error") != "invalid_client":
            client.credentials.served(credential)
            return answer
        credential.refused()
        if len(client.credentials) > 1:
            _log.warning("The provider does not know the client by %s", credential.kind)
    if not answer and failure is not None:
        raise failure
    return answer


def _exchange(
    client: Client,
    metadata: ProviderMetadata,
    request: TokenRequest,
    proof: Proof,
    correlation_id: str,
) -> Flow[dict[str, Any]]:
    http = yield from send(_http_request(client, metadata, request, proof, correlation_id))
    return parse_token_response(
        http,
        client.extra.token_type,
        # Azure AD B2C gives an access token only for an API's scopes.
        may_lack_access_token=client.provider.authority.kind == "b2c",
    )


def proof_for(client: Client, metadata: ProviderMetadata) -> Flow[Proof]:
    """What proves the client elsewhere than at the token endpoint: by its first credential that
    can be had."""
    occasion = Occasion(client.client_id, metadata, client.clock())
    failure: Exception | None = None
    for credential in client.credentials.in_order():
        proof = yield from _proof(client, credential, occasion)
        if isinstance(proof, Proof):
            return proof
        failure = proof
    if failure is not None:
        raise failure
    return NO_PROOF


def _proof(client: Client, credential: Credential, occasion: Occasion) -> Flow[Proof | Exception]:
    """The proof; or, where there are other credentials to try, why it cannot be had."""
    try:
        return (yield from credential.prove(occasion))
    except Exception as error:
        if len(client.credentials) == 1:
            raise
        # Not its text, which may be anybody's.
        _log.warning("Passing over %s: %s", credential.kind, type(error).__name__)
        return error


def _http_request(
    client: Client,
    metadata: ProviderMetadata,
    request: TokenRequest,
    proof: Proof,
    correlation_id: str,
) -> Any:
    claims = claims_parameter(
        request.claims_challenge, client.capabilities, request.forwarded_claims
    )
    fields: dict[str, str | None] = {**request.grant, "claims": claims}
    if client.is_microsoft:
        fields["client_info"] = "1"
    fields |= {k: v for k, v in client.extra.data.items() if k != FORWARDED_CLAIMS}
    return build_token_request(
        request.endpoint or metadata.token_endpoint,
        client.client_id,
        proof,
        fields,
        headers={**_token_headers(client, request, correlation_id), **request.headers},
        params=client.extra.params,
    )


def exchange_headers(client: Client, correlation_id: str) -> dict[str, str]:
    """How Microsoft's support finds an exchange again, and what of ours took part in it; other
    providers are told nothing."""
    if not client.is_microsoft:
        return {}
    from keyfob._version import __version__

    named = {"x-app-name": client.app_name, "x-app-ver": client.app_version}
    return {
        "client-request-id": correlation_id,
        "x-client-sku": "Keyfob.Python",
        "x-client-ver": __version__,
        "x-client-os": sys.platform,
        "x-ms-lib-capability": "retry-after, h429",
        **{name: value for name, value in named.items() if value},
    }


def _token_headers(client: Client, request: TokenRequest, correlation_id: str) -> dict[str, str]:
    if not client.is_microsoft:
        return {}
    return {
        **exchange_headers(client, correlation_id),
        **client.telemetry.headers(request.api, request.reason),
    }

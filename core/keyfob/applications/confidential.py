"""The application that can keep a secret: a web site, a web API, a daemon (RFC 6749 §2.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from keyfob.applications.client_application import ClientApplication
from keyfob.applications.kinds import ConfidentialApplication
from keyfob.flows import federated_identity, on_behalf_of
from keyfob.protocol.results import TokenResult


class ConfidentialClientApplication(ConfidentialApplication, ClientApplication):
    """A client application that proves itself to the provider, with its credential."""

    def acquire_token_for_client(
        self,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        fmi_path: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """A token in the application's own name (RFC 6749 §4.4).

        :param scopes: at Microsoft one, the resource with `/.default` behind it.
        :param claims_challenge: an API's claims challenge; answered by a new token.
        :param fmi_path: Microsoft's: the federated managed identity that the token is for.
        :param forwarded_client_claims: claims of the application's own, a JSON object as text; its
            tokens are kept apart.
        :returns: a dict with `access_token`, from the cache where it holds one; or with `error`.
        """
        asked = self._own_token(
            scopes, claims_challenge, fmi_path, forwarded_client_claims, options
        )
        return cast("TokenResult", self._answered(asked))

    def acquire_token_on_behalf_of(
        self,
        user_assertion: str,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """A token for another API, in the name of who called this one (RFC 7523 §2.1).

        The cache is asked first: the same caller's token, for the same assertion, serves again.

        :param user_assertion: the access token that the caller sent. Check it first.
        :param scopes: of the API that is to be called.
        :param claims_challenge: that API's claims challenge; answered by a new token.
        :param forwarded_client_claims: claims of the application's own, a JSON object as text; its
            tokens are kept apart.
        :returns: a dict with `access_token`, or one with `error`.
        """
        wanted = on_behalf_of.need(
            user_assertion,
            scopes,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_client_claims,
        )
        return cast("TokenResult", self._answered(self._asked(wanted, options)))

    def acquire_token_by_user_federated_identity_credential(
        self,
        scopes: Collection[str],
        assertion: str,
        username: str | None = None,
        user_object_id: str | None = None,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """A person's token by a federated identity credential of theirs (Microsoft's `user_fic`).

        :param assertion: the credential, a token that the provider trusts for this.
        :param username: whose it is; or
        :param user_object_id: their object id, a GUID. One of the two.
        :returns: a dict with `access_token`, or one with `error`.
        """
        client, rest = self._for_one_call(options)
        flow = federated_identity.acquire(
            client,
            scopes,
            assertion,
            username=username,
            user_object_id=user_object_id,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_client_claims,
        )
        return self._token(flow, rest)

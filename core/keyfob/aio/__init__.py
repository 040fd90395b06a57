"""The applications with their network verbs as coroutines, on the same flows.

    from keyfob.aio import ConfidentialClientApplication

    async with ConfidentialClientApplication(client_id, secret, authority=authority) as app:
        result = await app.acquire_token_for_client(scopes)

Names, parameters, results and errors are those of the synchronous applications. What asks no
network is no coroutine: `get_accounts`, `remove_account`, `remove_tokens_for_client`, `with_cache`,
`token_at_hand`. docs/async.md says the rest.
"""

from keyfob.aio.client_application import ClientApplication
from keyfob.aio.confidential import ConfidentialClientApplication
from keyfob.aio.managed_identity import ManagedIdentityClient
from keyfob.aio.public import PublicClientApplication

__all__ = [
    "ClientApplication",
    "ConfidentialClientApplication",
    "ManagedIdentityClient",
    "PublicClientApplication",
]

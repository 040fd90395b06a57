"""Microsoft's own APIs that applications and managed identities get tokens for.

Their identifiers are the public ones of "Verify first-party Microsoft applications".
"""

from __future__ import annotations

from keyfob_emulator.model import (
    Application,
    Audience,
    Scope,
)


def azure_resources(tenant_id: str) -> tuple[Application, ...]:
    """Resource Manager, Key Vault and Storage."""
    person = Scope("user_impersonation", "Act as you", "Do what you may do.")

    def resource(client_id: str, name: str, *uris: str, scopes: tuple[Scope, ...]) -> Application:
        return Application(
            client_id,
            name,
            tenant_id,
            audience=Audience.MULTIPLE_TENANTS,
            identifier_uris=uris,
            scopes=scopes,
            access_token_version=1,
        )

    return (
        resource(
            "797f4846-ba00-4fd7-ba43-dac1f8f63013",
            "Azure Resource Manager",
            "https://management.azure.com",
            "https://management.core.windows.net",
            scopes=(person,),
        ),
        resource(
            "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
            "Azure Key Vault",
            "https://vault.azure.net",
            scopes=(person,),
        ),
        resource(
            "e406a681-f3d4-42a8-90b6-c2b029497af1",
            "Azure Storage",
            "https://storage.azure.com",
            scopes=(person,),
        ),
    )

"""App Service's own authentication, played: the headers that it gives a site for a person."""

from __future__ import annotations

from dataclasses import dataclass, field

from support.provider import Grant, Person, Provider

#: What the platform tells the processes of a site.
ENVIRON = {"WEBSITE_AUTH_ENABLED": "True", "WEBSITE_AUTH_DEFAULT_PROVIDER": "AzureActiveDirectory"}
PRINCIPAL, ID_TOKEN = "x-ms-client-principal-id", "x-ms-token-aad-id-token"
REFRESH_TOKEN = "x-ms-token-aad-refresh-token"


@dataclass
class AppService:
    """The platform in front of a site, which signs people in at `provider`."""

    provider: Provider
    scopes: list[str] = field(default_factory=lambda: ["openid", "profile", "offline_access"])

    def headers(self, person: Person | None = None, *, refresh: bool = False) -> dict[str, str]:
        """Those of a request of a signed-in person.

        :param refresh: with the token store, and `offline_access` among its scopes.
        """
        who = person or self.provider.person
        grant = Grant(who, self.scopes, nonce="the platform's", auth_time=int(self.provider.now()))
        found = {
            "x-ms-client-principal-name": who.preferred_username,
            PRINCIPAL: who.oid,
            "x-ms-client-principal-idp": "aad",
            ID_TOKEN: self.provider.id_token(grant, "their access token"),
        }
        if refresh:
            found[REFRESH_TOKEN] = self.provider._new_refresh_token(grant)
        return found

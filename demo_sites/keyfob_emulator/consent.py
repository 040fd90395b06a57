"""Who allowed which application what: remembered per person and application, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyfob_emulator.model import Account, Application, Directory, Scope, Tenant
from keyfob_emulator.scopes import (
    DEFAULT,
    RequestedScopes,
    ResourceScopes,
    consent_key,
    parse_scopes,
)

_OIDC_WORDS = {
    "openid": ("View your basic profile", "Know who you are: your name and user name."),
    "profile": ("View your basic profile", "Know who you are: your name and user name."),
    "email": ("View your email address", "See the address that belongs to this account."),
    "offline_access": (
        "Maintain access to data you have given it access to",
        "Keep the access above when you are not using the application.",
    ),
}


@dataclass(frozen=True)
class Identity:
    """A person in the tenant they sign in to, which is another one than home for a guest."""

    account: Account
    tenant: Tenant
    object_id: str

    @property
    def guest(self) -> bool:
        """Whether the person is a guest in this tenant."""
        return self.tenant.tenant_id != self.account.tenant_id


class Consents:
    """The memory of consent. Keys: ``openid``, or the resource's client id, a slash, the scope."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._given: dict[tuple[str, str], set[str]] = {}

    def give(self, object_id: str, client_id: str, keys: Iterable[str]) -> None:
        """Remember that somebody agreed."""
        self._given.setdefault((object_id, client_id), set()).update(keys)

    def give_for_everybody(self, tenant_id: str, client_id: str, keys: Iterable[str]) -> None:
        """Remember that an administrator agreed for a whole tenant."""
        self.give(tenant_id, client_id, keys)

    def withdraw(
        self, object_ids: Iterable[str], client_id: str, keys: Iterable[str] | None
    ) -> None:
        """Forget what somebody agreed to; all of it when ``keys`` is None."""
        for object_id in object_ids:
            if keys is None:
                self._given.pop((object_id, client_id), None)
            else:
                self._given.get((object_id, client_id), set()).difference_update(keys)

    def of(self, account: Account) -> dict[str, frozenset[str]]:
        """What a person agreed to themselves, by application, at home and as a guest."""
        found: dict[str, frozenset[str]] = {}
        for object_id in (account.object_id, *account.guest_in.values()):
            for (owner, client_id), keys in list(self._given.items()):
                if owner == object_id and keys:
                    found[client_id] = found.get(client_id, frozenset()) | keys
        return found

    def given(self, identity: Identity, client: Application) -> frozenset[str]:
        """Everything this person, or an administrator for everybody, agreed to."""
        own = self._given.get((identity.object_id, client.client_id), set())
        # Tenants and people have ids of one kind, and no two the same.
        everybody = self._given.get((identity.tenant.tenant_id, client.client_id), set())
        return frozenset(own | everybody) | self._by_administrator(client)

    def _by_administrator(self, client: Application) -> frozenset[str]:
        if not client.admin_consented:
            return frozenset()
        text = " ".join(sorted(client.admin_consented))
        return parse_scopes(text, self._directory, (), client).keys

    def expand(
        self, asked: RequestedScopes, identity: Identity, client: Application
    ) -> frozenset[str]:
        """What the request comes down to once ``.default`` is resolved.

        For a resource with ``.default`` that is what was agreed to before, else what is registered.
        """
        given = self.given(identity, client)
        keys = set(asked.oidc)
        for entry in asked.resources:
            named = {consent_key(entry.resource, name) for name in entry.names if name != DEFAULT}
            keys |= named
            if entry.default:
                earlier = {k for k in given if k.startswith(f"{entry.resource.client_id}/")}
                keys |= earlier or self._registered(entry, client)
        return frozenset(keys)

    def for_everybody(self, asked: RequestedScopes, client: Application) -> frozenset[str]:
        """What an administrator is asked to agree to: with any ``.default``, all that is registered
        and all of OpenID Connect's words.
        """
        if not any(entry.default for entry in asked.resources):
            return asked.keys
        registered = parse_scopes(" ".join(client.permissions), self._directory, (), client)
        return registered.keys | frozenset(_OIDC_WORDS)

    def _registered(self, entry: ResourceScopes, client: Application) -> set[str]:
        if not client.permissions:
            return set()
        registered = parse_scopes(" ".join(client.permissions), self._directory, (), client)
        return {k for k in registered.keys if k.startswith(f"{entry.resource.client_id}/")}

    def missing(
        self, asked: RequestedScopes, identity: Identity, client: Application
    ) -> frozenset[str]:
        """What still has to be agreed to."""
        return self.expand(asked, identity, client) - self.given(identity, client)

    def granted_names(
        self, resource: Application, identity: Identity, client: Application
    ) -> list[str]:
        """Every permission of a resource this application has: Entra puts all into each token."""
        prefix = f"{resource.client_id}/"
        given = self.given(identity, client)
        return sorted(key.removeprefix(prefix) for key in given if key.startswith(prefix))

    def in_words(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Permissions as a person should read them: title and explanation, no repetitions."""
        lines: dict[str, str] = {}
        for key in sorted(keys, key=_reading_order):
            scope = self.scope_of(key)
            title, text = _OIDC_WORDS[key] if scope is None else (scope.title, scope.description)
            lines.setdefault(title, text)
        return list(lines.items())

    def scope_of(self, key: str) -> Scope | None:
        """The API permission behind a key, None for the words of OpenID Connect."""
        client_id, _, name = key.rpartition("/")
        resource = self._directory.application(client_id) if client_id else None
        return resource.scope(name) if resource else None

    def admin_only(self, keys: Iterable[str]) -> list[str]:
        """Those of the permissions that only an administrator may agree to."""
        scopes = (self.scope_of(key) for key in keys)
        return sorted(scope.value for scope in scopes if scope is not None and scope.admin_only)


def _reading_order(key: str) -> tuple[int, str]:
    order = {"openid": 0, "profile": 1, "email": 2, "offline_access": 9}
    return order.get(key, 5), key

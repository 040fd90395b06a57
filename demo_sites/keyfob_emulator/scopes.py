"""Scopes: from the words of a request to permissions of resources.

RFC 6749 section 3.3, and "Scopes and permissions in the Microsoft identity platform": a scope is a
permission name behind the resource's identifier; a bare name belongs to Microsoft Graph; four words
belong to OpenID Connect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keyfob_emulator.errors import problem
from keyfob_emulator.model import GRAPH_CLIENT_ID, Application, Directory

OIDC_SCOPES: Final = ("openid", "profile", "email", "offline_access")
DEFAULT: Final = ".default"
_SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")  # RFC 6749 section 3.3, scope-token


@dataclass(frozen=True)
class ResourceScopes:
    """Permissions asked of one resource.

    ``prefix`` is the resource as the request wrote it ("" for bare names): answers repeat that
    spelling, and it becomes the audience of version 1 tokens.
    """

    resource: Application
    prefix: str
    names: tuple[str, ...]

    @property
    def default(self) -> bool:
        """Whether everything that is registered was asked for."""
        return DEFAULT in self.names

    def spelled(self, name: str) -> str:
        """A permission as the request would have written it."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @property
    def audience(self) -> str:
        """``aud`` of an access token: the client id in version 2, else what was asked for."""
        if self.resource.access_token_version == 2 or not self.prefix:
            return self.resource.client_id
        return self.prefix


@dataclass(frozen=True)
class RequestedScopes:
    """A parsed ``scope`` parameter."""

    text: str
    oidc: frozenset[str]
    resources: tuple[ResourceScopes, ...]

    @property
    def apis(self) -> list[Application]:
        """The resources that are asked for by name."""
        return [each.resource for each in self.resources]

    @property
    def keys(self) -> frozenset[str]:
        """Everything asked for, as consent keys; ``.default`` stays as it is."""
        named = {consent_key(r.resource, name) for r in self.resources for name in r.names}
        return frozenset(self.oidc | named)


def consent_key(resource: Application, name: str) -> str:
    """How a permission is remembered, whatever spelling it was asked for in."""
    return f"{resource.client_id}/{name}"


def parse_scopes(
    text: str, directory: Directory, graph_urls: Iterable[str], client: Application
) -> RequestedScopes:
    """Read a ``scope`` parameter, refusing what does not exist."""
    oidc: set[str] = set()
    found: dict[str, ResourceScopes] = {}
    graph_aliases = {url.rstrip("/").lower() for url in graph_urls}
    for word in text.split():
        if not _SCOPE_TOKEN.fullmatch(word):
            raise problem(70011, scope=word)
        if word.lower() in OIDC_SCOPES:
            oidc.add(word.lower())
            continue
        resource, prefix, name = _one_scope(word, directory, graph_aliases, client)
        known = found.get(resource.client_id)
        if known is None:
            found[resource.client_id] = ResourceScopes(resource, prefix, (name,))
        elif name not in known.names:
            found[resource.client_id] = ResourceScopes(resource, known.prefix, (*known.names, name))
    if not oidc and not found:
        raise problem(900144, parameter="scope")
    return RequestedScopes(text, frozenset(oidc), tuple(found.values()))


def _one_scope(
    word: str, directory: Directory, graph_aliases: set[str], client: Application
) -> tuple[Application, str, str]:
    if word.lower() == client.client_id.lower():
        return client, "", DEFAULT  # A client may call itself, which B2C's clients live on.
    prefix, _, name = word.rpartition("/")
    if not name:
        raise problem(70011, scope=word)
    if not prefix or prefix.rstrip("/").lower() in graph_aliases:
        resource = directory.application(GRAPH_CLIENT_ID)
    else:
        resource = directory.resource(prefix)
    if resource is None:
        raise problem(500011, resource=prefix or "Microsoft Graph")
    if name == DEFAULT:
        return resource, prefix.rstrip("/"), DEFAULT
    scope = resource.scope(name)
    if scope is None:
        raise problem(650053, name=client.name, scope=name, resource=resource.client_id)
    return resource, prefix.rstrip("/"), scope.value

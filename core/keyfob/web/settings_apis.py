"""The settings DOWNSTREAM_APIS and CLIENT_CAPABILITIES: the APIs that a site calls, and what it can
handle of what they answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import urlsplit

from keyfob.protocol.authority import Authority
from keyfob.protocol.scopes import OPENID_SCOPES, is_scope
from keyfob.web import settings_values as values
from keyfob.web import settings_whose as whose
from keyfob.web.repeating import DEFAULT_RETRIES
from keyfob.web.settings_values import Reader, UnfitValue

GRAPH_SCOPES = ("User.Read",)
#: Seconds for all of it, or to connect and between two bytes.
Timeout: TypeAlias = "float | tuple[float, float]"
#: Seconds to connect, and seconds between two bytes, where neither settings nor a call name any.
DEFAULT_TIMEOUT = (5.0, 30.0)

#: Claims challenges are answered: by `downstream`, and by the page that a sign-in begins with.
DEFAULT_CAPABILITIES = ("cp1",)

_API_KEYS = ("base_url", "scopes", "app_only", "tenant", "attach_to", "timeout", "retries")
_MAX_TIMEOUT = 600
_MAX_RETRIES = 10
_API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class DownstreamApi:
    """An API that the site calls, with a person's token or its own.

    `base_url` has no trailing slash. None is for `graph` only: its address comes from the
    provider's metadata (`msgraph_host`). `scopes` never has the reserved ones in it. `app_only`:
    the token is the application's own, in `tenant`, or in the authority's where that is None.
    Requests under a path of `attach_to` have the token ready. `timeout` is
    in seconds: one number for connecting and between two bytes, or one for each. `retries` is how
    often a call is repeated at most.
    """

    name: str
    base_url: str | None
    scopes: tuple[str, ...]
    app_only: bool = False
    tenant: str | None = None
    attach_to: tuple[str, ...] = ()
    timeout: Timeout = DEFAULT_TIMEOUT
    retries: int = DEFAULT_RETRIES


def scope_names(value: object) -> tuple[str, ...]:
    """A list of scopes, without those that every sign-in asks for."""
    scopes = values.items(value)
    for scope in scopes:
        if not is_scope(scope):
            raise UnfitValue(
                f"has {values.shown(scope)} in it, which is not one scope: a scope has no white "
                "space, quotes, backslashes or letters beyond ASCII"
            )
    return tuple(scope for scope in scopes if scope not in OPENID_SCOPES)


def client_capabilities(reader: Reader, authority: Authority | None) -> tuple[str, ...]:
    """What the site announces that it can handle. By itself at Entra ID and External ID alone: who
    else reads the claims parameter may do so in another way."""
    by_itself = authority is not None and authority.kind in ("entra", "ciam")
    default = DEFAULT_CAPABILITIES if by_itself else ()
    return reader.read("CLIENT_CAPABILITIES", values.items, default)


def downstream_apis(reader: Reader, authority: Authority | None) -> Mapping[str, DownstreamApi]:
    """The APIs by name, with `graph` where the authority is Microsoft's."""
    # A wrong authority counts as Microsoft's, so that no second error follows from the first.
    microsoft = authority is None or authority.is_microsoft
    apis = {"graph": DownstreamApi("graph", None, GRAPH_SCOPES)} if microsoft else {}
    found = reader.find("DOWNSTREAM_APIS")
    if found is None:
        return MappingProxyType(apis)
    entries: Mapping[object, object] = {}
    entries = reader.converted(found, values.mapping, entries)
    for name, value in entries.items():
        if not isinstance(name, str) or not _API_NAME.fullmatch(name):
            reader.problem(
                found.key,
                f"has {values.shown(name)} for the name of an API: it begins with a letter and "
                "has letters, digits, '_', '-' or '.'",
                in_environ=found.in_environ,
            )
            continue
        try:
            apis[name] = _api(name, value, apis.get(name), authority)
        except ValueError as error:
            reader.problem(found.key, f"[{name!r}]{error}", in_environ=found.in_environ)
    return MappingProxyType(apis)


def _check_host(base_url: str) -> None:
    # Clients write such a host anew before a call, and would find it to be another than this one.
    if not urlsplit(base_url).netloc.isascii():
        raise UnfitValue("has a host with other letters than ASCII's; write it as xn--...")


def _api(
    name: str, value: object, implicit: DownstreamApi | None, authority: Authority | None
) -> DownstreamApi:
    """One entry of DOWNSTREAM_APIS; errors go on after `["name"]`."""
    if not isinstance(value, Mapping):
        raise UnfitValue(" must be a mapping with 'base_url' and 'scopes'")
    for key in value:
        if key not in _API_KEYS:
            near = values.nearest(str(key).lower(), _API_KEYS)
            known = f"it has {', '.join(map(repr, _API_KEYS))}"
            hint = f"did you mean {near!r}?" if near else known
            raise UnfitValue(f" has the unknown key {values.shown(key)}; {hint}")
    microsoft = authority is None or authority.is_microsoft
    base_url = implicit.base_url if implicit else None
    scopes = implicit.scopes if implicit else ()
    tenant: str | None = None
    try:
        part = "base_url"
        if part in value and not values.is_empty(value[part]):
            base_url = values.address(value[part])
            _check_host(base_url)
        elif implicit is None:
            raise UnfitValue("is missing: the address that every call's path is added to")
        part = "scopes"
        if part in value and not values.is_empty(value[part]):
            scopes = scope_names(value[part])
        if not scopes and microsoft:
            raise UnfitValue(
                "is missing or empty: the permission to ask for, such as api://id/Read"
            )
        part = "app_only"
        app_only = whose.is_app_only(value.get(part, False))
        if app_only:
            part = "scopes"
            whose.check_own_scopes(scopes, authority)
        part = "tenant"
        if app_only:
            tenant = whose.own_tenant(value.get(part), authority)
        elif part in value:
            raise UnfitValue("is for APIs with 'app_only': a person's token is of their tenant")
        part = "attach_to"
        attach_to = whose.path_prefixes(value.get(part, ()))
        part = "timeout"
        timeout = _timeout(value[part]) if part in value else DEFAULT_TIMEOUT
        part = "retries"
        retries = _retries(value[part]) if part in value else DEFAULT_RETRIES
    except ValueError as error:
        raise UnfitValue(f"[{part!r}] {error}") from None
    return DownstreamApi(
        name,
        base_url,
        scopes,
        app_only=app_only,
        tenant=tenant,
        attach_to=attach_to,
        timeout=timeout,
        retries=retries,
    )


def _timeout(value: object) -> Timeout:
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise UnfitValue("has two numbers, if it is a list: to connect, and between two bytes")
        connect, read = map(_seconds, value)
        return connect, read
    return _seconds(value)


def _seconds(value: object) -> float:
    # One that never ends would let a silent API hold every thread of the site.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value <= _MAX_TIMEOUT:  # type: ignore[operator]
        raise UnfitValue(
            f"is in seconds, above 0 and up to {_MAX_TIMEOUT}, or a list of two such numbers; "
            f"{values.shown(value)} is not"
        )
    return float(value)  # type: ignore[arg-type]


def _retries(value: object) -> int:
    return values.whole_number(value, least=0, most=_MAX_RETRIES, unit="repetitions")

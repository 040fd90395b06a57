"""What a browser's session needs of the program's life."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from keyfob.web.attached import AttachedApis
from keyfob.web.groups import Groups
from keyfob.web.session_calls import CallSite
from keyfob.web.session_entry import SessionRules
from keyfob.web.tenants import TenantGate
from keyfob.web.whose import ApiSite


class SiteMembers(Protocol):
    """The authorities of a site; `members.Members` is one."""

    def of_session(self, session: Mapping[str, Any], /) -> Site: ...
    def of_key(self, key: object, /) -> Site: ...
    def named(self, name: str, /) -> Site: ...
    def groups_of(self, authority: str, names: Collection[str], /) -> list[str]: ...
    @property
    def attached(self) -> AttachedApis: ...
    def attaching(self, path: str, /) -> Site: ...


class Site(ApiSite, SessionRules, CallSite, Protocol):
    """What a session needs of the program's life; `WebApplication` is one."""

    @property
    def account_check_interval(self) -> int | None: ...
    @property
    def leeway(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def members(self) -> SiteMembers: ...
    @property
    def attached(self) -> AttachedApis: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def tenant_gate(self) -> TenantGate: ...

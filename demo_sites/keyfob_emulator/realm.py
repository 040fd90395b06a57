"""The first segment of a path: which tenants, accounts and applications it stands for.

"OpenID Connect on the Microsoft identity platform": ``common`` is everybody, ``organizations`` is
work and school accounts, ``consumers`` personal ones, and a GUID or a domain name is one tenant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from keyfob_emulator.authorities import Authority
from keyfob_emulator.consent import Identity
from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.model import (
    CONSUMERS_TENANT,
    Account,
    Application,
    Audience,
    Directory,
    Tenant,
)

COMMON: Final = "common"
ORGANIZATIONS: Final = "organizations"
CONSUMERS: Final = "consumers"


@dataclass(frozen=True)
class Realm:
    """A resolved tenant segment. ``tenant`` is None where it serves many."""

    segment: str
    tenant: Tenant | None
    directory: Directory
    authority: Authority

    @classmethod
    def resolve(cls, segment: str, directory: Directory, authority: Authority) -> Realm:
        """The realm of a path, or AADSTS90002."""
        word = segment.lower()
        if word in (COMMON, ORGANIZATIONS):
            return cls(word, None, directory, authority)
        tenant = directory.tenant(CONSUMERS_TENANT if word == CONSUMERS else word)
        if tenant is None:
            raise problem(90002, tenant=segment)
        return cls(word, tenant, directory, authority)

    @property
    def issuer_tenant(self) -> str:
        """What stands in the metadata's issuer: a GUID, or the ``{tenantid}`` of a template."""
        return self.tenant.tenant_id if self.tenant else "{tenantid}"

    @property
    def endpoint_segment(self) -> str:
        """What stands in the addresses of the metadata: a domain name has become its GUID there."""
        if self.tenant is None or self.segment == CONSUMERS:
            return self.segment
        return self.tenant.tenant_id

    @property
    def organisations(self) -> bool:
        """Whether organisational accounts can sign in here."""
        return self.tenant is None or not self.tenant.personal

    @property
    def personal(self) -> bool:
        """Whether personal accounts can sign in here."""
        return self.segment == COMMON or (self.tenant is not None and self.tenant.personal)

    @property
    def title(self) -> str:
        """The realm in words."""
        return self.tenant.name if self.tenant else self.segment

    def identity(self, account: Account) -> Identity | None:
        """The person as this realm knows them: at home, or as a guest; None for strangers."""
        if self.tenant is None:
            if account.personal and self.segment == ORGANIZATIONS:
                return None
            home = self.directory.tenant(account.tenant_id)
            # Customers of one company are at home there only.
            known = home is not None and (home.personal or home.organisation)
            return Identity(account, home, account.object_id) if home and known else None
        object_id = account.object_id_in(self.tenant.tenant_id)
        return Identity(account, self.tenant, object_id) if object_id else None

    def check_application(self, application: Application) -> None:
        """Refuse an application that does not serve this realm, with Entra's reasons."""
        facts: dict[str, Any] = {"client_id": application.client_id, "name": application.name}
        if self.personal and not self.organisations:
            if not application.audience.personal:
                raise problem(9002346, **facts)
            return
        if application.audience is Audience.PERSONAL:
            raise problem(9002331, **facts)
        if self.tenant is None:
            if application.audience is Audience.SINGLE_TENANT:
                raise problem(50194, tenant=self.segment, **facts)
            return
        if not application.lives_in(self.tenant):
            raise problem(700016, client_id=application.client_id, tenant=self.tenant.name)

    def admit(self, account: Account, application: Application) -> Identity:
        """The person, allowed to use the application here; AADSTS50020 for strangers."""
        identity = self.identity(account)
        if identity is None or not application.lives_in(identity.tenant):
            raise self._stranger(account, application)
        return identity

    def _stranger(self, account: Account, application: Application) -> ProtocolError:
        home = self.directory.tenant(account.tenant_id)
        return problem(
            50020,
            username=account.username,
            home=home.name if home else account.tenant_id,
            tenant=self.title,
            client_id=application.client_id,
            name=application.name,
        )

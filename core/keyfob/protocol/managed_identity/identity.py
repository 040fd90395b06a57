"""Which identity of the machine is meant: its own, or one of those that were given to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyfob.errors import ManagedIdentityError

#: What the tokens of the machine's own identity are filed under, in the place of a client id.
SYSTEM_ASSIGNED_CLIENT_ID = "SYSTEM_ASSIGNED_MANAGED_IDENTITY"


class ManagedIdentity(dict[str, Any]):
    """A managed identity in MSAL's form, a dict that also stands in a JSON configuration.

    Use `SystemAssignedManagedIdentity` or `UserAssignedManagedIdentity`, or such a dict itself.
    """

    ID_TYPE = "ManagedIdentityIdType"
    ID = "Id"

    SYSTEM_ASSIGNED = "SystemAssigned"
    CLIENT_ID = "ClientId"
    RESOURCE_ID = "ResourceId"
    OBJECT_ID = "ObjectId"

    def __init__(self, identifier: str | None = None, id_type: str | None = None) -> None:
        super().__init__({self.ID_TYPE: id_type, self.ID: identifier})

    @classmethod
    def is_managed_identity(cls, unknown: object) -> bool:
        """Whether it is of either kind, or a dict of that shape."""
        return cls.is_system_assigned(unknown) or cls.is_user_assigned(unknown)

    @classmethod
    def is_system_assigned(cls, unknown: object) -> bool:
        """Whether it is the machine's own identity."""
        return isinstance(unknown, Mapping) and unknown.get(cls.ID_TYPE) == cls.SYSTEM_ASSIGNED

    @classmethod
    def is_user_assigned(cls, unknown: object) -> bool:
        """Whether it is an identity that was given to the machine."""
        if not isinstance(unknown, Mapping) or not unknown.get(cls.ID):
            return False
        return unknown.get(cls.ID_TYPE) in (cls.CLIENT_ID, cls.RESOURCE_ID, cls.OBJECT_ID)


class SystemAssignedManagedIdentity(ManagedIdentity):
    """The machine's own identity: `{"ManagedIdentityIdType": "SystemAssigned", "Id": None}`."""

    def __init__(self) -> None:
        super().__init__(id_type=self.SYSTEM_ASSIGNED)


class UserAssignedManagedIdentity(ManagedIdentity):
    """An identity that was given to the machine, named in one of three ways.

    :param client_id: its client id (in JSON, the type `ClientId`).
    :param resource_id: its Azure resource id, `/subscriptions/...` (`ResourceId`).
    :param object_id: the id of its service principal (`ObjectId`).
    :raises ManagedIdentityError: (a ValueError) not exactly one of them is given.
    """

    def __init__(
        self,
        *,
        client_id: str | None = None,
        resource_id: str | None = None,
        object_id: str | None = None,
    ) -> None:
        named = {
            self.CLIENT_ID: client_id,
            self.RESOURCE_ID: resource_id,
            self.OBJECT_ID: object_id,
        }
        given = [(kind, value) for kind, value in named.items() if value]
        if len(given) != 1:
            raise ManagedIdentityError(
                "UserAssignedManagedIdentity needs exactly one of client_id, resource_id and "
                f"object_id, not {len(given)}"
            )
        [(kind, value)] = given
        super().__init__(identifier=value, id_type=kind)


@dataclass(frozen=True)
class Identity:
    """A managed identity as it was judged: `kind` is one of MSAL's `ManagedIdentityIdType`."""

    kind: str
    id: str | None = None

    @property
    def is_user_assigned(self) -> bool:
        return self.id is not None

    @property
    def cache_client_id(self) -> str:
        """What its tokens are filed under in the cache."""
        return SYSTEM_ASSIGNED_CLIENT_ID if self.id is None else self.id

    def parameter(self, names: Mapping[str, str]) -> dict[str, str]:
        """The parameter that names it, by what a source calls each kind."""
        return {} if self.id is None else {names[self.kind]: self.id}


#: What most sources call each kind.
PARAMETERS: Mapping[str, str] = {
    ManagedIdentity.CLIENT_ID: "client_id",
    ManagedIdentity.RESOURCE_ID: "msi_res_id",
    ManagedIdentity.OBJECT_ID: "object_id",
}


def identity_of(given: object) -> Identity:
    """Judge a managed identity in MSAL's form: one of its classes, or a mapping of that shape.

    :raises ManagedIdentityError: (a ValueError) it is none.
    """
    found: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    kind, name = found.get(ManagedIdentity.ID_TYPE), found.get(ManagedIdentity.ID)
    if kind == ManagedIdentity.SYSTEM_ASSIGNED:
        return Identity(ManagedIdentity.SYSTEM_ASSIGNED)
    if isinstance(kind, str) and kind in PARAMETERS and isinstance(name, str) and name.strip():
        return Identity(kind, name)
    raise ManagedIdentityError(
        "managed_identity is a SystemAssignedManagedIdentity, a UserAssignedManagedIdentity, or a "
        'dict such as {"ManagedIdentityIdType": "ClientId", "Id": "..."}, whose type is one of '
        "SystemAssigned, ClientId, ResourceId and ObjectId"
    )

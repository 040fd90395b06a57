"""People who must come to a page before there are tokens in their name again.

What conditional access does at Entra: the token endpoint answers ``interaction_required``, with
claims that the client repeats when it sends the person to the authorization endpoint.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from keyfob_emulator.errors import problem
from keyfob_emulator.model import Application


@dataclass(frozen=True)
class _Required:
    suberror: str
    claims: str


class RequiredInteractions:
    """Who must come to a page, by their object id at home."""

    def __init__(self) -> None:
        self._required: dict[str, _Required] = {}

    def require(self, home_object_id: str, suberror: str, claims: str | None) -> None:
        """Refuse tokens in this person's name; without claims Entra's kind of them is made up."""
        if claims is None:
            policy = {"essential": True, "values": [str(uuid.uuid4())]}
            claims = json.dumps({"access_token": {"capolids": policy}})
        self._required[home_object_id] = _Required(suberror, claims)

    def pending(self, home_object_id: str) -> bool:
        """Whether the person still has to come."""
        return home_object_id in self._required

    def happened(self, home_object_id: str) -> None:
        """The person has proved their password on a page."""
        self._required.pop(home_object_id, None)

    def check(self, home_object_id: str, client: Application) -> None:
        """AADSTS50076 as long as the person has not come."""
        required = self._required.get(home_object_id)
        if required is not None:
            raise problem(
                50076,
                error="interaction_required",
                suberror=required.suberror,
                more={"claims": required.claims},
                resource=client.name,
            )

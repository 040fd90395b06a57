"""Conditional access: what a password alone does not open.

"Developer guide to Conditional Access authentication context": a request names a context in its
``claims`` (``acrs``), and a policy on that context asks for more than a password. A policy may also
be on a resource; what it wants is then known only when a token for the resource is asked for, and
the answer has claims (``capolids``) that the client takes to the authorization endpoint. The one
thing that policies ask for here is a second factor.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keyfob_emulator.claims_request import asked_values, is_essential
from keyfob_emulator.errors import problem
from keyfob_emulator.grants import Grant
from keyfob_emulator.model import Application


class ConditionalAccess:
    """The policies of all organisations."""

    def __init__(self) -> None:
        self.contexts = {"c1"}
        """Authentication contexts that need a second factor; others come with any sign-in."""
        self._policies: dict[str, str] = {}

    def protect(self, resource: Application) -> None:
        """Ask for a second factor before there are tokens for a resource."""
        self._policies.setdefault(resource.client_id, str(uuid.uuid4()))

    def release(self, resource: Application) -> None:
        """Undo :meth:`protect`."""
        self._policies.pop(resource.client_id, None)

    def demand(
        self, claims: Mapping[str, Any], resources: Sequence[Application]
    ) -> dict[str, Any] | None:
        """The claims that only a second factor can meet; None where a password will do.

        ``claims`` and ``resources`` are what a request asks for.
        """
        wanted: dict[str, Any] = {}
        for kind in ("id_token", "access_token"):
            contexts = [c for c in asked_values(claims, "acrs", kind) if c in self.contexts]
            if contexts and is_essential(claims, "acrs", kind):
                wanted[kind] = {"acrs": {"essential": True, "value": contexts[0]}}
        if wanted:
            return wanted
        named = set(asked_values(claims, "capolids"))
        found = [
            policy
            for client_id, policy in self._policies.items()
            if policy in named or any(client_id == each.client_id for each in resources)
        ]
        return _policies(found) if found else None

    def met(self, contexts: Iterable[str], multi_factor: bool) -> list[str]:
        """Those of the contexts that a sign-in has reached."""
        return [each for each in contexts if multi_factor or each not in self.contexts]

    def check(self, grant: Grant, resources: Sequence[Application], client: Application) -> None:
        """AADSTS50076 for a sign-in without the second factor that tokens for these APIs need."""
        wanted = None if grant.multi_factor else self.demand(grant.claims, resources)
        if wanted is None:
            return
        raise problem(
            50076,
            error="interaction_required",
            suberror="basic_action",
            # What the client should take to a page.
            more={"claims": json.dumps(wanted, separators=(",", ":"))},
            resource=", ".join(each.name for each in resources) or client.name,
        )


def _policies(ids: list[str]) -> dict[str, Any]:
    return {"access_token": {"capolids": {"essential": True, "values": ids}}}

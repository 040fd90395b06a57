"""Who is in which groups, and what tokens say of it.

"Configure group claims for applications": up to 200 groups stand in a JWT's ``groups``. Where there
are more, none stands there: ``_claim_names`` and ``_claim_sources`` say where to ask (OpenID
Connect Core section 5.6.2).
"""

from __future__ import annotations

from typing import Any, Final

from keyfob_emulator.authorities import Authority
from keyfob_emulator.consent import Identity
from keyfob_emulator.model import Account, Application, Directory

MOST_IN_A_TOKEN: Final = 200
_SOURCE: Final = "src1"


def direct_groups(directory: Directory, account: Account, tenant_id: str) -> tuple[str, ...]:
    """The groups of a tenant that somebody was put into. One that nobody registered is of home."""
    return tuple(
        group_id
        for group_id in account.groups
        if (directory.group_tenant(group_id) or account.tenant_id) == tenant_id
    )


def all_groups(directory: Directory, account: Account, tenant_id: str) -> tuple[str, ...]:
    """Those, and the groups that these are in themselves."""
    found = dict.fromkeys(direct_groups(directory, account, tenant_id))
    waiting = list(found)
    while waiting:
        group = directory.group(waiting.pop(0))
        for outer in group.member_of if group else ():
            if outer not in found:
                found[outer] = None
                waiting.append(outer)
    return tuple(found)


def group_claims(
    authority: Authority, directory: Directory, identity: Identity, application: Application
) -> dict[str, Any]:
    """What an application's tokens say of a person's groups, if it is registered to be told."""
    if not application.group_claims:
        return {}
    account = identity.account
    groups = all_groups(directory, account, identity.tenant.tenant_id)
    if len(groups) > MOST_IN_A_TOKEN or (account.group_overage and groups):
        graph = authority.cloud.graph_url if authority.cloud else authority.home
        endpoint = f"{graph}/v1.0/users/{identity.object_id}/getMemberObjects"
        return {
            "_claim_names": {"groups": _SOURCE},
            "_claim_sources": {_SOURCE: {"endpoint": endpoint}},
        }
    return {"groups": list(groups)} if groups else {}

"""What a guard asks of whoever is signed in, and what they are answered who do not have it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob.errors import (
    ConfigurationError,
    GroupsUnknown,
    InteractionRequired,
    KeyfobError,
    PermissionMissing,
)
from keyfob.web import Answer
from keyfob.web.caller import Caller
from keyfob.web.permissions import Permission, permission, require_permission
from support.bare_site import BareSite
from support.provider import HOME_TENANT, Provider

APPROVERS = "aaaaaaaa-0000-4000-8000-000000000001"
SCRIPT = {"accept": "application/json"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    settings = {**provider.settings(HOME_TENANT), "GROUPS": {"approvers": APPROVERS}}
    with BareSite(settings) as site:
        yield site


def role(*names: str, all_of: list[str] | None = None) -> Permission:
    return permission("role", names, all_of, where="roles_required")


def group(*names: str, all_of: list[str] | None = None) -> Permission:
    return permission("group", names, all_of, where="groups_required")


def answered(site: BareSite, needed: Permission, **headers: str) -> Answer:
    """What a guard answers that keeps this visitor out."""
    with pytest.raises(KeyfobError) as caught:
        require_permission(site.keyfob, needed)
    site.headers = headers
    return site.app.handle(site.request("/orders?x=1"), caught.value)


# What is named


@pytest.mark.parametrize(
    ("any_of", "all_of", "said"),
    [
        ((), None, "guards nothing"),
        ((), [], "guards nothing"),
        ((), (), "guards nothing"),
        (("a",), ["b"], "one of both"),
        (("a",), [], "one of both"),
        ("admin", None, r"a list of roles: \['admin'\]"),
        (("",), None, "given ''"),
        ((" ",), None, "given ' '"),
        ((None,), None, "given None"),
        ((["a", "b"],), None, "given"),
        ((), [7], "given 7"),
        ((), "admin", r"a list of roles: \['admin'\]"),
        ((print,), None, "given <built-in"),
    ],
)
def test_a_guard_that_names_nothing_is_none(any_of: Any, all_of: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said) as caught:
        permission("role", any_of, all_of, where="roles_required")
    assert str(caught.value).startswith("roles_required ")


def test_one_is_enough_unless_all_are_asked_for() -> None:
    assert role("a", "b").is_met_by({"b"})
    assert not role("a", "b").is_met_by({"c", "A"})
    assert not role("a", "b").is_met_by(())
    assert role(all_of=["a", "b"]).is_met_by({"a", "b", "c"})
    assert not role(all_of=["a", "b"]).is_met_by({"b"})
    assert not Permission("role", ()).is_met_by({"a"})
    assert not Permission("role", (), needs_all=True).is_met_by({"a"})


# Roles


def test_a_role_of_the_id_token_opens(provider: Provider, site: BareSite) -> None:
    provider.extra_claims = {"roles": ["Reader", "Orders.Approve"]}
    site.sign_in()
    require_permission(site.keyfob, role("Orders.Approve"))
    require_permission(site.keyfob, role(all_of=["Reader", "Orders.Approve"]))
    assert site.keyfob.has_role("Reader")
    assert site.keyfob.user.roles == {"Reader", "Orders.Approve"}
    assert not site.another_browser().keyfob.has_role("Reader")
    assert site.another_browser().keyfob.user.roles == frozenset()


@pytest.mark.parametrize(
    "roles", [None, [], ["orders.approve"], "Reader Orders.Approve", {"Orders.Approve": 1}, True]
)
def test_anything_else_does_not(provider: Provider, site: BareSite, roles: Any) -> None:
    provider.extra_claims = {"roles": roles}
    site.sign_in()
    with pytest.raises(PermissionMissing) as caught:
        require_permission(site.keyfob, role("Orders.Approve", "Admin"))
    assert caught.value.code == "role"
    assert caught.value.roles == ("Orders.Approve", "Admin")
    assert caught.value.groups == ()


def test_nobody_is_asked_to_sign_in(site: BareSite) -> None:
    for needed in (role("Admin"), group("approvers")):
        with pytest.raises(InteractionRequired) as caught:
            require_permission(site.keyfob, needed)
        assert caught.value.code == "not_signed_in"


def test_a_sign_in_that_was_ended_elsewhere_has_no_roles(
    provider: Provider, site: BareSite
) -> None:
    provider.extra_claims = {"roles": ["Admin"]}
    site.sign_in()
    copied = dict(site.session)
    site.logout()
    site.session.update(copied)
    with pytest.raises(InteractionRequired):
        require_permission(site.keyfob, role("Admin"))


# Groups


def test_a_group_opens_and_another_does_not(provider: Provider, site: BareSite) -> None:
    provider.groups = [APPROVERS]
    site.sign_in()
    require_permission(site.keyfob, group("approvers"))
    require_permission(site.keyfob, group("99999999-0000-4000-8000-000000000009", APPROVERS))
    both = group(all_of=["approvers", "99999999-0000-4000-8000-000000000009"])
    with pytest.raises(PermissionMissing) as caught:
        require_permission(site.keyfob, both)
    assert caught.value.code == "group"
    assert caught.value.groups == both.names


def test_an_unknown_name_is_the_developers_even_before_anybody_signs_in(site: BareSite) -> None:
    with pytest.raises(ConfigurationError, match="'approver' in GROUPS"):
        require_permission(site.keyfob, group("approver"))


# Whoever comes with a bearer token


@pytest.mark.parametrize("needed", [role("Admin"), group("approvers")])
def test_a_bearer_token_is_no_sign_in(
    provider: Provider, site: BareSite, needed: Permission
) -> None:
    provider.extra_claims = {"roles": ["Admin"], "groups": [APPROVERS]}
    site.sign_in()
    keyfob = site.keyfob
    require_permission(keyfob, needed)
    claims = {"roles": ["Admin"], "groups": [APPROVERS]}
    keyfob.act_for(
        Caller(claims, "token", is_app=False, client_id="c", key="k", roles=frozenset({"Admin"}))
    )
    with pytest.raises(PermissionMissing, match="bearer_required"):
        require_permission(keyfob, needed)


# Answers


def test_who_lacks_a_permission_gets_a_page_and_is_sent_nowhere(
    provider: Provider, site: BareSite, caplog: pytest.LogCaptureFixture
) -> None:
    provider.extra_claims = {"groups": []}
    site.sign_in()
    for needed in (role("Orders.Approve"), group("approvers")):
        for _ in range(4):
            with caplog.at_level(logging.WARNING):
                answer = answered(site, needed)
            assert (answer.status, answer.location) == (403, "")
            assert answer.page is not None
            assert answer.page.code == needed.kind
            assert answer.page.retry_label == "Use another account"
            assert answer.page.retry_url.startswith("/auth/login?next=%2Forders%3Fx%3D1")
            assert answer.page.retry_url.endswith("prompt=select_account")
            shown = f"{answer.page.title} {answer.page.text} {answer.page.advice}"
            assert needed.names[0] not in shown
            assert APPROVERS not in shown
    assert "'Orders.Approve'" in caplog.text


def test_a_script_gets_a_problem_document(provider: Provider, site: BareSite) -> None:
    provider.extra_claims = {"groups": []}
    site.sign_in()
    for needed in (role("Orders.Approve"), group("approvers")):
        answer = answered(site, needed, **SCRIPT)
        assert (answer.status, answer.page) == (403, None)
        assert answer.problem is not None
        assert answer.problem["code"] == needed.kind
        assert answer.problem["status"] == 403
        assert "login_url" not in answer.problem


def test_groups_that_nobody_can_tell_are_a_503(provider: Provider, site: BareSite) -> None:
    provider.extra_claims = {"_claim_names": {"groups": "src1"}}
    provider.raw["member_groups"] = lambda request: Provider.json({}, 429, **{"Retry-After": "42"})
    site.sign_in()
    answer = answered(site, group("approvers"))
    assert answer.status == 503
    assert answer.page is not None
    assert answer.headers["Retry-After"] == "42"
    answer = answered(site, group("approvers"), **SCRIPT)
    assert answer.status == 503
    assert answer.problem is not None
    assert answer.problem["code"] == "groups_throttled"
    assert 1 <= int(answer.headers["Retry-After"]) <= 42
    with pytest.raises(GroupsUnknown):
        require_permission(site.keyfob, group("approvers"))

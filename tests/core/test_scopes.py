"""What is asked for, at a sign-in and at a refresh."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from keyfob.errors import ConfigurationError
from keyfob.protocol.scopes import (
    checked_scopes,
    refresh_scopes,
    resource_of,
    scope_names,
    scope_text,
    scopes_of_one_resource,
    sign_in_scopes,
)
from support.id_tokens import metadata


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_any_kind_of_list_will_do(kind: type) -> None:
    assert checked_scopes(kind(["a", "api://b/.default"])) == {"a", "api://b/.default"}
    assert checked_scopes(kind()) == frozenset()


@pytest.mark.parametrize(
    "scopes",
    ["a", None, 1, b"a", {"a": 1}, ["a b"], [""], [1], [None], ['"'], ["ä"], ["a\n"], ["\\"]],
)
def test_what_is_no_list_of_scopes_is_refused(scopes: object) -> None:
    for check in (checked_scopes, scope_names):
        with pytest.raises(ConfigurationError) as caught:
            check(scopes)
        assert isinstance(caught.value, ValueError)  # as MSAL's


@pytest.mark.parametrize("scope", ["openid", "profile", "offline_access"])
def test_what_is_asked_for_anyhow_is_not_named(scope: str) -> None:
    with pytest.raises(ConfigurationError, match=scope):
        checked_scopes(["a", scope])
    assert scope_names([scope]) == {scope}


@pytest.mark.parametrize(
    ("microsoft", "supported", "asked"),
    [
        (True, None, {"openid", "profile", "offline_access", "a"}),
        (False, None, {"openid", "profile", "a"}),
        (False, [], {"openid", "profile", "a"}),
        (False, ["openid"], {"openid", "profile", "a"}),
        (False, ["openid", "offline_access"], {"openid", "profile", "offline_access", "a"}),
    ],
)
def test_offline_access_is_asked_of_those_who_list_it(
    microsoft: bool, supported: list[str] | None, asked: Collection[str]
) -> None:
    about = metadata("common" if microsoft else "", scopes_supported=supported)
    assert sign_in_scopes(["a"], is_microsoft=microsoft, metadata=about) == asked


def test_what_is_excluded_is_not_asked_for() -> None:
    found = sign_in_scopes(["a"], is_microsoft=True, metadata=None, excluded=["offline_access"])
    assert found == {"openid", "profile", "a"}
    assert sign_in_scopes(["a"], is_microsoft=False, metadata=None) == {"openid", "profile", "a"}


@pytest.mark.parametrize(
    ("scopes", "granted", "asked"),
    [
        (["a"], ["a", "b", "openid"], {"a", "openid"}),
        (
            ["a"],
            ["a", "openid", "profile", "offline_access"],
            {"a", "openid", "profile", "offline_access"},
        ),
        (["a"], ["b"], None),
        (["a", "b"], ["a"], None),
        (["A"], ["a"], None),
        ([], ["a", "openid"], {"openid"}),
        (["a"], [], {"a"}),
    ],
)
def test_a_refresh_asks_for_no_more_than_was_granted(
    scopes: list[str], granted: list[str], asked: set[str] | None
) -> None:
    assert refresh_scopes(scopes, granted, is_microsoft=False) == asked


def test_microsofts_refresh_tokens_reach_whatever_was_consented_to() -> None:
    found = refresh_scopes(["b"], ["a"], is_microsoft=True)
    assert found == {"b", "openid", "profile", "offline_access"}


def test_scopes_are_sent_in_order() -> None:
    assert scope_text({"b", "a", "C"}) == "C a b"
    assert scope_text([]) == ""


def test_a_resource_stands_before_the_last_slash() -> None:
    assert resource_of("User.Read") == ""
    assert resource_of("api://x/y/.default") == "api://x/y"


def test_one_token_is_for_one_resource() -> None:
    scopes = ["openid", "api://b/x", "api://b/y", "User.Read"]
    assert scopes_of_one_resource(scopes, ["api://b/y"]) == ["openid", "api://b/x", "api://b/y"]
    assert scopes_of_one_resource(scopes, []) == ["openid", "User.Read"]
    assert scopes_of_one_resource(["openid"], []) == ["openid"]

"""Where the browser is sent to end the provider's session (RP-Initiated Logout 1.0)."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.protocol.logout import MAX_HINT_LENGTH, build_end_session_url
from support.id_tokens import ISSUER, metadata
from support.sign_in import query_of

BACK = "https://site.example/auth/logged-out?a=b&c=d"


def url(microsoft: str = "", endpoint: str | None = f"{ISSUER}/end", **more: Any) -> str | None:
    options: dict[str, Any] = {
        "client_id": "client",
        "claims": {},
        "id_token": None,
        "post_logout_redirect_uri": BACK,
        "state": "s t",
        **more,
    }
    return build_end_session_url(metadata(microsoft, end_session_endpoint=endpoint), **options)


def asked(*args: str, **more: Any) -> dict[str, str]:
    found = url(*args, **more)
    assert found is not None
    return query_of(found)


def test_there_is_none_where_the_provider_has_none() -> None:
    assert url(endpoint=None) is None


def test_everything_is_encoded() -> None:
    assert asked() == {"client_id": "client", "post_logout_redirect_uri": BACK, "state": "s t"}
    assert "redirect_uri=https%3A%2F%2Fsite.example" in str(url())


def test_an_endpoint_with_a_query_keeps_it() -> None:
    found = str(url(endpoint=f"{ISSUER}/end?p=b2c_1_x"))
    assert found.startswith(f"{ISSUER}/end?p=b2c_1_x&client_id=client&")


def test_a_state_goes_only_where_somebody_brings_it_back() -> None:
    assert asked(post_logout_redirect_uri=None) == {"client_id": "client"}


def test_the_id_token_names_the_session_to_other_providers() -> None:
    found = asked(id_token="a.b.c", claims={"preferred_username": "ada"})
    assert found["id_token_hint"] == "a.b.c"
    assert "logout_hint" not in found


def test_an_id_token_too_long_for_an_address_is_left_out() -> None:
    found = asked(id_token="a" * (MAX_HINT_LENGTH + 1), claims={"preferred_username": "ada"})
    assert found["logout_hint"] == "ada"
    assert "id_token_hint" not in found


def test_microsoft_takes_the_login_hint_and_then_no_token() -> None:
    claims = {"login_hint": "O.x", "preferred_username": "ada"}
    found = asked("common", id_token="a.b.c", claims=claims)
    assert found["logout_hint"] == "O.x"
    assert "id_token_hint" not in found


@pytest.mark.parametrize("claims", [{"preferred_username": "ada"}, {}, {"login_hint": 1}])
def test_microsoft_gets_no_user_name_where_it_gave_no_login_hint(claims: Any) -> None:
    found = asked("common", id_token="a.b.c", claims=claims)
    assert "logout_hint" not in found
    assert found["id_token_hint"] == "a.b.c"
    too_long = asked("common", id_token="a" * (MAX_HINT_LENGTH + 1), claims=claims)
    assert not {"logout_hint", "id_token_hint"} & too_long.keys()

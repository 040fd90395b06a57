"""Tokens without the person: from the cache, or by the refresh token, as MSAL gives them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication, SerializableTokenCache
from keyfob.errors import (
    ConfigurationError,
    IdTokenError,
    KeyfobError,
    ProviderUnavailable,
    SubjectChangedError,
)
from support.provider import ABSENT, OTHER_TENANT, Person, Provider
from support.provider_http import Reply, drop, raw_bytes
from support.provider_jose import b64, dumps
from support.sign_in import Clock, application, signed_in


class Site:
    """Somebody who signed in at a provider."""

    def __init__(self, provider: Provider, scopes: tuple[str, ...] = ("email",)) -> None:
        self.provider = provider
        self.clock = Clock()
        self.cache = SerializableTokenCache()
        self.app: ConfidentialClientApplication = application(
            provider, clock=self.clock, token_cache=self.cache
        )
        self.account = signed_in(self.app, scopes)
        provider.requests.clear()

    def silent(self, *scopes: str, **more: Any) -> dict[str, Any] | None:
        return self.app.acquire_token_silent(list(scopes or ("email",)), self.account, **more)

    def with_error(self, *scopes: str, **more: Any) -> dict[str, Any] | None:
        return self.app.acquire_token_silent_with_error(
            list(scopes or ("email",)), self.account, **more
        )

    @property
    def refreshes(self) -> list[dict[str, str]]:
        return [request.form for request in self.provider.requests_to("token")]


@pytest.fixture
def site() -> Iterator[Site]:
    with Provider() as provider:
        found = Site(provider)
        yield found
        found.app.close()


@pytest.fixture
def entra() -> Iterator[Site]:
    with Provider(entra=True) as provider:
        found = Site(provider, ("User.Read",))
        yield found
        found.app.close()


def fails(reply: Any) -> Any:
    return lambda _: reply


OUTAGES: dict[str, Any] = {
    "503": Reply(503, {}, b""),
    "429": Reply(429, {}, b""),
    "500": Reply(500, {}, b"{}"),
    "redirect": Reply(302, {}, b""),
    "page": Reply(200, {}, b"<html>"),
    "drop": drop,
    "nonsense": raw_bytes(b"nonsense"),
}


class TestFromTheCache:
    def test_a_hit_has_msals_keys_and_asks_nobody(self, site: Site) -> None:
        found = site.silent()
        assert found is not None
        assert set(found) == {"access_token", "token_type", "expires_in", "token_source"}
        assert (found["token_type"], found["token_source"]) == ("Bearer", "cache")
        assert 3590 <= found["expires_in"] <= 3600
        assert type(found["expires_in"]) is int
        assert site.provider.requests == []

    def test_a_token_serves_until_five_minutes_before_its_end(self, site: Site) -> None:
        site.clock.offset = 3290
        assert (site.silent() or {})["token_source"] == "cache"
        site.clock.offset = 3310
        site.provider.clock_offset = 3310
        assert (site.silent() or {})["token_source"] == "identity_provider"

    def test_a_short_lived_token_serves_for_most_of_its_life(self) -> None:
        with Provider(expires_in=240) as provider:
            site = Site(provider)
            site.clock.offset = 180
            assert (site.silent() or {})["token_source"] == "cache"
            site.clock.offset = 200
            assert (site.silent() or {})["token_source"] == "identity_provider"
            site.app.close()

    def test_a_token_of_unknown_age_has_the_whole_margin(self, site: Site) -> None:
        [entry] = site.cache.search("AccessToken")
        site.cache.modify("AccessToken", entry, {"cached_at": ""})
        site.clock.offset = site.provider.clock_offset = 3400
        assert (site.silent() or {})["token_source"] == "identity_provider"

    def test_without_an_account_there_is_nothing(self, site: Site) -> None:
        assert site.app.acquire_token_silent(["email"], None) is None
        assert site.app.acquire_token_silent(["email"], {"home_account_id": "stranger"}) is None

    @pytest.mark.parametrize("account", [{}, {"home_account_id": None}, {"home_account_id": 1}])
    def test_an_account_that_is_none_is_refused(self, site: Site, account: Any) -> None:
        """None would find the application's own tokens."""
        with pytest.raises(ConfigurationError):
            site.app.acquire_token_silent(["email"], account)

    def test_elsewhere_scopes_are_case_sensitive(self, site: Site) -> None:
        assert site.silent("EMAIL") is None

    def test_at_microsoft_they_are_not(self, entra: Site) -> None:
        assert (entra.silent("user.read") or {})["token_source"] == "cache"


class TestAtHand:
    def test_it_is_what_a_silent_call_gives_from_the_cache(self, site: Site) -> None:
        site.clock.offset = 10
        found = site.app.token_at_hand(["email"], site.account)
        assert found is not None
        assert found["access_token"] == (site.silent() or {})["access_token"]
        assert found["token_source"] == "cache"

    def test_nobody_is_asked_for_what_is_not_there(self, site: Site) -> None:
        assert site.app.token_at_hand(["calendar"], site.account) is None
        assert site.app.token_at_hand(["email"], {"home_account_id": "stranger"}) is None
        assert site.app.token_at_hand(["email"], None) is None
        site.clock.offset = 3310
        assert site.app.token_at_hand(["email"], site.account) is None
        assert site.provider.requests == []

    def test_a_token_to_be_renewed_is_not_at_hand(self) -> None:
        with Provider() as provider:
            provider.mutate_token_response = lambda document: document.update(refresh_in=100)
            site = Site(provider)
            assert site.app.token_at_hand(["email"], site.account)
            site.clock.offset = 101
            assert site.app.token_at_hand(["email"], site.account) is None
            site.app.close()

    def test_before_anything_is_known_of_the_provider_nothing_is(self, site: Site) -> None:
        fresh = application(site.provider, clock=site.clock, token_cache=site.cache)
        assert fresh.token_at_hand(["email"], site.account) is None
        assert site.provider.requests == []

    @pytest.mark.parametrize("account", [{}, {"home_account_id": None}, {"home_account_id": 1}])
    def test_an_account_that_is_none_is_refused(self, site: Site, account: Any) -> None:
        with pytest.raises(ConfigurationError):
            site.app.token_at_hand(["email"], account)

    def test_metadata_that_are_old_serve_for_a_token_that_is_there(self) -> None:
        with Provider(expires_in=3 * 24 * 3600) as provider:
            site = Site(provider)
            site.clock.offset = 2 * 24 * 3600
            assert site.app.token_at_hand(["email"], site.account)
            assert (site.silent() or {})["token_source"] == "cache"
            assert provider.requests == []
            site.app.close()


class TestRefresh:
    def test_the_result_has_msals_keys_and_takes_the_old_tokens_place(self, site: Site) -> None:
        before = site.silent()
        found = site.silent(force_refresh=True)
        assert found is not None
        assert before is not None
        assert found["access_token"] != before["access_token"]
        assert found["token_source"] == "identity_provider"
        assert found["id_token_claims"]["sub"] == "person-0001"
        assert (site.silent() or {})["access_token"] == found["access_token"]
        assert len(list(site.cache.search("RefreshToken"))) == 1
        assert len(list(site.cache.search("AccessToken"))) == 1

    def test_rotated_refresh_tokens_go_on(self, site: Site) -> None:
        for _ in range(3):
            assert site.silent(force_refresh=True)
        assert len({form["refresh_token"] for form in site.refreshes}) == 3

    def test_a_claims_challenge_passes_the_cache_by(self, site: Site) -> None:
        challenge = '{"access_token":{"nbf":{"essential":true}}}'
        assert (site.silent(claims_challenge=challenge) or {})["token_source"] != "cache"
        assert [form["claims"] for form in site.refreshes] == [challenge]
        assert (site.silent() or {})["token_source"] == "cache"

    @pytest.mark.parametrize("challenge", ["", "[]", "x", 1, b"{}", "[" * 99_999])
    def test_a_challenge_that_is_none_is_refused(self, site: Site, challenge: Any) -> None:
        with pytest.raises(ConfigurationError):
            site.silent(claims_challenge=challenge)

    def test_no_more_is_asked_for_than_was_granted(self, site: Site) -> None:
        assert site.silent(force_refresh=True)
        assert [form["scope"] for form in site.refreshes] == ["email offline_access openid profile"]
        assert site.silent("calendar") is None
        assert len(site.refreshes) == 1

    def test_microsoft_judges_itself_what_a_refresh_token_reaches(self, entra: Site) -> None:
        found = entra.silent("https://api.example/x")
        assert (found or {})["token_source"] == "identity_provider"
        assert entra.refreshes[0]["scope"] == (
            "https://api.example/x offline_access openid profile"
        )
        [request] = entra.provider.requests_to("token")
        person = entra.provider.person
        assert request.headers["x-anchormailbox"] == f"Oid:{person.oid}@{person.tid}"

    def test_an_odd_account_name_goes_into_no_header(self, entra: Site) -> None:
        for name in ("a.b\r\nX-Evil: 1", "ä.b", "a.b.c"):
            assert entra.app._client.anchor(name) == {}

    def test_without_a_refresh_token_there_is_nothing(self) -> None:
        with Provider(refresh_tokens=False) as provider:
            site = Site(provider)
            assert site.silent(force_refresh=True) is None
            assert (site.silent() or {})["token_source"] == "cache"
            site.app.close()

    def test_a_person_who_was_removed_meanwhile_stays_removed(self, site: Site) -> None:
        def remove(_: Any) -> None:
            site.app.remove_account(site.account)

        site.provider.mutate_refresh_response = remove
        site.silent(force_refresh=True)
        assert site.app.get_accounts() == []
        assert not list(site.cache.search("RefreshToken"))
        assert not list(site.cache.search("AccessToken"))


class TestRefused:
    def test_silent_says_none_and_with_error_says_why(self, site: Site) -> None:
        site.provider.revoke_refresh_tokens()
        before = site.cache.serialize()
        assert site.silent(force_refresh=True) is None
        found = site.with_error(force_refresh=True)
        assert found is not None
        assert found["error"] == "invalid_grant"
        assert "classification" not in found
        assert site.cache.serialize() == before
        assert (site.silent() or {})["token_source"] == "cache"

    @pytest.mark.parametrize(
        ("suberror", "classification"),
        [
            ("consent_required", "consent_required"),
            ("basic_action", "basic_action"),
            ("bad_token", ""),
            ("token_expired", ""),
            ("client_mismatch", ""),
        ],
    )
    def test_a_suberror_is_classified(
        self, entra: Site, suberror: str, classification: str
    ) -> None:
        error = {"error": "invalid_grant", "suberror": suberror, "correlation_id": "c"}
        entra.provider.raw["token"] = fails(Provider.json(error, 400))
        assert entra.with_error(force_refresh=True) == {**error, "classification": classification}

    @pytest.mark.parametrize("outage", OUTAGES)
    def test_an_outage_is_a_typed_error_and_passes(self, site: Site, outage: str) -> None:
        before = site.cache.serialize()
        site.provider.raw["token"] = fails(OUTAGES[outage])
        for call in (site.silent, site.with_error):
            with pytest.raises(KeyfobError):
                call(force_refresh=True)
        assert site.cache.serialize() == before
        del site.provider.raw["token"]
        site.clock.offset = 10  # a provider that is overloaded is left alone for a moment
        assert site.silent(force_refresh=True)


class TestProactive:
    @pytest.fixture
    def aging(self) -> Iterator[Site]:
        with Provider() as provider:
            provider.mutate_token_response = lambda document: document.update(refresh_in=60)
            site = Site(provider)
            site.clock.offset = 120
            yield site
            site.app.close()

    def test_a_token_is_renewed_from_its_refresh_on(self, aging: Site) -> None:
        aging.clock.offset = 30
        found = aging.silent()
        assert found is not None
        assert found["token_source"] == "cache"
        assert abs(found["refresh_on"] - (aging.clock() + 30)) < 5
        aging.clock.offset = 120
        assert (aging.silent() or {})["token_source"] == "identity_provider"

    @pytest.mark.parametrize("outage", OUTAGES)
    def test_a_valid_token_is_served_when_that_fails(self, aging: Site, outage: str) -> None:
        aging.provider.raw["token"] = fails(OUTAGES[outage])
        for call in (aging.silent, aging.with_error):
            found = call()
            assert found is not None
            assert found["token_source"] == "cache"

    @pytest.mark.parametrize("refused", [False, True])
    def test_after_that_nobody_tries_again_for_a_minute(self, aging: Site, refused: bool) -> None:
        if refused:
            aging.provider.revoke_refresh_tokens()
        else:
            aging.provider.raw["token"] = fails(Reply(503, {}, b""))
        first = aging.silent()
        assert first is not None
        assert abs(first["refresh_on"] - (aging.clock() + 60)) < 5
        tried = len(aging.refreshes)
        assert tried >= 1
        aging.clock.offset += 50
        again = aging.silent()
        assert again is not None
        assert again["access_token"] == first["access_token"]
        assert aging.app.token_at_hand(["email"], aging.account)
        assert len(aging.refreshes) == tried
        assert len(list(aging.cache.search("AccessToken"))) == 1
        aging.clock.offset += 20
        assert aging.app.token_at_hand(["email"], aging.account) is None
        assert aging.silent()
        assert len(aging.refreshes) > tried

    def test_a_token_that_was_removed_meanwhile_does_not_come_back(self, aging: Site) -> None:
        def removed(_: Any) -> Reply:
            aging.app.remove_account(aging.account)
            return Reply(503, {}, b"")

        aging.provider.raw["token"] = removed
        assert (aging.silent() or {})["token_source"] == "cache"
        assert list(aging.cache.search("AccessToken")) == []

    def test_a_valid_token_is_served_when_that_is_refused(self, aging: Site) -> None:
        aging.provider.revoke_refresh_tokens()
        assert (aging.with_error() or {})["token_source"] == "cache"

    def test_another_persons_tokens_are_never_passed_over(self, aging: Site) -> None:
        aging.provider.mutate_refresh_claims = lambda claims: claims.update(sub="somebody else")
        with pytest.raises(SubjectChangedError):
            aging.silent()

    def test_an_outage_is_not_hidden_where_more_was_asked_for(self, aging: Site) -> None:
        aging.provider.raw["token"] = fails(Reply(503, {}, b""))
        for more in ({"force_refresh": True}, {"claims_challenge": "{}"}):
            with pytest.raises(ProviderUnavailable):
                aging.silent(**more)


class TestWhose:
    """What a refresh brings belongs to the account it was asked for, or to nobody."""

    @pytest.mark.parametrize(
        "change", [{"sub": "x"}, {"iss": "https://x"}, {"aud": "x"}, {"nonce": "x"}]
    )
    def test_an_id_token_that_is_wrong_changes_nothing(self, site: Site, change: Any) -> None:
        before = site.cache.serialize()
        site.provider.mutate_refresh_claims = lambda claims: claims.update(change)
        with pytest.raises(IdTokenError) as caught:
            site.silent(force_refresh=True)
        about_somebody_else = bool({"sub", "iss"} & change.keys())
        assert isinstance(caught.value, SubjectChangedError) is about_somebody_else
        assert site.cache.serialize() == before

    @pytest.mark.parametrize("kind", ["site", "entra"])
    def test_an_answer_that_names_nobody_is_the_accounts(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        site: Site = request.getfixturevalue(kind)
        scope = "email" if kind == "site" else "User.Read"
        site.provider.refresh_with_id_token = False
        site.provider.mutate_refresh_response = lambda document: document.pop("client_info", None)
        found = site.silent(scope, force_refresh=True)
        assert found is not None
        assert "id_token_claims" not in found
        assert (site.silent(scope) or {})["access_token"] == found["access_token"]
        assert site.silent(scope, force_refresh=True)
        assert len(list(site.cache.search("RefreshToken"))) == 1

    def test_an_id_token_without_client_info_is_the_accounts_too(self, entra: Site) -> None:
        entra.provider.mutate_refresh_response = lambda document: document.pop("client_info")
        found = entra.silent("User.Read", force_refresh=True)
        assert (entra.silent("User.Read") or {})["access_token"] == (found or {})["access_token"]
        assert len(entra.app.get_accounts()) == 1

    @pytest.mark.parametrize("id_token", [True, False])
    def test_client_info_of_another_account_changes_nothing(
        self, entra: Site, id_token: bool
    ) -> None:
        before = entra.cache.serialize()
        info = b64(dumps({"uid": "somebody", "utid": OTHER_TENANT}))
        entra.provider.refresh_with_id_token = id_token
        entra.provider.mutate_refresh_response = lambda document: document.update(client_info=info)
        with pytest.raises(SubjectChangedError):
            entra.silent("User.Read", force_refresh=True)
        assert entra.cache.serialize() == before

    def test_claims_beside_the_tokens_are_not_believed(self, site: Site) -> None:
        site.provider.refresh_with_id_token = False
        site.provider.mutate_refresh_response = lambda document: document.update(
            id_token_claims={"sub": "admin"}, scope="email"
        )
        assert "id_token_claims" not in (site.silent(force_refresh=True) or {})
        assert [a["home_account_id"] for a in site.app.get_accounts()] == ["person-0001"]

    @pytest.mark.parametrize("kept", [None, "a.b.c", "e30"])
    def test_without_an_earlier_id_token_the_account_names_the_subject(
        self, site: Site, kept: str | None
    ) -> None:
        [entry] = site.cache.search("IdToken")
        site.cache.modify("IdToken", entry, {"secret": kept} if kept else None)
        assert site.silent(force_refresh=True)

        [entry] = site.cache.search("IdToken")
        site.cache.modify("IdToken", entry, {"secret": kept} if kept else None)
        site.provider.mutate_refresh_claims = lambda claims: claims.update(sub="somebody else")
        with pytest.raises(SubjectChangedError):
            site.silent(force_refresh=True)

    def test_the_same_person_has_another_subject_in_another_tenant(self, entra: Site) -> None:
        """MSAL's pattern of one cache and one application object per tenant."""
        guest = Person(sub="another-subject", tid=entra.provider.person.tid)
        there = application(entra.provider, tenant=OTHER_TENANT, token_cache=entra.cache)
        entra.provider.mutate_refresh_claims = lambda claims: claims.update(
            sub=guest.sub, tid=OTHER_TENANT, iss=entra.provider.tenant_issuer(OTHER_TENANT)
        )
        found = there.acquire_token_silent(["User.Read"], entra.account)
        assert (found or {})["token_source"] == "identity_provider"
        assert (entra.silent("User.Read") or {})["token_source"] == "cache"
        there.close()

    def test_the_nonce_need_not_come_again(self, site: Site) -> None:
        site.provider.mutate_refresh_claims = lambda claims: claims.update(nonce=ABSENT)
        assert site.silent(force_refresh=True)
        assert site.silent(force_refresh=True)


def test_two_threads_get_tokens_from_one_application(entra: Site) -> None:
    failed: list[BaseException] = []
    found: list[dict[str, Any] | None] = []

    def work() -> None:
        try:
            found.extend(entra.silent("User.Read", force_refresh=n % 5 == 4) for n in range(10))
        except BaseException as error:
            failed.append(error)

    entra.provider.rotate_refresh_tokens = False
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert all(result and "access_token" in result for result in found)
    assert len(found) == 20
    assert len(entra.app.get_accounts()) == 1

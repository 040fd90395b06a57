"""What is known of a provider: fetched when needed, kept for a while, shared between threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob.errors import IdTokenError, KeySetError, MetadataError, ProviderUnreachable
from keyfob.flows.provider import (
    KEYS_MAX_AGE,
    METADATA_GRACE,
    METADATA_MAX_AGE,
    METADATA_RETRY,
    REFETCH_BURST,
    REFETCH_INTERVAL,
    Provider,
)
from keyfob.protocol.authority import microsoft_authority, oidc_authority
from keyfob.protocol.id_token import Expectations
from keyfob.transport import run
from support.id_tokens import CLIENT, ISSUER, NOW, claims
from support.provider_jose import compact, dumps, rsa_key
from support.sign_in import Scripted, answer

METADATA, KEYS = "the provider's metadata", "the provider's signing keys"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}


def keys(*names: str) -> Any:
    return answer({"keys": [{**rsa_key(name).public_jwk(), "kid": name} for name in names]})


def signed_by(name: str, kid: str | None = None) -> str:
    header = {"alg": "RS256", "kid": kid or name}
    return compact(header, dumps(claims()), lambda data: rsa_key(name).sign("RS256", data))


class Site:
    """A provider with its transport."""

    def __init__(self, **answers: Any) -> None:
        self.provider = Provider(oidc_authority(ISSUER))
        self.wire = Scripted({METADATA: answer(DOCUMENT), KEYS: keys("old"), **answers})

    def metadata(self, now: float = NOW) -> Any:
        return run(self.provider.metadata(now), self.wire)

    def verify(self, token: str, now: float = NOW) -> dict[str, Any]:
        expected = Expectations(
            client_id=CLIENT, metadata=self.metadata(now), now=now, nonce="nonce", leeway=10**6
        )
        return run(self.provider.verified_claims(token, expected), self.wire)

    def fetched(self, what: str) -> int:
        return [request.what for request in self.wire.sent].count(what)


@pytest.fixture
def site() -> Iterator[Site]:
    return Site()


class TestMetadata:
    def test_nothing_is_fetched_before_it_is_needed(self, site: Site) -> None:
        assert site.wire.sent == []
        assert site.provider.known_metadata(NOW) is None

    def test_it_is_fetched_once_until_it_is_old(self, site: Site) -> None:
        first = site.metadata()
        assert site.metadata(NOW + METADATA_MAX_AGE - 1) is first
        assert site.provider.known_metadata(NOW + METADATA_MAX_AGE - 1) is first
        assert site.fetched(METADATA) == 1
        assert site.provider.known_metadata(NOW + METADATA_MAX_AGE) is None
        assert site.metadata(NOW + METADATA_MAX_AGE) is not first
        assert site.fetched(METADATA) == 2

    def test_a_clock_set_back_makes_nothing_last_longer(self, site: Site) -> None:
        site.metadata()
        site.metadata(NOW - 1)
        assert site.fetched(METADATA) == 2

    @pytest.mark.parametrize("failure", [answer(b"<html>"), ProviderUnreachable("down")])
    def test_a_failure_is_not_remembered(self, failure: Any) -> None:
        site = Site(**{METADATA: [failure, answer(DOCUMENT)]})
        with pytest.raises((MetadataError, ProviderUnreachable)):
            site.metadata()
        assert site.metadata().issuer == ISSUER


DOWN = [ProviderUnreachable("down"), answer({}, 503), answer({}, 429), answer({}, 302)]


class TestOldMetadata:
    """A provider that is down for a while costs nobody what was known of it before."""

    @pytest.mark.parametrize("failure", DOWN)
    def test_they_serve_while_the_provider_cannot_be_reached(self, failure: Any) -> None:
        site = Site(**{METADATA: [answer(DOCUMENT), failure, failure]})
        first = site.metadata()
        for now in (NOW + METADATA_MAX_AGE, NOW + METADATA_GRACE - 1):
            assert site.metadata(now) is first
            assert site.provider.known_metadata(now) is None

    def test_they_serve_for_a_week_and_no_longer(self) -> None:
        down = ProviderUnreachable("down")
        site = Site(**{METADATA: [answer(DOCUMENT), down, down]})
        site.metadata()
        assert site.metadata(NOW + METADATA_GRACE - 1)
        with pytest.raises(ProviderUnreachable):
            site.metadata(NOW + METADATA_GRACE)
        assert METADATA_GRACE == 7 * 24 * 3600

    def test_the_provider_is_asked_again_after_a_while_only(self) -> None:
        new = answer({**DOCUMENT, "jwks_uri": f"{ISSUER}/moved"})
        site = Site(**{METADATA: [answer(DOCUMENT), ProviderUnreachable("down"), new]})
        site.metadata()
        old = NOW + METADATA_MAX_AGE
        for now in (old, old + 1, old + METADATA_RETRY - 1):
            assert site.metadata(now).jwks_uri == f"{ISSUER}/keys"
        assert site.fetched(METADATA) == 2
        assert site.metadata(old + METADATA_RETRY).jwks_uri == f"{ISSUER}/moved"
        assert site.metadata(old + METADATA_RETRY + 1).jwks_uri == f"{ISSUER}/moved"
        assert site.fetched(METADATA) == 3

    def test_a_failure_of_last_week_does_not_keep_from_asking(self) -> None:
        down = ProviderUnreachable("down")
        site = Site(**{METADATA: [answer(DOCUMENT), down, answer(DOCUMENT), down]})
        site.metadata()
        site.metadata(NOW + METADATA_MAX_AGE)
        site.metadata(NOW + METADATA_MAX_AGE + METADATA_RETRY)
        site.metadata(NOW + 2 * METADATA_MAX_AGE + METADATA_RETRY)
        assert site.fetched(METADATA) == 4

    @pytest.mark.parametrize("wrong", [answer(b"<html>"), answer({}, 404), answer({"issuer": "x"})])
    def test_an_answer_that_is_wrong_is_not_passed_over(self, wrong: Any) -> None:
        site = Site(**{METADATA: [answer(DOCUMENT), wrong]})
        site.metadata()
        with pytest.raises(MetadataError):
            site.metadata(NOW + METADATA_MAX_AGE)

    def test_instance_discovery_is_not_asked_again_for_new_ones(self) -> None:
        """So that its outages cost nothing once it has vouched for the host."""
        host = "https://login.newcloud.example"
        document = {**DOCUMENT, "issuer": f"{host}/{{tenantid}}/v2.0"}
        instance = answer({"tenant_discovery_endpoint": "x"})
        site = Site(**{METADATA: [answer(document), ProviderUnreachable("down")]})
        site.provider = Provider(microsoft_authority(f"{host}/common"))
        site.wire.answers["Microsoft's instance discovery"] = [instance]
        first = site.metadata()
        assert site.metadata(NOW + METADATA_MAX_AGE) is first

    def test_a_clock_set_back_far_does_not_make_them_serve(self) -> None:
        site = Site(**{METADATA: [answer(DOCUMENT), ProviderUnreachable("down")]})
        site.metadata()
        with pytest.raises(ProviderUnreachable):
            site.metadata(NOW - 1)


class TestKeys:
    def test_they_are_fetched_for_the_first_token_and_kept_until_they_are_old(
        self, site: Site
    ) -> None:
        site.metadata()
        assert site.fetched(KEYS) == 0
        for now in (NOW, NOW + 1, NOW + KEYS_MAX_AGE - 1):
            site.verify(signed_by("old"), now)
        assert site.fetched(KEYS) == 1
        site.verify(signed_by("old"), NOW + KEYS_MAX_AGE)
        assert site.fetched(KEYS) == 2

    def test_a_withdrawn_key_is_not_believed_for_longer(self) -> None:
        site = Site(**{KEYS: [keys("old"), keys("new"), keys("new")]})
        site.verify(signed_by("old"))
        with pytest.raises(IdTokenError):
            site.verify(signed_by("old"), NOW + KEYS_MAX_AGE)

    @pytest.mark.parametrize("kid", ["new", "old"])
    def test_a_key_rotated_a_second_ago_is_fetched(self, kid: str) -> None:
        """Also where the provider gives its new key the old one's name."""
        fresh = answer({"keys": [{**rsa_key("new").public_jwk(), "kid": kid}]})
        site = Site(**{KEYS: [keys("old"), fresh]})
        site.verify(signed_by("old"))
        assert site.verify(signed_by("new", kid), NOW + 1)["sub"] == "subject"
        assert site.fetched(KEYS) == 2

    def test_a_forged_token_costs_one_refetch(self, site: Site) -> None:
        site.verify(signed_by("old"))
        with pytest.raises(IdTokenError) as caught:
            site.verify(signed_by("evil"))
        assert caught.value.code == "unknown_key"
        assert site.fetched(KEYS) == 2

    def test_many_forged_tokens_cost_no_more_than_the_limit(self, site: Site) -> None:
        site.verify(signed_by("old"))

        def forge(times: int, now: float) -> int:
            before = site.fetched(KEYS)
            for _ in range(times):
                with pytest.raises(IdTokenError):
                    site.verify(signed_by("evil"), now)
            return site.fetched(KEYS) - before

        assert forge(20, NOW) == REFETCH_BURST
        assert forge(20, NOW + REFETCH_INTERVAL - 1) == 0
        assert forge(20, NOW + REFETCH_INTERVAL + 1) == 1
        assert forge(50, NOW + 1000 * REFETCH_INTERVAL) == REFETCH_BURST
        assert site.verify(signed_by("old"), NOW + 1000 * REFETCH_INTERVAL)

    @pytest.mark.parametrize("claim", [{"aud": "other"}, {"exp": 1}, {"nonce": "x"}])
    def test_claims_that_are_wrong_are_not_cured_by_new_keys(
        self, site: Site, claim: dict[str, Any]
    ) -> None:
        key = rsa_key("old")
        header = {"alg": "RS256", "kid": "old"}
        token = compact(header, dumps(claims(**claim)), lambda data: key.sign("RS256", data))
        with pytest.raises(IdTokenError):
            site.verify(token)
        assert site.fetched(KEYS) == 1

    @pytest.mark.parametrize("failure", [answer({"keys": []}), ProviderUnreachable("down")])
    def test_a_failed_refetch_keeps_the_keys_there_are(self, failure: Any) -> None:
        site = Site(**{KEYS: [keys("old"), failure]})
        site.verify(signed_by("old"))
        with pytest.raises((KeySetError, ProviderUnreachable)):
            site.verify(signed_by("evil"))
        assert site.verify(signed_by("old"))

    def test_keys_belong_to_the_address_they_came_from(self) -> None:
        """A flow that began with the former metadata may bring its keys in late."""
        moved = answer({**DOCUMENT, "jwks_uri": f"{ISSUER}/moved"})
        site = Site(**{METADATA: [answer(DOCUMENT), moved]})
        former = site.metadata()
        site.metadata(NOW + METADATA_MAX_AGE)
        late = Expectations(client_id=CLIENT, metadata=former, now=NOW, nonce="nonce")
        run(site.provider.verified_claims(signed_by("old"), late), site.wire)
        assert site.wire.sent[-1].url == f"{ISSUER}/keys"

        site.verify(signed_by("old"), NOW + METADATA_MAX_AGE)
        assert site.wire.sent[-1].url == f"{ISSUER}/moved"


def test_threads_share_what_was_fetched() -> None:
    site = Site()
    site.verify(signed_by("old"))
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(30):
                site.verify(signed_by("old"))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (site.fetched(METADATA), site.fetched(KEYS)) == (1, 1)


def test_threads_share_the_limit_of_refetches() -> None:
    provider = Provider(oidc_authority(ISSUER))
    allowed: list[bool] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        allowed.extend(provider._may_refetch(NOW) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == REFETCH_BURST

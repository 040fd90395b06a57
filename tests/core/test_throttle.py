"""A provider that asks for a pause gets one; nobody is paused for somebody else."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from keyfob.errors import ProviderUnavailable, ProviderUnreachable
from keyfob.protocol.authority import oidc_authority
from keyfob.protocol.http import HttpRequest, HttpResponse, refuse_unusable_status
from keyfob.protocol.metadata import build_metadata_request
from keyfob.transport import PUBLIC_PAUSE, ThrottledTransport
from keyfob.transport.throttle import AsyncThrottledTransport

URL = "https://idp.example/token"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
OBO = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DOCUMENT = {
    "issuer": "https://idp.example",
    "authorization_endpoint": "https://idp.example/authorize",
    "token_endpoint": URL,
    "jwks_uri": "https://idp.example/keys",
}


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.25

    def __call__(self) -> float:
        return self.now


ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


class Inner:
    """A transport that answers as it is told, and counts."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 429, dict[str, str](), b"{}"
        self.error: Exception | None = None
        self.asked: list[HttpRequest] = []
        self.closed = False

    def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return HttpResponse(self.status, self.headers, self.body, request.url)

    def close(self) -> None:
        self.closed = True


class Place:
    """A throttled transport over an `Inner`, on a clock that tests move."""

    def __init__(self, http_cache: Any = None, **options: Any) -> None:
        self.clock, self.inner = Clock(), Inner()
        self.http_cache, self.options = http_cache, options
        self.transport = self.another()

    def another(self) -> ThrottledTransport:
        return ThrottledTransport(self.inner, self.http_cache, clock=self.clock, **self.options)

    def answers(self, status: int, body: Any = None, **headers: str) -> None:
        self.inner.status = status
        self.inner.headers = {name.replace("_", "-"): text for name, text in headers.items()}
        self.inner.body = json.dumps(body or {}).encode()

    def asks(self, request: HttpRequest) -> bool:
        """Whether the provider is asked when this is sent."""
        before = len(self.inner.asked)
        self.transport.send(request)
        return len(self.inner.asked) > before


@pytest.fixture
def place() -> Place:
    return Place()


def post(headers: Mapping[str, str] | None = None, **form: str) -> HttpRequest:
    grant = {"client_id": "app", "scope": "a b", "grant_type": "refresh_token", **form}
    return HttpRequest("POST", URL, "the token endpoint", headers=headers or {}, form=grant)


ADA = post(refresh_token="ada's refresh token")
BOB = post(refresh_token="bob's refresh token")


class TestPauses:
    @pytest.mark.parametrize("status", [429, 500, 503, 599])
    def test_a_busy_provider_is_not_asked_again_for_a_while(
        self, place: Place, status: int
    ) -> None:
        place.answers(status)
        assert place.asks(ADA)
        assert not place.asks(ADA)
        place.clock.now += 4.9
        assert not place.asks(ADA)
        place.clock.now += 0.2
        assert place.asks(ADA)

    def test_a_public_client_waits_longer(self) -> None:
        place = Place(pause=PUBLIC_PAUSE)
        place.transport.send(ADA)
        place.clock.now += 59
        assert not place.asks(ADA)
        place.clock.now += 2
        assert place.asks(ADA)

    @pytest.mark.parametrize("status", [429, 503, 400, 401, 302])
    def test_retry_after_is_kept_whatever_the_status(self, place: Place, status: int) -> None:
        place.answers(status, retry_after="30")
        place.transport.send(ADA)
        place.clock.now += 29
        assert not place.asks(ADA)
        place.clock.now += 2
        assert place.asks(ADA)

    def test_an_hour_is_the_most(self, place: Place) -> None:
        place.answers(503, retry_after="86400")
        place.transport.send(ADA)
        place.clock.now += 3599
        assert not place.asks(ADA)
        place.clock.now += 2
        assert place.asks(ADA)

    def test_none_at_all_may_be_asked_for(self, place: Place) -> None:
        place.answers(503, retry_after="0")
        assert place.asks(ADA)
        assert place.asks(ADA)

    def test_a_date_counts_from_the_providers_own_clock(self, place: Place) -> None:
        place.answers(
            503,
            retry_after="Fri, 31 Dec 1999 23:59:59 GMT",
            date="Fri, 31 Dec 1999 23:59:39 GMT",
        )
        place.transport.send(ADA)
        place.clock.now += 19
        assert not place.asks(ADA)
        place.clock.now += 2
        assert place.asks(ADA)

    def test_a_date_without_a_clock_beside_it_counts_from_ours(self, place: Place) -> None:
        place.clock.now = 946_684_779.0
        place.answers(503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT")
        first = place.transport.send(ADA)
        assert unavailable(first).retry_after == 20
        place.clock.now += 19
        assert not place.asks(ADA)
        place.clock.now += 2
        assert place.asks(ADA)

    def test_nonsense_is_as_good_as_nothing(self, place: Place) -> None:
        place.answers(503, retry_after="soon")
        place.transport.send(ADA)
        place.clock.now += 4
        assert not place.asks(ADA)
        place.clock.now += 2
        assert place.asks(ADA)

    @pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
    def test_other_answers_are_asked_for_again(self, place: Place, status: int) -> None:
        place.answers(status)
        assert place.asks(ADA)
        assert place.asks(ADA)

    def test_a_good_answer_is_never_kept_even_with_retry_after(self, place: Place) -> None:
        place.answers(200, {"access_token": "t0ken"}, retry_after="30")
        assert place.asks(ADA)
        assert place.asks(ADA)

    def test_what_is_only_read_is_never_paused(self) -> None:
        place = Place(pause=PUBLIC_PAUSE)
        request = HttpRequest("GET", URL, "the metadata")
        assert place.asks(request)
        assert place.asks(request)

    def test_no_answer_at_all_is_not_kept(self, place: Place) -> None:
        place.inner.error = ProviderUnreachable("gone")
        for _ in range(2):
            with pytest.raises(ProviderUnreachable):
                place.transport.send(ADA)
        assert len(place.inner.asked) == 2

    def test_a_whole_body_passes_through(self, place: Place) -> None:
        request = HttpRequest("POST", URL, "the WS-Trust endpoint", content="<ada/>")
        assert place.asks(request)
        assert place.asks(request)


def unavailable(response: HttpResponse) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        refuse_unusable_status(response, "The token endpoint")
    return caught.value


class TestWhatIsAnsweredFromMemory:
    def test_the_same_error_that_counts_down(self, place: Place) -> None:
        place.answers(503, retry_after="30", x_ms_request_id=ID)
        first = unavailable(place.transport.send(ADA))
        assert (first.code, first.retry_after) == ("provider_unavailable", 30)
        place.clock.now += 12.5
        again = unavailable(place.transport.send(ADA))
        assert (again.code, again.status, again.retry_after) == ("throttled", 503, 18)
        assert again.correlation_id == ID
        assert "18 seconds" in str(again)

    def test_a_refusal_with_its_body(self, place: Place) -> None:
        place.answers(400, {"error": "invalid_grant", "error_description": "spent"})
        first = place.transport.send(ADA)
        again = place.transport.send(ADA)
        assert (again.status, again.body) == (first.status, first.body)
        assert (first.throttled, again.throttled) == (False, True)

    def test_a_busy_token_endpoints_body_is_not_kept(self) -> None:
        kept: dict[str, Any] = {}
        place = Place(kept)
        place.answers(500, {"debug": "internals of a page"})
        place.transport.send(ADA)
        assert kept
        assert "internals" not in repr(kept)

    def test_no_secret_is_in_what_is_kept(self) -> None:
        kept: dict[str, Any] = {}
        place = Place(kept)
        secrets = {
            "refresh_token": "s3cret-refresh",
            "code": "s3cret-code",
            "client_secret": "s3cret-client",
            "password": "s3cret",
            "username": "ada@contoso.example",
        }
        request = post(headers={"Authorization": "Basic czNjcmV0OnMzY3JldA=="}, **secrets)
        for status in (400, 429):
            place.answers(status, {"error": "invalid_grant"}, set_cookie="s3cret")
            place.another().send(request)
        assert len(kept) == 2
        told = repr(kept)
        assert not any(text in told for text in [*secrets.values(), "czNj", "s3cret"])

    @pytest.mark.parametrize("status", [400, 401])
    def test_an_answer_that_quotes_what_was_sent_is_not_kept(
        self, place: Place, status: int
    ) -> None:
        place.answers(
            status, {"error": "invalid_grant", "you_sent": "ada's refresh token"}, retry_after="9"
        )
        assert place.asks(ADA)
        assert place.asks(ADA)


class TestRefusals:
    """400s of a token request, when it comes again word for word."""

    def refused(self, place: Place, error: str = "invalid_grant", **more: str) -> None:
        place.answers(400, {"error": error, **more})

    def test_they_serve_for_a_minute(self, place: Place) -> None:
        self.refused(place)
        assert place.asks(ADA)
        place.clock.now += 59
        assert not place.asks(ADA)
        place.clock.now += 2
        assert place.asks(ADA)

    @pytest.mark.parametrize(
        "change",
        [
            {"client_secret": "rotated"},
            {"client_assertion": "another"},
            {"claims": "{}"},
            {"scope": "c"},
            {"unheard_of": "x"},
        ],
    )
    def test_whoever_changes_anything_is_asked_for(self, place: Place, change: Any) -> None:
        self.refused(place)
        place.transport.send(post(refresh_token="r", client_secret="old"))
        assert place.asks(post(**{"refresh_token": "r", "client_secret": "old", **change}))

    def test_request_ids_change_nothing(self, place: Place) -> None:
        self.refused(place)
        assert place.asks(post({"client-request-id": "1"}, code="c"))
        assert not place.asks(post({"client-request-id": "2"}, code="c"))

    @pytest.mark.parametrize(
        ("error", "more"),
        [
            ("interaction_required", {}),
            ("consent_required", {}),
            ("login_required", {}),
            ("temporarily_unavailable", {}),
            ("slow_down", {}),
            ("invalid_grant", {"suberror": "consent_required"}),
            ("invalid_grant", {"suberror": "basic_action"}),
        ],
    )
    def test_what_time_or_the_person_cures_is_asked_for_again(
        self, place: Place, error: str, more: dict[str, str]
    ) -> None:
        self.refused(place, error, **more)
        request = post(grant_type=OBO, assertion="the API's caller")
        assert place.asks(request)
        assert place.asks(request)

    @pytest.mark.parametrize("grant", [DEVICE, "device_code"])
    @pytest.mark.parametrize("error", ["authorization_pending", "slow_down", "expired_token"])
    def test_device_codes_are_polled(self, place: Place, grant: str, error: str) -> None:
        self.refused(place, error)
        request = post(grant_type=grant, device_code="d")
        assert place.asks(request)
        assert place.asks(request)

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 1}', b"\xff"])
    def test_what_is_no_refusal_is_asked_for_again(self, place: Place, body: bytes) -> None:
        place.inner.status, place.inner.body = 400, body
        assert place.asks(ADA)
        assert place.asks(ADA)

    def test_requests_that_are_no_grant_are_asked_for_again(self, place: Place) -> None:
        self.refused(place)
        request = HttpRequest("POST", URL, "the device endpoint", form={"client_id": "app"})
        assert place.asks(request)
        assert place.asks(request)

    def test_a_password_is_only_recognised_by_the_same_application_object(self) -> None:
        """So nobody who finds the cache can try passwords on its keys."""
        place = Place({})
        self.refused(place)
        request = post(grant_type="password", username="ada", password="guess me")
        assert place.asks(request)
        assert not place.asks(request)
        place.transport = place.another()
        assert place.asks(request)


class TestWhom:
    def test_one_persons_pause_is_nobody_elses(self, place: Place) -> None:
        for name, ada, bob in [
            ("refresh_token", "a" * 20, "b" * 20),
            ("code", "a", "b"),
            ("assertion", "a", "b"),
            ("username", "ada", "bob"),
            ("user_id", "a", "b"),
            ("device_code", "a", "b"),
            ("user_federated_identity_credential", "a", "b"),
        ]:
            assert place.asks(post(**{name: ada}))
            assert not place.asks(post(**{name: ada}))
            assert place.asks(post(**{name: bob}))

    def test_the_home_account_tells_people_apart(self, place: Place) -> None:
        assert place.asks(post({"X-AnchorMailbox": "Oid:ada@t"}))
        assert place.asks(post({"x-anchormailbox": "Oid:bob@t"}))
        assert not place.asks(post({"x-anchormailbox": "Oid:ada@t"}))

    def test_a_new_proof_of_the_client_does_not_end_the_pause(self, place: Place) -> None:
        assert place.asks(post(refresh_token="r", client_assertion="one"))
        assert not place.asks(post(refresh_token="r", client_assertion="two"))
        assert place.asks(post({"Authorization": "Basic YXBwOm9sZA=="}))
        assert not place.asks(post({"Authorization": "Basic YXBwOm5ldw=="}))

    def test_clients_are_told_apart_by_their_basic_credentials_too(self, place: Place) -> None:
        assert place.asks(post({"Authorization": "Basic YXBwOm9sZA=="}))
        assert place.asks(post({"Authorization": "Basic b25lOm9sZA=="}))
        assert place.asks(post({"Authorization": "Basic no base64"}))
        assert place.asks(post({"Authorization": "Bearer b25lOm9sZA=="}))


class TestDocuments:
    request = build_metadata_request(oidc_authority("https://idp.example"))

    def test_they_serve_for_a_day_in_every_application_that_shares_the_cache(self) -> None:
        place = Place({})
        place.answers(200, DOCUMENT)
        first = place.transport.send(self.request)
        assert not place.asks(self.request)
        place.transport = place.another()
        assert not place.asks(self.request)
        assert place.transport.send(self.request).body == first.body
        place.clock.now += 24 * 3600 + 2
        assert place.asks(self.request)

    def test_without_an_injected_cache_they_are_asked_for(self, place: Place) -> None:
        place.answers(200, DOCUMENT)
        assert place.asks(self.request)
        assert place.asks(self.request)

    @pytest.mark.parametrize(
        "answer",
        [
            (200, {**DOCUMENT, "issuer": "https://other.example"}),
            (200, {"captive": "portal"}),
            (404, DOCUMENT),
            (204, {}),
        ],
    )
    def test_what_is_not_the_document_is_not_kept(self, answer: tuple[int, Any]) -> None:
        place = Place({})
        place.answers(*answer)
        assert place.asks(self.request)
        place.answers(200, DOCUMENT)
        assert place.asks(self.request)
        assert not place.asks(self.request)

    def test_what_somebody_put_in_its_place_does_not_serve(self) -> None:
        kept: dict[str, Any] = {}
        place = Place(kept)
        place.answers(200, DOCUMENT)
        place.transport.send(self.request)
        [(key, value)] = kept.items()
        forged = json.dumps({**DOCUMENT, "issuer": "https://other.example"}).encode()
        kept[key] = (*value[:4], forged, value[5])
        assert place.asks(self.request)

    def test_other_good_answers_are_not_kept(self) -> None:
        place = Place({})
        place.answers(200, {"keys": []})
        request = HttpRequest("GET", "https://idp.example/keys", "the key set")
        assert place.asks(request)
        assert place.asks(request)


def test_options_of_one_call_change_nothing_about_the_pause(place: Place) -> None:
    class Optional(Inner):
        def with_options(self, options: Mapping[str, Any]) -> Inner:
            return place.inner

    transport = ThrottledTransport(Optional(), clock=place.clock)
    transport.with_options({"timeout": 1}).send(ADA)
    transport.with_options({"timeout": 2}).send(ADA)
    assert len(place.inner.asked) == 1


def test_closing_it_closes_what_is_below(place: Place) -> None:
    place.transport.close()
    assert place.inner.closed


def test_threads_share_it(place: Place) -> None:
    start = threading.Barrier(8)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            start.wait(30)
            for turn in range(100):
                place.transport.send(post(code=f"{number} {turn}"))
                place.transport.send(ADA)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not place.asks(ADA)


def test_coroutines_have_the_same_pauses() -> None:
    place = Place()
    place.answers(503, retry_after="30")

    class Awaited:
        async def send(self, request: HttpRequest) -> HttpResponse:
            return place.inner.send(request)

        async def aclose(self) -> None:
            place.inner.close()

    async def main() -> None:
        transport = AsyncThrottledTransport(Awaited(), clock=place.clock)
        assert not (await transport.send(ADA)).throttled
        assert (await transport.send(ADA)).throttled
        assert not (await transport.send(BOB)).throttled
        await transport.aclose()

    asyncio.run(main())
    assert len(place.inner.asked) == 2
    assert place.inner.closed

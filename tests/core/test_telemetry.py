"""What Microsoft's servers are told of how the client fares, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob.flows.telemetry import Api, Reason, Telemetry
from support.provider import Provider
from support.provider_http import Reply
from support.sign_in import Clock, application, sign_in, signed_in

LAST, CURRENT = "x-client-last-telemetry", "x-client-current-telemetry"


def last(telemetry: Telemetry) -> str:
    return telemetry.headers(Api.SILENT, Reason.ABSENT)[LAST]


class TestHeaders:
    def test_a_request_says_which_verb_it_is_for_and_why(self) -> None:
        headers = Telemetry().headers(Api.FOR_CLIENT, Reason.EXPIRED)
        assert headers == {CURRENT: "4|730,3|", LAST: "4|0|||"}

    def test_a_refresh_token_from_elsewhere_counts_as_forced(self) -> None:
        headers = Telemetry().headers(Api.REFRESH_TOKEN, Reason.NOT_ASKED)
        assert headers[CURRENT] == "4|85,1|"

    def test_hits_and_failures_add_up_until_a_success(self) -> None:
        telemetry = Telemetry()
        telemetry.cache_hit()
        telemetry.cache_hit()
        telemetry.failed(Api.SILENT, "id-1", "invalid_grant")
        telemetry.failed(Api.FOR_CLIENT, "id-2", "unauthorized_client")
        assert last(telemetry) == "4|2|84,id-1,730,id-2|invalid_grant,unauthorized_client|"
        telemetry.succeeded()
        assert last(telemetry) == "4|0|||"

    def test_the_oldest_failures_give_way(self) -> None:
        telemetry = Telemetry()
        for number in range(100):
            telemetry.failed(Api.SILENT, f"correlation-id-{number}", "invalid_grant")
        assert len(last(telemetry)) < 400
        assert "correlation-id-99" in last(telemetry)
        assert "correlation-id-1," not in last(telemetry)

    def test_an_error_that_is_no_code_breaks_no_header(self) -> None:
        telemetry = Telemetry()
        telemetry.failed(Api.SILENT, "id", "a|b,c\r\nX: y" + "z" * 1000)
        assert last(telemetry) == f"4|0|84,id|abcXy{'z' * 89}|"

    def test_it_may_be_shared_between_threads(self) -> None:
        telemetry = Telemetry()
        threads = [
            threading.Thread(target=lambda: [telemetry.cache_hit() for _ in range(500)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert last(telemetry) == "4|2000|||"


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


def told(provider: Provider) -> list[tuple[str, str]]:
    return [(r.headers[CURRENT], r.headers[LAST]) for r in provider.requests_to("token")]


def test_each_reason_for_a_request_is_told(entra: Provider) -> None:
    clock = Clock()
    app = application(entra, clock=clock)
    account = signed_in(app, ["User.Read"])
    app.acquire_token_silent(["User.Read"], account)
    app.acquire_token_silent(["User.Read"], account, force_refresh=True)
    app.acquire_token_silent(["Mail.Read"], account)
    clock.offset = entra.clock_offset = 3590
    app.acquire_token_silent(["User.Read"], account)
    app.close()
    assert told(entra) == [
        ("4|832,0|", "4|0|||"),
        ("4|84,1|", "4|1|||"),
        ("4|84,2|", "4|0|||"),
        ("4|84,3|", "4|0|||"),
    ]


def test_an_aging_token_is_a_reason_too(entra: Provider) -> None:
    entra.mutate_token_response = lambda answer: answer.update(refresh_in=10)
    clock = Clock()
    app = application(entra, clock=clock)
    account = signed_in(app, ["User.Read"])
    clock.offset = entra.clock_offset = 20
    app.acquire_token_silent(["User.Read"], account)
    app.close()
    assert told(entra)[-1][0] == "4|84,4|"


def test_a_failure_is_told_with_its_correlation_id(entra: Provider) -> None:
    clock = Clock()
    app = application(entra, clock=clock)
    account = signed_in(app, ["User.Read"])
    entra.raw["token"] = lambda _: Reply(400, {}, b'{"error": "invalid_grant"}')
    app.acquire_token_silent(["User.Read"], account, force_refresh=True)
    failed = entra.requests_to("token")[-1].headers["client-request-id"]
    entra.raw.clear()
    clock.offset = 61  # a refusal is not asked for again, word for word, for a minute
    app.acquire_token_silent(["User.Read"], account, force_refresh=True)
    app.close()
    assert told(entra)[-1] == ("4|84,1|", f"4|0|84,{failed}|invalid_grant|")


def test_a_generic_provider_is_told_nothing() -> None:
    with Provider() as provider:
        app = application(provider)
        sign_in(app)
        app.close()
        names: set[Any] = set(provider.requests_to("token")[0].headers)
    assert not {name for name in names if name.startswith(("x-client", "x-ms", "client-request"))}


def test_an_expired_token_of_the_applications_own_is_told_as_such(entra: Provider) -> None:
    clock = Clock()
    app = application(entra, clock=clock)
    app.acquire_token_for_client(["api://orders/.default"])
    clock.offset = 4000
    app.acquire_token_for_client(["api://orders/.default"])
    app.close()
    assert [current for current, _ in told(entra)] == ["4|730,2|", "4|730,3|"]

"""The provider signs people out: through a frame in their browser, and by a post of its own."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.flows.provider import REFETCH_BURST
from keyfob.protocol.logout_token import MAX_LENGTH
from keyfob.web.allowance import Allowance, Allowances
from keyfob.web.logout_channels import REFUSALS_LOGGED
from support.bare_site import BareSite
from support.failing_store import FailingStore
from support.id_tokens import ABSENT
from support.logout_tokens import order_by
from support.provider import HOME_TENANT, OTHER_TENANT, Provider
from support.provider_http import Reply

SID = "session-1"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(extra_claims={"sid": SID}) as provider:
        yield provider


class Shared(FailingStore):
    """Other machines have it as well: it forgets nothing when one of them goes."""

    def close(self) -> None: ...


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(provider.settings(), Shared()) as site:
        site.sign_in()
        assert ended(site) is False
        yield site


def ended(site: BareSite) -> bool:
    """Whether the browser's session names a record that is gone."""
    entry = site.session.get("_keyfob")
    return entry is None or not site.app.documents.holds(entry["k"])


def named(provider: Provider, sid: str = SID) -> str:
    return urlencode({"iss": provider.issuer, "sid": sid})


def store_of(site: BareSite) -> FailingStore:
    assert isinstance(site.store, FailingStore)
    return site.store


class TestFrontChannel:
    def test_a_frame_without_cookies_ends_the_session_it_names(
        self, provider: Provider, site: BareSite
    ) -> None:
        frame = site.another_browser()
        answer = frame.front_channel(named(provider))
        assert (answer.status, answer.location, answer.page) == (200, "", None)
        assert ended(site)
        assert site.get() is not None

    def test_it_ends_it_on_every_machine(self, provider: Provider, site: BareSite) -> None:
        elsewhere = BareSite(provider.settings(), site.store)
        with elsewhere:
            assert elsewhere.front_channel(named(provider)).status == 200
        assert ended(site)

    def test_other_sessions_stay(self, provider: Provider, site: BareSite) -> None:
        provider.extra_claims = {"sid": "session-2"}
        other = site.another_browser()
        other.sign_in()
        site.another_browser().front_channel(named(provider, "session-2"))
        assert (ended(site), ended(other)) == (False, True)

    @pytest.mark.parametrize(
        "query",
        ["iss=https://evil.example&sid=session-1", "iss=&sid=", "iss=x&sid=session-1",
         "iss={iss}&sid=session-2", "iss={iss}&sid=" + "x" * 300, "iss={iss}&sid=%00%ff",
         "iss={iss}/&sid=session-1", "iss=" + "x" * 5000 + "&sid=session-1"],
    )  # fmt: skip
    def test_whoever_does_not_know_the_session_ends_none_and_learns_nothing(
        self, provider: Provider, site: BareSite, query: str
    ) -> None:
        frame = site.another_browser()
        answer = frame.front_channel(query.replace("{iss}", provider.issuer))
        assert not ended(site)
        assert answer == frame.front_channel(named(provider))

    @pytest.mark.parametrize(
        "query", ["iss={iss}", f"sid={SID}", f"iss={{iss}}&sid={SID}&sid=x", "iss=a&iss=b&sid=c"]
    )
    def test_both_are_needed_and_each_once(
        self, provider: Provider, site: BareSite, query: str
    ) -> None:
        answer = site.front_channel(
            query.replace("{iss}", provider.issuer), sec_fetch_dest="iframe"
        )
        assert answer.status == 400
        assert not ended(site)
        assert "frame-ancestors" in answer.headers["Content-Security-Policy"]

    def test_the_provider_alone_may_show_the_frame(
        self, provider: Provider, site: BareSite
    ) -> None:
        headers = site.front_channel(named(provider)).headers
        assert headers["Content-Security-Policy"] == (
            f"default-src 'none'; frame-ancestors {provider.base}"
        )
        assert headers["Cache-Control"] == "no-store"
        assert "X-Frame-Options" not in headers

    def test_all_names_of_microsofts_cloud_may(self, provider: Provider) -> None:
        settings = {**provider.settings(), "AUTHORITY": "https://login.microsoftonline.com/common"}
        del settings["OIDC_AUTHORITY"]
        with BareSite(settings) as site:
            policy = site.front_channel().headers["Content-Security-Policy"]
        ancestors = policy.partition("frame-ancestors ")[2].split()
        assert ancestors[0] == "https://login.microsoftonline.com"
        assert "https://login.windows.net" in ancestors
        assert all(each.startswith("https://login.") for each in ancestors[:2])

    def test_a_frame_that_names_nothing_ends_its_own_browsers_session(self, site: BareSite) -> None:
        other = site.another_browser()
        other.sign_in()
        site.session["cart"] = ["book"]
        key = site.session["_keyfob"]["k"]
        assert site.front_channel(sec_fetch_dest="iframe").status == 200
        assert site.session == {}
        assert not site.app.documents.holds(key)
        assert not ended(other)
        assert site.front_channel(sec_fetch_dest="iframe").status == 200

    @pytest.mark.parametrize("destination", ["document", "image", "script", "empty", ""])
    def test_a_link_or_an_image_that_names_nothing_signs_nobody_out(
        self, site: BareSite, destination: str
    ) -> None:
        headers = {"sec_fetch_dest": destination} if destination else {}
        assert site.front_channel(**headers).status == 200
        assert not ended(site)

    def test_a_store_that_is_away_is_told(self, provider: Provider, site: BareSite) -> None:
        store_of(site).down = "all"
        answer = site.another_browser().front_channel(named(provider))
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "10"
        store_of(site).down = ""
        assert not ended(site)

    def test_it_asks_the_provider_nothing(self, provider: Provider) -> None:
        with BareSite(provider.settings()) as site:
            site.front_channel(named(provider))
        assert provider.requests == []


@given(st.lists(st.tuples(st.sampled_from(["iss", "sid", "x"]), st.text(max_size=400))))
def test_any_query_is_answered_and_ends_nobodys_session(query: list[tuple[str, str]]) -> None:
    with BareSite({"CLIENT_ID": "c", "CLIENT_SECRET": "s", "TENANT_ID": "common"}) as site:
        answer = site.front_channel(urlencode(query, errors="replace"))
    assert answer.status in (200, 400)


class TestBackChannel:
    def test_a_logout_token_ends_the_session_it_names(
        self, provider: Provider, site: BareSite
    ) -> None:
        provider.extra_claims = {"sid": "session-2"}
        other = site.another_browser()
        other.sign_in()
        answer = site.back_channel(order_by(provider, sid=SID))
        assert (answer.status, answer.json, answer.headers["Cache-Control"]) == (
            200, None, "no-store",
        )  # fmt: skip
        assert (ended(site), ended(other)) == (True, False)

    def test_without_a_session_all_of_the_subject_end(
        self, provider: Provider, site: BareSite
    ) -> None:
        provider.extra_claims = {"sid": "session-2"}
        other = site.another_browser()
        other.sign_in()
        assert site.back_channel(order_by(provider, sid=ABSENT, sub="somebody")).status == 200
        assert not ended(site)
        assert site.back_channel(order_by(provider, sid=ABSENT)).status == 200
        assert ended(site)
        assert ended(other)

    def test_a_machine_that_never_saw_the_provider_ends_it_too(
        self, provider: Provider, site: BareSite
    ) -> None:
        with BareSite(provider.settings(), site.store) as fresh:
            assert fresh.back_channel(order_by(provider, sid=SID)).status == 200
        assert ended(site)

    def test_a_session_that_is_unknown_is_no_error(
        self, provider: Provider, site: BareSite
    ) -> None:
        assert site.back_channel(order_by(provider, sid="another")).status == 200

    def test_microsofts_people_are_found_by_the_tokens_own_words(self) -> None:
        with Provider(entra=True, extra_claims={"sid": SID}) as provider:
            for about in ({"sid": SID}, {"sid": ABSENT}):
                with BareSite(provider.settings()) as site:
                    site.sign_in()
                    other = order_by(provider, iss=provider.tenant_issuer(OTHER_TENANT), **about)
                    assert site.back_channel(other).status == 200
                    assert not ended(site)
                    own = order_by(provider, iss=provider.tenant_issuer(HOME_TENANT), **about)
                    assert site.back_channel(own).status == 200
                    assert ended(site)

    def test_a_token_is_used_once_on_all_machines(self, provider: Provider, site: BareSite) -> None:
        text = order_by(provider, sid=ABSENT)
        assert site.back_channel(text).status == 200
        site.sign_in()
        with BareSite(provider.settings(), site.store) as elsewhere:
            for machine in (site, elsewhere):
                answer = machine.back_channel(text)
                assert answer.status == 400
                assert answer.json == {
                    "error": "invalid_request",
                    "error_description": "The logout token was used before",
                }
        assert not ended(site)

    def test_the_same_id_of_another_issuer_is_another_token(self) -> None:
        with Provider(entra=True) as provider, BareSite(provider.settings()) as site:
            for tenant in (HOME_TENANT, OTHER_TENANT):
                issuer = provider.tenant_issuer(tenant)
                assert site.back_channel(order_by(provider, iss=issuer, jti="1")).status == 200

    def test_what_was_used_is_forgotten_when_it_has_expired(
        self, provider: Provider, site: BareSite
    ) -> None:
        site.back_channel(order_by(provider, sid=SID))
        store = store_of(site)
        clock = store._clock
        store._clock = lambda: clock() + 3600
        assert store.clear_expired() >= 1
        store._clock = clock

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"aud": "another-client"}, "another application"),
            ({"iss": "https://evil.example"}, "issuer"),
            ({"nonce": "n"}, "nonce"),
            ({"exp": 1}, "expired"),
            ({"events": {}}, "no logout"),
            ({"jti": ABSENT}, "id of its own"),
        ],
    )
    def test_a_token_that_is_not_to_be_believed_ends_nothing(
        self, provider: Provider, site: BareSite, changes: dict[str, object], said: str
    ) -> None:
        answer = site.back_channel(order_by(provider, **{"sid": SID, **changes}))
        assert answer.status == 400
        assert answer.json is not None
        assert answer.json["error"] == "invalid_request"
        assert said in answer.json["error_description"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert not ended(site)

    def test_an_id_token_and_an_access_token_end_nothing(
        self, provider: Provider, site: BareSite
    ) -> None:
        document = site.keyfob.document()
        assert document is not None
        raw = document.id_token(site.app.client.authority.environment)
        assert raw is not None
        assert site.back_channel(raw).status == 400
        assert site.back_channel(provider.last_access_token).status == 400
        assert not ended(site)

    @pytest.mark.parametrize("count", [0, 2])
    def test_a_request_has_one_token(self, provider: Provider, site: BareSite, count: int) -> None:
        answer = site.back_channel(*[order_by(provider, sid=SID) for _ in range(count)])
        assert answer.status == 400
        assert not ended(site)

    def test_a_huge_token_costs_nothing(self, provider: Provider, site: BareSite) -> None:
        before = len(provider.requests)
        assert site.back_channel("a" * (MAX_LENGTH + 1)).status == 400
        assert len(provider.requests) == before

    def test_new_keys_are_fetched_for_a_token_that_none_fits(
        self, provider: Provider, site: BareSite
    ) -> None:
        provider.rotate()
        assert site.back_channel(order_by(provider, sid=SID)).status == 200
        assert ended(site)

    def test_forged_tokens_make_us_fetch_keys_only_so_often(
        self, provider: Provider, site: BareSite
    ) -> None:
        before = len(provider.requests_to("keys"))
        for number in range(40):
            assert site.back_channel(order_by(provider, {"kid": f"forged-{number}"})).status == 400
        assert len(provider.requests_to("keys")) - before <= REFETCH_BURST
        # And the provider's own still count.
        assert site.back_channel(order_by(provider, sid=SID)).status == 200
        assert ended(site)

    def test_forged_tokens_write_only_so_much_into_the_log(
        self, site: BareSite, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(50):
            site.back_channel("x\nforged line")
        told = [r for r in caplog.records if r.name == "keyfob.web.logout_channels"]
        assert 0 < len(told) <= REFUSALS_LOGGED + 1
        assert not any("\n" in record.getMessage() for record in told)

    def test_neither_the_log_nor_the_answer_holds_the_token(
        self, provider: Provider, site: BareSite, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        for text in (order_by(provider, sid=SID), order_by(provider, aud="other")):
            answer = site.back_channel(text)
            assert text not in caplog.text + repr(answer)
        assert provider.person.sub not in caplog.text

    @pytest.mark.parametrize("call", ["version", "load", "delete", "create"])
    def test_what_could_not_be_done_may_be_sent_again(
        self, provider: Provider, site: BareSite, call: str
    ) -> None:
        text = order_by(provider, sid=SID)
        store_of(site).down = call
        answer = site.back_channel(text)
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert answer.json is not None
        assert answer.json["error"] == "temporarily_unavailable"
        store_of(site).down = ""
        assert site.back_channel(text).status == 200
        assert ended(site)

    def test_a_provider_that_cannot_be_reached_is_no_proof(
        self, provider: Provider, site: BareSite
    ) -> None:
        text = order_by(provider, sid=SID)
        with BareSite(provider.settings(), site.store) as fresh:
            provider.raw["keys"] = lambda request: Reply(503, {}, b"no")
            assert fresh.back_channel(text).status == 503
            assert not ended(site)
            del provider.raw["keys"]
            assert fresh.back_channel(text).status == 200
        assert ended(site)


class TestEverywhere:
    def test_all_sessions_of_a_person_end_and_nobody_elses(
        self, provider: Provider, site: BareSite
    ) -> None:
        from dataclasses import replace

        second = site.another_browser()
        second.sign_in()
        provider.person = replace(provider.person, sub="somebody else")
        other = site.another_browser()
        other.sign_in()
        key = site.keyfob.user.key
        assert key is not None
        with BareSite(provider.settings(), site.store) as elsewhere:
            assert elsewhere.app.sign_out_everywhere(key) == 2
        assert (ended(site), ended(second), ended(other)) == (True, True, False)
        assert site.app.sign_out_everywhere(key) == 0

    def test_a_new_sign_in_after_it_holds(self, site: BareSite) -> None:
        key = site.keyfob.user.key
        assert key is not None
        site.app.sign_out_everywhere(key)
        site.sign_in()
        assert not ended(site)
        assert site.get() is None

    def test_a_session_that_was_signed_out_is_not_counted(self, site: BareSite) -> None:
        key = site.keyfob.user.key
        assert key is not None
        site.logout()
        assert site.app.sign_out_everywhere(key) == 0


def test_an_allowance_is_used_up_and_comes_back() -> None:
    allowance = Allowance(3, 10.0)
    assert [allowance.take(100.0) for _ in range(5)] == [True, True, True, False, False]
    assert allowance.take(105.0) is False
    assert allowance.take(111.0) is True
    assert allowance.take(50.0) is False  # a clock that was set back gives nothing
    assert [allowance.take(9999.0) for _ in range(4)] == [True, True, True, False]


def test_each_has_an_allowance_of_their_own_and_few_are_remembered() -> None:
    allowances = Allowances(1, 10.0, limit=2)
    assert [allowances.take(who, 100.0) for who in "abab"] == [True, True, False, False]
    assert allowances.take("c", 100.0)
    assert not allowances.take("b", 100.0)
    assert allowances.take("a", 100.0), "who was not seen for longest begins anew"
    assert len(allowances._of) == 2

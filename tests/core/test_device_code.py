"""The device code flow against a real provider (RFC 8628)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.cache import TokenCache
from keyfob.errors import (
    AnswerRefused,
    ConfigurationError,
    DeviceAuthorizationError,
    IdTokenError,
    KeyfobError,
    MetadataError,
    MissingKeyError,
    ProviderUnavailable,
    ProviderUnreachable,
    TokenResponseError,
    UserInfoError,
)
from keyfob.flows import Flow, device_code
from keyfob.flows.client import Client
from keyfob.flows.credentials import Credentials, SecretCredential
from keyfob.flows.provider import Provider as KnownProvider
from keyfob.protocol.authority import microsoft_authority, oidc_authority
from keyfob.protocol.client_auth import ClientSecret
from keyfob.protocol.device_code import parse_device_authorization
from keyfob.transport import RequestsTransport, run
from support.provider import ABSENT, HOME_TENANT, OTHER_TENANT, Provider
from support.provider_http import Reply, drop
from support.sign_in import Clock, answer

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Device:
    """A program without a browser, whose time passes only where it sleeps."""

    provider: Provider
    secret: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        provider = self.provider
        self.client = Client(
            client_id=provider.client_id,
            provider=KnownProvider(
                microsoft_authority(provider.authority(HOME_TENANT))
                if provider.entra
                else oidc_authority(provider.issuer)
            ),
            cache=TokenCache(),
            credentials=Credentials(
                [SecretCredential(ClientSecret(provider.client_id, provider.client_secret))]
                if self.secret
                else []
            ),
            clock=self.clock,
            **self.options,
        )
        self.transport = RequestsTransport()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.offset += seconds

    def run(self, flow: Flow[dict[str, Any]]) -> dict[str, Any]:
        return run(flow, self.transport, sleep=self.sleep)

    def initiate(self, scopes: Any = None, **options: Any) -> dict[str, Any]:
        return self.run(device_code.initiate(self.client, scopes, **options))

    def poll(self, flow: Any, **options: Any) -> dict[str, Any]:
        return self.run(device_code.poll(self.client, flow, **options))

    def polls(self) -> int:
        return len(self.provider.requests_to("token"))

    def holds_nothing(self) -> bool:
        sections = ("AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata")
        return not any(list(self.client.cache.search(section)) for section in sections)


@pytest.fixture
def device() -> Iterator[Device]:
    with Provider(auth_methods=["none"]) as provider:
        device = Device(provider)
        yield device
        device.transport.close()


@pytest.fixture
def entra() -> Iterator[Device]:
    with Provider(entra=True, auth_methods=["none"]) as provider:
        device = Device(provider)
        yield device
        device.transport.close()


def answers(body: object, status: int = 200) -> Callable[[Any], Reply]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: Reply(status, {"Content-Type": "application/json"}, data)


class TestInitiate:
    def test_the_flow_is_what_the_provider_said_and_msals_members(self, device: Device) -> None:
        device.provider.device_response = {"unheard_of": [1], "_private": 1, "expires_at": 9e99}
        now = device.clock()
        flow = device.initiate(["email"])
        assert json.loads(json.dumps(flow)) == flow
        assert flow["user_code"] == "WDJB-MJHT"
        assert flow["unheard_of"] == [1]
        assert (flow["interval"], flow["expires_in"]) == (5, 900)
        assert now + 900 <= flow["expires_at"] <= device.clock() + 900
        assert isinstance(flow["_correlation_id"], str)
        assert "_private" not in flow
        assert flow["verification_uri"] in flow["message"]
        assert flow["user_code"] in flow["message"]

    def test_it_asks_for_what_a_sign_in_asks_for(self, device: Device) -> None:
        device.initiate(["email"], claims_challenge='{"a":1}')
        form = device.provider.requests_to("device")[0].form
        assert form == {
            "client_id": device.client.client_id,
            "scope": "email offline_access openid profile",
            "claims": '{"a":1}',
        }

    def test_microsoft_is_asked_as_msal_asks(self, entra: Device) -> None:
        message = "To sign in, use a web browser to open ..."
        entra.provider.device_response = {"message": message}
        flow = entra.initiate(["User.Read"])
        request = entra.provider.requests_to("device")[0]
        assert set(request.form) == {"client_id", "scope"}
        assert request.headers["client-request-id"] == flow["_correlation_id"]
        assert flow["message"] == message

    def test_a_client_with_a_secret_proves_itself(self) -> None:
        with Provider(auth_methods=["client_secret_basic"]) as provider:
            device = Device(provider, secret=True)
            result = device.poll(device.initiate())
            device.transport.close()
        assert "access_token" in result

    @pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
    def test_an_error_with_a_name_comes_back_as_a_dict(self, device: Device, status: int) -> None:
        error = {"error": "invalid_client", "error_description": "x", "user_code": "x"}
        device.provider.raw["device"] = answers(error, status)
        flow = device.initiate()
        assert "user_code" not in flow
        assert (flow["error"], flow["error_description"]) == ("invalid_client", "x")
        assert (flow["interval"], flow["expires_in"]) == (5, 1800)
        assert {"expires_at", "_correlation_id"} <= set(flow)
        with pytest.raises(MissingKeyError, match="look at its error"):
            device.poll(flow)

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (answers(b"<html>", 200), DeviceAuthorizationError),
            (answers(b"<html>", 404), DeviceAuthorizationError),
            (answers({}, 404), DeviceAuthorizationError),
            (answers({"error": ""}, 400), DeviceAuthorizationError),
            (answers(b"<html>", 503), ProviderUnavailable),
            (answers({}, 429), ProviderUnavailable),
            (answers({}, 302), AnswerRefused),
            (lambda _: drop, ProviderUnreachable),
        ],
    )
    def test_what_is_no_answer_is_a_typed_error(
        self, device: Device, reply: Any, error: type[KeyfobError]
    ) -> None:
        device.provider.raw["device"] = reply
        with pytest.raises(error):
            device.initiate()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("device_code", ABSENT), ("device_code", ""), ("device_code", 1),
            ("device_code", "a\n"), ("user_code", ABSENT), ("user_code", " "),
            ("user_code", "\x1b[2J"), ("verification_uri", ABSENT),
            ("verification_uri", "javascript:alert(1)"), ("verification_uri", "https://x/\x1b"),
            ("verification_uri_complete", "file:///x"), ("interval", "soon"), ("interval", -1),
            ("interval", True), ("expires_in", []), ("expires_in", "1e999"),
        ],
    )  # fmt: skip
    def test_an_answer_that_nobody_could_use_is_refused(
        self, device: Device, name: str, value: Any
    ) -> None:
        device.provider.device_response = {name: value}
        with pytest.raises(DeviceAuthorizationError):
            device.initiate()

    def test_what_the_provider_leaves_out_has_msals_defaults(self, device: Device) -> None:
        device.provider.device_response = {"interval": ABSENT, "expires_in": ABSENT}
        flow = device.initiate()
        assert (flow["interval"], flow["expires_in"]) == (5, 1800)

    def test_numbers_as_text_are_numbers(self, device: Device) -> None:
        device.provider.device_response = {"interval": "7", "expires_in": "60.5"}
        flow = device.initiate()
        assert (flow["interval"], flow["expires_in"]) == (7, 60)

    def test_googles_name_for_the_address_is_understood(self, device: Device) -> None:
        url = "https://www.google.example/device"
        device.provider.device_response = {"verification_uri": ABSENT, "verification_url": url}
        assert device.initiate()["verification_uri"] == url

    def test_a_message_cannot_command_the_terminal(self, device: Device) -> None:
        device.provider.device_response = {"message": "Go to\n\x1b[2Jhttps://x"}
        assert device.initiate()["message"] == "Go to\n [2Jhttps://x"

    @pytest.mark.parametrize("message", ["", " \x1b ", 1, None])
    def test_a_message_that_says_nothing_is_replaced(self, device: Device, message: Any) -> None:
        device.provider.device_response = {"message": message}
        assert "WDJB-MJHT" in device.initiate()["message"]

    def test_a_provider_without_the_endpoint_is_a_value_error(self, device: Device) -> None:
        device.provider.omit_metadata = ["device_authorization_endpoint"]
        with pytest.raises(ValueError, match="device_authorization_endpoint") as caught:
            device.initiate()
        assert isinstance(caught.value, ConfigurationError)
        assert caught.value.code == "no_device_endpoint"

    def test_an_endpoint_elsewhere_by_plain_http_is_refused(self, device: Device) -> None:
        def elsewhere(document: dict[str, Any]) -> None:
            document["device_authorization_endpoint"] = "http://evil.example/x"

        device.provider.mutate_metadata = elsewhere
        with pytest.raises(MetadataError):
            device.initiate()

    @pytest.mark.parametrize("scopes", ["email", ["openid"], [""], [1]])
    def test_scopes_are_judged_before_anything_is_fetched(
        self, device: Device, scopes: Any
    ) -> None:
        with pytest.raises(ConfigurationError):
            device.initiate(scopes)
        assert device.provider.requests == []


class TestPoll:
    def test_a_person_who_is_done_already_costs_one_poll_and_no_wait(self, device: Device) -> None:
        flow = device.initiate(["email"])
        result = device.poll(flow)
        assert result["token_source"] == "identity_provider"
        assert result["id_token_claims"]["sub"] == device.provider.person.sub
        assert (device.polls(), device.slept) == (1, [])
        form = device.provider.requests_to("token")[0].form
        assert form == {
            "grant_type": GRANT,
            "device_code": flow["device_code"],
            "client_id": device.client.client_id,
        }
        assert flow["latest_attempt_at"] <= device.clock()

    def test_the_tokens_are_cached_under_the_persons_account(self, entra: Device) -> None:
        result = entra.poll(entra.initiate(["User.Read"]))
        [account] = entra.client.cache.accounts([entra.client.environment])
        assert account["account_source"] == GRANT
        assert account["username"] == entra.provider.person.preferred_username
        [held] = entra.client.cache.search("AccessToken")
        assert held["secret"] == result["access_token"]
        assert "User.Read" in held["target"].split()
        assert len(list(entra.client.cache.search("RefreshToken"))) == 1

    def test_what_was_asked_for_was_granted_where_the_answer_does_not_say(
        self, device: Device
    ) -> None:
        device.provider.send_scope = False
        device.poll(json.loads(json.dumps(device.initiate(["email"]))))
        [held] = device.client.cache.search("AccessToken")
        assert "email" in held["target"].split()

    def test_microsofts_support_finds_all_of_it_by_one_id(self, entra: Device) -> None:
        flow = entra.initiate()
        entra.poll(flow)
        request = entra.provider.requests_to("token")[0]
        assert request.headers["client-request-id"] == flow["_correlation_id"]
        assert request.form["code"] == flow["device_code"]

    def test_other_providers_are_told_no_id(self, device: Device) -> None:
        device.poll(device.initiate())
        for request in device.provider.requests:
            assert "client-request-id" not in request.headers

    def test_it_waits_the_interval_second_by_second(self, device: Device) -> None:
        device.provider.device_errors = ["authorization_pending"] * 2
        assert "access_token" in device.poll(device.initiate())
        assert (device.polls(), device.slept) == (3, [1] * 10)

    def test_slow_down_lengthens_the_interval_for_good(self, device: Device) -> None:
        device.provider.device_errors = ["slow_down", "authorization_pending", "slow_down"]
        flow = device.initiate()
        assert "access_token" in device.poll(flow)
        assert flow["interval"] == 15
        assert len(device.slept) == 10 + 10 + 15

    @pytest.mark.parametrize("error", ["authorization_declined", "expired_token", "access_denied"])
    def test_another_error_comes_back_at_once(self, device: Device, error: str) -> None:
        device.provider.device_errors = [error]
        assert device.poll(device.initiate())["error"] == error
        assert device.slept == []

    def test_the_last_error_comes_back_when_the_code_expires(self, device: Device) -> None:
        device.provider.device_errors = ["authorization_pending"] * 99
        device.provider.device_response = {"expires_in": 12}
        result = device.poll(device.initiate())
        assert result["error"] == "authorization_pending"
        assert device.polls() == 3
        assert 12 <= len(device.slept) <= 13

    def test_setting_expires_at_to_0_ends_it(self, device: Device) -> None:
        device.provider.device_errors = ["authorization_pending"] * 99
        flow = device.initiate()
        flow["expires_at"] = 0
        assert device.poll(flow)["error"] == "authorization_pending"
        assert (device.polls(), device.slept) == (1, [])

    def test_an_exit_condition_is_asked_before_each_second(self, device: Device) -> None:
        device.provider.device_errors = ["authorization_pending"] * 99
        seen: list[float] = []
        flow = device.initiate()

        def enough(given: Any) -> bool:
            assert given is flow
            seen.append(given["latest_attempt_at"])
            return len(seen) > 7

        assert device.poll(flow, exit_condition=enough)["error"] == "authorization_pending"
        assert (device.polls(), len(device.slept)) == (2, 7)

    def test_an_exit_condition_that_is_true_makes_it_one_try(self, device: Device) -> None:
        device.provider.device_errors = ["authorization_pending"]
        flow = device.initiate()
        device.poll(flow, exit_condition=lambda _: True)
        assert device.slept == []
        device.clock.offset += 5
        assert "access_token" in device.poll(flow, exit_condition=lambda _: True)

    def test_what_an_exit_condition_raises_comes_out_and_the_flow_still_serves(
        self, device: Device
    ) -> None:
        device.provider.device_errors = ["authorization_pending"]
        flow = device.initiate()
        with pytest.raises(ZeroDivisionError):
            device.poll(flow, exit_condition=lambda _: 1 // 0)
        device.clock.offset += 5
        assert "access_token" in device.poll(flow)

    def test_who_polls_too_early_is_warned(self, device: Device) -> None:
        device.provider.device_errors = ["authorization_pending"]
        flow = device.initiate()
        device.poll(flow, exit_condition=lambda _: True)
        with pytest.warns(UserWarning, match="interval of 5 seconds"):
            device.poll(flow)

    @pytest.mark.parametrize(("interval", "waits"), [(0, 1), (-3, 1), ("x", 5), (None, 5)])
    def test_no_interval_makes_it_poll_without_a_pause(
        self, device: Device, interval: Any, waits: int
    ) -> None:
        device.provider.device_errors = ["authorization_pending"]
        flow = {**device.initiate(), "interval": interval}
        assert "access_token" in device.poll(flow)
        assert device.slept == [1] * waits

    def test_a_provider_that_wants_no_pause_gets_one(self, device: Device) -> None:
        device.provider.device_response = {"interval": 0}
        assert device.initiate()["interval"] == 1

    @pytest.mark.parametrize("failure", [drop, Reply(503, {}, b""), Reply(200, {}, b"<")])
    def test_an_answer_that_fails_comes_out_and_the_flow_still_serves(
        self, device: Device, failure: Any
    ) -> None:
        flow = device.initiate()
        device.provider.raw["token"] = lambda _: failure
        with pytest.raises(KeyfobError):
            device.poll(flow)
        del device.provider.raw["token"]
        device.clock.offset += 5
        assert "access_token" in device.poll(flow)

    def test_the_claims_challenge_goes_along(self, device: Device) -> None:
        device.poll(device.initiate(), claims_challenge='{"a":1}')
        assert device.provider.requests_to("token")[0].form["claims"] == '{"a":1}'

    @pytest.mark.parametrize("flow", [{}, {"device_code": ""}, {"device_code": 1}, None, "x"])
    def test_what_is_no_flow_is_a_key_error_as_msals(self, device: Device, flow: Any) -> None:
        with pytest.raises(KeyError, match="initiate_device_flow") as caught:
            device.poll(flow)
        assert isinstance(caught.value, MissingKeyError)
        assert device.provider.requests == []


class TestProof:
    @pytest.mark.parametrize(
        ("claim", "value"),
        [
            ("aud", "other"), ("iss", "https://evil.example"), ("exp", 1), ("sub", ABSENT),
            ("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
        ],
    )  # fmt: skip
    def test_an_id_token_that_proves_nothing_is_refused_and_nothing_cached(
        self, device: Device, claim: str, value: Any
    ) -> None:
        def wrong(claims: dict[str, Any]) -> None:
            claims[claim] = value

        device.provider.mutate_claims = wrong
        with pytest.raises(IdTokenError):
            device.poll(device.initiate())
        assert device.holds_nothing()

    @pytest.mark.parametrize(("leeway", "accepted"), [(120, True), (0, False)])
    def test_the_clients_leeway_is_forgiven(self, leeway: int, accepted: bool) -> None:
        with Provider(auth_methods=["none"], clock_offset=-3660) as provider:
            device = Device(provider, options={"leeway": leeway})
            flow = device.initiate()
            if accepted:
                assert "access_token" in device.poll(flow)
            else:
                with pytest.raises(IdTokenError):
                    device.poll(flow)
            device.transport.close()

    def test_people_of_other_tenants_are_not_let_in(self) -> None:
        with Provider(entra=True, auth_methods=["none"]) as provider:
            device = Device(provider, options={"allowed_tenants": {OTHER_TENANT}})
            with pytest.raises(IdTokenError) as caught:
                device.poll(device.initiate())
            device.transport.close()
        assert caught.value.code == "tenant_not_allowed"
        assert device.holds_nothing()

    def test_a_forged_id_token_is_refused_and_nothing_cached(self, device: Device) -> None:
        device.provider.sign_id_token = device.provider.attacker.sign
        with pytest.raises(IdTokenError):
            device.poll(device.initiate())
        assert device.holds_nothing()

    def test_an_answer_without_an_id_token_proves_nobody(self, device: Device) -> None:
        device.provider.mutate_token_response = lambda document: document.pop("id_token")
        with pytest.raises(TokenResponseError):
            device.poll(device.initiate())
        assert device.holds_nothing()

    def test_a_thin_id_token_is_filled_in_by_userinfo(self, device: Device) -> None:
        device.provider.profile_in_id_token = False
        result = device.poll(device.initiate())
        assert result["id_token_claims"]["name"] == device.provider.person.name

    def test_userinfo_about_somebody_else_is_refused(self, device: Device) -> None:
        device.provider.profile_in_id_token = False
        device.provider.mutate_userinfo = lambda claims: claims.update(sub="other")
        with pytest.raises(UserInfoError):
            device.poll(device.initiate())
        assert device.holds_nothing()

    def test_no_secret_is_logged(self, device: Device, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        flow = device.initiate()
        result = device.poll(flow)
        secrets = [flow["device_code"], result["access_token"], result["id_token"]]
        assert "HTTP 200" in caplog.text
        assert [secret for secret in secrets if secret in caplog.text] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
GOOD: dict[str, Any] = {
    "device_code": "d", "user_code": "u", "verification_uri": "https://idp.example/d",
    "expires_in": 900, "interval": 5,
}  # fmt: skip


@given(
    st.dictionaries(st.sampled_from([*GOOD, "message", "error", "verification_url"]), JSON),
    st.sampled_from([200, 201, 400, 500]),
)
def test_any_answer_is_understood_or_refused(changes: dict[str, Any], status: int) -> None:
    try:
        found = parse_device_authorization(answer({**GOOD, **changes}, status))
    except (DeviceAuthorizationError, ProviderUnavailable):
        return
    assert ("user_code" in found) is not ("error" in found)
    assert type(found["interval"]) is int
    assert type(found["expires_in"]) is int
    assert found["interval"] >= 1
    if "user_code" in found:
        assert found["user_code"].isprintable()
        assert urlsplit(found["verification_uri"]).scheme in ("http", "https")
        assert found["message"].strip()


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(KeyfobError):
        parse_device_authorization(answer(body))

"""Real msal, against the provider in the place of ``login.microsoftonline.com``, in every flow."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msal
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_identity
from joserfc import jwt
from joserfc.jwk import KeySet

from emulator.test_ssh_cert import jwk
from emulator.test_token_extras import AGENT, AGENT_SECRET, EXCHANGE
from keyfob_emulator import Application, Lifetimes
from keyfob_emulator.in_process import mount
from keyfob_emulator.keys import SigningKey
from keyfob_emulator.sample import (
    CONTOSO,
    DESKTOP_TOOL,
    FLASK_SITE,
    FLASK_SITE_SECRET,
    NIGHTLY_JOB,
    NIGHTLY_JOB_SECRET,
    ORDERS_API,
    ORDERS_API_SECRET,
    PASSWORD,
)
from support.form_browser import FormBrowser, Page

if TYPE_CHECKING:
    from emulator.conftest import KeyPool

LOGIN = "https://login.microsoftonline.com"
ADA, KATHERINE = "ada@contoso.example", "katherine@northwind.example"
READ = ["User.Read"]
ORDERS = ["api://orders/Orders.Read"]
SCOPE = "openid profile offline_access User.Read"


class World:
    """The provider, a session msal talks to it with, and another one for a person's browser."""

    def __init__(self) -> None:
        self.http, self._browsing = requests.Session(), requests.Session()
        self.emulator = mount(self.http)
        mount(self._browsing, self.emulator)
        self.browser = FormBrowser(self._browsing, stop_at=("http://localhost:5000",))

    def close(self) -> None:
        self.http.close()
        self._browsing.close()

    def public(self, tenant: str = "organizations", **more: Any) -> msal.PublicClientApplication:
        more = {"client_id": DESKTOP_TOOL, **more}
        return msal.PublicClientApplication(
            authority=f"{LOGIN}/{tenant}", http_client=self.http, **more
        )

    def confidential(
        self, client_id: str, credential: object, tenant: str = CONTOSO, **more: Any
    ) -> msal.ConfidentialClientApplication:
        return msal.ConfidentialClientApplication(
            client_id,
            client_credential=credential,
            authority=f"{LOGIN}/{tenant}",
            http_client=self.http,
            **more,
        )

    def claims(self, token: str) -> dict[str, Any]:
        keys = self.http.get(f"{LOGIN}/common/discovery/v2.0/keys").json()
        return dict(jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"]).claims)

    def consent(self, username: str, client_id: str = DESKTOP_TOOL, scope: str = SCOPE) -> None:
        self.emulator.give_consent(username, client_id, scope)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def by_password(
    app: msal.ClientApplication, username: str = ADA, password: str = PASSWORD, **more: Any
) -> dict[str, Any]:
    with pytest.warns(DeprecationWarning, match="deprecated for public client"):
        return dict(app.acquire_token_by_username_password(username, password, READ, **more))


def ok(result: dict[str, Any] | None) -> dict[str, Any]:
    assert result is not None
    assert "access_token" in result, result
    return result


# Device code


def test_a_device_signs_in(world: World) -> None:
    app = world.public("common")
    flow = app.initiate_device_flow(READ)
    once = app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    assert once["error"] == "authorization_pending"
    flow["latest_attempt_at"] = 0  # As after the interval.
    page = world.browser.open(flow["verification_uri"]).submit(user_code=flow["user_code"])
    page = page.submit(button="Grace Padlock").submit(password=PASSWORD)
    page = page.submit(button="Continue").submit(button="Accept")
    assert page.headings == ["You have signed in to Desktop tool"]
    result = ok(app.acquire_token_by_device_flow(flow))
    assert result["id_token_claims"]["preferred_username"] == "grace@outlook.example"
    (account,) = app.get_accounts()
    assert ok(app.acquire_token_silent(READ, account))["token_source"] == "cache"


def test_a_device_is_declined_and_expires(world: World) -> None:
    app = world.public()
    flow = app.initiate_device_flow(READ)
    world.emulator.decline_device(flow["user_code"])
    assert app.acquire_token_by_device_flow(flow)["error"] == "authorization_declined"
    world.emulator.lifetimes = Lifetimes(device_code=0)
    flow = app.initiate_device_flow(READ)
    result = app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    assert result["error"] == "expired_token"


def test_a_device_that_polls_too_fast_slows_down(world: World) -> None:
    app = world.public()
    flow = app.initiate_device_flow(READ)
    app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    with pytest.warns(UserWarning, match="too soon"):
        result = app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    assert result["error"] == "slow_down"
    assert flow["interval"] == 10


# Passwords


def test_a_managed_password(world: World) -> None:
    world.consent(ADA)
    app = world.public()
    result = ok(by_password(app))
    assert result["id_token_claims"]["preferred_username"] == ADA
    assert by_password(app, password="wrong")["error_codes"] == [50126]
    world.emulator.add(replace(world.emulator.account(ADA), multi_factor=True))
    assert by_password(app)["error_codes"] == [50076]


@pytest.mark.parametrize("version", [1, 2])
def test_a_federated_password(world: World, version: int) -> None:
    world.consent(KATHERINE)
    world.emulator.saml_version = version
    app = world.public()
    result = ok(by_password(app, KATHERINE))
    assert result["id_token_claims"]["preferred_username"] == KATHERINE
    (account,) = app.get_accounts(KATHERINE)
    assert ok(app.acquire_token_silent(READ, account, force_refresh=True))


def test_a_wrong_federated_password(world: World) -> None:
    with pytest.raises(RuntimeError, match="FailedAuthentication"):
        by_password(world.public(), KATHERINE, "wrong")


# Browsers


def finish(page: Page) -> Page:
    """Ada signs in and consents, as far as she is asked."""
    for _ in range(4):
        if page.headings == ["Pick an account"]:
            page = page.submit(button="Ada Keyring")
        elif page.headings == ["Enter the password"]:
            page = page.submit(password=PASSWORD)
        elif page.headings == ["Permissions requested"]:
            page = page.submit(button="Accept")
    return page


def test_a_desktop_application_signs_in_interactively(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is posted to the server msal listens with, on a port of its choice."""
    threads, last = [], []

    def browse(url: str, **_: object) -> bool:
        def run() -> None:
            page = finish(world.browser.open(url))
            assert page.headings == ["One moment"]
            last.append(page.submit())

        thread = threading.Thread(target=run)
        threads.append(thread)
        thread.start()
        return True

    monkeypatch.setattr("msal.oauth2cli.authcode._browse", browse)
    result = ok(world.public("common").acquire_token_interactive(READ, timeout=60))
    for thread in threads:
        thread.join()
    assert result["id_token_claims"]["preferred_username"] == ADA
    assert "http://localhost:" in last[0].url


def test_a_site_signs_somebody_in_and_refreshes(world: World) -> None:
    app = world.confidential(FLASK_SITE, FLASK_SITE_SECRET, "common")
    back = "http://localhost:5000/auth/callback"
    flow = app.initiate_auth_code_flow(READ, redirect_uri=back, response_mode="form_post")
    (form,) = finish(world.browser.open(flow["auth_uri"])).forms
    assert form.action == back
    ok(app.acquire_token_by_auth_code_flow(flow, dict(form.fields)))
    (account,) = app.get_accounts()
    assert ok(app.acquire_token_silent(READ, account))["token_source"] == "cache"
    fresh = ok(app.acquire_token_silent(READ, account, force_refresh=True))
    assert fresh["token_source"] == "identity_provider"
    token = fresh["refresh_token"]
    assert ok(app.acquire_token_by_refresh_token(token, READ))["id_token_claims"]["tid"] == CONTOSO


# Applications


def test_an_application_gets_tokens_for_itself_and_its_parts(world: World) -> None:
    app = world.confidential(NIGHTLY_JOB, NIGHTLY_JOB_SECRET, client_capabilities=["cp1"])
    whole = ok(app.acquire_token_for_client(["api://orders/.default"]))
    part = ok(app.acquire_token_for_client(["api://orders/.default"], fmi_path="farm/house-7"))
    assert "fmi_path" not in world.claims(whole["access_token"])
    claims = world.claims(part["access_token"])
    assert (claims["fmi_path"], claims["xms_cc"]) == ("farm/house-7", ["cp1"])
    again = ok(app.acquire_token_for_client(["api://orders/.default"], fmi_path="farm/house-7"))
    assert again["access_token"] == part["access_token"]


def test_an_application_proves_itself_with_a_certificate(world: World, key_pool: KeyPool) -> None:
    private = key_pool.for_one_test()()
    pem = x509.load_der_x509_certificate(_der(private))
    job = world.emulator.application(NIGHTLY_JOB)
    text = pem.public_bytes(serialization.Encoding.PEM).decode()
    world.emulator.add(replace(job, secrets=(), certificates=(text,)))
    credential = {
        "private_key": private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "thumbprint": pem.fingerprint(hashes.SHA1()).hex(),
    }
    ok(
        world.confidential(NIGHTLY_JOB, credential).acquire_token_for_client(
            ["api://orders/.default"]
        )
    )


def _der(private: RSAPrivateKey) -> bytes:
    return base64.b64decode(SigningKey(private, 1_800_000_000).x5c)


def test_an_api_acts_on_behalf_of_its_caller(world: World) -> None:
    world.consent(ADA, scope=f"{SCOPE} {ORDERS[0]}")
    with pytest.warns(DeprecationWarning, match="deprecated for public client"):
        caller = world.public().acquire_token_by_username_password(ADA, PASSWORD, ORDERS)
    app = world.confidential(ORDERS_API, ORDERS_API_SECRET)
    result = ok(app.acquire_token_on_behalf_of(ok(caller)["access_token"], READ))
    assert world.claims(result["access_token"])["upn"] == ADA
    world.emulator.require_interaction(ADA)
    result = app.acquire_token_on_behalf_of(caller["access_token"], READ)
    assert result["error"] == "interaction_required"
    assert json.loads(result["claims"])


def test_an_agent_acts_for_a_person_it_names(world: World) -> None:
    consented = frozenset({"openid", "profile", "offline_access", "User.Read"})
    world.emulator.add(
        Application(AGENT, "Agent", CONTOSO, (AGENT_SECRET,), admin_consented=consented)
    )
    app = world.confidential(AGENT, AGENT_SECRET)
    own = ok(app.acquire_token_for_client([EXCHANGE]))["access_token"]
    for named in (
        {"username": ADA},
        {"user_object_id": world.emulator.account(ADA).object_id},
    ):
        result = app.acquire_token_by_user_federated_identity_credential(READ, own, **named)
        assert ok(result)["id_token_claims"]["preferred_username"] == ADA


# Tokens of another kind, and what else travels with them


def test_an_ssh_certificate(world: World, key_pool: KeyPool) -> None:
    world.consent(ADA)
    private = key_pool.for_one_test()()
    app = world.public()
    data = {"token_type": "ssh-cert", "key_id": "key-1", "req_cnf": jwk(private)}
    result = ok(by_password(app, data=data))
    assert result["token_type"] == "ssh-cert"
    line = f"ssh-rsa-cert-v01@openssh.com {result['access_token']}"
    certificate: Any = load_ssh_public_identity(line.encode())
    assert certificate.public_key() == private.public_key()
    (account,) = app.get_accounts()
    cached = ok(app.acquire_token_silent(READ, account, data=data))
    assert cached["access_token"] == result["access_token"]
    assert by_password(app, data={**data, "req_cnf": "{}"})["error_codes"] == [9002313]


def test_a_family_of_applications_shares_a_sign_in(world: World) -> None:
    other = "07e20000-0009-4070-9b09-000000000009"
    tool = replace(world.emulator.application(DESKTOP_TOOL), family="1")
    for application in (tool, replace(tool, client_id=other)):
        world.emulator.add(application)
        world.consent(ADA, application.client_id)
    cache = msal.TokenCache()
    first = world.public(token_cache=cache)
    assert ok(by_password(first))["foci"] == "1"
    second = world.public(client_id=other, token_cache=cache)
    (account,) = second.get_accounts()
    result = ok(second.acquire_token_silent(READ, account))
    assert result["id_token_claims"]["aud"] == other
    stranger = "57a40000-000b-457a-9b0b-00000000000b"
    world.emulator.add(replace(tool, client_id=stranger, family=None))
    third = world.public(client_id=stranger, token_cache=cache)
    assert third.acquire_token_silent(READ, account) is None
    assert ok(first.acquire_token_silent(READ, account, force_refresh=True))


def test_a_claims_challenge_is_answered(world: World) -> None:
    world.consent(ADA)
    app = world.public(client_capabilities=["cp1"])
    ok(by_password(app))
    (account,) = app.get_accounts()
    challenge = json.dumps({"access_token": {"acrs": {"essential": True, "value": "c2"}}})
    result = ok(app.acquire_token_silent(READ, account, claims_challenge=challenge))
    claims = world.claims(result["access_token"])
    assert (claims["acrs"], claims["xms_cc"]) == (["c2"], ["cp1"])
    world.emulator.require_interaction(ADA, suberror="additional_action")
    result = app.acquire_token_silent_with_error(READ, account, claims_challenge=challenge)
    assert (result["error"], result["classification"]) == (
        "interaction_required",
        "additional_action",
    )


def test_a_token_is_refreshed_early_when_the_provider_says_so(world: World) -> None:
    world.consent(ADA)
    world.emulator.lifetimes = Lifetimes(refresh_in=-1)
    app = world.public()
    first = ok(by_password(app))
    assert "refresh_on" in first
    (account,) = app.get_accounts()
    second = ok(app.acquire_token_silent(READ, account))
    assert second["access_token"] != first["access_token"]


def test_throttling_is_heeded(world: World) -> None:
    world.consent(ADA)
    world.emulator.fail_next("token", status=429, body='{"error": "throttled"}', retry_after=60)
    app = world.public()
    assert by_password(app)["error"] == "throttled"
    assert by_password(app)["error"] == "throttled"
    assert world.emulator.take_failure("token") is None

"""Devices that wait for a person to sign in elsewhere (RFC 8628)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from emulator.test_token_endpoint import check
from keyfob_emulator import Lifetimes
from keyfob_emulator.sample import CONTOSO, DESKTOP_TOOL, FLASK_SITE, FLASK_SITE_SECRET, PASSWORD

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock
    from support.form_browser import Page

ADA, HEDY = "ada@contoso.example", "hedy@fabrikam.example"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "openid profile offline_access User.Read"


@pytest.fixture
def device(client: Client) -> Client:
    """A tool on a machine without a browser, and somebody's browser on another one."""
    client.client_id, client.secret = DESKTOP_TOOL, None
    return client


def begin(device: Client, **data: str | None) -> dict[str, Any]:
    body = {"client_id": device.client_id, "scope": SCOPE, **data}
    response = device.http.post(device.endpoint("devicecode"), data=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def poll(device: Client, flow: dict[str, Any], **data: str | None) -> requests.Response:
    return device.token(**{"grant_type": GRANT, "device_code": flow["device_code"], **data})


def type_code(device: Client, flow: dict[str, Any]) -> Page:
    return device.browser.open(flow["verification_uri"]).submit(user_code=flow["user_code"])


def sign_in(page: Page, name: str = "Ada Keyring") -> Page:
    return page.submit(button=name).submit(password=PASSWORD)


def forge(page: Page, action: str) -> Page:
    """Send the page's form with a button that is not on it."""
    (form,) = page.forms
    fields = [(name, value) for name, value in form.fields if name == "csrf_token"]
    return page.browser.send("post", page.url, [*fields, ("action", action)])


# The endpoint


def test_a_device_gets_two_codes_and_a_message_for_people(device: Client) -> None:
    flow = begin(device)
    assert flow["verification_uri"] == f"{device.server.url}/devicelogin"
    assert flow["verification_uri"] in flow["message"]
    assert flow["user_code"] in flow["message"]
    assert (flow["expires_in"], flow["interval"]) == (900, 5)
    assert flow["user_code"] not in flow["device_code"]
    assert set(flow["user_code"]) <= set("BCDFGHJKLMNPQRSTVWXZ")
    assert begin(device)["user_code"] != flow["user_code"]


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"client_id": None}, "invalid_request", 900144),
        ({"client_id": "nobody"}, "unauthorized_client", 700016),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "Nothing.Read"}, "invalid_client", 650053),
        ({"scope": "User.Read api://orders/Orders.Read"}, "invalid_request", 28000),
        ({"claims": "{"}, "invalid_request", 9002313),
    ],
)
def test_a_faulty_request_is_refused_at_once(
    device: Client, changes: dict[str, str | None], error: str, code: int
) -> None:
    body = {"client_id": DESKTOP_TOOL, "scope": SCOPE, **changes}
    check(device.http.post(device.endpoint("devicecode"), data=body), 400, error, code)


def test_the_endpoint_can_be_made_to_fail(device: Client) -> None:
    device.server.emulator.fail_next("devicecode", status=503)
    response = device.http.post(device.endpoint("devicecode"), data={"client_id": DESKTOP_TOOL})
    assert response.status_code == 503


# The pages


def test_a_person_types_the_code_signs_in_confirms_and_consents(device: Client) -> None:
    flow = begin(device)
    check(poll(device, flow), 400, "authorization_pending", 70016)
    page = device.browser.open(flow["verification_uri"])
    assert page.headings == ["Enter the code"]
    page = page.submit(user_code=flow["user_code"])
    assert page.headings == ["Pick an account"]
    assert "to continue to Desktop tool" in page.text
    page = sign_in(page)
    assert page.headings == ["Are you trying to sign in to Desktop tool?"]
    assert ADA in page.text
    page = page.submit(button="Continue")
    assert page.headings == ["Permissions requested"]
    page = page.submit(button="Accept")
    assert page.headings == ["You have signed in to Desktop tool"]
    tokens = poll(device, flow).json()
    claims = device.claims(tokens["id_token"])
    assert claims["preferred_username"] == ADA
    assert "nonce" not in claims
    assert device.graph("/v1.0/me", tokens["access_token"]).json()["displayName"] == "Ada Keyring"
    assert device.refresh(tokens["refresh_token"]).status_code == 200


def test_nobody_is_signed_in_on_a_device_without_being_asked(device: Client) -> None:
    """Not even somebody who is signed in already and has consented before."""
    flow = begin(device)
    sign_in(type_code(device, flow)).submit(button="Continue").submit(button="Accept")
    flow = begin(device)
    page = type_code(device, flow)
    assert page.headings == ["Pick an account"]
    page = page.submit(button="Ada Keyring")
    assert page.headings == ["Are you trying to sign in to Desktop tool?"]
    check(poll(device, flow), 400, "authorization_pending", 70016)
    assert page.submit(button="Continue").headings == ["You have signed in to Desktop tool"]
    assert poll(device, flow).status_code == 200


def test_accepting_cannot_be_posted_before_confirming(device: Client) -> None:
    flow = begin(device)
    page = sign_in(type_code(device, flow))
    page = forge(page, "accept")
    assert page.headings == ["Are you trying to sign in to Desktop tool?"]
    check(poll(device, flow), 400, "authorization_pending", 70016)


def test_confirming_cannot_be_posted_before_the_password(device: Client) -> None:
    flow = begin(device)
    page = forge(type_code(device, flow).submit(button="Ada Keyring"), "confirm")
    assert page.headings == ["Enter the password"]
    assert sign_in(page.submit(button="Use another account")).headings == [
        "Are you trying to sign in to Desktop tool?"
    ]


def test_a_code_may_be_typed_in_any_case_with_spaces_and_hyphens(device: Client) -> None:
    flow = begin(device)
    code = flow["user_code"].lower()
    page = device.browser.open(flow["verification_uri"])
    page = page.submit(user_code=f" {code[:4]}-{code[4:6]} {code[6:]} ")
    assert page.headings == ["Pick an account"]


def test_the_address_may_carry_the_code(device: Client) -> None:
    flow = begin(device)
    page = device.browser.open(f"{flow['verification_uri']}?otc={flow['user_code']}")
    assert page.headings == ["Enter the code"]
    assert page.submit().headings == ["Pick an account"]


def test_an_unknown_code_is_said_on_the_page(device: Client) -> None:
    page = device.browser.open(begin(device)["verification_uri"]).submit(user_code="AEIOU")
    assert page.status == 400
    assert "No device waits with this code" in page.text
    assert dict(page.forms[0].fields)["user_code"] == "AEIOU"


def test_a_forged_form_types_no_code(device: Client) -> None:
    flow = begin(device)
    page = device.browser.open(flow["verification_uri"])
    page = page.submit(user_code=flow["user_code"], csrf_token="forged")
    assert page.headings == ["Enter the code"]
    assert "out of date" in page.text


def test_a_user_code_is_used_once_and_only_while_it_is_young(device: Client, clock: Clock) -> None:
    flow = begin(device)
    device.server.emulator.decline_device(flow["user_code"])
    assert "No device waits" in type_code(device, flow).text
    flow = begin(device)
    clock.now += 900
    assert "No device waits" in type_code(device, flow).text


def test_a_sign_in_that_took_too_long_ends_with_a_page(device: Client, clock: Clock) -> None:
    flow = begin(device)
    page = sign_in(type_code(device, flow)).submit(button="Continue")
    clock.now += 901
    page = page.submit(button="Accept")
    assert "AADSTS70020" in page.text
    check(poll(device, flow), 400, "expired_token", 70020)


def test_of_two_people_with_one_code_the_first_one_decides(device: Client, other: Client) -> None:
    flow = begin(device)
    late = type_code(other, flow)
    sign_in(type_code(device, flow)).submit(button="Cancel")
    late = sign_in(late, "Hedy Hasp").submit(button="Continue").submit(button="Accept")
    assert "AADSTS70020" in late.text
    check(poll(device, flow), 400, "authorization_declined", 65004)


@pytest.mark.parametrize("step", ["picker", "password", "confirm", "consent"])
def test_cancelling_on_any_page_declines(device: Client, step: str) -> None:
    flow = begin(device)
    page = type_code(device, flow)
    if step != "picker":
        page = page.submit(button="Ada Keyring")
    if step in ("confirm", "consent"):
        page = page.submit(password=PASSWORD)
    if step == "consent":
        page = page.submit(button="Continue")
    page = page.submit(button="Cancel")
    assert page.headings == ["You did not sign in to Desktop tool"]
    body = check(poll(device, flow), 400, "authorization_declined", 65004)
    assert "refresh_token" not in body


# Polling


def test_polling_too_fast_makes_the_interval_longer(device: Client, clock: Clock) -> None:
    flow = begin(device)
    check(poll(device, flow), 400, "authorization_pending", 70016)
    clock.now += 5
    check(poll(device, flow), 400, "authorization_pending", 70016)
    clock.now += 3
    check(poll(device, flow), 400, "slow_down", 70016)
    clock.now += 6
    check(poll(device, flow), 400, "slow_down", 70016)
    clock.now += 15
    check(poll(device, flow), 400, "authorization_pending", 70016)


def test_the_interval_and_the_lifetime_are_knobs(device: Client, clock: Clock) -> None:
    device.server.emulator.lifetimes = Lifetimes(device_code=60, device_interval=1)
    flow = begin(device)
    assert (flow["expires_in"], flow["interval"]) == (60, 1)
    poll(device, flow)
    clock.now += 1
    check(poll(device, flow), 400, "authorization_pending", 70016)
    clock.now += 59
    check(poll(device, flow), 400, "expired_token", 70020)


@pytest.mark.parametrize("grant_type", [GRANT, "device_code"])
@pytest.mark.parametrize("parameter", ["code", "device_code"])
def test_entras_older_names_work_as_well(device: Client, grant_type: str, parameter: str) -> None:
    flow = begin(device)
    device.server.emulator.approve_device(flow["user_code"], ADA)
    changes: dict[str, str | None] = {"device_code": None, parameter: flow["device_code"]}
    assert poll(device, flow, grant_type=grant_type, **changes).status_code == 200


def test_a_device_code_works_once(device: Client) -> None:
    flow = begin(device)
    device.server.emulator.approve_device(flow["user_code"], ADA)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: poll(device, flow).json(), range(4)))
    assert sorted(answer.get("error", "") for answer in answers) == [
        "",
        "bad_verification_code",
        "bad_verification_code",
        "bad_verification_code",
    ]


def test_a_device_code_is_its_clients_own(device: Client) -> None:
    flow = begin(device)
    device.server.emulator.approve_device(flow["user_code"], ADA)
    stranger = {"client_id": FLASK_SITE, "client_secret": FLASK_SITE_SECRET}
    check(poll(device, flow, **stranger), 400, "bad_verification_code", 70018)
    check(poll(device, flow, device_code="made-up"), 400, "bad_verification_code", 70018)
    check(poll(device, flow, device_code=None), 400, "invalid_request", 900144)
    assert poll(device, flow).status_code == 200


def test_a_device_code_for_a_guest_is_for_that_tenant(device: Client) -> None:
    device.tenant = CONTOSO
    flow = begin(device)
    device.server.emulator.approve_device(flow["user_code"], HEDY)
    check(
        device.token(tenant="common", grant_type=GRANT, device_code=flow["device_code"]),
        400,
        "invalid_grant",
        700005,
    )
    claims = device.claims(poll(device, flow).json()["id_token"])
    assert (claims["tid"], claims["preferred_username"]) == (CONTOSO, HEDY)


def test_a_client_without_credentials_must_be_allowed_public_flows(device: Client) -> None:
    emulator = device.server.emulator
    emulator.add(replace(emulator.application(DESKTOP_TOOL), public_flows=False))
    flow = begin(device)
    check(poll(device, flow), 401, "invalid_client", 7000218)


def test_a_client_with_a_secret_polls_with_it(client: Client) -> None:
    flow = begin(client)
    client.server.emulator.approve_device(flow["user_code"], ADA)
    check(poll(client, flow, client_secret=None), 401, "invalid_client", 7000218)
    assert poll(client, flow, client_info="1").json()["client_info"]


def test_tests_can_decide_without_pages(device: Client) -> None:
    emulator, flow = device.server.emulator, begin(device)
    with pytest.raises(LookupError, match="no account"):
        emulator.approve_device(flow["user_code"], "who@contoso.example")
    with pytest.raises(LookupError, match="no device waits"):
        emulator.approve_device("AEIOU", ADA)
    emulator.decline_device(flow["user_code"].lower())
    check(poll(device, flow), 400, "authorization_declined", 65004)
    with pytest.raises(LookupError, match="no device waits"):
        emulator.decline_device(flow["user_code"])

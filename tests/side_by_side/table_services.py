"""Scenarios: no browser. Services, APIs, devices, passwords."""

from __future__ import annotations

import json

from keyfob_emulator import sample
from side_by_side import certificates
from side_by_side.common import (
    ADA,
    CLAIMS,
    CONTOSO,
    GRAPH,
    HOST,
    ORDERS,
    ada,
    desktop_tool,
    for_client,
    last,
    nightly_job,
    orders_api,
    portal,
    sign_in,
    silent,
    site,
    token,
)
from side_by_side.sides import Run
from side_by_side.steps import Call, Provider, Scenario, Step, Wait, call

_OF_ORDERS = ["api://orders/.default"]
_EXCHANGE = ["api://AzureADTokenExchange/.default"]
_FORWARDED = '{"access_token": {"xms_az_nwperimid": {"values": ["here"]}}}'
_TWO_HOURS = Wait(7200)

CLIENT = (
    Scenario("client credentials", (nightly_job(), for_client(), for_client(), for_client())),
    Scenario(
        "client credentials, two APIs", (nightly_job(), for_client(), for_client(scopes=_OF_ORDERS))
    ),
    Scenario(
        "client credentials, expired", (nightly_job(), for_client(), _TWO_HOURS, for_client())
    ),
    Scenario(
        "client credentials, claims challenge",
        (nightly_job(), for_client(), for_client(claims_challenge=CLAIMS), for_client()),
    ),
    Scenario(
        "client credentials, capabilities", (nightly_job(client_capabilities=["CP1"]), for_client())
    ),
    Scenario(
        "client credentials, a wrong secret",
        (nightly_job(client_credential="wrong"), for_client("invalid_client")),
    ),
    Scenario(
        "client credentials, a scope that is none",
        (nightly_job(), for_client("invalid_scope", scopes=["User.Read"])),
    ),
    Scenario(
        "client credentials, fmi_path",
        (
            nightly_job(),
            for_client(fmi_path="some/part"),
            for_client(fmi_path="some/part"),
            for_client(),
            for_client(fmi_path="another"),
        ),
        ("grant:user_fic",),
    ),
    Scenario(
        "client credentials, forwarded claims",
        (
            nightly_job(),
            for_client(forwarded_client_claims=_FORWARDED),
            for_client(forwarded_client_claims=_FORWARDED),
            for_client(),
            for_client("ValueError", forwarded_client_claims="[]"),
        ),
    ),
    Scenario(
        "remove_tokens_for_client",
        (
            nightly_job(),
            for_client(),
            for_client(scopes=_OF_ORDERS),
            call("remove_tokens_for_client", "nothing"),
            for_client(),
        ),
    ),
    Scenario(
        "remove_tokens_for_client leaves people's",
        (
            portal(),
            *sign_in(),
            for_client("token"),
            call("remove_tokens_for_client", "nothing"),
            silent(),
        ),
    ),
)


def _registered(run: Run) -> None:
    job = run.emulator.application(sample.NIGHTLY_JOB)
    fields = {**vars(job), "certificates": (certificates.certificate(),), "secrets": ()}
    run.emulator.add(type(job)(**fields))


_CERTIFICATE = Provider(_registered)


def _with_certificate(name: str, credential: object, *needs: str) -> Scenario:
    job = nightly_job(client_credential=credential)
    return Scenario(name, (_CERTIFICATE, job, for_client(), for_client(scopes=_OF_ORDERS)), needs)


_X5C = "assertion:x5c"

CREDENTIALS = (
    _with_certificate("certificate, thumbprint", certificates.by_thumbprint()),
    _with_certificate("certificate, public certificate", certificates.by_certificate(), _X5C),
    _with_certificate(
        "certificate, thumbprint and chain",
        {**certificates.by_thumbprint(), "public_certificate": certificates.certificate()},
        _X5C,
    ),
    _with_certificate("certificate, encrypted key", certificates.encrypted(), _X5C),
    _with_certificate("certificate, PFX", certificates.by_pfx()),
    _with_certificate(
        "certificate, PFX and chain",
        {**certificates.by_pfx(), "public_certificate": True},
        _X5C,
    ),
    _with_certificate(
        "assertion, as text",
        {"client_assertion": certificates.assertion(f"{CONTOSO}/oauth2/v2.0/token")},
    ),
    _with_certificate(
        "assertion, from a function",
        {"client_assertion": lambda: certificates.assertion(f"{CONTOSO}/oauth2/v2.0/token")},
    ),
    _with_certificate(
        "assertion, from a function that is told what for",
        {"client_assertion": lambda context: certificates.assertion(context["token_endpoint"])},
    ),
)

_AT_THE_API: tuple[Step, ...] = (site(), *sign_in(ORDERS), orders_api())


def _on_behalf(expect: str = "token", **more: object) -> Call:
    def assertion(run: Run) -> str:
        return run.results[1]["access_token"]

    return call(
        "acquire_token_on_behalf_of",
        expect,
        **{"user_assertion": assertion, "scopes": GRAPH, **more},
    )


ON_BEHALF = (
    Scenario("on behalf of", (*_AT_THE_API, _on_behalf())),
    Scenario("on behalf of, twice", (*_AT_THE_API, _on_behalf(), _on_behalf())),
    Scenario("on behalf of, claims challenge", (*_AT_THE_API, _on_behalf(claims_challenge=CLAIMS))),
    Scenario(
        "on behalf of, a token that is none",
        (*_AT_THE_API, _on_behalf("invalid_grant", user_assertion="nonsense")),
    ),
    Scenario(
        "on behalf of, not consented",
        (*_AT_THE_API, _on_behalf("invalid_grant", scopes=["Mail.Read"])),
    ),
    Scenario(
        "user federated identity credential",
        (
            orders_api(),
            for_client(scopes=_EXCHANGE),
            call(
                "acquire_token_by_user_federated_identity_credential",
                scopes=GRAPH,
                assertion=token("access_token"),
                username=ADA,
            ),
        ),
        ("grant:user_fic",),
    ),
    Scenario(
        "user federated identity credential, nobody named",
        (
            orders_api(),
            call(
                "acquire_token_by_user_federated_identity_credential",
                "ValueError",
                scopes=GRAPH,
                assertion="an assertion",
            ),
        ),
    ),
)


def _password(username: str, expect: str = "token", **more: object) -> Call:
    return call(
        "acquire_token_by_username_password",
        expect,
        **{"username": username, "password": sample.PASSWORD, "scopes": GRAPH, **more},
    )


def _consented(username: str, client_id: str = sample.DESKTOP_TOOL) -> Provider:
    def give(run: Run) -> None:
        run.emulator.give_consent(username, client_id, "openid profile offline_access User.Read")

    return Provider(give)


_KATHERINE = "katherine@northwind.example"
_ROPC = ("grant:password",)

PASSWORDS = (
    Scenario("password", (_consented(ADA), desktop_tool(), _password(ADA), silent()), _ROPC),
    Scenario(
        "password, wrong",
        (_consented(ADA), desktop_tool(), _password(ADA, "invalid_grant", password="wrong")),
        _ROPC,
    ),
    Scenario(
        "password, claims challenge",
        (_consented(ADA), desktop_tool(), _password(ADA, claims_challenge=CLAIMS)),
        _ROPC,
    ),
    Scenario(
        "password, federated",
        (_consented(_KATHERINE), desktop_tool(), _password(_KATHERINE)),
        (*_ROPC, f"person:{_KATHERINE}"),
    ),
    Scenario(
        "password, federated, SAML 2.0",
        (
            Provider(lambda run: setattr(run.emulator, "saml_version", 2)),
            _consented(_KATHERINE),
            desktop_tool(),
            _password(_KATHERINE),
        ),
        (*_ROPC, f"person:{_KATHERINE}", "emulator:saml_version"),
    ),
)

_DEVICE = ("grant:urn:ietf:params:oauth:grant-type:device_code",)
_START = call("initiate_device_flow", "flow", scopes=GRAPH)


def _approved(run: Run) -> None:
    run.emulator.approve_device(run.last["user_code"], ADA)


def _poll(expect: str = "token", **more: object) -> Call:
    return call("acquire_token_by_device_flow", expect, flow=last, **more)


class _Always:
    """Not a function, which a step would call."""

    def __call__(self, flow: object) -> bool:
        return True


DEVICES = (
    Scenario("device", (desktop_tool(), _START, Provider(_approved), _poll(), silent()), _DEVICE),
    Scenario(
        "device, declined",
        (
            desktop_tool(),
            _START,
            Provider(lambda run: run.emulator.decline_device(run.last["user_code"])),
            _poll("authorization_declined"),
        ),
        _DEVICE,
    ),
    Scenario(
        "device, one try",
        (desktop_tool(), _START, _poll("authorization_pending", exit_condition=_Always())),
        _DEVICE,
    ),
    Scenario(
        "device, expired", (desktop_tool(), _START, Wait(1000), _poll("expired_token")), _DEVICE
    ),
)

_SSH = {"token_type": "ssh-cert", "key_id": "a key", "req_cnf": json.dumps(certificates.ssh_key())}
FAMILY = "1"


def _in_one_family(run: Run) -> None:
    for client_id in (sample.DESKTOP_TOOL, sample.FLASK_SITE):
        one = run.emulator.application(client_id)
        run.emulator.add(type(one)(**{**vars(one), "family": FAMILY}))


OTHERS = (
    Scenario(
        "SSH certificate",
        (
            desktop_tool(),
            _consented(ADA),
            _password(ADA),
            silent(data=_SSH),
            silent(data=_SSH),
            silent(),
        ),
        (*_ROPC, "module:ssh_cert"),
    ),
    Scenario(
        "family of client ids",
        (
            Provider(_in_one_family),
            _consented(ADA),
            _consented(ADA, client_id=sample.FLASK_SITE),
            desktop_tool(),
            _password(ADA),
            site(authority=f"{HOST}/organizations"),
            silent(),
            call("remove_account", "nothing", account=ada),
        ),
        ("field:family", *_ROPC),
    ),
)

SERVICES = (*CLIENT, *CREDENTIALS, *ON_BEHALF, *PASSWORDS, *DEVICES, *OTHERS)

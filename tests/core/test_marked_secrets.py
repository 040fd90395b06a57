"""Nothing prints a secret, token, code, verifier or assertion, at any log level, whatever happens.

Every verb of every application, asynchronous twins too, with every shape of credential; and then
again with a provider that fails in each way, and quotes what it was sent while it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import keyfob
from keyfob import aio
from support import verbs
from support.client_keys import client_key
from support.federated_server import PASSWORD, USERNAME, FederatedServer
from support.managed_identity import Endpoint, reply
from support.managed_identity import clients as machine_clients
from support.marked import Ear, Marked, Tap, Trouble, body
from support.provider import HOME_TENANT, Provider
from support.provider_http import Answer, Request, drop, hang, raw_bytes, redirect, reset
from support.sign_in import REDIRECT_URI, come_back
from support.verbs import SCENARIOS, Stage

MODULES = {"sync": keyfob, "aio": aio}
both = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
#: More than a busy machine needs for an exchange, and less than a test should last.
SECONDS = 5.0
PASSPHRASE = "marked-passphrase-of-the-key"
CLIENT = client_key()

ARGUMENTS = ("pass-word", verbs.ASSERTION)


def described(request: Request, secrets: str) -> Answer:
    return body(json.dumps({"error": "invalid_grant", "error_description": secrets}), 400)


def named(request: Request, secrets: str) -> Answer:
    answer = {"error": secrets, "suberror": secrets, "claims": secrets, "error_codes": [secrets]}
    return body(json.dumps(answer), 400)


def crammed(name: str) -> Trouble:
    """A success with one wrong member, which quotes."""

    def trouble(request: Request, secrets: str) -> Answer:
        good = {"access_token": "t" * 40, "token_type": "Bearer", "expires_in": 3600}
        return body(json.dumps(good | {name: secrets}))

    return trouble


def reported(request: Request, secrets: str) -> Answer:
    """An outage whose ids and header fields quote."""
    ids = {"client-request-id": secrets, "x-ms-request-id": secrets, "Retry-After": secrets}
    return body("{}", 503, **ids)


TROUBLES: dict[str, Trouble] = {
    "refusal": described,
    "name of the error": named,
    "another refusal": lambda _, secrets: body(json.dumps({"error": [secrets]}), 400),
    "page": lambda _, secrets: body(f"<p>{secrets}</p>", kind="text/html"),
    "outage": lambda _, secrets: body(secrets, 500),
    "outage with ids": reported,
    "throttle": lambda _, secrets: body(secrets, 429, **{"Retry-After": "1"}),
    "half a JSON": lambda _, secrets: body('{"access_token": "' + secrets),
    "a list": lambda _, secrets: body(json.dumps([secrets])),
    "redirect": lambda _, secrets: redirect(307, f"https://evil.example/?{secrets}"),
    "status line": lambda _, secrets: raw_bytes(secrets.encode() + b"\r\n\r\n"),
    "field line": lambda _, secrets: raw_bytes(
        b"HTTP/1.1 200 OK\r\n" + secrets.encode() + b"\r\n: \r\n\r\n"
    ),
    "chunk size": lambda _, secrets: raw_bytes(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secrets.encode() + b"\r\n"
    ),
    "length": lambda _, secrets: raw_bytes(
        b"HTTP/1.1 200 OK\r\nContent-Length: " + secrets.encode() + b"\r\n\r\n{}"
    ),
    "encoding": lambda _, secrets: body("{}", **{"Content-Encoding": secrets}),
    "drop": lambda *_: drop,
    "reset": lambda *_: reset,
    **{
        name: crammed(name)
        for name in ("token_type", "expires_in", "id_token", "client_info", "foci", "scope")
    },
}

#: What an answer says is judged by one and the same flow; how it breaks, by transports of two
#: kinds. So the asynchronous twins meet these only.
OF_TRANSPORTS = {"name of the error", "outage with ids", "page", "field line", "drop", "chunk size"}
each_trouble = pytest.mark.parametrize(
    ("module", "trouble"),
    [
        pytest.param(module, trouble, id=f"{kind}-{trouble}")
        for kind, module in MODULES.items()
        for trouble in TROUBLES
        if kind == "sync" or trouble in OF_TRANSPORTS
    ],
)

CASES = [
    pytest.param(name, scenario, id=f"{name[:6].lower()}-{scenario.__name__}")
    for name, scenarios in SCENARIOS.items()
    for scenario in scenarios
    if scenario is not verbs.metadata
]
#: Those that judge what others made ask the token endpoint for nothing.
JUDGING = (verbs.logout_token, verbs.access_token, verbs.foreign_id_token)
ASKING = [case for case in CASES if case.values[1] not in JUDGING]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with verbs.provider() as found:
        found.client_secret = "marked-secret~of/the+application:100%&more="
        yield found


def marked(provider: Provider) -> Marked:
    found = Marked()
    found.add(provider.client_secret, PASSPHRASE, *ARGUMENTS)
    return found


async def closed(app: Any) -> None:
    if hasattr(app, "aclose"):
        await app.aclose()
    else:
        app.close()


class Run:
    """One scenario, heard by an ear."""

    def __init__(self, found: Marked, app: Any) -> None:
        self.marked = found
        self.app = app
        self.ear = Ear()
        self.failed = False

    def of(self, coroutine: Any) -> Run:
        async def main() -> None:
            try:
                self.marked.learn(await coroutine)
            except Exception as error:
                self.failed = True
                self.ear.hear_error(error)
            self.ear.hear(self.app)
            await closed(self.app)

        with self.ear:
            asyncio.run(main(), debug=True)
        return self

    def check(self, capfd: pytest.CaptureFixture[str]) -> None:
        output = capfd.readouterr()
        said = [*self.ear.said, output.out, output.err]
        assert self.marked.secrets, "nothing was secret"
        assert self.ear.records, "nothing was logged: the log would not show a leak either"
        # One by one, so that a failure shows where.
        assert [line for line in said if self.marked.shown_in(line)] == []


def run(
    module: Any,
    provider: Provider,
    name: str,
    scenario: Any,
    trouble: Trouble | None = None,
    only: frozenset[str] | None = None,
    **options: Any,
) -> tuple[Run, Tap]:
    found = marked(provider)
    tap = Tap(provider, found, trouble, only)
    app = verbs.application(module, name, provider, timeout=SECONDS, **options)
    stage = Stage(provider, app)
    try:
        return Run(found, app).of(scenario(stage)), tap
    finally:
        provider.raw = {"userrealm": provider.raw["userrealm"]}


@both
@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_a_verb_that_works_is_silent(
    module: Any, provider: Provider, name: str, scenario: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    found, _ = run(module, provider, name, scenario)
    assert not found.failed
    if scenario is verbs.interactive:
        # Without a browser, the address is for the person to read; it has no secret in it but
        # what any browser would show.
        found.marked.secrets = {s for s in found.marked.secrets if s not in REDIRECT_URI}
    found.check(capfd)


@each_trouble
@pytest.mark.parametrize(("name", "scenario"), ASKING)
def test_a_verb_that_fails_is_silent(
    module: Any,
    provider: Provider,
    name: str,
    scenario: Any,
    trouble: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Where somebody signs in first, that goes well, and what comes after it fails.
    only = None
    if scenario in (verbs.silent, verbs.refresh_token):
        only = frozenset({"refresh_token"})
    found, tap = run(module, provider, name, scenario, TROUBLES[trouble], only)
    assert tap.troubled
    found.check(capfd)


@both
@pytest.mark.parametrize("trouble", ["hang", "refused"])
def test_a_provider_that_does_not_answer_leaves_no_trace(
    module: Any, provider: Provider, trouble: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if trouble == "refused":
        provider.mutate_metadata = lambda found: found.update(
            token_endpoint="http://127.0.0.1:1/token"
        )
    found = marked(provider)
    Tap(provider, found, lambda *_: hang(60))
    name = "ConfidentialClientApplication"
    app = verbs.application(module, name, provider, timeout=0.3)

    async def ask() -> Any:
        return await Stage(provider, app).do(
            "acquire_token_on_behalf_of", verbs.ASSERTION, ["User.Read"]
        )

    try:
        heard = Run(found, app).of(ask())
        assert heard.failed
        heard.check(capfd)
    finally:
        provider.mutate_metadata = None
        provider.raw = {"userrealm": provider.raw["userrealm"]}


@both
@pytest.mark.parametrize("trouble", ["none", "refusal", "page", "field line", "drop"])
def test_at_any_openid_connect_provider(
    module: Any, trouble: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The secret is in a header there, and the access token goes to userinfo."""
    secret = "marked-secret~of/the+application:100%&more="
    with Provider(client_secret=secret, profile_in_id_token=False) as provider:
        found = marked(provider)
        app = module.ConfidentialClientApplication(
            provider.client_id, secret, oidc_authority=provider.issuer, timeout=SECONDS
        )
        stage = Stage(provider, app)

        async def scenario() -> Any:
            flow = await stage.do("initiate_auth_code_flow", ["email"], redirect_uri=REDIRECT_URI)
            found.learn(flow)
            result = await stage.do(
                "acquire_token_by_auth_code_flow", flow, come_back(flow["auth_uri"])
            )
            account = app.get_accounts()[0]
            Tap(provider, found, TROUBLES.get(trouble))
            return result, await stage.do(
                "acquire_token_silent", ["email"], account, force_refresh=True
            )

        Tap(provider, found)
        heard = Run(found, app).of(scenario())
        assert provider.requests_to("userinfo")
        heard.check(capfd)


def credentials(folder: Path) -> dict[str, Any]:
    """Each shape once; files are those of the folder."""
    (folder / "key.pem").write_text(CLIENT.key_pem(PASSPHRASE))
    (folder / "chain.pem").write_text(CLIENT.chain_pem)
    (folder / "client.pfx").write_bytes(CLIENT.pfx(PASSPHRASE))
    (folder / "token").write_text("marked.token-of-the.workload")
    (folder / "broken.pem").write_text(CLIENT.key_pem()[:200])
    pem = {"private_key": CLIENT.key_pem(PASSPHRASE), "public_certificate": CLIENT.chain_pem}
    made = "marked.assertion-of.the-caller"
    files = {
        "private_key_path": str(folder / "key.pem"),
        "certificate_path": str(folder / "chain.pem"),
    }
    pfx = {"private_key_pfx_path": str(folder / "client.pfx"), "public_certificate": True}
    return {
        "PEM": {**pem, "passphrase": PASSPHRASE},
        "PEM by thumbprint": {
            "private_key": CLIENT.key_pem(),
            "thumbprint": CLIENT.sha1,
        },
        "PEM files": {**files, "passphrase": PASSPHRASE},
        "PFX": {**pfx, "passphrase": PASSPHRASE},
        "assertion": {"client_assertion": made},
        "function": {"client_assertion": lambda: made},
        "function of the context": {"client_assertion": lambda context: made},
        "AutoRefresher": {"client_assertion": keyfob.AutoRefresher(lambda: made)},
        "token file": {"federated_token_file": str(folder / "token")},
        "list": [{"client_assertion": made}, "marked-secret-of-the-list"],
        # These cannot be used.
        "wrong passphrase": {**pem, "passphrase": f"{PASSPHRASE}-not"},
        "wrong passphrase of a PFX": {**pfx, "passphrase": f"{PASSPHRASE}-not"},
        "no passphrase": pem,
        "broken PEM": {"private_key": CLIENT.key_pem()[:200], "thumbprint": CLIENT.sha1},
        "broken PEM file": {**files, "private_key_path": str(folder / "broken.pem")},
        "mistaken parts": {"private_key": made, "thumbprint": CLIENT.key_pem()},
        "odd assertion": {"client_assertion": lambda: [made]},
        "odd shape": {made: PASSPHRASE},
        "odd member": {"private_key": CLIENT.key_pem(), "thumbprint": [PASSPHRASE]},
    }


SHAPES = [
    "PEM", "PEM by thumbprint", "PEM files", "PFX", "assertion", "function",
    "function of the context", "AutoRefresher", "token file", "list", "wrong passphrase",
    "wrong passphrase of a PFX", "no passphrase", "broken PEM", "broken PEM file",
    "mistaken parts", "odd assertion", "odd shape", "odd member",
]  # fmt: skip


@both
@pytest.mark.parametrize("trouble", ["name of the error", "page", "field line"])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_credential_shows(
    module: Any,
    provider: Provider,
    shape: str,
    trouble: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shapes = credentials(tmp_path)
    assert set(shapes) == set(SHAPES)
    found = marked(provider)
    lines = [*CLIENT.key_pem().splitlines(), *CLIENT.key_pem(PASSPHRASE).splitlines()]
    found.add(*(line for line in lines if "-----" not in line))
    found.add("marked.assertion-of.the-caller", "marked-secret-of-the-list")
    Tap(provider, found, TROUBLES[trouble])

    async def ask() -> Any:
        made = module.ConfidentialClientApplication(
            provider.client_id, shapes[shape], authority=provider.authority(HOME_TENANT)
        )
        heard.app = made
        return await Stage(provider, made).do("acquire_token_for_client", verbs.OWN_SCOPE)

    heard = Run(found, None)
    heard.app = verbs.application(module, "PublicClientApplication", provider)
    heard.of(ask())
    provider.raw = {"userrealm": provider.raw["userrealm"]}
    heard.check(capfd)


@each_trouble
def test_an_ssh_certificates_key_does_not_show(
    module: Any, provider: Provider, trouble: str, capfd: pytest.CaptureFixture[str]
) -> None:
    request = json.dumps({"kty": "RSA", "n": "marked-modulus-of-the-key"})
    data = {"token_type": "ssh-cert", "key_id": "the-key", "req_cnf": request}
    refresh_token = "marked-refresh-token"

    async def scenario(stage: Stage) -> Any:
        return await stage.do("acquire_token_by_refresh_token", refresh_token, ["x"], data=data)

    found, tap = run(module, provider, "PublicClientApplication", scenario, TROUBLES[trouble])
    assert tap.troubled
    found.check(capfd)


@both
@pytest.mark.parametrize("trouble", ["none", "fault", "page", "outage", "drop"])
def test_a_federated_domains_password_and_assertion_do_not_show(
    module: Any, trouble: str, capfd: pytest.CaptureFixture[str]
) -> None:
    quoting = f"{PASSWORD} {USERNAME}"
    grant = "urn:ietf:params:oauth:grant-type:saml1_1-bearer"
    with verbs.provider() as provider, FederatedServer() as server:
        provider.direct_grants = {*provider.direct_grants, grant}
        realm = {"account_type": "Federated", "federation_metadata_url": f"{server.url}/mex"}
        provider.raw["userrealm"] = lambda _: Provider.json(realm)
        answers: dict[str, Any] = {
            "fault": server.fault(f"a:{PASSWORD}", quoting.replace("<", "&lt;")),
            "page": body(quoting, kind="text/html"),
            "outage": body(quoting, 503),
            "drop": drop,
        }
        server.answer = answers.get(trouble)
        found = marked(provider)
        found.add(PASSWORD, server.grant, server.assertion)
        Tap(provider, found)
        app = verbs.application(module, "PublicClientApplication", provider)
        heard = Run(found, app).of(
            Stage(provider, app).do(
                "acquire_token_by_username_password", USERNAME, PASSWORD, ["User.Read"]
            )
        )
        assert heard.failed == (trouble != "none")
        heard.check(capfd)


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("source", ["imds", "app_service", "machine_learning"])
@both
def test_a_managed_identitys_secret_and_token_do_not_show(
    module: Any,
    source: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    endpoint, found = Endpoint(), Marked()
    header, token = "marked-secret-of-the-machine", "marked-token-of-the-machine"
    found.add(header, token)
    with machine_clients(endpoint, monkeypatch) as make, contextlib.closing(endpoint):
        make(source).close()
        for name in ("IDENTITY_HEADER", "MSI_SECRET"):
            if endpoint.environ(source).get(name):
                monkeypatch.setenv(name, header)
        endpoint.answer(
            reply(
                {"access_token": token, "expires_in": "3600", "resource": "x"}
                if status == 200
                else {"error": "invalid_request", "error_description": f"{header} {token}"},
                status,
            )
        )
        app = module.ManagedIdentityClient(keyfob.SystemAssignedManagedIdentity(), timeout=SECONDS)

        async def ask() -> Any:
            for _ in range(2):
                came = app.acquire_token_for_client(resource="https://vault.azure.net")
                result = await came if asyncio.iscoroutine(came) else came
            return result

        if source == "imds" and status == 500:
            return  # it is asked for a minute
        Run(found, app).of(ask()).check(capfd)

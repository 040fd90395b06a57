"""A client's credentials at a real token endpoint: kept, renewed, passed over, never shown."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import support.credentials as cases
from keyfob import SystemAssignedManagedIdentity, TokenCache
from keyfob.errors import (
    ConfigurationError,
    CredentialError,
    CredentialFileError,
    ProviderUnavailable,
)
from keyfob.flows.credentials import Occasion
from keyfob.transport import RequestsTransport
from keyfob.transport.async_driver import ThreadedTransport, run_async
from support.client_keys import (
    PASSPHRASE,
    AssertionJudge,
)
from support.credentials import (
    CLIENT,
    KEY,
    OTHER,
    Build,
    ask,
    endpoint_of,
    files,
)
from support.id_tokens import metadata
from support.managed_identity import SHORT, VARIABLES, Endpoint, reply
from support.provider import Provider
from support.provider_http import Reply
from support.sign_in import Clock

# Several credentials


def test_the_first_that_serves_is_tried_first_the_next_time(
    build: Build, judge: AssertionJudge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge.keys[:] = [OTHER.key]
    path = tmp_path / "token"
    good = {"private_key": OTHER.key_pem(), "thumbprint": OTHER.sha1}
    app = build([{"federated_token_file": path}, KEY, good])
    assert "access_token" in ask(app)
    assert len(judge.seen) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Passing over a federated token file: CredentialFileError",
        "The provider does not know the client by a private key",
    ]
    for app_or_twin in (app, app.with_cache(TokenCache())):
        assert "access_token" in ask(app_or_twin)
    assert len(judge.seen) == 4
    assert len(set(judge.seen[1:])) == 1
    # When it serves no more, the others get their turn, in their order.
    judge.keys[:] = [CLIENT.key]
    assert "access_token" in ask(app)
    assert len(judge.seen) == 6
    assert "access_token" in ask(app)
    assert len(judge.seen) == 7


def test_when_none_serves_the_providers_word_counts_more_than_ours(
    build: Build, judge: AssertionJudge, tmp_path: Path
) -> None:
    judge.keys.clear()
    none = {"federated_token_file": tmp_path / "none"}
    assert ask(build([KEY, none]))["error"] == "invalid_client"
    assert ask(build((none, KEY)))["error"] == "invalid_client"
    with pytest.raises(CredentialFileError, match=r"client_credential\[1\]"):
        ask(build([none, none]))


def test_other_errors_than_an_unknown_client_are_final(
    build: Build, entra: Provider, judge: AssertionJudge
) -> None:
    app = build([KEY, "secret"])
    entra.raw["token"] = lambda _: Provider.json({"error": "invalid_grant"}, 400)
    assert ask(app)["error"] == "invalid_grant"
    entra.raw["token"] = lambda _: Reply(503, {}, b"")
    with pytest.raises(ProviderUnavailable):
        ask(app, fmi_path="another/request")
    assert len(entra.requests_to("token")) == 2


def test_a_secret_and_a_key_may_stand_in_one_list(build: Build, entra: Provider) -> None:
    assert "access_token" in ask(build(["wrong-secret", entra.client_secret]))
    assert len(entra.requests_to("token")) == 2


# Assertions of others


def test_a_functions_assertion_is_asked_for_by_every_request(
    build: Build, judge: AssertionJudge, entra: Provider
) -> None:
    seen: list[Any] = []

    def with_context(context: Any) -> bytes:
        seen.append(context)
        return b"a.b.c"

    app = build({"client_assertion": with_context})
    ask(app)
    ask(app, fmi_path="some/path")
    endpoint = endpoint_of(entra)
    assert seen == [
        {"client_id": entra.client_id, "token_endpoint": endpoint},
        {"client_id": entra.client_id, "token_endpoint": endpoint, "fmi_path": "some/path"},
    ]
    assert judge.seen == ["a.b.c", "a.b.c"]


class Maker:
    def __call__(self) -> str:
        return "callable"

    def method(self, context: Any) -> str:
        return f"method {len(context)}"


@pytest.mark.parametrize(
    ("function", "sent"),
    [
        (lambda: "none", "none"),
        (lambda context={}: f"default {len(context)}", "default 0"),
        (lambda *args, **more: f"any {len(args)}", "any 0"),
        (Maker(), "callable"),
        (Maker().method, "method 2"),
        (str.__call__, "<no>"),
    ],
    ids=["none", "default", "any", "object", "method", "builtin"],
)
def test_a_function_gets_a_context_where_it_must_have_one(
    build: Build, judge: AssertionJudge, function: Any, sent: str
) -> None:
    app = build({"client_assertion": function})
    if sent == "<no>":
        with pytest.raises(Exception):  # noqa: B017 - whatever it raises is raised
            ask(app)
    else:
        ask(app)
        assert judge.seen == [sent]


@pytest.mark.parametrize("made", [None, "", b"", 1, {"a": 1}, "ä"])
def test_what_a_function_returns_must_be_an_assertion(build: Build, made: Any) -> None:
    with pytest.raises(CredentialError, match="must return an assertion") as caught:
        ask(build({"client_assertion": lambda: made}))
    assert "'client_assertion'" in str(caught.value)


def test_what_a_function_raises_is_raised(build: Build, judge: AssertionJudge) -> None:
    class VaultError(Exception):
        pass

    def broken() -> str:
        raise VaultError("MARKED")

    with pytest.raises(VaultError):
        ask(build({"client_assertion": broken}))
    assert "access_token" in ask(build([{"client_assertion": broken}, KEY]))


def test_an_assertion_as_a_text_is_sent_and_warned_of(build: Build, judge: AssertionJudge) -> None:
    for text in ("a.b.c", b"a.b.c"):
        with pytest.warns(DeprecationWarning, match="expires") as warned:
            app = build({"client_assertion": text})
        assert warned[0].filename == cases.__file__, "where the client is made"
        ask(app)
    assert judge.seen == ["a.b.c", "a.b.c"]


def test_a_federated_token_is_read_again_when_its_file_changes(
    build: Build,
    judge: AssertionJudge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "azure-identity-token"
    path.write_text("one.a.b\n")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(path))
    apps = [build({"federated_token_file": str(path)}), build({"workload_identity": True})]
    for app in apps:
        ask(app)
    path.write_text("second.a.b")
    for app in apps:
        ask(app)
    path.write_text("third.torn")
    for app in apps:
        ask(app)
    assert "stays in use" in caplog.text
    assert judge.seen == ["one.a.b"] * 2 + ["second.a.b"] * 4
    other = tmp_path / "other"
    other.write_text("other.a.b")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(other))
    ask(apps[1])
    assert judge.seen[-1] == "other.a.b"


def test_a_missing_or_senseless_token_file_is_told(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE", raising=False)
    with pytest.raises(CredentialError, match="AZURE_FEDERATED_TOKEN_FILE"):
        ask(build({"workload_identity": True}))
    path = tmp_path / "token"
    for content in ("MARKED-content", "", "a.b.c d", "x" * 1_000_001):
        path.write_text(content)
        with pytest.raises(CredentialError, match=r"has no token in it|has more than") as caught:
            ask(build({"federated_token_file": path}))
        assert "MARKED" not in str(caught.value)
    with pytest.raises(CredentialFileError, match=r"cannot be read|may not be read"):
        ask(build({"federated_token_file": tmp_path}))


def test_a_coroutine_function_serves_where_somebody_can_await(
    build: Build, judge: AssertionJudge
) -> None:
    async def made() -> str:
        return "a.b.c"

    app = build({"client_assertion": made})
    with pytest.raises(ConfigurationError, match=r"keyfob\.aio"):
        ask(app)
    [credential] = app._client.credentials.in_order()
    occasion = Occasion("id", metadata(), 0.0)
    transport = ThreadedTransport(RequestsTransport())
    proof = asyncio.run(run_async(credential.prove(occasion), transport))
    assert proof.form["client_assertion"] == "a.b.c"


def test_twenty_coroutines_sign_once(build: Build) -> None:
    [credential] = build(KEY)._client.credentials.in_order()
    transport = ThreadedTransport(RequestsTransport())

    async def all_at_once() -> list[Any]:
        occasion = Occasion("id", metadata("common"), 1e9)
        flows = (run_async(credential.prove(occasion), transport) for _ in range(20))
        return await asyncio.gather(*flows)

    found = asyncio.run(all_at_once())
    assert len({proof.form["client_assertion"] for proof in found}) == 1


# The machine's identity


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    found = Endpoint()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in found.environ("app_service").items():
        monkeypatch.setenv(name, value)
    found.answer(reply({**SHORT, "access_token": "machine.a.b"}))
    yield found
    found.close()


@pytest.mark.parametrize(
    ("credential", "asked"),
    [
        ({"managed_identity": True}, {"resource": "api://AzureADTokenExchange"}),
        ({"managed_identity": SystemAssignedManagedIdentity(), "audience": "api://other"},
         {"resource": "api://other"}),
        ({"managed_identity": "some-client"},
         {"resource": "api://AzureADTokenExchange", "client_id": "some-client"}),
        ({"managed_identity": {"ManagedIdentityIdType": "ObjectId", "Id": "o"}},
         {"resource": "api://AzureADTokenExchange", "object_id": "o"}),
    ],
)  # fmt: skip
def test_a_managed_identitys_token_is_an_assertion_and_kept(
    build: Build, judge: AssertionJudge, azure: Endpoint, credential: Any, asked: dict[str, str]
) -> None:
    app = build(credential)
    for twin in (app, app, app.with_cache(TokenCache())):
        ask(twin)
    assert judge.seen == ["machine.a.b"] * 3
    [request] = azure.requests
    assert asked.items() <= request.query.items()
    assert app.get_accounts() == []
    kept = [entry["secret"] for entry in app.token_cache.search("AccessToken")]
    assert "machine.a.b" not in kept


def test_a_machine_without_an_identity_is_told_or_passed_over(
    build: Build, judge: AssertionJudge, azure: Endpoint
) -> None:
    azure.answer(reply({"statusCode": 400, "message": "No identity was found"}, 400))
    with pytest.raises(CredentialError, match=r"client_credential\['managed_identity'\]"):
        ask(build({"managed_identity": True}))
    assert "access_token" in ask(build([{"managed_identity": True}, KEY]))


# Nothing secret is shown


def test_no_credential_is_shown_whatever_becomes_of_it(
    build: Build,
    judge: AssertionJudge,
    clock: Clock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    token = tmp_path / "token"
    token.write_text("MARKEDtoken.a.b")
    (tmp_path / "client.pfx").write_bytes(CLIENT.pfx(PASSPHRASE))
    locked = CLIENT.key_pem(PASSPHRASE)
    shapes: list[Any] = [
        "MARKED-secret-value",
        {"client_assertion": lambda: "MARKED.assertion"},
        {"client_assertion": lambda: ["MARKED"]},
        {"federated_token_file": token},
        {**KEY, "passphrase": PASSPHRASE},
        {"private_key": locked, "thumbprint": CLIENT.sha1, "passphrase": PASSPHRASE},
        {"private_key": locked, "thumbprint": CLIENT.sha1, "passphrase": "MARKED-wrong"},
        {"private_key_pfx_path": tmp_path / "client.pfx", "passphrase": PASSPHRASE},
        {"private_key_pfx_path": tmp_path / "client.pfx", "passphrase": "MARKED-wrong"},
        {"private_key": "-----BEGIN PRIVATE KEY-----\nMARKED\n", "thumbprint": CLIENT.sha1},
        {**KEY, "public_certificate": "-----BEGIN MARKED"},
        files(tmp_path),
    ]
    told: list[str] = []
    for credential in [*shapes, shapes]:
        try:
            app = build(credential)
            told += [repr(app), repr(app.__dict__), repr(app._client)]
            told += [repr(each) + repr(vars(each)) for each in app._client.credentials.in_order()
                     if not hasattr(each, "assertion") and not hasattr(each, "secret")]  # fmt: skip
            ask(app)
        except Exception as error:
            told += traceback.format_exception(error)
            told += [repr(error), repr(error.__dict__)]
    told += [record.getMessage() + str(record.args) for record in caplog.records]
    text = "\n".join(told)
    lines = [*CLIENT.key_pem().splitlines()[1:-1], *locked.splitlines()[1:-1]]
    secrets = ["MARKED", PASSPHRASE, *lines, *filter(None, judge.seen)]
    assert "client_credential" in text
    assert [secret for secret in secrets if secret in text] == []

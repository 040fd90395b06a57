"""A client's credentials at a real token endpoint: kept, renewed, passed over, never shown."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication, SystemAssignedManagedIdentity, TokenCache
from keyfob.errors import (
    ConfigurationError,
    CredentialError,
    CredentialFileError,
    ProviderUnavailable,
)
from keyfob.flows import Call
from keyfob.flows.credentials import Occasion
from support.client_keys import (
    PASSPHRASE,
    AssertionJudge,
    ClientKey,
    certificate,
    client_key,
    opened,
)
from support.managed_identity import SHORT, VARIABLES, Endpoint, reply
from support.provider import HOME_TENANT, Provider
from support.provider_http import Reply
from support.sign_in import Clock

SCOPE = ["https://graph.microsoft.com/.default"]
CLIENT, OTHER = client_key(), client_key("client-other")
KEY = {"private_key": CLIENT.key_pem(), "public_certificate": CLIENT.chain_pem}

Build = Callable[..., ConfidentialClientApplication]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as started:
        yield started


@pytest.fixture
def judge(entra: Provider, clock: Clock) -> AssertionJudge:
    found = AssertionJudge([CLIENT.key], clock)
    entra.raw["token"] = found
    return found


@pytest.fixture
def build(entra: Provider, clock: Clock) -> Iterator[Build]:
    made: list[ConfidentialClientApplication] = []

    def new(credential: Any, **options: Any) -> ConfidentialClientApplication:
        base: dict[str, Any] = {"authority": entra.authority(HOME_TENANT), "clock": clock}
        made.append(
            ConfidentialClientApplication(
                entra.client_id, client_credential=credential, **{**base, **options}
            )
        )
        return made[-1]

    yield new
    for app in made:
        app.close()


def ask(app: ConfidentialClientApplication, **options: Any) -> Any:
    """A token from the provider, whatever the cache has."""
    return app.acquire_token_for_client(SCOPE, claims_challenge='{"a":1}', **options)


def endpoint_of(entra: Provider) -> str:
    return f"{entra.authority(HOME_TENANT)}/oauth2/v2.0/token"


def files(folder: Path, client: ClientKey = CLIENT) -> dict[str, str]:
    """The client's key and chain as PEM files, and the shape that names them."""
    key, chain = folder / "key.pem", folder / "chain.pem"
    key.write_text(client.key_pem())
    chain.write_text(client.chain_pem)
    return {"private_key_path": str(key), "certificate_path": str(chain)}


def touch(path: Path, seconds: int) -> None:
    """As if it was written so much later: file systems may count in whole seconds."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + seconds * 10**9))


# Signed assertions


def test_a_signed_assertion_proves_the_client(
    build: Build, judge: AssertionJudge, entra: Provider
) -> None:
    assert "access_token" in ask(build(KEY, client_claims={"ip": "10.0.0.1"}))
    [claims] = judge.claims
    assert claims["aud"] == endpoint_of(entra)
    assert claims["iss"] == claims["sub"] == entra.client_id
    assert claims["ip"] == "10.0.0.1"


def test_it_is_used_again_until_shortly_before_its_end(
    build: Build, judge: AssertionJudge, clock: Clock
) -> None:
    app = build(KEY)
    for offset in (0, 100, 530):
        clock.offset = offset
        ask(app)
        ask(app.with_cache(TokenCache()), fmi_path=f"path/{offset}")
    assert len(judge.seen) == 6
    assert len(set(judge.seen)) == 1
    clock.offset = 545
    assert "access_token" in ask(app)
    assert len(set(judge.seen)) == 2
    clock.offset = -100
    assert "access_token" in ask(app), "one from the future is none, after the clock was set back"
    assert len(set(judge.seen)) == 3


def test_a_silent_refresh_signs_nothing_anew(
    build: Build, judge: AssertionJudge, entra: Provider
) -> None:
    app = build(KEY)
    for _ in range(3):
        app.acquire_token_by_refresh_token("rt", ["User.Read"])
        app.acquire_token_on_behalf_of("assertion", ["User.Read"])
        ask(app)
    assert len(set(judge.seen)) == 1


def test_twenty_threads_sign_once(build: Build, judge: AssertionJudge) -> None:
    app = build(KEY)
    together, found = threading.Barrier(20), []

    def one(number: int) -> None:
        together.wait()
        found.append(app.acquire_token_for_client([f"api://{number}/.default"]))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("access_token" in each for each in found)
    assert (len(found), len(judge.seen), len(set(judge.seen))) == (20, 20, 1)


def test_a_key_is_read_once(
    build: Build, judge: AssertionJudge, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keyfob.applications import key_sources

    read: list[str] = []
    original = key_sources.parse_private_key
    monkeypatch.setattr(
        key_sources,
        "parse_private_key",
        lambda pem, passphrase, name: read.append(name) or original(pem, passphrase, name),
    )
    app = build(KEY)
    assert read == []
    for offset in range(0, 3000, 600):
        clock.offset = offset
        ask(app)
    assert len(read) == 1
    assert len(set(judge.seen)) == 5


def test_files_are_read_when_they_are_needed(
    build: Build, judge: AssertionJudge, tmp_path: Path
) -> None:
    missing = build({"private_key_pfx_path": tmp_path / "client.pfx", "passphrase": PASSPHRASE})
    with pytest.raises(CredentialFileError, match="is not there") as caught:
        ask(missing)
    assert isinstance(caught.value, OSError)
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "client.pfx").write_bytes(CLIENT.pfx(PASSPHRASE))
    assert "access_token" in ask(missing)
    assert "x5c" not in judge.headers[0]


@pytest.mark.parametrize("together", [True, False])
def test_a_key_and_its_certificate_may_be_in_one_file_or_two(
    build: Build, judge: AssertionJudge, tmp_path: Path, together: bool
) -> None:
    credential = files(tmp_path)
    if together:
        path = Path(credential["private_key_path"])
        path.write_text(CLIENT.chain_pem + CLIENT.key_pem())
        del credential["certificate_path"]
    assert "access_token" in ask(build(credential))
    assert len(judge.headers[0]["x5c"]) == 3


def test_a_key_file_with_a_thumbprint_needs_no_certificate(
    build: Build, judge: AssertionJudge, tmp_path: Path
) -> None:
    key = {"private_key_path": files(tmp_path)["private_key_path"]}
    assert "access_token" in ask(build({**key, "thumbprint": CLIENT.sha1}))
    assert judge.headers[0].keys() == {"alg", "typ", "x5t"}
    with pytest.raises(CredentialError, match="has no certificate in it"):
        ask(build(key))


def test_a_rotated_certificate_is_picked_up(
    build: Build, judge: AssertionJudge, clock: Clock, tmp_path: Path
) -> None:
    judge.keys.append(OTHER.key)
    app = build(files(tmp_path))
    ask(app)
    files(tmp_path, OTHER)
    ask(app)
    assert judge.seen[0] == judge.seen[1], "not before a new assertion is due"
    clock.offset = 600
    ask(app)
    assert opened(judge.seen[2], OTHER.key)[0]["x5c"] != judge.headers[0]["x5c"]


def test_a_file_of_the_same_size_is_known_by_its_time(
    build: Build, judge: AssertionJudge, clock: Clock, tmp_path: Path
) -> None:
    judge.keys.append(OTHER.key)
    path = tmp_path / "one.pem"
    texts = [each.key_pem() + each.chain_pem for each in (CLIENT, OTHER)]
    size = max(map(len, texts))
    path.write_text(texts[0].ljust(size))
    app = build({"private_key_path": path})
    ask(app)
    path.write_text(texts[1].ljust(size))
    touch(path, 2)
    clock.offset = 600
    ask(app)
    opened(judge.seen[1], OTHER.key)


@pytest.mark.parametrize("torn", ["half", "empty", "gone", "only the key"])
def test_a_torn_write_keeps_the_old_key(
    build: Build,
    judge: AssertionJudge,
    clock: Clock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    torn: str,
) -> None:
    judge.keys.append(OTHER.key)
    credential = files(tmp_path)
    key, chain = (Path(path) for path in credential.values())
    app = build(credential)
    ask(app)
    if torn == "gone":
        chain.unlink()
    elif torn == "only the key":
        key.write_text(OTHER.key_pem())
    else:
        chain.write_text(CLIENT.chain_pem[:300] if torn == "half" else "")
    clock.offset = 600
    assert "access_token" in ask(app)
    opened(judge.seen[1], CLIENT.key)
    assert "stays in use" in caplog.text
    files(tmp_path, OTHER)
    clock.offset = 1200
    assert "access_token" in ask(app)
    opened(judge.seen[2], OTHER.key)


def test_a_refused_assertion_is_not_used_again_where_the_key_may_be_another_by_now(
    build: Build, judge: AssertionJudge, tmp_path: Path
) -> None:
    app, fixed = build(files(tmp_path)), build(KEY)
    ask(app)
    ask(fixed)
    judge.keys[:] = [OTHER.key]
    assert ask(app)["error"] == ask(fixed)["error"] == "invalid_client"
    files(tmp_path, OTHER)
    assert "access_token" in ask(app)
    assert ask(fixed)["error"] == "invalid_client"
    assert len(set(judge.seen)) == 3, "a key that cannot change signs nothing for a refusal"


def test_an_expired_certificate_is_told_with_its_date(
    build: Build, judge: AssertionJudge, caplog: pytest.LogCaptureFixture
) -> None:
    past = dt.datetime(2020, 5, 1, tzinfo=dt.timezone.utc)
    future = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=2)
    for begin, said in ((past, "expired on 2020-05-31"), (future, "not valid before")):
        leaf = certificate(CLIENT.key, "client", start=begin)
        old = ClientKey(CLIENT.key, (leaf,))
        ask(build({"private_key": old.key_pem(), "public_certificate": old.chain_pem}))
        assert said in caplog.text
    assert len(caplog.records) == 2


def test_another_provider_is_asked_whether_it_takes_assertions(clock: Clock) -> None:
    with Provider(auth_methods=["private_key_jwt"]) as provider:
        judge = AssertionJudge([CLIENT.key], clock)
        provider.raw["token"] = judge
        key = {"private_key": CLIENT.key_pem(), "kid": "k1"}
        app = ConfidentialClientApplication(
            provider.client_id, client_credential=key, oidc_authority=provider.issuer
        )
        assert "access_token" in ask(app)
        assert judge.headers == [{"alg": "RS256", "typ": "JWT", "kid": "k1"}]
        app.close()
    with Provider(auth_methods=["client_secret_basic"]) as provider:
        app = ConfidentialClientApplication(
            provider.client_id, client_credential=key, oidc_authority=provider.issuer
        )
        with pytest.raises(CredentialError, match="client_secret_basic"):
            ask(app)
        assert provider.requests_to("token") == []
        app.close()


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
        ask(app)
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
        assert warned[0].filename == __file__
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
    flow = credential.prove(Occasion("id", app._client.provider.last_metadata, 0.0))  # type: ignore[arg-type] # asked for above
    effect = next(flow)
    assert isinstance(effect, Call)
    with pytest.raises(StopIteration) as stop:
        flow.send(asyncio.run(effect.function()))
    assert stop.value.value.form["client_assertion"] == "a.b.c"


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

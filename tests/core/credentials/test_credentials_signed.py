"""A client's keys at a real token endpoint: one assertion for all, files that change."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import pytest

from keyfob import ConfidentialClientApplication, TokenCache
from keyfob.errors import (
    CredentialError,
    CredentialFileError,
)
from support.client_keys import (
    PASSPHRASE,
    AssertionJudge,
    ClientKey,
    certificate,
    opened,
)
from support.credentials import (
    CLIENT,
    KEY,
    OTHER,
    Build,
    ask,
    endpoint_of,
    files,
    touch,
)
from support.provider import Provider
from support.sign_in import Clock


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

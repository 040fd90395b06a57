"""Azure Arc: a challenge, a file that only some may read, and the token."""

from __future__ import annotations

import ntpath
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.cache import TokenCache
from keyfob.errors import (
    ArcKeyFileNotFoundError,
    ArcPlatformNotSupportedError,
    ManagedIdentityError,
    ProviderUnavailable,
    TokenResponseError,
)
from keyfob.flows.managed_identity import Machine, acquire
from keyfob.managed_identity import SystemAssignedManagedIdentity, UserAssignedManagedIdentity
from keyfob.protocol.http import HttpResponse
from keyfob.protocol.managed_identity import azure_arc, identity_of
from keyfob.transport import RequestsTransport, run
from support.managed_identity import KEY_FOLDER, RESOURCE, Endpoint, Redirected, machine, reply
from support.provider_http import Reply

SYSTEM = SystemAssignedManagedIdentity()
TOKEN = {"access_token": "at", "token_type": "Bearer", "expires_in": "3600"}
Fetch = Callable[..., dict[str, Any]]


def challenge(value: str) -> Reply:
    return reply({}, 401, WWW_Authenticate=value)


CHALLENGE = challenge(f"Basic realm={KEY_FOLDER}/a-1.key")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    found.answer(CHALLENGE, reply(TOKEN))
    yield found
    found.close()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "a-1.key").write_bytes(b"k3y\n")
    return tmp_path


@pytest.fixture
def fetch(endpoint: Endpoint, keys: Path) -> Iterator[Fetch]:
    transport = RequestsTransport()

    def call(identity: Any = SYSTEM, on: Machine | None = None) -> dict[str, Any]:
        flow = acquire(
            identity_of(identity),
            RESOURCE,
            cache=TokenCache(),
            machine=on or machine(endpoint.environ("arc"), keys),
        )
        return run(flow, transport)

    yield call
    transport.close()


def test_the_files_content_answers_the_challenge(fetch: Fetch, endpoint: Endpoint) -> None:
    found = fetch()
    assert (found["access_token"], found["expires_in"]) == ("at", 3600)
    first, second = endpoint.requests
    for request in (first, second):
        assert (request.method, request.path) == ("GET", "/arc")
        assert request.query == {"api-version": "2020-06-01", "resource": RESOURCE}
        assert request.headers["metadata"] == "true"
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == "Basic k3y"


@pytest.mark.parametrize(
    ("argument", "name"),
    [("client_id", "client_id"), ("resource_id", "msi_res_id"), ("object_id", "object_id")],
)
class TestUserAssigned:
    def test_it_is_named_and_must_be_confirmed(
        self, fetch: Fetch, endpoint: Endpoint, argument: str, name: str
    ) -> None:
        endpoint.answer(CHALLENGE, reply({**TOKEN, name: "THE-id"}))
        found = fetch(UserAssignedManagedIdentity(**{argument: "the-ID"}))
        assert found["access_token"] == "at"
        assert [request.query[name] for request in endpoint.requests] == ["the-ID"] * 2

    @pytest.mark.parametrize("echo", ["other", None, ["the-id"], ""])
    def test_another_ones_token_is_not_handed_out(
        self, fetch: Fetch, endpoint: Endpoint, argument: str, name: str, echo: Any
    ) -> None:
        endpoint.answer(CHALLENGE, reply({**TOKEN, name: echo}))
        with pytest.raises(ManagedIdentityError, match="did not confirm") as caught:
            fetch(UserAssignedManagedIdentity(**{argument: "the-id"}))
        assert caught.value.code == "arc_identity"


def test_a_resource_id_may_be_confirmed_by_its_other_name(fetch: Fetch, endpoint: Endpoint) -> None:
    endpoint.answer(CHALLENGE, reply({**TOKEN, "mi_res_id": "x"}))
    assert "access_token" in fetch(UserAssignedManagedIdentity(resource_id="x"))


@pytest.mark.parametrize(
    "value",
    [
        f'Basic realm="{KEY_FOLDER}/a-1.key"',
        f"basic  REALM={KEY_FOLDER}/a-1.key",
    ],
)
def test_a_challenge_may_be_written_in_several_ways(
    fetch: Fetch, endpoint: Endpoint, value: str
) -> None:
    endpoint.answer(challenge(value), reply(TOKEN))
    assert fetch()["access_token"] == "at"


HOSTILE = [
    "",
    "Basic",
    "Basic realm",
    "Basic realm=",
    f"Bearer realm={KEY_FOLDER}/a-1.key",
    f"Basic realm={KEY_FOLDER}/a-1.key, Digest x=y",
    f"Basic realm={KEY_FOLDER}",
    f"Basic realm={KEY_FOLDER}/",
    f"Basic realm={KEY_FOLDER}/.key",
    f"Basic realm={KEY_FOLDER}/a-1",
    f"Basic realm={KEY_FOLDER}/a-1.key.pem",
    f"Basic realm={KEY_FOLDER}/../tokens/a-1.key",
    f"Basic realm={KEY_FOLDER}/../../../etc/shadow",
    f"Basic realm={KEY_FOLDER}/sub/a-1.key",
    f"Basic realm={KEY_FOLDER}//a-1.key/../../x.key",
    f"Basic realm={KEY_FOLDER}\\a-1.key",
    f"Basic realm={KEY_FOLDER}/a%2f-1.key",
    f"Basic realm={KEY_FOLDER}2/a-1.key",
    f"Basic realm={KEY_FOLDER.upper()}/a-1.key",
    "Basic realm=a-1.key",
    "Basic realm=/etc/a-1.key",
    "Basic realm=/tmp/a-1.key",
    f"Basic realm={KEY_FOLDER}/{'a' * 300}.key",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_other_file_is_read(endpoint: Endpoint, value: str) -> None:
    def read(path: str, _: int) -> bytes:
        raise AssertionError(path)

    endpoint.answer(challenge(value))
    flow = acquire(
        identity_of(SYSTEM),
        RESOURCE,
        cache=TokenCache(),
        machine=machine(endpoint.environ("arc"), read=read),
    )
    transport = RequestsTransport()
    with pytest.raises(ManagedIdentityError, match="Azure Arc") as caught:
        run(flow, transport)
    transport.close()
    assert caught.value.code in ("arc_challenge", "arc_key_path")
    assert len(endpoint.requests) == 1


PIECES = st.sampled_from(
    ["/", "\\", "..", ".", ":", "a", ".key", " ", "\x00", "\n", "%2e", '"', KEY_FOLDER, "ä", "=",
     r"C:\ProgramData\AzureConnectedMachineAgent\Tokens", "\\\\?\\", "CON", "~"]
)  # fmt: skip


@given(pieces=st.lists(PIECES, max_size=9), platform=st.sampled_from(["linux", "win32"]))
def test_whatever_is_named_only_key_files_in_their_own_folder_are_read(
    pieces: list[str], platform: str
) -> None:
    environ = {"PROGRAMDATA": r"C:\ProgramData"}
    value = f"Basic realm={''.join(pieces)}"
    response = HttpResponse(401, {"www-authenticate": value}, b"")
    try:
        found = azure_arc.parse_challenge(response, environ, platform)
    except ManagedIdentityError:
        return
    assert isinstance(found, str)
    folder = azure_arc.key_folder(environ, platform)
    style: Any = ntpath if platform == "win32" else os.path
    assert style.dirname(found) == folder
    assert style.normpath(found) == found
    assert found.endswith(".key")


def test_on_windows_the_folder_is_programdatas(endpoint: Endpoint) -> None:
    asked: list[str] = []

    def read(path: str, _: int) -> bytes:
        asked.append(path)
        return b"k3y"

    named = r"c:\programdata\AzureConnectedMachineAgent\tokens\a-1.key"
    endpoint.answer(challenge(f"Basic realm={named}"), reply(TOKEN))
    environ = {**endpoint.environ("arc"), "PROGRAMDATA": r"C:\ProgramData"}
    flow = acquire(
        identity_of(SYSTEM),
        RESOURCE,
        cache=TokenCache(),
        machine=machine(environ, platform="win32", read=read),
    )
    transport = RequestsTransport()
    assert run(flow, transport)["access_token"] == "at"
    transport.close()
    assert asked == [r"C:\ProgramData\AzureConnectedMachineAgent\Tokens\a-1.key"]


@pytest.mark.parametrize(("platform", "environ"), [("darwin", {}), ("win32", {})])
def test_a_system_without_key_files_is_said_and_nothing_sent(
    fetch: Fetch, endpoint: Endpoint, platform: str, environ: dict[str, str]
) -> None:
    with pytest.raises(ArcPlatformNotSupportedError, match=platform):
        fetch(on=machine({**endpoint.environ("arc"), **environ}, platform=platform))
    assert endpoint.requests == []


class TestKeyFile:
    def test_a_missing_one_is_a_file_not_found(self, fetch: Fetch, keys: Path) -> None:
        (keys / "a-1.key").unlink()
        with pytest.raises(FileNotFoundError, match=r"a-1\.key") as caught:
            fetch()
        assert isinstance(caught.value, ArcKeyFileNotFoundError)
        assert caught.value.source == "Azure Arc"

    def test_one_that_may_not_be_read_says_which_group_may(
        self, fetch: Fetch, endpoint: Endpoint
    ) -> None:
        def read(path: str, _: int) -> bytes:
            raise PermissionError(path)

        with pytest.raises(ManagedIdentityError, match="group himds"):
            fetch(on=machine(endpoint.environ("arc"), read=read))

    @pytest.mark.parametrize(("size", "fits"), [(4096, True), (4097, False), (1_000_000, False)])
    def test_it_has_at_most_4096_bytes(
        self, fetch: Fetch, keys: Path, size: int, fits: bool
    ) -> None:
        (keys / "a-1.key").write_bytes(b"k" * size)
        if fits:
            assert fetch()["access_token"] == "at"
            return
        with pytest.raises(ManagedIdentityError, match="4096") as caught:
            fetch()
        assert caught.value.code == "arc_key_size"

    def test_a_file_of_this_machine_is_read_no_further_than_needed(self, keys: Path) -> None:
        (keys / "a-1.key").write_bytes(b"k" * 9000)
        assert len(Machine().read(str(keys / "a-1.key"), 4096)) == 4097

    @pytest.mark.parametrize("content", [b"", b" \n", b"k3y\r\nX: y", b"k 3y", b"k3\x00y", b"\xff"])
    def test_what_is_no_key_is_not_sent(
        self, fetch: Fetch, endpoint: Endpoint, keys: Path, content: bytes
    ) -> None:
        (keys / "a-1.key").write_bytes(content)
        with pytest.raises(ManagedIdentityError, match="does not hold a key") as caught:
            fetch()
        assert "k3" not in str(caught.value)
        assert len(endpoint.requests) == 1


class TestRefusal:
    def test_of_the_first_request(self, fetch: Fetch, endpoint: Endpoint) -> None:
        endpoint.answer(reply(b"undefined", 400))
        assert fetch() == {"error": "invalid_request", "error_description": "undefined"}

    def test_of_the_second(self, fetch: Fetch, endpoint: Endpoint) -> None:
        endpoint.answer(CHALLENGE, reply(b"undefined", 400))
        assert fetch() == {"error": "invalid_request", "error_description": "undefined"}

    def test_a_token_without_a_challenge_is_none_and_is_not_told(
        self, fetch: Fetch, endpoint: Endpoint
    ) -> None:
        endpoint.answer(reply({**TOKEN, "access_token": "t0k3n-that-is-secret"}))
        found = fetch()
        assert found["error"] == "invalid_request"
        assert "t0k3n-that-is-secret" not in str(found)

    @pytest.mark.parametrize("first", [True, False])
    def test_5xx_passes(self, fetch: Fetch, endpoint: Endpoint, first: bool) -> None:
        endpoint.answer(*([] if first else [CHALLENGE]), reply({}, 503))
        with pytest.raises(ProviderUnavailable, match=r"(?i)azure arc"):
            fetch()

    @pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]"])
    def test_what_makes_no_sense_is_an_error(
        self, fetch: Fetch, endpoint: Endpoint, body: bytes
    ) -> None:
        endpoint.answer(CHALLENGE, reply(body))
        with pytest.raises(TokenResponseError, match="Azure Arc"):
            fetch()


def test_an_agent_without_variables_listens_at_its_own_address(
    endpoint: Endpoint, keys: Path
) -> None:
    transport = Redirected(endpoint.url)
    flow = acquire(
        identity_of(SYSTEM),
        RESOURCE,
        cache=TokenCache(),
        machine=machine({}, keys, exists=lambda _: True),
    )
    assert run(flow, transport)["access_token"] == "at"
    transport.close()
    urls = {request.url for request in transport.asked}
    assert urls == {"http://localhost:40342/metadata/identity/oauth2/token"}

"""The shapes of `client_credential`: what is one, what is said of others; AutoRefresher."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob import AutoRefresher, ConfidentialClientApplication, UserAssignedManagedIdentity
from keyfob.applications.credentials import credentials_of, judge_credential
from keyfob.errors import ConfigurationError, CredentialError, ThumbprintError
from keyfob.web.site_life import settings_client
from support.client_keys import PASSPHRASE, client_key
from support.settings_cases import load, refused, without
from support.sign_in import Clock

CLIENT = client_key()
PEM, CHAIN = CLIENT.key_pem(), CLIENT.chain_pem
KEY = {"private_key": PEM, "public_certificate": CHAIN}

GOOD: dict[str, tuple[Any, str]] = {
    "secret": ("a-secret", "a secret"),
    "function": ({"client_assertion": lambda: "x"}, "a function that makes assertions"),
    "thumbprint": ({"private_key": PEM, "thumbprint": CLIENT.sha1}, "a private key"),
    "bytes": ({"private_key": PEM.encode(), "thumbprint": CLIENT.sha1.encode()}, "a private key"),
    "none is missing": ({**KEY, "passphrase": None, "thumbprint": None}, "a private key"),
    "certificate": (KEY, "a private key"),
    "kid": ({"private_key": PEM, "kid": "k"}, "a private key"),
    "pfx": ({"private_key_pfx_path": "/x.pfx", "public_certificate": True}, "a private key"),
    "pfx without chain": ({"private_key_pfx_path": "x", "public_certificate": False},
                          "a private key"),
    "files": ({"private_key_path": "/k", "certificate_path": "/c", "passphrase": "p"},
              "a private key"),
    "token file": ({"federated_token_file": "/t"}, "a federated token file"),
    "workload identity": ({"workload_identity": True}, "a federated token file"),
    "the machine's": ({"managed_identity": True}, "a managed identity"),
    "an identity's": ({"managed_identity": "client-id", "audience": "api://x"},
                      "a managed identity"),
    "msal's": ({"managed_identity": UserAssignedManagedIdentity(object_id="o")},
               "a managed identity"),
}  # fmt: skip


def built(credential: Any, **options: Any) -> Any:
    found = {"client_claims": None, **options}
    return credentials_of("id", credential, **found)


@pytest.mark.parametrize("shape", GOOD)
def test_each_shape_is_known(shape: str) -> None:
    credential, kind = GOOD[shape]
    [found] = built(credential).in_order()
    assert found.kind == kind
    judge_credential(credential)


def test_several_are_kept_in_their_order() -> None:
    every = [credential for credential, _ in GOOD.values()]
    for listed in (every, tuple(every)):
        assert [each.kind for each in built(listed).in_order()] == [k for _, k in GOOD.values()]
    assert "secret" in repr(built(every))


@pytest.mark.parametrize("nothing", [None, ""])
def test_none_and_an_empty_text_are_no_credential(nothing: Any) -> None:
    assert len(built(nothing)) == 0


@pytest.mark.parametrize(
    ("credential", "said"),
    [
        (12, "is of type int"),
        (b"secret", "is of type bytes"),
        (lambda: "x", '{"client_assertion": function}'),
        ([], "is an empty list"),
        (["a", ""], "[1] is empty"),
        ([["a"]], "[0] is of type list"),
        ([None], "[0] is of type NoneType"),
        ({}, "needs one of client_assertion"),
        ({"private_key": None}, "needs one of"),
        ({"privatekey": PEM}, "did you mean 'private_key'?"),
        ({"Thumb-Print": "x"}, "did you mean 'thumbprint'?"),
        ({1: 2}, "has a member that means nothing here"),
        ({"thumbprint": CLIENT.sha1}, "needs one of"),
        ({**KEY, "client_assertion": "x"}, "which are two credentials"),
        ({**KEY, "audience": "x"}, "['audience'] means nothing beside 'private_key'"),
        ({"private_key": PEM}, "needs either its 'public_certificate' or"),
        ({"private_key": "/etc/key.pem", "thumbprint": "x"}, "call it 'private_key_path'"),
        ({"private_key": "", "thumbprint": CLIENT.sha1}, "['private_key'] is empty"),
        ({"private_key": 1, "thumbprint": CLIENT.sha1}, "['private_key'] is a text"),
        ({**KEY, "public_certificate": "x"}, "['public_certificate'] is no PEM text"),
        ({**KEY, "passphrase": 7}, "['passphrase'] is a text, and not of type int"),
        ({**KEY, "kid": 7}, "['kid'] is the key's name"),
        ({"private_key": PEM, "thumbprint": "zz"}, "['thumbprint'] is not the 40"),
        ({"private_key_path": 1}, "['private_key_path'] is a file's path"),
        ({"private_key_path": "a\0b"}, "is a file's path"),
        ({"private_key_path": PEM}, "that is 'private_key'"),
        ({"private_key_pfx_path": "x", "public_certificate": 1}, "not of type int"),
        ({"private_key_pfx_path": "x", "thumbprint": "x"}, "['thumbprint'] means nothing beside"),
        ({"client_assertion": ""}, "['client_assertion'] is a function that makes"),
        ({"client_assertion": 1}, "['client_assertion'] is a function that makes"),
        ({"federated_token_file": ""}, "['federated_token_file'] is a file's path"),
        ({"workload_identity": "yes"}, "['workload_identity'] can only be True"),
        ({"managed_identity": False}, "['managed_identity'] is True for"),
        ({"managed_identity": {"Id": 1}}, "['managed_identity'] is True for"),
        ({"managed_identity": True, "audience": "a b"}, "['audience'] is one address"),
        (["a", {"workload_identity": False}], "[1]['workload_identity'] can only be True"),
    ],
)
def test_other_shapes_are_refused_with_the_cure(credential: Any, said: str) -> None:
    with pytest.raises(CredentialError) as caught:
        ConfidentialClientApplication("id", client_credential=credential)
    assert str(caught.value).startswith("client_credential")
    assert said in str(caught.value)
    assert caught.value.setting == "CLIENT_CREDENTIAL"
    assert isinstance(caught.value, ValueError)


MARK = "MARKED-5f1c2e"
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([MARK, f"-----BEGIN {MARK}", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just(MARK), inner, max_size=1),
    max_leaves=4,
)
_members = st.sampled_from(
    ["client_assertion", "private_key", "thumbprint", "public_certificate", "passphrase", "kid",
     "private_key_path", "certificate_path", "private_key_pfx_path", "federated_token_file",
     "workload_identity", "managed_identity", "audience", MARK]
)  # fmt: skip


@given(st.lists(st.dictionaries(_members, _values, max_size=4) | _values, max_size=2) | _values)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_whatever_is_given_is_known_or_refused_and_never_shown(credential: Any) -> None:
    try:
        shown = repr(built(credential))
        shown += repr(built(credential).in_order())
        judged = None
    except CredentialError as error:
        shown = judged = str(error)
    # Paths are no secrets, and stand in reprs.
    assert MARK not in shown.replace(f"({MARK})", "").replace(f"File {MARK}", "")
    if judged is not None:
        with pytest.raises(CredentialError, match=re.escape(judged)):
            judge_credential(credential)
    elif credential not in (None, ""):
        judge_credential(credential)


@pytest.mark.parametrize("claims", ["x", [1], {"a": object()}, {"a": float("nan")}, {"a": {1}}])
def test_client_claims_are_a_json_object(claims: Any) -> None:
    with pytest.raises(ConfigurationError, match="client_claims"):
        built(KEY, client_claims=claims)


def test_a_wrong_thumbprint_is_msals_error_when_the_client_is_made() -> None:
    with pytest.raises(ThumbprintError):
        built({"private_key": PEM, "thumbprint": "no hex"})


# Settings


@pytest.mark.parametrize("source", ["flask", "django"])
@pytest.mark.parametrize(
    "value",
    [
        {"private_key": PEM, "thumbprint": CLIENT.sha1, "passphrase": PASSPHRASE},
        {"workload_identity": True},
        ["first-secret", {"private_key_pfx_path": "/x.pfx"}],
        ("first-secret", "second-secret"),
        {"client_assertion": lambda: "x"},
    ],
    ids=["key", "workload identity", "list", "secrets", "function"],
)
def test_settings_take_every_shape(value: Any, source: str) -> None:
    settings = load_without_secret(CLIENT_CREDENTIAL=value, source=source)
    expected = tuple(value) if isinstance(value, list) else value
    assert settings.client_credential == expected
    assert hash(settings) is not None
    assert PASSPHRASE not in repr(settings)
    settings_client(settings, Clock()).close()


def load_without_secret(environ: Any = None, **explicit: Any) -> Any:
    return load(environ, CLIENT_SECRET="", **explicit)


@pytest.mark.parametrize(
    "value", [{"workload_identity": True}, ["a-secret", {"federated_token_file": "/t"}], ["s1"]]
)
def test_the_environment_has_them_as_json(value: Any) -> None:
    settings = load_without_secret({"KEYFOB_CLIENT_CREDENTIAL": json.dumps(value)})
    found = settings.client_credential
    assert (list(found) if isinstance(found, tuple) else found) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"private_key": PEM}, " needs either" ),
        ({"private_key": PEM, "thumbprint": MARK}, "['thumbprint'] is not the 40"),
        ({"privatekey": MARK}, "did you mean 'private_key'?"),
        (["good-secret", f"{MARK} "], "begins or ends with white space"),
        (["good-secret", 1], "[1] is of type int"),
        (lambda: MARK, "is a function"),
        ('{"a": "MARKED-5f1c2e"}', "means nothing here"),
        ("[]", "is an empty list"),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_told_at_start_by_the_settings_name(value: Any, said: str) -> None:
    error = refused({**without("CLIENT_SECRET"), "CLIENT_CREDENTIAL": value})
    assert error.setting == "CLIENT_CREDENTIAL"
    assert str(error).startswith('app.config["KEYFOB_CLIENT_CREDENTIAL"]')
    assert said in str(error)
    assert "client_credential" not in str(error)
    assert MARK not in str(error)


# AutoRefresher


def test_a_value_serves_for_its_time() -> None:
    clock, made = Clock(), iter(range(10))
    refresher = AutoRefresher(lambda: next(made), expires_in=100, clock=clock)
    assert [refresher(), refresher()] == [0, 0]
    clock.offset = 99
    assert refresher() == 0
    clock.offset = 101
    assert [refresher(), refresher()] == [1, 1]
    clock.offset = -50
    assert refresher() == 2, "after the clock was set back nobody knows how old it is"


def test_what_the_factory_raises_is_raised_and_not_remembered() -> None:
    outcomes: list[Any] = [RuntimeError("first"), "second"]

    def factory() -> str:
        found = outcomes.pop(0)
        if isinstance(found, Exception):
            raise found
        return str(found)

    refresher = AutoRefresher(factory)
    with pytest.raises(RuntimeError):
        refresher()
    assert [refresher(), refresher()] == ["second", "second"]


def test_twenty_threads_have_the_factory_called_once() -> None:
    together, calls, found = threading.Barrier(20), [], []

    def factory() -> str:
        calls.append(threading.current_thread())
        return "made"

    refresher = AutoRefresher(factory, expires_in=540)

    def one() -> None:
        together.wait()
        found.append(refresher())

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(calls), found) == (1, ["made"] * 20)
    assert "made" not in repr(refresher)


async def _coroutine() -> str:
    return "x"


@pytest.mark.parametrize(
    ("factory", "seconds"), [("x", 1), (None, 1), (_coroutine, 1), (str, "1"), (str, True)]
)
def test_what_refreshes_nothing_is_refused(factory: Any, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="AutoRefresher"):
        AutoRefresher(factory, expires_in=seconds)

"""The tree of errors: what each one is besides, and that its facts survive."""

from __future__ import annotations

import binascii
import copy
import inspect
import json
import pickle
import re

import pytest

from keyfob import errors, exceptions
from keyfob.errors import KeyfobError

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass)
           if issubclass(found, KeyfobError)]  # fmt: skip


def made(kind: type[KeyfobError]) -> KeyfobError:
    facts = {"status": 503, "retry_after": 7} if kind is errors.ProviderUnavailable else {}
    return kind("what happened", **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_a_pickle_and_a_copy(kind: type[KeyfobError]) -> None:
    error = made(kind)
    if not isinstance(error, errors.ProviderUnavailable):
        error.code = "finer"
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert (str(again), again.code) == ("what happened", error.code)
        assert again.__dict__ == error.__dict__


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_a_code_and_says_what_happened(kind: type[KeyfobError]) -> None:
    error = made(kind)
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert str(error) == "what happened"
    assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.MissingKeyError, KeyError),
        (errors.MissingKeyError, ValueError),
        (errors.ScopesError, AssertionError),
        (errors.ScopesError, ValueError),
        (errors.BrokerNotSupported, ImportError),
        (errors.BrokerNotSupported, ValueError),
        (errors.BrowserInteractionTimeoutError, RuntimeError),
        (errors.LoopbackUnavailable, OSError),
        (errors.CredentialError, errors.ConfigurationError),
        (errors.PassphraseError, TypeError),
        (errors.ThumbprintError, binascii.Error),
        (errors.CredentialFileError, OSError),
        (errors.TransportError, OSError),
        (errors.ProtocolError, ValueError),
        (errors.StateMismatchError, ValueError),
        (errors.NotJsonError, json.JSONDecodeError),
        (errors.FederationError, RuntimeError),
        (errors.FederationError, ValueError),
        (errors.IdTokenError, RuntimeError),
        (errors.LogoutTokenError, ValueError),
        (errors.NonceMismatchError, ValueError),
        (errors.SubjectChangedError, errors.IdTokenError),
        (errors.ManagedIdentityError, ValueError),
        (errors.ArcPlatformNotSupportedError, errors.ManagedIdentityError),
        (errors.ArcKeyFileNotFoundError, FileNotFoundError),
        (errors.TokenCacheError, json.JSONDecodeError),
        (errors.DownstreamError, ValueError),
    ],
)
def test_what_msal_raises_there_still_catches_it(kind: type, builtin: type) -> None:
    assert issubclass(kind, builtin)


def test_msals_own_names_are_in_the_tree() -> None:
    assert issubclass(exceptions.MsalServiceError, exceptions.MsalError)
    assert exceptions.MsalServiceError is errors.ProviderUnavailable


def test_only_what_may_pass_is_worth_another_try() -> None:
    retryable = {kind.__name__ for kind in CLASSES if kind.retryable}
    assert retryable == {
        "TransportError", "ProviderUnreachable", "ProviderUnavailable", "AnswerRefused",
        "StoreUnavailable", "ApiUnreachable", "GroupsUnknown",
    }  # fmt: skip


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"KeyfobError"}
    assert drawn == {kind.__name__ for kind in CLASSES} == set(errors.__all__)

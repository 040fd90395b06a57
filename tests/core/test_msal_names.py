"""`import keyfob as msal`: every public name of msal 1.39 is here, and takes what it took."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import keyfob
from keyfob.errors import BrokerNotSupported, ConfigurationError

msal: Any = pytest.importorskip("msal")

#: Names in `dir(msal)` that Keyfob has not, each with its reason.
NOT_HERE = {
    "application": "the module; its classes are exported",
    "auth_scheme": "the module; PopAuthScheme is exported",
    "cloudshell": "internal",
    "individual_cache": "internal",
    "mex": "internal",
    "oauth2cli": "internal: a generic OAuth 2.0 client of its own",
    "region": "internal",
    "sku": "internal",
    "telemetry": "internal",
    "throttled_http_client": "internal",
    "token_cache": "the module; its classes are exported",
    "wstrust_request": "internal",
    "wstrust_response": "internal",
}

#: Members of a class that Keyfob has not.
MEMBERS_NOT_HERE = {
    "DEVICE_FLOW_CORRELATION_ID": "the name of an internal member of the device flow's dict",
    **dict.fromkeys(
        (
            "ACQUIRE_TOKEN_BY_AUTHORIZATION_CODE_ID",
            "ACQUIRE_TOKEN_BY_DEVICE_FLOW_ID",
            "ACQUIRE_TOKEN_BY_REFRESH_TOKEN",
            "ACQUIRE_TOKEN_BY_USERNAME_PASSWORD_ID",
            "ACQUIRE_TOKEN_BY_USER_FIC_ID",
            "ACQUIRE_TOKEN_FOR_CLIENT_ID",
            "ACQUIRE_TOKEN_INTERACTIVE",
            "ACQUIRE_TOKEN_ON_BEHALF_OF_ID",
            "ACQUIRE_TOKEN_SILENT_ID",
            "GET_ACCOUNTS_ID",
            "REMOVE_ACCOUNT_ID",
        ),
        "a telemetry number; keyfob.flows.telemetry.Api has them",
    ),
}

#: Differences of signatures, each with its reason.
ACCEPTED = {
    "get_authorization_request_url": "its further argument is an undocumented authority; all other "
    "words are lost there without a sound",
    "SerializableTokenCache.add": "its further argument is now, which has a name here",
}

CLASSES = [
    "AutoRefresher",
    "ClientApplication",
    "ConfidentialClientApplication",
    "ManagedIdentityClient",
    "PopAuthScheme",
    "PublicClientApplication",
    "SerializableTokenCache",
    "SystemAssignedManagedIdentity",
    "TokenCache",
    "UserAssignedManagedIdentity",
]


def public(of: object) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


def methods() -> Iterator[tuple[str, str]]:
    for kind in CLASSES:
        yield kind, "__init__"
        for name, member in inspect.getmembers(getattr(msal, kind), inspect.isroutine):
            if not name.startswith("_") and str(member.__module__).startswith("msal."):
                yield kind, name


def missing(theirs: Callable[..., Any], ours: Callable[..., Any]) -> list[str]:
    """What can be given to the one, and not to the other in the same way."""
    wanted = list(inspect.signature(theirs).parameters.values())
    offered = list(inspect.signature(ours).parameters.values())
    by_name = {parameter.name: parameter for parameter in offered}
    kinds = inspect.Parameter
    takes_anything = any(parameter.kind is kinds.VAR_KEYWORD for parameter in offered)
    found = []
    for place, parameter in enumerate(wanted):
        name, twin = parameter.name, by_name.get(parameter.name)
        if parameter.kind is kinds.VAR_KEYWORD:
            if not takes_anything:
                found.append("no further arguments are taken")
            continue
        if twin is None:
            if not (takes_anything and parameter.kind is kinds.KEYWORD_ONLY):
                found.append(f"{name} is not taken")
            continue
        if parameter.kind is kinds.POSITIONAL_OR_KEYWORD and (
            twin.kind is not kinds.POSITIONAL_OR_KEYWORD or offered[place].name != name
        ):
            found.append(f"{name} has another place")
        if parameter.default is kinds.empty:
            continue
        if twin.default is kinds.empty:
            found.append(f"{name} must be given")
        elif twin.default != parameter.default:
            found.append(f"{name} is {twin.default!r} where it was {parameter.default!r}")
    needed = {
        parameter.name
        for parameter in offered
        if parameter.default is kinds.empty
        and parameter.kind not in (kinds.VAR_KEYWORD, kinds.VAR_POSITIONAL)
    }
    found += [f"{name} is new" for name in needed - {parameter.name for parameter in wanted}]
    return found


def test_msal_is_the_version_that_is_compared() -> None:
    assert msal.__version__.startswith("1.39.")


def test_every_public_name_of_msal_is_here_or_has_a_reason() -> None:
    here = {name for name in public(msal) if hasattr(keyfob, name)}
    assert public(msal) - here == set(NOT_HERE)


@pytest.mark.parametrize("kind", [*CLASSES, "Prompt"])
def test_every_public_member_is_here_or_has_a_reason(kind: str) -> None:
    theirs, ours = public(getattr(msal, kind)), public(getattr(keyfob, kind))
    assert theirs - ours <= set(MEMBERS_NOT_HERE)


@pytest.mark.parametrize(("kind", "name"), list(methods()))
def test_every_method_takes_what_msals_takes(kind: str, name: str) -> None:
    theirs, ours = (getattr(getattr(package, kind), name) for package in (msal, keyfob))
    if ACCEPTED.keys() & {name, f"{kind}.{name}"}:
        assert missing(theirs, ours), "the accepted difference is gone"
    else:
        assert missing(theirs, ours) == []


@pytest.mark.parametrize("name", ["authority", "exceptions", "managed_identity"])
def test_msals_modules_are_at_hand_after_the_import(name: str) -> None:
    ours, theirs = getattr(keyfob, name), getattr(msal, name)
    assert isinstance(ours, ModuleType)
    classes = {
        found
        for found, member in vars(theirs).items()
        if inspect.isclass(member)
        and member.__module__ == theirs.__name__
        and not found.startswith("_")
    }
    assert classes - public(ours) <= {"Authority", "ManagedIdentityError"} | {
        found for found in classes if hasattr(keyfob, found)
    }


def test_managed_identities_are_told_apart_as_by_msal() -> None:
    ours, theirs = keyfob.managed_identity.ManagedIdentity, msal.managed_identity.ManagedIdentity
    for unknown in (
        {"ManagedIdentityIdType": "SystemAssigned", "Id": None},
        {"ManagedIdentityIdType": "ClientId", "Id": "an-id"},
        {"ManagedIdentityIdType": "ObjectId", "Id": ""},
        {"ManagedIdentityIdType": "Other", "Id": "an-id"},
        {},
        None,
        "SystemAssigned",
    ):
        for name in ("is_managed_identity", "is_system_assigned", "is_user_assigned"):
            assert getattr(ours, name)(unknown) is bool(getattr(theirs, name)(unknown))
    assert ours.is_system_assigned(keyfob.SystemAssignedManagedIdentity())
    assert ours.is_user_assigned(keyfob.UserAssignedManagedIdentity(client_id="an-id"))


@pytest.mark.parametrize("name", ["AZURE_US_GOVERNMENT", "AZURE_PUBLIC", "AuthorityBuilder"])
def test_an_authority_is_built_of_the_same_parts(name: str) -> None:
    ours, theirs = (getattr(package.authority, name) for package in (keyfob, msal))
    assert ours == theirs or str(ours("host", "tenant")) == str(theirs("host", "tenant"))


@pytest.mark.parametrize("name", sorted(public(keyfob.Prompt)))
def test_the_prompts_have_the_same_values(name: str) -> None:
    assert getattr(keyfob.Prompt, name) == getattr(msal.Prompt, name)


@pytest.mark.parametrize("name", ["ATTEMPT_REGION_DISCOVERY", "DISABLE_MSAL_FORCE_REGION"])
def test_the_regions_constants_have_the_same_values(name: str) -> None:
    ours, theirs = (
        getattr(package.ConfidentialClientApplication, name) for package in (keyfob, msal)
    )
    assert ours is theirs


@pytest.mark.parametrize(
    "name",
    [name for name in sorted(public(keyfob)) if name.endswith("Error") and hasattr(msal, name)],
)
def test_an_error_is_caught_where_msals_is(name: str) -> None:
    builtins = {base for base in getattr(msal, name).__mro__ if base.__module__ == "builtins"}
    assert builtins <= set(getattr(keyfob, name).__mro__)


class TestProofOfPossession:
    GOOD = {"http_method": "GET", "url": "https://api.contoso.example/orders", "nonce": "n-1"}

    def test_a_scheme_is_made_as_with_msal(self) -> None:
        scheme = keyfob.PopAuthScheme(keyfob.PopAuthScheme.HTTP_GET, self.GOOD["url"], "n-1")
        assert scheme == keyfob.PopAuthScheme(**self.GOOD)
        assert "n-1" not in repr(scheme)

    @pytest.mark.parametrize("name", GOOD)
    @pytest.mark.parametrize("value", [None, ""])
    def test_a_part_that_is_missing_is_refused_as_with_msal(
        self, name: str, value: str | None
    ) -> None:
        for package, kind in ((msal, ValueError), (keyfob, ConfigurationError)):
            with pytest.raises(kind):
                package.PopAuthScheme(**{**self.GOOD, name: value})

    @pytest.mark.parametrize("method", ["get", "BREW"])
    def test_a_method_that_is_none_is_refused_as_with_msal(self, method: str) -> None:
        for package in (msal, keyfob):
            with pytest.raises(ValueError, match="upper"):
                package.PopAuthScheme(**{**self.GOOD, "http_method": method})

    def test_no_verb_gives_less_than_was_asked_for(self) -> None:
        app = keyfob.PublicClientApplication("client")
        scheme = keyfob.PopAuthScheme(**self.GOOD)
        assert app.is_pop_supported() is False
        for call in (
            lambda: app.acquire_token_silent(["a"], None, auth_scheme=scheme),
            lambda: app.acquire_token_silent_with_error(["a"], None, auth_scheme=scheme),
            lambda: app.acquire_token_interactive(["a"], auth_scheme=scheme),
        ):
            with pytest.raises(BrokerNotSupported):
                call()
        with pytest.raises(BrokerNotSupported), pytest.warns(DeprecationWarning, match="Password"):
            app.acquire_token_by_username_password("ada", "word", ["a"], auth_scheme=scheme)

"""Whatever an argument is, a wrong one is told by an error of Keyfob's that names it."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import keyfob
from keyfob import aio
from keyfob.errors import ConfigurationError, KeyfobError
from support import verbs
from support.provider import HOME_TENANT, Provider
from support.sign_in import REDIRECT_URI, come_back

MODULES = {"sync": keyfob, "aio": aio}
KINDS = ("ConfidentialClientApplication", "PublicClientApplication")
ODD: tuple[Any, ...] = (
    5, -1, 1.5, float("nan"), True, None, "", "text", b"bytes", [], ["a"], [5], {}, {"a": 5},
    {5: 5}, object(),
)  # fmt: skip
#: Of what has no default, something that is right.
RIGHT = {
    "scopes": ["User.Read"], "code": "c", "refresh_token": "r", "username": "ada@contoso.example",
    "password": "p", "user_assertion": "a.b.c", "assertion": "a.b.c",
    "access_token": "a.b.c",
}  # fmt: skip
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with verbs.provider() as found:
        yield found


async def outcome(function: Any, *args: Any, **named: Any) -> Any:
    found = function(*args, **named)
    return await found if inspect.isawaitable(found) else found


async def complaint(function: Any, *args: Any, **named: Any) -> str:
    """What is raised that is none of Keyfob's."""
    try:
        await outcome(function, *args, **named)
    except KeyfobError:
        pass
    except Exception as error:
        return repr(error)
    return ""


async def closed(app: Any) -> None:
    await outcome(getattr(app, "aclose", None) or app.close)


@each_module
@each_kind
def test_of_every_constructor(module: Any, kind: str, provider: Provider) -> None:
    made = getattr(module, kind)
    wrong: list[Any] = []

    async def use(name: str, value: Any, arguments: dict[str, Any]) -> None:
        try:
            app = made(**arguments)
        except KeyfobError:
            return
        except Exception as error:
            wrong.append((name, value, error))
            return
        # Where no metadata can be had, that is asked of no network.
        here = name not in ("authority", "oidc_authority", "client_id", "instance_discovery")
        for verb, given in (("get_accounts", ()), ("acquire_token_by_refresh_token", ("r", ["a"]))):
            if here or verb == "get_accounts":
                error = await complaint(getattr(app, verb), *given)
                wrong.extend([(name, value, error)] if error else [])
        await closed(app)

    async def main() -> None:
        for name in inspect.signature(keyfob.ClientApplication.__init__).parameters:
            for value in ODD:
                arguments: dict[str, Any] = {"client_id": provider.client_id}
                if kind == KINDS[0]:
                    arguments["client_credential"] = "secret"
                if name != "oidc_authority":
                    arguments["authority"] = provider.authority(HOME_TENANT)
                if name != "self":
                    await use(name, value, {**arguments, name: value})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(main())
    assert wrong == []


@each_module
@each_kind
def test_of_every_verb(module: Any, kind: str, provider: Provider) -> None:
    wrong: list[Any] = []

    async def main() -> None:
        app = verbs.application(module, kind, provider)
        flow = await outcome(app.initiate_auth_code_flow, ["User.Read"], redirect_uri=REDIRECT_URI)
        response = come_back(flow["auth_uri"])
        await outcome(app.acquire_token_by_auth_code_flow, flow, response)
        right: dict[str, Any] = {**RIGHT, "account": app.get_accounts()[0]}
        right |= {"auth_code_flow": flow, "auth_response": response, "flow": {"device_code": "d"}}
        for verb in sorted(vars_of(app)):
            if verb in ("acquire_token_interactive", "close", "aclose", "metadata"):
                continue  # a browser, or no argument at all
            parameters = inspect.signature(getattr(app, verb)).parameters
            given = {n: right[n] for n, p in parameters.items() if n in right and is_needed(p)}
            if verb == "acquire_token_by_device_flow":
                given["exit_condition"] = lambda _: True
            if "federated" in verb:
                given["username"] = "ada@contoso.example"
            for name in parameters:
                if name == "exit_condition" and verb == "acquire_token_by_device_flow":
                    continue  # the application's own function: called, and its errors are its own
                for value in ODD if name != "options" else ():
                    error = await complaint(getattr(app, verb), **{**given, name: value})
                    wrong.extend([(verb, name, value, error)] if error else [])
            for name in ("data", "params", "timeout", "verify", "proxies"):
                if verb == "initiate_device_flow" and name in ("data", "params"):
                    continue  # no options of it: a TypeError, as for any other name
                for value in ODD if "options" in parameters else ():
                    more = {"force_refresh": True} if "force_refresh" in parameters else {}
                    error = await complaint(getattr(app, verb), **{**given, **more, name: value})
                    wrong.extend([(verb, name, value, error)] if error else [])
        await closed(app)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(main())
    assert wrong == []


def vars_of(app: Any) -> list[str]:
    return [n for n in dir(app) if not n.startswith("_") and inspect.ismethod(getattr(app, n))]


def is_needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_cache", {}),
        ("http_client", object()),
        ("proxies", "http://proxy.example"),
        ("verify", 1),
        ("timeout", "1"),
        ("clock", 5),
        ("random_bytes", b"5"),
        ("leeway", 1.5),
        ("client_capabilities", "cp1"),
        ("client_claims", "{}"),
        ("allowed_tenants", "contoso.example"),
    ],
)
@each_module
def test_the_constructors_error_names_the_parameter(module: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        module.PublicClientApplication("client", **{name: value})


@pytest.mark.parametrize(
    "name", ["redirect_uri", "state", "prompt", "login_hint", "domain_hint", "response_mode"]
)
def test_what_is_no_text_is_not_sent_as_its_repr(name: str, provider: Provider) -> None:
    app = verbs.application(keyfob, KINDS[1], provider)
    with pytest.raises(ConfigurationError, match=name):
        app.initiate_auth_code_flow(["User.Read"], **{name: 5})
    app.close()


@pytest.mark.parametrize("name", ["scope", "code_verifier", "nonce", "state"])
@pytest.mark.parametrize("value", [5, [5], {"a": 1}, True])
def test_an_attempt_that_was_kept_badly(name: str, value: Any, provider: Provider) -> None:
    app = verbs.application(keyfob, KINDS[1], provider)
    flow = app.initiate_auth_code_flow(["User.Read"], redirect_uri=REDIRECT_URI)
    response = come_back(flow["auth_uri"])
    with pytest.raises(KeyfobError):
        app.acquire_token_by_auth_code_flow({**flow, name: value}, response)
    app.close()


def test_an_account_that_is_none_removes_nothing(provider: Provider) -> None:
    app = verbs.application(keyfob, KINDS[1], provider)
    for account in (None, "ada", {}, {"home_account_id": ""}):
        with pytest.raises(KeyError, match="get_accounts"):
            app.remove_account(account)
    app.close()

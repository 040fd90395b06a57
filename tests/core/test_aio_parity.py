"""The asynchronous applications are the synchronous ones: names, parameters, requests, results."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import keyfob
from keyfob import aio
from keyfob.errors import BrokerNotSupported, ConfigurationError
from support import verbs
from support.provider import Provider
from support.provider_http import Reply, drop
from support.verbs import SCENARIOS, Stage, steady, steady_request

PAIRS = [(getattr(keyfob, name), getattr(aio, name)) for name in aio.__all__]
each_pair = pytest.mark.parametrize(("one", "twin"), PAIRS, ids=aio.__all__)
#: Where the names differ.
TWINS = {"close": "aclose"}


def methods(kind: type) -> dict[str, Callable[..., Any]]:
    return {
        name: getattr(kind, name)
        for name in dir(kind)
        if not name.startswith("_") and inspect.isfunction(getattr(kind, name))
    }


def signature(function: Callable[..., Any]) -> Any:
    """Parameters with defaults and types, and what comes back, without the added client."""
    found = inspect.signature(function)
    parameters = [p for p in found.parameters.values() if p.name != "async_http_client"]
    return parameters, found.return_annotation


class TestNames:
    @each_pair
    def test_every_method_is_there_with_the_same_parameters_and_results(
        self, one: type, twin: type
    ) -> None:
        mine, theirs = methods(one), methods(twin)
        assert {TWINS.get(name, name) for name in mine} == set(theirs)
        for name, function in mine.items():
            assert signature(function) == signature(theirs[TWINS.get(name, name)]), name

    @each_pair
    def test_the_constructors_take_the_same(self, one: type, twin: type) -> None:
        assert signature(one.__init__) == signature(twin.__init__)  # type: ignore[misc]

    @each_pair
    def test_what_asks_the_network_is_a_coroutine_function_and_nothing_else_is(
        self, one: type, twin: type
    ) -> None:
        plain = {
            "get_accounts", "is_pop_supported", "remove_account", "remove_tokens_for_client",
            "with_cache", "token_at_hand", "token_at_hand_on_behalf_of", "variant",
        }  # fmt: skip
        for name, function in methods(twin).items():
            assert inspect.iscoroutinefunction(function) == (name not in plain), name

    @each_pair
    def test_every_method_says_what_it_is(self, one: type, twin: type) -> None:
        assert all(function.__doc__ for function in methods(twin).values())


CASES = [
    pytest.param(name, scenario, id=f"{name[:6].lower()}-{scenario.__name__}")
    for name, scenarios in SCENARIOS.items()
    for scenario in scenarios
]


def refused(_: Any) -> Reply:
    return Provider.json({"error": "invalid_grant", "error_description": "No."}, 400)


#: What the token endpoint does instead.
TROUBLES: dict[str, Any] = {
    "none": None,
    "refusal": refused,
    "outage": lambda _: Reply(503, {"Retry-After": "1"}, b""),
    "drop": lambda _: drop,
    "nonsense": lambda _: Reply(200, {}, b"<html>"),
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with verbs.provider() as found:
        yield found


def outcome(scenario: Any, stage: Stage) -> Any:
    """What came of it, or the error's kind, text and code; and the warnings."""

    async def main() -> Any:
        try:
            return await scenario(stage)
        except Exception as error:
            # The HTTP libraries have names of their own for what went wrong below HTTP.
            text = re.sub(r"\(\w+(Error|Exception)\)", "(its error)", str(error))
            return type(error), text, getattr(error, "code", None)
        finally:
            if isinstance(stage.app, aio.ClientApplication):
                await stage.app.aclose()
            else:
                stage.app.close()

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = asyncio.run(main())
    problems = [one for one in warned if not issubclass(one.category, DeprecationWarning)]
    assert problems == []
    return steady(found), [(str(one.message), one.filename) for one in warned]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_both_send_the_same_and_return_the_same(
    provider: Provider, name: str, scenario: Any, trouble: str
) -> None:
    seen = []
    for module in (keyfob, aio):
        provider.requests.clear()
        provider.raw.pop("token", None)
        if TROUBLES[trouble] is not None:
            provider.raw["token"] = TROUBLES[trouble]
        cache = keyfob.SerializableTokenCache()
        stage = Stage(provider, verbs.application(module, name, provider, token_cache=cache))
        came = outcome(scenario, stage)
        sections = {section: sorted(found) for section, found in cache_of(cache).items()}
        seen.append((came, [steady_request(one) for one in provider.requests], sections))
    provider.raw.pop("token", None)
    assert seen[0] == seen[1]
    assert seen[0][1], "nothing was sent"
    tokens_not_of_ours = (verbs.metadata, verbs.logout_token, verbs.access_token)
    if trouble == "none" and scenario not in tokens_not_of_ours:
        assert "'access_token': 'str'" in repr(seen[0][0])


def cache_of(cache: keyfob.SerializableTokenCache) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cache.serialize())
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_table_drives_every_verb_with_every_parameter(provider: Provider, name: str) -> None:
    given: dict[str, set[str]] = {}
    for scenario in SCENARIOS[name]:
        stage = Stage(provider, verbs.application(keyfob, name, provider), given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asyncio.run(scenario(stage))  # type: ignore[arg-type]
        stage.app.close()
    network = {n: f for n, f in methods(getattr(aio, name)).items()
               if inspect.iscoroutinefunction(f) and n != "aclose"}  # fmt: skip
    assert set(given) == set(network)
    for verb, function in network.items():
        parameters = set(inspect.signature(function).parameters) - {"self"}
        assert parameters - verbs.WITHOUT_EFFECT <= given[verb], verb


class TestWhatIsRefused:
    @pytest.mark.filterwarnings("ignore:Passwords in a public client:DeprecationWarning")
    @pytest.mark.parametrize("verb", [
        "acquire_token_silent", "acquire_token_silent_with_error", "acquire_token_interactive",
        "acquire_token_by_username_password",
    ])  # fmt: skip
    def test_a_brokers_scheme(self, provider: Provider, verb: str) -> None:
        app = verbs.application(aio, "PublicClientApplication", provider)
        arguments: dict[str, Any] = {"scopes": ["a"], "auth_scheme": object()}
        if "silent" in verb:
            arguments["account"] = None
        if "password" in verb:
            arguments |= {"username": "a", "password": "b"}
        with pytest.raises(BrokerNotSupported):
            asyncio.run(getattr(app, verb)(**arguments))

    @pytest.mark.parametrize("verb", ["acquire_token_silent", "acquire_token_silent_with_error"])
    def test_an_authority_is_warned_about_where_it_was_given(
        self, provider: Provider, verb: str
    ) -> None:
        app = verbs.application(aio, "PublicClientApplication", provider)

        async def main() -> None:
            await getattr(app, verb)(["a"], None, "https://login.microsoftonline.com/x")

        with pytest.warns(UserWarning, match="authority has no effect") as warned:
            asyncio.run(main())
        assert warned[0].filename == __file__

    def test_a_public_clients_credential_and_broker(self) -> None:
        with pytest.raises(ConfigurationError, match="no credential"):
            aio.PublicClientApplication("client", "secret")  # type: ignore[arg-type]
        with pytest.raises(BrokerNotSupported):
            aio.PublicClientApplication("client", enable_broker_on_mac=True)

    def test_force_refresh_of_the_applications_own_token(self, provider: Provider) -> None:
        app = verbs.application(aio, "ConfidentialClientApplication", provider)
        with pytest.raises(ConfigurationError, match="remove_tokens_for_client"):
            asyncio.run(app.acquire_token_for_client(verbs.OWN_SCOPE, force_refresh=True))

    def test_an_option_that_no_transport_takes(self, provider: Provider) -> None:
        app = verbs.application(aio, "ConfidentialClientApplication", provider)
        with pytest.raises(TypeError, match="scope"):
            asyncio.run(app.acquire_token_for_client(verbs.OWN_SCOPE, scope="typing error"))


def test_a_twin_with_another_cache_shares_what_is_known_of_the_provider(
    provider: Provider,
) -> None:
    provider.requests.clear()
    app = verbs.application(aio, "ConfidentialClientApplication", provider)
    cache = keyfob.TokenCache()
    twin = app.with_cache(cache)

    async def main() -> None:
        async with app:
            await app.acquire_token_for_client(verbs.OWN_SCOPE)
            await twin.acquire_token_for_client(verbs.OWN_SCOPE)

    asyncio.run(main())
    assert type(twin) is type(app)
    assert twin.token_cache is cache
    assert len(provider.requests_to("discovery")) == 1
    assert len(provider.requests_to("token")) == 2


def test_no_repr_tells_a_secret(provider: Provider) -> None:
    app = verbs.application(aio, "ConfidentialClientApplication", provider)
    assert re.fullmatch(r"<ConfidentialClientApplication \S+ at http\S+>", repr(app))
    assert provider.client_secret not in repr(vars(app))

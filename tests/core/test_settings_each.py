"""Settings, one by one: what each accepts and refuses."""

from __future__ import annotations

import json

import pytest

from keyfob.web.settings import load_settings
from keyfob.web.settings_apis import DownstreamApi
from support.settings_cases import (
    BASIC,
    LONG_KEY,
    OTHER_TENANT,
    SECRET,
    TENANT,
    load,
    refused,
    refused_with,
    without,
)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("TENANT_ID", "not a tenant", "is not a tenant's id"),
        ("AUTHORITY", "http://login.example/contoso", "plain http"),
        ("AUTHORITY", "https://login.microsoftonline.com", "names no tenant"),
        ("OIDC_AUTHORITY", "id.example", "does not start with https://"),
        ("OIDC_AUTHORITY", "https://ada:hunter2@id.example", "user name"),
        ("AUTHORITY", "ada:hunter2@id.example", "user name"),
        ("AUTHORITY", "https:ada:hunter2@id.example/x", "user name"),
    ],
)
def test_a_wrong_authority_is_named_where_it_was_set(key: str, value: str, said: str) -> None:
    message = str(refused({**without("TENANT_ID"), key: value}, source="django"))
    assert message.startswith(f'KEYFOB["{key}"] (or KEYFOB_{key} in the environment) ')
    assert said in message
    assert "hunter2" not in message
    message = str(refused(without("TENANT_ID"), {f"KEYFOB_{key}": value}))
    assert message.startswith(f'KEYFOB_{key} in the environment (or app.config["KEYFOB_{key}"]) ')


@pytest.mark.parametrize("value", [SECRET, "{not json", "[x", 12345])
def test_a_credential_may_be_a_secret(value: object) -> None:
    settings = load_settings(
        {**without("CLIENT_SECRET"), "CLIENT_CREDENTIAL": value}, {}, source="flask"
    )
    assert settings.client_credential == str(value)


@pytest.mark.parametrize(
    "value",
    [
        [TENANT, OTHER_TENANT],
        (TENANT.upper(), OTHER_TENANT),
        {TENANT, OTHER_TENANT},
        f"{TENANT},{OTHER_TENANT}",
        f" {TENANT} ,\n {OTHER_TENANT}, ",
        json.dumps([TENANT, OTHER_TENANT]),
    ],
)
def test_allowed_tenants_may_be_written_in_many_ways(value: object) -> None:
    settings = load(TENANT_ID="organizations", ALLOWED_TENANTS=value)
    assert settings.allowed_tenants == {TENANT, OTHER_TENANT}


def test_every_tenant_is_allowed_when_nothing_is_said() -> None:
    assert load(TENANT_ID="common").allowed_tenants is None


def test_allowed_tenants_may_be_a_rule() -> None:
    def rule(tenant: str) -> bool:
        return tenant.startswith("a")

    assert load(TENANT_ID="common", ALLOWED_TENANTS=rule).allowed_tenants is rule


def test_a_rule_that_is_async_is_refused_for_its_answer_would_always_be_true() -> None:
    async def rule(tenant: str) -> bool:
        return False

    assert "async" in refused_with(ALLOWED_TENANTS=rule)


@pytest.mark.parametrize("value", ["", "  ", [], "[]", ",", (), set()])
def test_allowed_tenants_that_are_empty_do_not_mean_everybody(value: object) -> None:
    error = refused({**BASIC, "TENANT_ID": "common", "ALLOWED_TENANTS": value})
    assert error.setting == "ALLOWED_TENANTS"
    if isinstance(value, str):
        error = refused({**BASIC, "TENANT_ID": "common"}, {"KEYFOB_ALLOWED_TENANTS": value})
        assert error.setting == "ALLOWED_TENANTS"


@pytest.mark.parametrize(
    "value", ["contoso.example", "common", "consumers", "notatenant", [TENANT, "a.example"]]
)
def test_tenants_by_name_are_refused_for_they_never_match(value: object) -> None:
    assert "by id (a GUID)" in refused_with(ALLOWED_TENANTS=value)


def test_allowed_tenants_must_have_the_only_tenant_there_is() -> None:
    assert TENANT in refused_with(ALLOWED_TENANTS=OTHER_TENANT)
    assert load(ALLOWED_TENANTS=[TENANT.upper()]).allowed_tenants == {TENANT}
    assert load(TENANT_ID="contoso.example", ALLOWED_TENANTS=OTHER_TENANT)
    assert "9188040d" in refused_with(TENANT_ID="consumers", ALLOWED_TENANTS=OTHER_TENANT)


@pytest.mark.parametrize(
    ("value", "scopes"),
    [
        ("User.Read", ("User.Read",)),
        ("User.Read,Mail.Read", ("User.Read", "Mail.Read")),
        ("openid profile offline_access User.Read email", ("User.Read", "email")),
        (["User.Read", "User.Read"], ("User.Read",)),
        ('["a", "b"]', ("a", "b")),
        ([], ()),
        ("openid", ()),
        (["https://graph.microsoft.com/.default", "api://x/y"],) * 2,
    ],
)
def test_scopes_may_be_written_in_many_ways(value: object, scopes: object) -> None:
    assert load(SCOPES=value).scopes == tuple(scopes)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "value", [["User.Read Mail.Read"], ['a"b'], ["ä"], [""], [None], [1.5], {"a": 1}, True, '["a"']
)
def test_scopes_that_are_none_are_refused(value: object) -> None:
    assert "SCOPES" in refused_with(SCOPES=value)


@pytest.mark.parametrize(
    ("value", "base_url"),
    [
        ("https://www.site.example", "https://www.site.example"),
        ("https://www.site.example/", "https://www.site.example"),
        ("HTTPS://WWW.Site.Example:443/App/", "https://www.site.example/App"),
        ("http://localhost:5000/", "http://localhost:5000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_base_url_is_tidied(value: str, base_url: str) -> None:
    assert load(BASE_URL=value).base_url == base_url


@pytest.mark.parametrize(
    "value",
    [
        "http://www.site.example",
        "www.site.example",
        "/app",
        "ftp://x",
        "https://",
        "https://x.example?",
        "https://x.example/?a=b",
        "https://x.example/#",
        "https://ada:hunter2@x.example",
        "https://x.example:port",
        "https://[x",
        "https://x.example/a b",
    ],
)
def test_a_base_url_that_cannot_be_one_is_refused(value: str) -> None:
    message = refused_with(BASE_URL=value)
    assert "BASE_URL" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("value", "meant"), [("form-post", "form_post"), ("FORM_POST", "form_post"), ("Query", "query")]
)
def test_a_wrong_response_mode_is_told_the_nearest(value: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in refused_with(RESPONSE_MODE=value)


def test_a_response_mode_that_is_near_nothing_is_told_what_there_is() -> None:
    assert "one of form_post, query" in refused_with(RESPONSE_MODE="zzz")


@pytest.mark.parametrize("value", [0, 600, "0", " 120 "])
def test_leeway_is_a_whole_number_of_seconds(value: object) -> None:
    assert load(LEEWAY=value).leeway == int(value)  # type: ignore[call-overload]


@pytest.mark.parametrize("value", [-1, 601, "-1", "1.5", "soon", 1.0, True, None, [], "9" * 5000])
def test_any_other_leeway_is_refused(value: object) -> None:
    assert "from 0 to 600" in refused_with(LEEWAY=value)


@pytest.mark.parametrize(
    "store", ["memory://", "sqlite:///x.db", "sqlite:////abs/x.db", "rediss://r.example/1"]
)
def test_every_framework_has_the_stores_of_the_core(store: str) -> None:
    for source in ("flask", "django"):
        assert load(source=source, TOKEN_STORE=store).token_store == store


def test_djangos_store_is_for_django() -> None:
    assert load(source="django", TOKEN_STORE="django-db").token_store == "django-db"
    assert "only Django sites" in refused_with(TOKEN_STORE="django-db")


def test_a_wrong_store_is_refused_without_showing_its_password() -> None:
    message = refused_with(TOKEN_STORE="redis://user:hunter2@redis.example/zero")
    assert "number of a database" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "value",
    [[LONG_KEY, LONG_KEY + "2"], f"{LONG_KEY},{LONG_KEY}2", json.dumps([LONG_KEY, LONG_KEY + "2"])],
)
def test_store_keys_are_kept_in_order(value: object) -> None:
    assert load(TOKEN_STORE_KEYS=value).token_store_keys == (LONG_KEY, LONG_KEY + "2")


@pytest.mark.parametrize("value", ["short", [LONG_KEY, "short"], [""], [None], [f" {LONG_KEY}"]])
def test_store_keys_that_are_none_are_refused_without_showing_them(value: object) -> None:
    message = refused_with(TOKEN_STORE_KEYS=value)
    assert LONG_KEY not in message
    assert "short" not in message.replace("shorter", "")


def test_a_short_store_key_is_counted_and_the_cure_makes_a_good_one() -> None:
    message = refused_with(TOKEN_STORE_KEYS=[LONG_KEY, "abc"])
    assert "number 2 of 2" in message
    assert "secrets.token_urlsafe(32)" in message


# --- downstream APIs

ORDERS = {"base_url": "https://orders.example", "scopes": ["api://orders/Read"]}


def test_an_api_stands_beside_graph() -> None:
    apis = load(DOWNSTREAM_APIS={"orders": ORDERS}).downstream_apis
    assert sorted(apis) == ["graph", "orders"]
    assert apis["orders"] == DownstreamApi(
        "orders", "https://orders.example", ("api://orders/Read",)
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [(7, 7.0), (0.5, 0.5), ([3, 60], (3.0, 60.0)), ((3.5, 600), (3.5, 600.0))],
)
def test_an_apis_time_limit_is_one_number_or_two(given: object, meant: object) -> None:
    api = load(DOWNSTREAM_APIS={"orders": {**ORDERS, "timeout": given}}).downstream_apis["orders"]
    assert api.timeout == meant
    assert api.retries == 2


def test_an_apis_calls_need_not_be_repeated() -> None:
    api = load(DOWNSTREAM_APIS={"orders": {**ORDERS, "retries": 0}}).downstream_apis["orders"]
    assert (api.timeout, api.retries) == ((5.0, 30.0), 0)


def test_graph_may_be_changed_in_part() -> None:
    apis = load(DOWNSTREAM_APIS={"graph": {"scopes": "Mail.Read openid"}}).downstream_apis
    assert apis["graph"] == DownstreamApi("graph", None, ("Mail.Read",))
    apis = load(DOWNSTREAM_APIS={"graph": {"base_url": "https://graph.example/v1.0/"}})
    assert apis.downstream_apis["graph"] == DownstreamApi(
        "graph", "https://graph.example/v1.0", ("User.Read",)
    )


def test_at_another_provider_nothing_is_implied() -> None:
    explicit = {**without("TENANT_ID"), "OIDC_AUTHORITY": "https://id.example"}
    api = {"orders": {"base_url": "https://orders.example"}}
    settings = load_settings({**explicit, "DOWNSTREAM_APIS": api}, {}, source="flask")
    assert settings.downstream_apis == {
        "orders": DownstreamApi("orders", "https://orders.example", ())
    }
    error = refused({**explicit, "DOWNSTREAM_APIS": {"graph": {"scopes": ["x"]}}})
    assert "['graph']['base_url'] is missing" in str(error)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{not json", "not the JSON"),
        ("[1]", "must be a mapping"),
        (["orders"], "must be a mapping"),
        ({"orders": "https://x"}, "['orders'] must be a mapping"),
        ({"": ORDERS}, "name of an API"),
        ({"my api": ORDERS}, "name of an API"),
        ({7: ORDERS}, "name of an API"),
        ({"o": {**ORDERS, "baseurl": 1}}, "did you mean 'base_url'?"),
        ({"o": {**ORDERS, "SCOPES": 1}}, "did you mean 'scopes'?"),
        ({"o": {**ORDERS, "xyzzy": 1}}, "it has 'base_url', 'scopes', 'app_only'"),
        ({"o": {**ORDERS, "timeout": 0}}, "['o']['timeout'] is in seconds, above 0"),
        ({"o": {**ORDERS, "timeout": None}}, "or a list of two such numbers; None is not"),
        ({"o": {**ORDERS, "timeout": True}}, "['o']['timeout'] is in seconds"),
        ({"o": {**ORDERS, "timeout": "5"}}, "['o']['timeout'] is in seconds"),
        ({"o": {**ORDERS, "timeout": float("nan")}}, "['o']['timeout'] is in seconds"),
        ({"o": {**ORDERS, "timeout": [1, 2, 3]}}, "['o']['timeout'] has two numbers"),
        ({"o": {**ORDERS, "timeout": [1, 601]}}, "601 is not"),
        ({"o": {**ORDERS, "retries": -1}}, "['o']['retries'] must be a whole number"),
        ({"o": {**ORDERS, "retries": 11}}, "['o']['retries'] must be a whole number"),
        ({"o": {**ORDERS, "retry": 1}}, "did you mean 'retries'?"),
        ({"o": {"scopes": ["a"]}}, "['o']['base_url'] is missing"),
        ({"o": {"base_url": "https://o.example"}}, "['o']['scopes'] is missing or empty"),
        ({"o": {**ORDERS, "scopes": []}}, "['o']['scopes'] is missing or empty"),
        ({"o": {**ORDERS, "scopes": ["a b"]}}, "['o']['scopes'] has 'a b' in it"),
        ({"o": {**ORDERS, "base_url": "http://o.example"}}, "plain http"),
        ({"o": {**ORDERS, "base_url": "https://bücher.example"}}, "['o']['base_url'] has a host"),
        ({"o": {**ORDERS, "base_url": "https://o.example/?a"}}, "query or a fragment"),
        ({"o": {**ORDERS, "base_url": None}}, "['o']['base_url'] is None"),
        ({"graph": {"scopes": ["openid"]}}, "['graph']['scopes'] is missing or empty"),
    ],
)
def test_an_api_that_cannot_be_called_is_refused(value: object, said: str) -> None:
    message = refused_with(DOWNSTREAM_APIS=value)
    assert said in message
    assert "DOWNSTREAM_APIS" in message


def test_every_wrong_api_is_reported() -> None:
    error = refused({**BASIC, "DOWNSTREAM_APIS": {"a": {}, "b": {}, "c": ORDERS}})
    assert "['a']" in str(error)
    assert "['b']" in str(error)
    assert "['c']" not in str(error)

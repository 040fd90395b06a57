"""Settings: where they come from, what they must look like, and what is said when they don't."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.web.settings import DownstreamApi, Settings, load_settings
from keyfob.web.settings_table import KEYS

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_TENANT = "bbbbbbbb-0000-4000-8000-000000000002"
SECRET = "Abc8Q~a-real-secret"
BASIC = {"CLIENT_ID": "app", "CLIENT_SECRET": SECRET, "TENANT_ID": TENANT}
LONG_KEY = "k" * 43


def load(environ: Mapping[str, str] | None = None, /, source: str = "flask", **explicit: object):
    return load_settings({**BASIC, **explicit}, environ or {}, source=source)


def refused(
    explicit: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    source: str = "flask",
) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(explicit, environ or {}, source=source)
    return caught.value


def refused_with(environ: Mapping[str, str] | None = None, /, **explicit: object) -> str:
    """The one line that is said about one wrong setting beside good ones."""
    error = refused({**BASIC, **explicit}, environ)
    assert "\n" not in str(error)
    if explicit:
        assert error.setting in explicit
    return str(error)


def without(*keys: str) -> dict[str, object]:
    return {key: value for key, value in BASIC.items() if key not in keys}


def test_three_settings_are_enough() -> None:
    settings = load()
    assert settings.client_id == "app"
    assert settings.client_credential == SECRET
    assert settings.authority.url == f"https://login.microsoftonline.com/{TENANT}"
    assert settings.allowed_tenants is None
    assert settings.scopes == ()
    assert settings.base_url is None
    assert settings.response_mode == "query"
    assert settings.downstream_apis == {"graph": DownstreamApi("graph", None, ("User.Read",))}
    assert settings.token_store is None
    assert settings.token_store_keys == ()
    assert settings.leeway == 60


def test_settings_cannot_be_changed() -> None:
    settings = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.client_id = "other"
    with pytest.raises(TypeError):
        settings.downstream_apis["x"] = settings.downstream_apis["graph"]


def test_the_repr_shows_no_secret() -> None:
    settings = load(TOKEN_STORE_KEYS=[LONG_KEY], TOKEN_STORE="sqlite:///private-name")
    for text in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in text
        assert LONG_KEY not in text
        assert "private-name" not in text
        assert "client_credential=<hidden>" in text
        assert "client_id='app'" in text


# --- where values come from


def test_everything_can_come_from_the_environment() -> None:
    environ = {
        "KEYFOB_CLIENT_ID": "app",
        "KEYFOB_CLIENT_SECRET": SECRET,
        "KEYFOB_TENANT_ID": "organizations",
        "KEYFOB_ALLOWED_TENANTS": f"{TENANT}, {OTHER_TENANT.upper()}",
        "KEYFOB_SCOPES": "User.Read Mail.Read",
        "KEYFOB_BASE_URL": "https://www.site.example/",
        "KEYFOB_RESPONSE_MODE": "form_post",
        "KEYFOB_DOWNSTREAM_APIS": json.dumps(
            {"orders": {"base_url": "https://orders.example/v1/", "scopes": ["api://o/Read"]}}
        ),
        "KEYFOB_TOKEN_STORE": "memory://",
        "KEYFOB_TOKEN_STORE_KEYS": f"{LONG_KEY}1 {LONG_KEY}2",
        "KEYFOB_LEEWAY": "5",
        "PATH": "/bin",
    }
    settings = load_settings({}, environ, source="flask")
    assert settings.allowed_tenants == {TENANT, OTHER_TENANT}
    assert settings.scopes == ("User.Read", "Mail.Read")
    assert settings.base_url == "https://www.site.example"
    assert settings.response_mode == "form_post"
    assert settings.downstream_apis["orders"] == DownstreamApi(
        "orders", "https://orders.example/v1", ("api://o/Read",)
    )
    assert settings.token_store == "memory://"
    assert settings.token_store_keys == (f"{LONG_KEY}1", f"{LONG_KEY}2")
    assert settings.leeway == 5


def test_the_frameworks_value_goes_before_the_environments() -> None:
    assert load({"KEYFOB_CLIENT_ID": "env"}).client_id == "app"


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_text_is_silence(empty: str) -> None:
    settings = load({"KEYFOB_CLIENT_ID": "env", "KEYFOB_LEEWAY": ""}, CLIENT_ID=empty)
    assert settings.client_id == "env"
    assert settings.leeway == 60


def test_an_authority_in_the_frameworks_values_silences_every_other_in_the_environment() -> None:
    environ = {"KEYFOB_AUTHORITY": "https://login.example/x", "KEYFOB_OIDC_AUTHORITY": "rubbish"}
    assert load(environ).authority.tenant == TENANT


def test_a_credential_in_the_frameworks_values_silences_the_environments() -> None:
    assert load({"KEYFOB_CLIENT_CREDENTIAL": '{"a": 1}'}).client_credential == SECRET


def test_an_authority_may_come_from_the_environment() -> None:
    explicit = {**without("TENANT_ID"), "AUTHORITY": ""}
    environ = {"KEYFOB_OIDC_AUTHORITY": "https://id.example/realm/"}
    settings = load_settings(explicit, environ, source="django")
    assert settings.authority.kind == "oidc"
    assert settings.authority.url == "https://id.example/realm"
    assert settings.downstream_apis == {}


@pytest.mark.parametrize(
    ("key", "value", "other", "other_value"),
    [
        ("TENANT_ID", TENANT, "AUTHORITY", f"https://login.microsoftonline.us/{TENANT}"),
        ("TENANT_ID", TENANT, "OIDC_AUTHORITY", "https://id.example"),
        ("AUTHORITY", f"https://login.x.example/{TENANT}", "OIDC_AUTHORITY", "https://id.example"),
        ("CLIENT_SECRET", SECRET, "CLIENT_CREDENTIAL", SECRET),
    ],
)
def test_two_that_exclude_each_other_are_named_both(key, value, other, other_value) -> None:
    choice = ("TENANT_ID",) if key != "CLIENT_SECRET" else ("CLIENT_SECRET",)
    error = refused({**without(*choice), key: value, other: other_value})
    assert f'app.config["KEYFOB_{key}"]' in str(error)
    assert f'app.config["KEYFOB_{other}"]' in str(error)
    assert "contradicts" in str(error)
    assert SECRET not in str(error)
    environ = {f"KEYFOB_{key}": value, f"KEYFOB_{other}": other_value}
    error = refused(without(*choice), environ)
    assert f"KEYFOB_{other} in the environment" in str(error)


# --- what is missing


@pytest.mark.parametrize("key", ["CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"])
@pytest.mark.parametrize(
    ("source", "name"), [("flask", 'app.config["KEYFOB_{}"]'), ("django", 'KEYFOB["{}"]')]
)
def test_what_is_missing_is_named_with_both_places_for_it(key, source, name) -> None:
    error = refused(without(key), source=source)
    assert error.setting == key
    assert str(error).startswith(
        f"{name.format(key)} (or KEYFOB_{key} in the environment) is missing"
    )


def test_a_missing_authority_names_all_three_ways_to_give_one() -> None:
    message = str(refused(without("TENANT_ID")))
    assert all(key in message for key in ("TENANT_ID", "AUTHORITY", "OIDC_AUTHORITY"))


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    error = refused(
        {"CLIENT_SECRET": " x ", "LEEWAY": "soon", "RESPONSE_MODE": "fragment", "NONSENSE": 1},
        {"KEYFOB_BASE_URL": "ftp://x"},
    )
    lines = str(error).splitlines()
    assert lines[0] == "7 of Keyfob's settings need attention:"
    assert len(lines) == 8
    assert all(line.startswith("- ") for line in lines[1:])
    for key in "NONSENSE CLIENT_ID CLIENT_SECRET TENANT_ID LEEWAY RESPONSE_MODE BASE_URL".split():
        assert any(key in line for line in lines), key
    assert error.setting == "NONSENSE"


# --- names that are none


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("CLIENTID", "CLIENT_ID"),
        ("client_id", "CLIENT_ID"),
        ("KEYFOB_CLIENT_ID", "CLIENT_ID"),
        ("TENNANT_ID", "TENANT_ID"),
        ("TENANT", "TENANT_ID"),
        ("SCOPE", "SCOPES"),
        ("OIDC_AUTHORTY", "OIDC_AUTHORITY"),
        ("ISSUER", "OIDC_AUTHORITY"),
        ("REDIRECT_URI", "BASE_URL"),
        ("DOWNSTREAM_API", "DOWNSTREAM_APIS"),
        ("TOKEN_STORE_KEY", "TOKEN_STORE_KEYS"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_right_one(key: str, meant: str) -> None:
    assert f"is not a setting; did you mean {meant}?" in str(refused({**BASIC, key: "x"}))
    message = str(refused(BASIC, {f"KEYFOB_{key}": "x"}))
    assert f"KEYFOB_{key} in the environment" in message
    assert f"did you mean {meant}?" in message


def test_an_unknown_name_that_is_near_nothing_points_to_the_documentation() -> None:
    assert "docs/settings.md" in refused_with(XYZZY=1)
    assert "docs/settings.md" in str(refused({**BASIC, 7: "x"}))  # type: ignore[dict-item]


def test_the_value_of_an_unknown_name_is_not_shown() -> None:
    assert SECRET not in refused_with(CLIENT_SECRETS=SECRET)


@pytest.mark.parametrize(
    "variable",
    [
        "KEYFOB_TEST_REQUIRE",
        "KEYFOB_SERVICE_HOST",
        "KEYFOB_SERVICE_PORT",
        "KEYFOB_SERVICE_PORT_HTTP",
        "KEYFOB_PORT",
        "KEYFOB_PORT_80_TCP",
        "KEYFOB_PORT_80_TCP_ADDR",
        "KEYFOB_WEB_SERVICE_HOST",
        "KEYFOB_WEB_PORT_8000_TCP_PROTO",
        "MY_KEYFOB_X",
        "FLASK_KEYFOB_X",
        "keyfob_x",
    ],
)
def test_variables_that_nobody_meant_as_settings_are_ignored(variable: str) -> None:
    assert load({variable: "x"})


# --- texts


@pytest.mark.parametrize("value", ["app\n", " app", "\tapp \r\n"])
def test_white_space_around_an_id_is_dropped(value: str) -> None:
    assert load(CLIENT_ID=value).client_id == "app"


def test_white_space_around_addresses_is_dropped() -> None:
    assert load(BASE_URL=" https://x.example \n").base_url == "https://x.example"
    assert load(TENANT_ID=f"{TENANT}\n").authority.tenant == TENANT


@pytest.mark.parametrize("value", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\t"])
@pytest.mark.parametrize("key", ["CLIENT_SECRET", "CLIENT_CREDENTIAL"])
def test_white_space_around_a_secret_is_refused_without_showing_it(key: str, value: str) -> None:
    error = refused({**without("CLIENT_SECRET"), key: value})
    assert error.setting == key
    assert "begins or ends with white space" in str(error)
    assert SECRET not in str(error)


def test_a_secret_of_digits_that_flask_made_a_number_is_taken_as_text() -> None:
    assert load(CLIENT_SECRET=12345678901234567890).client_credential == "12345678901234567890"
    assert load(CLIENT_ID=42).client_id == "42"


@pytest.mark.parametrize("value", [1.5, True, False, None, [SECRET], {"a": SECRET}, b"x", object()])
def test_a_secret_of_another_type_is_refused_without_showing_it(value: object) -> None:
    message = refused_with(CLIENT_SECRET=value)
    assert "quotes" in message or "leave the key out" in message
    assert SECRET not in message
    assert "1.5" not in message


@pytest.mark.parametrize("key", ["CLIENT_ID", "TENANT_ID", "BASE_URL", "RESPONSE_MODE"])
@pytest.mark.parametrize("value", [1.5, True, None, ["x"]])
def test_a_text_of_another_type_is_refused(key: str, value: object) -> None:
    assert key in refused_with(**{key: value})


def test_a_line_break_inside_a_text_is_refused_and_makes_no_line_of_its_own() -> None:
    assert "line break" in refused_with(CLIENT_ID="a\nb")
    assert "line break" in refused_with(CLIENT_SECRET="a\nb")
    assert "\n" not in refused_with(SCOPES=["a\nb"])
    assert "\n" not in refused_with(**{"a\nLEEWAY is fine": 1})


@pytest.mark.parametrize(
    "value",
    [
        "...",
        "…",
        "<your client id>",
        "<client-id>",
        "your-client-id",
        "YOUR_CLIENT_ID",
        "your_app_secret",
        "{client_id}",
        "${CLIENT_ID}",
        "{{ client_id }}",
        "Enter_the_Application_Id_Here",
        "changeme",
        "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    ],
)
def test_a_placeholder_is_recognised(value: str) -> None:
    for key in ("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"):
        assert "placeholder" in refused_with(**{key: value})


@pytest.mark.parametrize("value", ["your-company.example", "a...b", "yourself", "x", "xxx"])
def test_what_only_resembles_a_placeholder_is_accepted(value: str) -> None:
    assert load(CLIENT_ID=value).client_id == value


@pytest.mark.parametrize(
    "url",
    [
        "https://login.microsoftonline.com/<tenant>",
        "https://login.microsoftonline.com/your-tenant-id",
        "https://login.microsoftonline.com/...",
        "https://{tenant}.ciamlogin.com/",
    ],
)
def test_a_placeholder_in_an_address_is_recognised(url: str) -> None:
    for key in ("AUTHORITY", "OIDC_AUTHORITY"):
        error = refused({**without("TENANT_ID"), key: url})
        assert "placeholder" in str(error)
    assert "placeholder" in refused_with(BASE_URL=url)


# --- each setting


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("TENANT_ID", "not a tenant", "is not a tenant's id"),
        ("AUTHORITY", "http://login.example/contoso", "plain http"),
        ("AUTHORITY", "https://login.microsoftonline.com", "names no tenant"),
        ("OIDC_AUTHORITY", "id.example", "does not start with https://"),
        ("OIDC_AUTHORITY", "https://ada:hunter2@id.example", "user name"),
    ],
)
def test_a_wrong_authority_is_named_where_it_was_set(key: str, value: str, said: str) -> None:
    message = str(refused({**without("TENANT_ID"), key: value}, source="django"))
    assert message.startswith(f'KEYFOB["{key}"] (or KEYFOB_{key} in the environment) ')
    assert said in message
    assert "hunter2" not in message
    message = str(refused(without("TENANT_ID"), {f"KEYFOB_{key}": value}))
    assert message.startswith(f'KEYFOB_{key} in the environment (or app.config["KEYFOB_{key}"]) ')


@pytest.mark.parametrize(
    "value", [{"private_key": "x"}, ["a", "b"], ("a",), lambda: "x", '{"a": "b"}', '["a"]']
)
def test_credentials_of_other_shapes_are_not_in_this_version(value: object) -> None:
    message = str(refused({**without("CLIENT_SECRET"), "CLIENT_CREDENTIAL": value}))
    assert "not in this version" in message
    assert "CLIENT_CREDENTIAL" in message


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
    assert settings.allows_tenant(TENANT.upper())
    assert not settings.allows_tenant("cccccccc-0000-4000-8000-000000000003")


def test_every_tenant_is_allowed_when_nothing_is_said() -> None:
    assert load(TENANT_ID="common").allows_tenant("anything")


def test_allowed_tenants_may_be_a_rule() -> None:
    settings = load(TENANT_ID="common", ALLOWED_TENANTS=lambda tid: tid.startswith("a"))
    assert settings.allows_tenant("ABC")
    assert not settings.allows_tenant("bbb")


@pytest.mark.parametrize("value", ["", "  ", [], "[]", ",", (), set()])
def test_allowed_tenants_that_are_empty_do_not_mean_everybody(value: object) -> None:
    error = refused({**BASIC, "TENANT_ID": "common", "ALLOWED_TENANTS": value})
    assert error.setting == "ALLOWED_TENANTS"
    if isinstance(value, str):
        error = refused({**BASIC, "TENANT_ID": "common"}, {"KEYFOB_ALLOWED_TENANTS": value})
        assert error.setting == "ALLOWED_TENANTS"


@pytest.mark.parametrize("value", ["contoso.example", "common", "consumers", [TENANT, "a.example"]])
def test_tenants_by_name_are_refused_for_they_never_match(value: object) -> None:
    assert "by id (a GUID)" in refused_with(ALLOWED_TENANTS=value)


def test_allowed_tenants_must_have_the_only_tenant_there_is() -> None:
    assert TENANT in refused_with(ALLOWED_TENANTS=OTHER_TENANT)
    assert load(ALLOWED_TENANTS=[TENANT.upper()]).allows_tenant(TENANT)
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


@pytest.mark.parametrize("store", ["memory://", "sqlite:///x.db", "sqlite:////abs/x.db"])
def test_every_framework_has_the_stores_of_the_core(store: str) -> None:
    for source in ("flask", "django"):
        assert load(source=source, TOKEN_STORE=store).token_store == store


@pytest.mark.parametrize("store", ["django-db", "django-cache:default"])
def test_djangos_stores_are_for_django(store: str) -> None:
    assert load(source="django", TOKEN_STORE=store).token_store == store
    assert "only Django sites" in refused_with(TOKEN_STORE=store)


def test_a_store_of_a_later_version_is_refused_without_showing_its_password() -> None:
    message = refused_with(TOKEN_STORE="redis://user:hunter2@redis.example/0")
    assert "redis" in message
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
        ({"o": {**ORDERS, "xyzzy": 1}}, "it has 'base_url' and 'scopes'"),
        ({"o": {"scopes": ["a"]}}, "['o']['base_url'] is missing"),
        ({"o": {"base_url": "https://o.example"}}, "['o']['scopes'] is missing or empty"),
        ({"o": {**ORDERS, "scopes": []}}, "['o']['scopes'] is missing or empty"),
        ({"o": {**ORDERS, "scopes": ["a b"]}}, "['o']['scopes'] has 'a b' in it"),
        ({"o": {**ORDERS, "base_url": "http://o.example"}}, "plain http"),
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


# --- anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def outcome(explicit, environ) -> Settings | ConfigurationError:
    try:
        return load_settings(explicit, environ, source="flask")
    except ConfigurationError as error:
        return error


@given(
    st.dictionaries(st.sampled_from(KEYS), JSON),
    st.dictionaries(st.sampled_from([f"KEYFOB_{key}" for key in KEYS]), st.text()),
    st.booleans(),
)
def test_any_values_give_settings_or_an_error_that_names_one(explicit, environ, basic) -> None:
    found = outcome({**BASIC, **explicit} if basic else explicit, environ)
    if isinstance(found, ConfigurationError):
        assert found.setting in KEYS
        assert all("KEYFOB_" in line for line in str(found).splitlines()[1:])

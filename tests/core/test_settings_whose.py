"""The keys of DOWNSTREAM_APIS that say whose token an API gets, and where it is ready."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.web.settings import Settings, load_settings
from support.settings_cases import BASIC, OTHER_TENANT, load, refused_with

JOBS: dict[str, Any] = {
    "base_url": "https://jobs.example",
    "scopes": ["api://jobs/.default"],
    "app_only": True,
}
ORDERS = {"base_url": "https://orders.example", "scopes": ["api://orders/Read"]}


def at(authority: dict[str, str], **api: object) -> Settings:
    basic = {name: value for name, value in BASIC.items() if name != "TENANT_ID"}
    apis = {"DOWNSTREAM_APIS": {"jobs": {**JOBS, **api}}}
    return load_settings({**basic, **authority, **apis}, {}, source="flask")


def test_an_api_is_a_persons_and_attached_nowhere_by_itself() -> None:
    api = load(DOWNSTREAM_APIS={"orders": ORDERS}).downstream_apis["orders"]
    assert (api.app_only, api.tenant, api.attach_to) == (False, None, ())


def test_an_api_may_be_the_applications_own() -> None:
    api = load(DOWNSTREAM_APIS={"jobs": JOBS}).downstream_apis["jobs"]
    assert (api.app_only, api.tenant, api.scopes) == (True, None, ("api://jobs/.default",))


def test_an_own_token_may_be_of_another_tenant() -> None:
    api = load(DOWNSTREAM_APIS={"jobs": {**JOBS, "tenant": OTHER_TENANT}})
    assert api.downstream_apis["jobs"].tenant == OTHER_TENANT


@pytest.mark.parametrize("value", [True, "true", "True"])
def test_app_only_may_come_from_the_environment(value: object) -> None:
    environ = {"KEYFOB_DOWNSTREAM_APIS": json.dumps({"jobs": {**JOBS, "app_only": value}})}
    assert load(environ).downstream_apis["jobs"].app_only


def test_prefixes_are_kept_without_their_slash() -> None:
    api = {**ORDERS, "attach_to": ["/orders/", "/api/orders", "/orders", "/"]}
    found = load(DOWNSTREAM_APIS={"orders": api}).downstream_apis["orders"]
    assert found.attach_to == ("/orders", "/api/orders", "")
    one = load(DOWNSTREAM_APIS={"orders": {**ORDERS, "attach_to": "/orders"}})
    assert one.downstream_apis["orders"].attach_to == ("/orders",)


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers", "Common"])
def test_an_authority_without_a_tenant_needs_one_for_an_own_token(tenant: str) -> None:
    with pytest.raises(ValueError, match=r"\['jobs'\]\['tenant'\] is missing.*id or domain"):
        at({"TENANT_ID": tenant})
    named = at({"TENANT_ID": tenant}, tenant="contoso.example")
    assert named.downstream_apis["jobs"].tenant == "contoso.example"


def test_another_provider_has_own_tokens_for_any_scopes() -> None:
    oidc = {"OIDC_AUTHORITY": "https://id.example"}
    assert at(oidc, scopes=["jobs.run", "jobs.list"]).downstream_apis["jobs"].app_only
    with pytest.raises(ValueError, match=r"\['jobs'\]\['scopes'\] is missing"):
        at(oidc, scopes=[])
    with pytest.raises(ValueError, match="has no other tenants"):
        at(oidc, tenant="contoso.example")


@pytest.mark.parametrize(
    ("api", "said"),
    [
        ({**JOBS, "scopes": ["api://jobs/Read"]}, "['api://jobs/.default']"),
        ({**JOBS, "scopes": ["User.Read"]}, "['https://graph.microsoft.com/.default']"),
        ({**JOBS, "scopes": ["a/.default", "b/.default"]}, "one resource with '/.default'"),
        ({**JOBS, "app_only": "yes"}, "['app_only'] must be True or False"),
        ({**JOBS, "app_only": 1}, "['app_only'] must be True or False"),
        ({**JOBS, "app_only": None}, "['app_only'] must be True or False"),
        ({**JOBS, "tenant": "common"}, "['tenant'] is 'common', which is no tenant"),
        ({**JOBS, "tenant": "a/b"}, "no tenant's id or domain"),
        ({**ORDERS, "tenant": OTHER_TENANT}, "['tenant'] is for APIs with 'app_only'"),
        ({**ORDERS, "attach_to": ["orders"]}, "does not begin with '/'"),
        ({**ORDERS, "attach_to": ["/a/../b"]}, "no plain path"),
        ({**ORDERS, "attach_to": ["//orders"]}, "no plain path"),
        ({**ORDERS, "attach_to": ["/%6frders"]}, "percent-encoding"),
        ({**ORDERS, "attach_to": ["/orders?x=1"]}, "without query"),
        ({**ORDERS, "attach_to": ["/a\\b"]}, "no plain path"),
        ({**ORDERS, "attach_to": {"/a": 1}}, "must be a list"),
        ({**ORDERS, "attachto": ["/a"]}, "did you mean 'attach_to'?"),
        ({**ORDERS, "apponly": True}, "did you mean 'app_only'?"),
    ],
)
def test_what_cannot_be_is_refused(api: dict[str, Any], said: str) -> None:
    assert said in refused_with(DOWNSTREAM_APIS={"x": api})


def test_graph_needs_its_resource_for_an_own_token() -> None:
    message = refused_with(DOWNSTREAM_APIS={"graph": {"app_only": True}})
    assert "https://graph.microsoft.com/.default" in message

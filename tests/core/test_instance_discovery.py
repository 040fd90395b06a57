"""A host of no known cloud gets no request before Microsoft has vouched for it."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.errors import (
    AnswerRefused,
    ConfigurationError,
    MetadataError,
    ProviderUnavailable,
    ProviderUnreachable,
    TransportError,
)
from keyfob.flows.provider import METADATA_MAX_AGE, Provider
from keyfob.protocol.authority import microsoft_authority, oidc_authority
from keyfob.protocol.instance_discovery import PUBLIC_ENDPOINT, discovery_endpoint
from keyfob.transport import run
from support.authority_table import OTHER, TENANT
from support.sign_in import Scripted, answer

NOW = 1_800_000_000
HOST = "https://login.newcloud.example"
ADDRESS = f"{HOST}/{TENANT}"
ALIAS = "login.newcloud-alias.example"
INSTANCE, METADATA = "Microsoft's instance discovery", "the provider's metadata"
WELL_KNOWN = "/v2.0/.well-known/openid-configuration"
DOCUMENT = {
    "issuer": f"{HOST}/{TENANT}/v2.0",
    "authorization_endpoint": f"{HOST}/{TENANT}/oauth2/v2.0/authorize",
    "token_endpoint": f"{HOST}/{TENANT}/oauth2/v2.0/token",
    "jwks_uri": f"{HOST}/{TENANT}/discovery/v2.0/keys",
}
PUBLIC_ROW = {
    "preferred_network": "login.microsoftonline.com",
    "preferred_cache": "login.windows.net",
    "aliases": ["login.microsoftonline.com", "login.windows.net"],
}
ROW = {
    "preferred_network": "login.newcloud.example",
    "preferred_cache": ALIAS,
    "aliases": ["login.newcloud.example", "other.newcloud.example", ALIAS],
}


def vouching(endpoint: object = f"{ADDRESS}{WELL_KNOWN}", *rows: object) -> Any:
    return answer(
        {
            "tenant_discovery_endpoint": endpoint,
            "api-version": "1.1",
            "metadata": list(rows) or [PUBLIC_ROW, ROW],
        }
    )


class Site:
    """A provider with its transport."""

    def __init__(
        self,
        instance: Any = None,
        metadata: Any = None,
        address: str = ADDRESS,
        **options: Any,
    ) -> None:
        self.provider = Provider(microsoft_authority(address), **options)
        self.wire = Scripted(
            {INSTANCE: instance or vouching(), METADATA: metadata or answer(DOCUMENT)}
        )

    def metadata(self, now: float = NOW) -> Any:
        return run(self.provider.metadata(now), self.wire)

    @property
    def asked(self) -> list[str]:
        return [request.what for request in self.wire.sent]


def test_microsoft_is_asked_first_and_once() -> None:
    site = Site()
    assert site.wire.sent == []
    for days in range(3):
        assert site.metadata(NOW + days * METADATA_MAX_AGE).issuer == f"{HOST}/{TENANT}/v2.0"
    assert site.asked == [INSTANCE, METADATA, METADATA, METADATA]
    [question, document, *_] = site.wire.sent
    assert (question.method, question.url) == ("GET", PUBLIC_ENDPOINT)
    assert question.params == {
        "authorization_endpoint": f"{ADDRESS}/oauth2/v2.0/authorize",
        "api-version": "1.1",
    }
    assert document.url == f"{ADDRESS}{WELL_KNOWN}"


def test_the_question_names_the_host_with_its_port() -> None:
    site = Site(address="https://login.newcloud.example:8443/common")
    with pytest.raises(MetadataError):
        site.metadata()
    named = site.wire.sent[0].params["authorization_endpoint"]
    assert named == "https://login.newcloud.example:8443/common/oauth2/v2.0/authorize"


@pytest.mark.parametrize(
    "address",
    [
        "https://login.microsoftonline.com/common",
        "https://sts.windows.net/common",
        "https://login.chinacloudapi.cn/common",
        "https://login.sovcloud-identity.sg/common",
        "https://contoso.b2clogin.com/contoso.example/b2c_1_x",
        "https://login.contoso.example/contoso.example/b2c_1_x",
        "https://login.contoso.example/tfp/contoso.example/policy",
        "https://contoso.ciamlogin.com",
        "https://adfs.contoso.example/adfs",
        "https://some.dsts.core.example/dstsv2/common",
        "http://localhost:8400/common",
        "http://127.0.0.1:8400/common",
    ],
)
def test_nobody_is_asked_about_known_hosts_other_kinds_and_this_machine(address: str) -> None:
    site = Site(address=address)
    with pytest.raises(MetadataError):
        site.metadata()
    assert site.asked == [METADATA]


def test_nobody_is_asked_about_an_openid_connect_provider() -> None:
    provider = Provider(oidc_authority("https://idp.example"))
    wire = Scripted({METADATA: answer({**DOCUMENT, "issuer": "https://idp.example"})})
    assert run(provider.metadata(NOW), wire).issuer == "https://idp.example"
    assert len(wire.sent) == 1


def test_it_can_be_turned_off() -> None:
    site = Site(instance_discovery=False)
    assert site.metadata()
    assert site.asked == [METADATA]
    assert site.provider.aliases == ("login.newcloud.example",)


@pytest.mark.parametrize("address", [ADDRESS, f"http://localhost:8400/{TENANT}"])
def test_an_endpoint_of_ones_own_is_asked_instead(address: str) -> None:
    own = "https://discovery.private.example/instances"
    where = address.removesuffix(f"/{TENANT}")
    document = {name: text.replace(HOST, where) for name, text in DOCUMENT.items()}
    site = Site(address=address, metadata=answer(document), instance_discovery=own)
    site.metadata()
    assert [request.url for request in site.wire.sent] == [own, f"{address}{WELL_KNOWN}"]


def test_not_even_ones_own_is_asked_about_a_known_host() -> None:
    site = Site(
        address="https://login.microsoftonline.com/common",
        instance_discovery="https://discovery.private.example/instances",
    )
    with pytest.raises(MetadataError):
        site.metadata()
    assert site.asked == [METADATA]


@pytest.mark.parametrize(
    "wrong", ["", "yes", "http://discovery.example", "https://x.example?a=b", 1, 0, [], "//x"]
)
def test_what_is_no_instance_discovery_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="instance_discovery"):
        Provider(microsoft_authority(ADDRESS), instance_discovery=wrong)


def test_true_and_none_are_microsofts_own() -> None:
    assert discovery_endpoint(True) == discovery_endpoint(None) == PUBLIC_ENDPOINT
    assert discovery_endpoint(False) is None


@pytest.mark.parametrize("status", [400, 200, 404])
def test_a_host_that_microsoft_does_not_know_gets_no_request(status: int) -> None:
    unknown = {"error": "invalid_instance", "error_description": "AADSTS50049", "error_codes": [1]}
    site = Site(instance=answer(unknown, status))
    for _ in range(2):
        with pytest.raises(MetadataError, match=r"instance_discovery=False.*OIDC") as caught:
            site.metadata()
        assert isinstance(caught.value, ValueError)
        assert caught.value.code == "invalid_instance"
        assert "login.newcloud.example" in str(caught.value)
    assert site.asked == [INSTANCE, INSTANCE]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ProviderUnreachable("down"), ProviderUnreachable),
        (answer(b"<html>", 503), ProviderUnavailable),
        (answer({}, 429), ProviderUnavailable),
        (answer({}, 302), AnswerRefused),
    ],
)
def test_a_failure_is_worth_another_try(failure: Any, kind: type[TransportError]) -> None:
    site = Site(instance=[failure, vouching()])
    with pytest.raises(kind) as caught:
        site.metadata()
    assert caught.value.retryable
    assert site.metadata().realm == TENANT
    assert site.asked == [INSTANCE, INSTANCE, METADATA]


@pytest.mark.parametrize(
    "wrong",
    [
        answer(b"<html>"),
        answer(b"[]"),
        answer({}),
        answer({"tenant_discovery_endpoint": 1}),
        answer({"tenant_discovery_endpoint": f"{ADDRESS}{WELL_KNOWN}"}, 400),
        answer({"tenant_discovery_endpoint": f"{ADDRESS}{WELL_KNOWN}", "error": "x"}),
        answer({"error": "invalid_tenant"}, 400),
        answer(b"", 404),
    ],
)
def test_an_answer_that_says_nothing_vouches_for_nobody(wrong: Any) -> None:
    site = Site(instance=[wrong, vouching()])
    with pytest.raises(MetadataError) as caught:
        site.metadata()
    assert caught.value.code != "invalid_instance"
    assert site.metadata()


def test_the_names_of_its_cloud_are_learnt() -> None:
    site = Site()
    assert site.provider.aliases == ("login.newcloud.example",)
    site.metadata()
    assert site.provider.aliases == ("login.newcloud.example", ALIAS, "other.newcloud.example")


def test_the_names_of_a_known_cloud_are_known_without_the_network() -> None:
    provider = Provider(microsoft_authority("https://login.microsoftonline.us/common"))
    assert provider.aliases == ("login.microsoftonline.us", "login.usgovcloudapi.net")


@pytest.mark.parametrize(
    "rows",
    [
        [PUBLIC_ROW],
        [None],
        [{"aliases": None}],
        [{"aliases": "login.newcloud.example"}],
        [{"aliases": [1, None, "evil.example"]}],
        [{"aliases": ["login.newcloud.example/x", "login.newcloud.example@evil.example"]}],
    ],
)
def test_of_rows_that_do_not_name_the_host_nothing_is_learnt(rows: list[object]) -> None:
    site = Site(instance=vouching(f"{ADDRESS}{WELL_KNOWN}", *rows))
    site.metadata()
    assert site.provider.aliases == ("login.newcloud.example",)


def test_names_are_hosts_in_lower_case_without_ports() -> None:
    row = {"aliases": ["LOGIN.newcloud.example:443", "Other.example", "x y", "evil.example/", None]}
    site = Site(instance=vouching(f"{ADDRESS}{WELL_KNOWN}", row))
    site.metadata()
    assert site.provider.aliases == ("login.newcloud.example", "other.example")


def test_a_name_that_is_preferred_is_one_of_the_names() -> None:
    row = {"aliases": ["login.newcloud.example", ALIAS], "preferred_cache": "evil.example"}
    site = Site(instance=vouching(f"{ADDRESS}{WELL_KNOWN}", row))
    site.metadata()
    assert site.provider.aliases == ("login.newcloud.example", ALIAS)


def test_an_issuer_may_have_another_name_of_the_cloud() -> None:
    document = answer({**DOCUMENT, "issuer": f"https://{ALIAS}/{TENANT}/v2.0"})
    assert Site(metadata=document).metadata().issuer == f"https://{ALIAS}/{TENANT}/v2.0"
    for options in ({"instance_discovery": False}, {"instance": vouching(ADDRESS, PUBLIC_ROW)}):
        with pytest.raises(MetadataError, match="another issuer"):
            Site(metadata=document, **options).metadata()


@pytest.mark.parametrize(
    "issuer",
    [
        f"https://{ALIAS}/{OTHER}/v2.0",
        f"https://login.microsoftonline.com/{TENANT}/v2.0",
        f"https://{ALIAS}:444/{TENANT}/v2.0",
        f"http://{ALIAS}/{TENANT}/v2.0",
    ],
)
def test_another_cloud_or_tenant_stays_another(issuer: str) -> None:
    with pytest.raises(MetadataError, match="another issuer"):
        Site(metadata=answer({**DOCUMENT, "issuer": issuer})).metadata()


@pytest.mark.parametrize(
    ("answered", "followed"),
    [
        (f"https://{ALIAS}/{TENANT}{WELL_KNOWN}", True),
        (f"{HOST}/{TENANT}{WELL_KNOWN}", True),
        (f"https://evil.example/{TENANT}{WELL_KNOWN}", False),
        (f"http://{ALIAS}/{TENANT}{WELL_KNOWN}", False),
        (f"https://{ALIAS}:8443/{TENANT}{WELL_KNOWN}", False),
        (f"https://{ALIAS}@evil.example/{TENANT}{WELL_KNOWN}", False),
        (f"https://{ALIAS}/{OTHER}{WELL_KNOWN}", False),
        (f"https://{ALIAS}/{TENANT}/.well-known/openid-configuration", False),
        (f"https://{ALIAS}/{TENANT}{WELL_KNOWN}?x=y", False),
        ("https://login.microsoftonline.com/common" + WELL_KNOWN, False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_the_answers_address_is_followed_where_its_host_is_vouched_for(
    answered: str, followed: bool
) -> None:
    site = Site(instance=vouching(answered))
    site.metadata()
    assert site.wire.sent[-1].url == (answered if followed else f"{ADDRESS}{WELL_KNOWN}")

"""The redirect URI: from BASE_URL or from the framework, and never one that cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.web import Answer
from support.bare_site import BareSite
from support.provider import Provider


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def redirect_uri(answer: Answer) -> str:
    return parse_qs(urlsplit(answer.location).query)["redirect_uri"][0]


@pytest.mark.parametrize(
    ("scheme", "host"),
    [
        ("https", "site.example"),
        ("https", "site.example:8443"),
        ("http", "localhost:5000"),
        ("http", "127.0.0.1:5000"),
        ("http", "127.1.2.3"),
        ("http", "[::1]:5000"),
        ("http", "site.localhost:5000"),
    ],
)
def test_it_comes_from_the_framework(provider: Provider, scheme: str, host: str) -> None:
    with BareSite(provider.settings(), scheme=scheme, host=host) as site:
        assert redirect_uri(site.login()) == f"{scheme}://{host}/auth/callback"


@pytest.mark.parametrize(
    ("base_url", "root_path", "uri"),
    [
        ("https://site.example", "", "https://site.example/auth/callback"),
        ("https://site.example/", "", "https://site.example/auth/callback"),
        ("https://site.example", "/shop", "https://site.example/shop/auth/callback"),
        ("https://site.example/shop", "/shop", "https://site.example/shop/auth/callback"),
        ("https://site.example/shop", "", "https://site.example/shop/auth/callback"),
        ("https://site.example/a/b/", "/b", "https://site.example/a/b/auth/callback"),
        ("http://localhost:9000", "", "http://localhost:9000/auth/callback"),
    ],
)
def test_base_url_pins_it(provider: Provider, base_url: str, root_path: str, uri: str) -> None:
    settings = {**provider.settings(), "BASE_URL": base_url}
    with BareSite(settings, host="internal:8080", root_path=root_path) as site:
        assert redirect_uri(site.login()) == uri


@pytest.mark.parametrize("host", ["site.example", "10.0.0.7:5000", "localhost.evil.example", ""])
def test_plain_http_on_a_public_host_is_explained(provider: Provider, host: str) -> None:
    with BareSite(provider.settings(), host=host) as site:
        answer = site.login("next=/x")

        assert answer.status == 503
        assert answer.page is not None
        assert answer.page.code == "plain_http"
        assert "BASE_URL" in answer.page.text
        assert "ProxyFix" in answer.page.text
        assert "SECURE_PROXY_SSL_HEADER" in answer.page.text
        assert site.cookies == {}


@pytest.mark.parametrize("host", ["site.example", "localhost:5000"])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-proto", "HTTPS, http"),
        ("x-forwarded-ssl", "on"),
        ("x-forwarded-scheme", "https"),
        ("front-end-https", "On"),
        ("forwarded", 'for=1.2.3.4; proto="https"; by=x'),
    ],
)
def test_a_hidden_https_is_found_out_and_explained(
    provider: Provider, host: str, header: str, value: str
) -> None:
    with BareSite(provider.settings(), host=host, headers={header: value}) as site:
        page = site.login().page

        assert page is not None
        assert page.code == "behind_proxy"
        assert "ProxyFix" in page.text


def test_proxy_headers_are_never_trusted(provider: Provider) -> None:
    headers = {"x-forwarded-proto": "http", "x-forwarded-host": "evil.example"}
    with BareSite(provider.settings(), scheme="https", host="site.example", headers=headers) as s:
        assert redirect_uri(s.login()) == "https://site.example/auth/callback"


def test_with_base_url_no_proxy_header_matters(provider: Provider) -> None:
    settings = {**provider.settings(), "BASE_URL": "https://site.example"}
    with BareSite(settings, host="10.0.0.7", headers={"x-forwarded-proto": "https"}) as site:
        assert redirect_uri(site.login()) == "https://site.example/auth/callback"

"""Which redirect URIs are registered ones: exact, but for the port of loopback addresses."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from keyfob_emulator.redirects import csp_source, is_registered, with_fragment, with_query

HOSTS = ("localhost", "127.0.0.1", "[::1]")
REGISTERED = tuple(f"http://{host}/auth/callback" for host in HOSTS)
paths = st.text("abc/.-_~%2F?=&", max_size=20)
values = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4)


@given(st.sampled_from(HOSTS), st.integers(1, 65535))
def test_every_port_of_a_loopback_address_is_fine(host: str, port: int) -> None:
    assert is_registered(f"http://{host}:{port}/auth/callback", REGISTERED)


@given(st.sampled_from(HOSTS), st.integers(1, 65535), paths)
def test_the_rest_of_a_loopback_address_is_compared_exactly(
    host: str, port: int, path: str
) -> None:
    uri = f"http://{host}:{port}/{path}"
    assert is_registered(uri, REGISTERED) == (path == "auth/callback")


@given(st.text(max_size=60))
@example("http://localhost:80@evil.example/auth/callback")
@example("http://localhost:5000/auth/callback#fragment")
@example("http://localhost\\@evil.example/auth/callback")
@example("http://localhost.evil.example/auth/callback")
@example("http://evil.example/?http://localhost/auth/callback")
@example("http://localhost:5000/auth/callback\n")
@example("http://localhost:5000/auth/callback ")
@example("http://LOCALHOST/auth/callback")
@example("http://localhost:/auth/callback")
@example("http://localhost:0/auth/callback")
@example("http://localhost:65536/auth/callback")
@example("http://localhost:٣/auth/callback")
@example("http://[::1]evil/auth/callback")
@example("http://127.0.0.2/auth/callback")
@example("https://localhost/auth/callback")
@example("//localhost/auth/callback")
def test_what_is_accepted_leads_to_loopback_and_nowhere_else(uri: str) -> None:
    if is_registered(uri, REGISTERED):
        parts = urlsplit(uri)
        assert parts.hostname in {"localhost", "127.0.0.1", "::1"}
        assert (parts.scheme, parts.path, parts.query, parts.fragment, parts.username) == (
            "http",
            "/auth/callback",
            "",
            "",
            None,
        )


@given(st.integers(1, 65535))
def test_the_port_of_other_hosts_counts(port: int) -> None:
    registered = ("https://app.example/cb", "myapp://auth", "http://intranet:81/cb")
    assert is_registered("https://app.example/cb", registered)
    assert is_registered("myapp://auth", registered)
    assert not is_registered(f"https://app.example:{port}/cb", registered)
    assert is_registered(f"http://intranet:{port}/cb", registered) == (port == 81)


def test_a_loopback_address_registered_with_a_port_is_free_in_it_too() -> None:
    assert is_registered("http://localhost:9/x", ("http://localhost:5000/x",))
    assert is_registered("http://localhost/x", ("http://localhost:5000/x",))
    assert not is_registered("http://127.0.0.1:5000/x", ("http://localhost:5000/x",))


@given(values)
def test_answers_survive_the_way_through_query_and_fragment(answer: dict[str, str]) -> None:
    for base in ("http://localhost/cb", "http://localhost/cb?site=1"):
        query = urlsplit(with_query(base, answer)).query
        kept = [("site", "1")] if "?" in base else []
        read = parse_qsl(query, keep_blank_values=True)
        assert read == [*kept, *answer.items()]
    fragment = urlsplit(with_fragment("http://localhost/cb", answer)).fragment
    assert parse_qsl(fragment, keep_blank_values=True) == list(answer.items())


def test_csp_sources_are_origins_or_schemes() -> None:
    assert csp_source("http://localhost:5000/a?b=c;d") == "http://localhost:5000"
    assert csp_source("http://[::1]:5000/a") == "http:"
    assert csp_source("myapp://auth") == "myapp:"

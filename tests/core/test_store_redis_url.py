"""TOKEN_STORE values for Redis and Valkey: what they mean, and what is wrong with those that are
refused."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.web.stores import RedisStore, open_store, parse_store_url, redis_url
from keyfob.web.stores.redis_url import RedisUrl, parse_redis_url


def refused(url: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_redis_url(url)
    assert caught.value.setting == "TOKEN_STORE"
    message = str(caught.value)
    assert message.startswith("TOKEN_STORE ")
    assert "hunter2" not in message
    assert "hunter2" not in repr(caught.value.__cause__)
    return message


@pytest.mark.parametrize("scheme", ["redis", "valkey", "REDIS"])
def test_a_host_alone_is_its_default_port_and_database(scheme: str) -> None:
    assert parse_redis_url(f"{scheme}://cache.example") == RedisUrl(
        topology="standalone", hosts=(("cache.example", 6379),)
    )


def test_everything_that_a_server_can_have() -> None:
    found = parse_redis_url("redis://ada:p%40ss%2F@cache.example:6380/7?prefix=shop&timeout=0.5")
    assert found.hosts == (("cache.example", 6380),)
    assert (found.username, found.password, found.db) == ("ada", "p@ss/", 7)
    assert (found.prefix, found.timeout, found.tls) == ("shop", 0.5, None)


def test_a_password_without_a_user_name() -> None:
    found = parse_redis_url("redis://:secret@h")
    assert (found.username, found.password) == (None, "secret")
    found = parse_redis_url("redis://h?password=a%26b&username=ada&max_connections=3")
    assert (found.username, found.password, found.max_connections) == ("ada", "a&b", 3)


@pytest.mark.parametrize("scheme", ["rediss", "valkeys", "rediss+cluster", "valkeys+cluster"])
def test_a_certificate_is_checked_unless_it_is_said_not_to_be(scheme: str) -> None:
    assert parse_redis_url(f"{scheme}://h").tls == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
    options = "ssl_ca_certs=/etc/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"
    assert parse_redis_url(f"{scheme}://h?{options}&ssl_check_hostname=false").tls == {
        "ssl_ca_certs": "/etc/ca.pem",
        "ssl_certfile": "/c.pem",
        "ssl_keyfile": "/k.pem",
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": False,
    }
    assert parse_redis_url(f"{scheme}://h?ssl_cert_reqs=none").tls == {
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
    }


def test_a_socket_is_named_by_its_path() -> None:
    found = parse_redis_url("unix:///run/redis%20a/redis.sock?db=2")
    assert (found.socket, found.db, found.hosts) == ("/run/redis a/redis.sock", 2, ())
    found = parse_redis_url("unix://ada:pw@/run/redis.sock")
    assert (found.username, found.password, found.socket) == ("ada", "pw", "/run/redis.sock")


def test_sentinels_are_named_with_the_service_that_they_watch() -> None:
    found = parse_redis_url(
        "valkey+sentinel://:pw@a,b:1,[::1]:2/main/3?sentinel_password=other&sentinel_username=s"
    )
    assert found.topology == "sentinel"
    assert found.hosts == (("a", 26379), ("b", 1), ("::1", 2))
    assert (found.service, found.db, found.password) == ("main", 3, "pw")
    assert (found.sentinel_username, found.sentinel_password) == ("s", "other")
    assert parse_redis_url("redis+sentinel://a/main").db == 0


def test_a_cluster_is_named_by_some_of_its_servers() -> None:
    found = parse_redis_url("redis+cluster://:pw@a,b:7001/0")
    assert (found.topology, found.hosts) == ("cluster", (("a", 6379), ("b", 7001)))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://:hunter2@", "names no host"),
        ("redis+cluster://a,,b", "names no host"),
        ("redis://a,b", "redis+sentinel://"),
        ("redis://:hunter2@h:port", "percent-encoding"),
        ("redis://:hunter2@h:99999", "percent-encoding"),
        ("redis://:hun/ter2@h", "percent-encoding"),
        ("redis://:hunter2#@h", "'#' as %23"),
        ("redis://:hunter2?@h", "not known"),
        ("redis://[::1", "percent-encoding"),
        ("redis://h/one", "the number of a database"),
        ("redis://h/-1", "the number of a database"),
        ("redis://h/70000", "the number of a database"),
        ("redis://h/0/1", "the number of a database"),
        ("redis://h/1?db=1", "twice"),
        ("redis://h?db=x", "db that is no whole number"),
        ("redis://h?timeout=0", "0.1 to 60"),
        ("redis://h?timeout=nan", "0.1 to 60"),
        ("redis://h?timeout=61", "0.1 to 60"),
        ("redis://h?max_connections=0", "from 1 to 1000"),
        ("redis://h?prefix=a*b", "prefix"),
        ("redis://h?prefix=", "prefix"),
        ("redis://h?timeout=1&timeout=2", "twice"),
        ("redis://h?tiemout=1", "did you mean 'timeout'?"),
        ("redis://h?hunter2=1", "there are timeout"),
        ("redis://h?ssl_ca_certs=x", "write rediss:// or valkeys://"),
        ("rediss://h?ssl_cert_reqs=optional", "'required' nor 'none'"),
        ("rediss://h?ssl_check_hostname=perhaps", "'true' nor 'false'"),
        ("unix://", "must name a socket"),
        ("unix:///", "must name a socket"),
        ("unix:///run/", "must name a socket"),
        ("unix://run/redis.sock", "three slashes"),
        ("redis+sentinel://a", "must name the service"),
        ("redis+sentinel://a/", "must name the service"),
        ("redis+cluster://a/1", "only database 0"),
        ("redis+cluster://a?db=1", "not known"),
        ("redis://h?sentinel_password=hunter2", "not known"),
    ],
)
def test_what_is_wrong_is_said_without_showing_it(url: str, said: str) -> None:
    assert said in refused(url)


def test_nothing_that_is_shown_has_the_password() -> None:
    url = "rediss+sentinel://ada:hunter2@a/main?sentinel_password=hunter3"
    shown = f"{parse_redis_url(url)!r} {parse_redis_url(url)} {parse_store_url(url)!r}"
    assert "hunter" not in shown
    assert str(parse_redis_url(url)) == "rediss+sentinel://a:26379/main/0"
    assert str(parse_redis_url("redis+cluster://[::1]:7")) == "redis+cluster://[::1]:7"
    assert str(parse_redis_url("unix://:pw@/s")) == "unix:///s"


def test_a_value_of_the_setting_opens_the_store() -> None:
    store = open_store("valkeys://:pw@cache.example?prefix=shop")
    assert isinstance(store, RedisStore)
    assert store.is_local is False


def outcome(url: str) -> RedisUrl | ConfigurationError:
    try:
        return parse_redis_url(url)
    except ConfigurationError as error:
        return error


PAGE = (Path(__file__).parents[2] / "docs" / "token-stores.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("url", re.findall(r"`((?:redis|rediss|unix)[^` ]*://[^` ]+)`", PAGE))
def test_every_example_of_the_page_is_one(url: str) -> None:
    assert parse_redis_url(url)


def test_the_page_describes_every_option() -> None:
    described = set(
        re.findall(r"`(\w+)`", PAGE[PAGE.index("| option |") : PAGE.index("Each operation")])
    )
    known = {*redis_url._ALWAYS, *redis_url._TLS, *redis_url._SENTINEL, "db"}
    assert known <= described


@given(st.text(min_size=1), st.text(min_size=1), st.integers(0, 15))
def test_any_user_name_and_password_arrive_as_they_are(name: str, password: str, db: int) -> None:
    name, password = (text.encode("utf-8", "ignore").decode() or "x" for text in (name, password))
    url = f"redis://{quote(name, safe='')}:{quote(password, safe='')}@h:1/{db}"
    found = parse_redis_url(url)
    assert (found.username, found.password, found.db) == (name, password, db)


@given(
    st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "valkeys+cluster"]),
    st.text(alphabet=st.characters(codec="utf-8")) | st.text("ab:/@,?#[]=&%.0123456789"),
)
def test_any_text_is_a_url_or_an_error_that_does_not_show_it(scheme: str, rest: str) -> None:
    found = outcome(f"{scheme}://{rest}")
    if isinstance(found, ConfigurationError):
        assert found.setting == "TOKEN_STORE"
        assert found.__suppress_context__ or found.__context__ is None
    else:
        assert found.hosts or found.socket
        assert all(0 <= port <= 65535 and host for host, port in found.hosts)

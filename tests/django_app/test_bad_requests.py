"""Requests that no browser sends: never a failure of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

VIEWS = ["/auth/login", "/auth/callback", "/auth/logout", "/auth/logged-out"]
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "trace", "head"])
def test_other_methods_are_refused(path: str, method: str) -> None:
    status = getattr(Client(), method)(path).status_code
    assert status == 405 or (method == "head" and path == "/auth/login" and status in (302, 503))


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xfe%", FORM),
        (b"a=b", f"{FORM}; charset=utf-16"),
        (b"a=b", f"{FORM}; charset=nonsense"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"--x\r\nbroken", "multipart/form-data"),
        (b"{}", "application/json"),
        (b"&".join(b"a=b" for _ in range(2000)), FORM),
        (b"a=" + b"b" * 3_000_000, FORM),
        (b"state=" + b"b" * 100_000, FORM),
        (b"state=%00&code=%00&iss=%00&next=%00", FORM),
        (b"iss=%ff%fe&target_link_uri=%00", FORM),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_unreadable_forms_are_the_senders_mistake(
    path: str, body: bytes, content_type: str
) -> None:
    response = Client().generic("POST", path, body, content_type=content_type)
    assert response.status_code in (303, 400, 403, 405, 503)


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize(
    "query",
    [
        "&".join("a=b" for _ in range(2000)),
        "state=%00&code=%ff",
        "posted=x",
        "posted=%ff",
        "state=a&state=b",
        "next=//evil.example",
        "next=%00",
        "error=%00%ff&state=x",
        "state=%F0%9F%98%80%ED%A0%80",
    ],
)
def test_strange_addresses_are_the_senders_mistake(path: str, query: str) -> None:
    response = Client().get(f"{path}?{query}")
    assert response.status_code in (200, 302, 400, 405, 503)


@pytest.mark.parametrize("path", [*VIEWS, "/private", "/call"])
def test_a_foreign_host_is_refused(path: str) -> None:
    with override_settings(ALLOWED_HOSTS=["site.example"]):
        for headers in ({}, {"Accept": "application/json"}):
            response = Client().get(path, headers={"Host": "evil.example", **headers})
            assert response.status_code in (400, 405)


@pytest.mark.parametrize("path", VIEWS)
def test_no_view_of_ours_is_kept_by_a_cache(path: str) -> None:
    response: Any = Client().get(path)
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/callback?state=x", "/auth/logged-out"])
def test_a_database_that_is_down_is_a_page(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import OperationalError

    def fail(self: SessionStore) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(SessionStore, "load", fail)
    client = Client()
    client.cookies["sessionid"] = "a" * 32
    response = client.get(path)
    assert response.status_code == 503
    assert b"This site is not ready" in response.content
    assert b"connection refused" not in response.content


def test_strange_cookies_are_nobody() -> None:
    client = Client()
    client.cookies["sessionid"] = "\x7f" * 100
    assert client.get("/user").json()["is_authenticated"] is False

"""An HTTP client in MSAL's duck type that writes down what it sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

#: What clients ask before they start, each in its own way and at its own time.
_DISCOVERY = ("/.well-known/openid-configuration", "/discovery/instance", "/keys")


@dataclass(frozen=True)
class Sent:
    """One request, as the library meant it: without what requests itself adds."""

    method: str
    url: str
    query: dict[str, str]
    form: dict[str, str] | str
    headers: dict[str, str]

    @property
    def is_discovery(self) -> bool:
        return self.method == "GET" and self.url.endswith(_DISCOVERY)

    @property
    def kind(self) -> str:
        """What the request is for, in a word that both libraries' requests have in common."""
        grant = self.form.get("grant_type") if isinstance(self.form, dict) else None
        if grant:
            return grant.rpartition(":")[2]
        return self.url.rpartition("/")[2] or self.method


class Recorder:
    """Sends through a `requests.Session`, and keeps every request.

    Whatever else a library wishes of the connection means nothing without a network.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.sent: list[Sent] = []

    @property
    def for_tokens(self) -> list[Sent]:
        """All but the discovery."""
        return [request for request in self.sent if not request.is_discovery]

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> requests.Response:
        return self._send("GET", url, params, None, headers)

    def post(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | str | None = None,
        headers: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> requests.Response:
        return self._send("POST", url, params, data, headers)

    def close(self) -> None:
        """The session is its maker's."""

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        data: Mapping[str, Any] | str | None,
        headers: Mapping[str, Any] | None,
    ) -> requests.Response:
        parts = urlsplit(url)
        self.sent.append(
            Sent(
                method,
                parts._replace(query="", fragment="").geturl(),
                dict(parse_qsl(parts.query, keep_blank_values=True)) | _texts(params),
                data if isinstance(data, str) else _texts(data),
                {name.lower(): value for name, value in _texts(headers).items()},
            )
        )
        return self._session.request(method, url, params=params, data=data, headers=headers)


def _texts(given: Mapping[str, Any] | None) -> dict[str, str]:
    """What goes out: requests leaves out what is None, and sends the rest as text."""
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in (given or {}).items()
        if value is not None
    }

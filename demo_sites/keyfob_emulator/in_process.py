"""The provider without a socket: in the place of Microsoft's hosts inside one ``requests.Session``.

::

    session = requests.Session()
    emulator = mount(session)              # Microsoft's sign-in hosts in every cloud, and Graph
    session.get("https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration")
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from flask import Flask
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, HTTPResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from keyfob_emulator.authorities import B2C_SUFFIXES, EXTERNAL_ID_SUFFIX
from keyfob_emulator.clouds import CLOUDS
from keyfob_emulator.model import Directory, TenantKind
from keyfob_emulator.state import Emulator
from keyfob_emulator.web import FEDERATION_HOST, MICROSOFT_LOGIN, create_app

# Headers the environment sets itself.
_FRAMING: Final = frozenset({"content-length", "host", "transfer-encoding"})


class _OriginalResponse:
    """What requests looks for cookies in: the header block of ``http.client``."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.msg = Message()
        for name, value in headers:
            self.msg[name] = value

    def isclosed(self) -> bool:
        """Everything was read when the response was made."""
        return True

    def close(self) -> None:
        """Nothing is open."""


class EmulatorAdapter(BaseAdapter):
    """A transport adapter that hands requests to the provider's WSGI application.

    ``base_url`` is the address the provider believes to be at, ``origins`` are further ones. In the
    place of ``login.microsoftonline.com`` it also stands for every alias, sovereign cloud and
    Graph, for the hosts of the directory's customer tenants, and for the federation service. Mount
    the adapter at :attr:`urls`, or call :func:`mount`.
    """

    def __init__(
        self,
        emulator: Emulator | None = None,
        *,
        base_url: str = MICROSOFT_LOGIN,
        origins: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.emulator = emulator if emulator is not None else Emulator()
        base_url = base_url.rstrip("/")
        places = {base_url, *(origin.rstrip("/") for origin in origins)}
        if base_url == MICROSOFT_LOGIN:
            places.update(origin for cloud in CLOUDS for origin in cloud.origins)
            places.update(_customer_origins(self.emulator.directory))
            places.add(FEDERATION_HOST)
        self.urls = tuple(sorted(places))
        """Every address it answers at."""
        self.app: Flask = create_app(self.emulator, base_url=base_url, origins=places)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer a request. Timeouts, certificates and proxies mean nothing without a network."""
        del timeout, verify, cert, proxies
        parts = urlsplit(request.url or "")
        builder = EnvironBuilder(
            method=request.method or "GET",
            path=parts.path or "/",
            query_string=parts.query,
            base_url=f"{parts.scheme}://{parts.netloc}/",
            data=_body(request.body),
            headers=[
                (name, _text(value))
                for name, value in request.headers.items()
                if name.lower() not in _FRAMING
            ],
        )
        try:
            environ = builder.get_environ()
            chunks, status, headers = run_wsgi_app(self.app, environ, buffered=True)
            content = b"".join(chunks)
        except ConnectionResetError as error:
            raise requests.ConnectionError(str(error), request=request) from None
        finally:
            builder.close()
        response = _response(request, status, list(headers.items()), content)
        if not stream:
            response.content  # noqa: B018  Read now: nothing is left to come, and nothing is left open.
        return response

    def close(self) -> None:
        """Nothing is open."""


def _customer_origins(directory: Directory) -> Iterator[str]:
    """Where Azure AD B2C and External ID serve the directory's tenants."""
    for tenant in directory.tenants:
        names = [domain.partition(".")[0] for domain in tenant.domains]
        if tenant.kind is TenantKind.B2C:
            yield from (f"https://{name}{B2C_SUFFIXES[0]}" for name in names)
        elif tenant.kind is TenantKind.EXTERNAL_ID:
            for name in (*names, tenant.tenant_id):
                yield f"https://{name}{EXTERNAL_ID_SUFFIX}"


def _text(value: Any) -> str:
    """A header value: requests' own are text, those of an ``auth`` may be bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _body(body: Any) -> bytes:
    """A prepared body: nothing, text, bytes, a file, or an iterable of bytes."""
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        body = body.read()
    return b"".join(body) if body is not None and not isinstance(body, bytes) else body or b""


def _response(
    request: requests.PreparedRequest,
    status_line: str,
    headers: list[tuple[str, str]],
    content: bytes,
) -> requests.Response:
    code, _, reason = status_line.partition(" ")
    status = int(code)
    response = requests.Response()
    raw = HTTPResponse(
        io.BytesIO(content),
        headers=HTTPHeaderDict(headers),
        status=status,
        reason=reason.title() if reason != "OK" else reason,
        preload_content=False,
        original_response=_OriginalResponse(headers),  # type: ignore[arg-type]
    )
    response.status_code = status
    response.headers = CaseInsensitiveDict(raw.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.raw = raw
    response.reason = raw.reason or ""
    response.url = request.url or ""
    response.request = request
    requests.cookies.extract_cookies_to_jar(  # type: ignore[no-untyped-call]
        response.cookies, request, raw
    )
    return response


def mount(
    session: requests.Session,
    emulator: Emulator | None = None,
    *,
    base_url: str = MICROSOFT_LOGIN,
    origins: Iterable[str] = (),
) -> Emulator:
    """Put the provider into a session, at ``base_url`` and wherever else it stands.

    ``origins`` are further addresses, each an authority of its own: a regional host
    (``https://westus2.login.microsoft.com``), a custom domain, or one of the addresses managed
    identities have (:mod:`keyfob_emulator.managed_identity`). ``http`` is allowed for those.
    """
    adapter = EmulatorAdapter(emulator, base_url=base_url, origins=origins)
    for url in adapter.urls:
        session.mount(f"{url}/", adapter)
    return adapter.emulator

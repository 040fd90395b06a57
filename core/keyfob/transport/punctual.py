"""Connections that keep to the time of a whole exchange.

A socket's timeout begins anew with every byte, so a server that sends a byte now and then, in the
head of its answer too, would hold a thread for hours. Here every wait is for what is left.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

__all__ = ["PinnedAdapter", "PunctualAdapter"]


class _PunctualStream(io.RawIOBase):
    """A socket's stream, for so many seconds in all."""

    def __init__(self, stream: io.RawIOBase, sock: Any, seconds: float) -> None:
        self._stream = stream
        self._socket = sock
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        try:
            return self._stream.readinto(buffer)
        finally:
            self._socket.settimeout(self._seconds)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.close()


class _PunctualResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        # What urllib3 left of the total when the request had been sent.
        seconds = sock.gettimeout()
        if seconds is not None:
            self.fp = io.BufferedReader(_PunctualStream(self.fp.detach(), sock, seconds))

    def begin(self) -> None:
        super().begin()
        # urllib3 logs as a warning, word for word, what in the head is no header field; and that
        # may repeat what was sent. The fields before it count all the same.
        self.msg.defects = []
        if not self.msg.is_multipart():
            self.msg.set_payload("")


class _PunctualConnection(HTTPConnection):
    response_class = _PunctualResponse


class _PunctualTlsConnection(HTTPSConnection):
    response_class = _PunctualResponse


class _Pool(HTTPConnectionPool):
    # urllib3 states a protocol that its own connections do not keep to.
    ConnectionCls = _PunctualConnection  # pyright: ignore[reportAssignmentType]


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PunctualTlsConnection  # pyright: ignore[reportAssignmentType]


_POOLS = {"http": _Pool, "https": _TlsPool}


class PunctualAdapter(HTTPAdapter):
    """requests' adapter, with such connections. Give the time as urllib3's Timeout(total=...)."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class PinnedAdapter(PunctualAdapter):
    """Connections to one server, known by the SHA-1 of its certificate and by nothing else.

    Nobody vouches for the certificate, and it need not name the host: give `verify=False`, which
    turns those questions off. The answer to this one is awaited before anything is sent.
    """

    def __init__(self, fingerprint: str, **options: Any) -> None:
        self._fingerprint = fingerprint
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, assert_fingerprint=self._fingerprint, **options)

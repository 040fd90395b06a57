"""The only place that talks to providers: sends requests, bounds them, and drives flows."""

from keyfob.transport.driver import Transport, run
from keyfob.transport.http_client import HttpClientTransport
from keyfob.transport.requests_transport import DEFAULT_TIMEOUT, RequestsTransport

__all__ = ["DEFAULT_TIMEOUT", "HttpClientTransport", "RequestsTransport", "Transport", "run"]

"""The only place that talks to providers: sends requests, bounds them, and drives flows.

What is asynchronous is imported from its own module, so that nobody else pays for asyncio:
`async_driver`, `async_flights`, `async_http_client`, `httpx_transport`.
"""

from keyfob.transport.driver import Transport, run
from keyfob.transport.flights import Flights
from keyfob.transport.http_cache import HttpCache
from keyfob.transport.http_client import HttpClientTransport
from keyfob.transport.options import for_one_call, with_options
from keyfob.transport.requests_transport import DEFAULT_TIMEOUT, RequestsTransport
from keyfob.transport.throttle import CONFIDENTIAL_PAUSE, PUBLIC_PAUSE, ThrottledTransport

__all__ = [
    "CONFIDENTIAL_PAUSE",
    "DEFAULT_TIMEOUT",
    "PUBLIC_PAUSE",
    "Flights",
    "HttpCache",
    "HttpClientTransport",
    "RequestsTransport",
    "ThrottledTransport",
    "Transport",
    "for_one_call",
    "run",
    "with_options",
]

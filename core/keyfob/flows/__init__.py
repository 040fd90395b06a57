"""Whole operations, as generators: they yield a request and receive its answer.

A flow never does I/O, so that one body serves every driver, synchronous or not.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from keyfob.protocol.http import HttpRequest, HttpResponse

T = TypeVar("T")

#: A flow yields requests, receives answers (or has the transport's error raised at the yield),
#: and returns its result.
Flow = Generator[HttpRequest, HttpResponse, T]

__all__ = ["Flow"]

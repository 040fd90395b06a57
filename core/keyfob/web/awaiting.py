"""Calls that block, from a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """What `call` returns or raises, from a thread of the event loop's."""
    return await asyncio.to_thread(call)

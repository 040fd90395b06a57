"""The orders themselves, in memory: gone when the program ends."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

MOST = 50


@dataclass(frozen=True)
class Order:
    """What somebody ordered. `owner` is the person's key, which is told to nobody."""

    number: str
    item: str
    owner: str
    name: str
    office: str
    approved: bool = False

    def shown(self) -> dict[str, Any]:
        """For an answer."""
        return {name: value for name, value in asdict(self).items() if name != "owner"}


class Orders:
    """All orders; of one person the newest fifty."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._last = 0
        self._lock = threading.Lock()

    def of(self, owner: str) -> list[Order]:
        """A person's orders, the newest first."""
        with self._lock:
            return [o for o in reversed(self._orders.values()) if o.owner == owner]

    def waiting(self) -> list[Order]:
        """Everybody's orders that nobody has approved yet, the oldest first."""
        with self._lock:
            return [order for order in self._orders.values() if not order.approved]

    def place(self, owner: str, item: str, name: str, office: str) -> Order:
        """A new order."""
        with self._lock:
            self._last += 1
            order = Order(str(self._last), item, owner, name, office)
            self._orders[order.number] = order
            for old in [o.number for o in self._orders.values() if o.owner == owner][:-MOST]:
                del self._orders[old]
            return order

    def approve(self, number: str) -> Order | None:
        """The order, approved; None when there is none with that number."""
        with self._lock:
            if number not in self._orders:
                return None
            self._orders[number] = replace(self._orders[number], approved=True)
            return self._orders[number]

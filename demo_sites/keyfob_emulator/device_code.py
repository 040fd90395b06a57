"""Devices that wait for a person to sign in elsewhere (RFC 8628).

A device has two codes: a long one, which it polls with and which is never shown, and a short one,
which a person types on another machine. Both belong to one request, which is decided once.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keyfob_emulator.authorize import AuthorizationRequest
from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.grants import Grant

# RFC 8628 section 6.1: no vowels, so that no words come out, and nothing that looks alike.
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH: Final = 9
_MAXIMUM: Final = 5_000
_GRACE: Final = 0.5
"""Seconds a poll may come early: clocks and networks are not exact."""
_SLOWER: Final = 5
"""What ``slow_down`` adds to the interval (RFC 8628 section 3.5)."""


@dataclass
class DeviceRequest:
    """A device's request: undecided until it has a grant or was declined."""

    user_code: str
    request: AuthorizationRequest
    expires_at: float
    interval: float
    polled_at: float | None = None
    grant: Grant | None = None
    declined: bool = False

    @property
    def decided(self) -> bool:
        """Whether a person has said yes or no."""
        return self.declined or self.grant is not None


class DeviceCodes:
    """The devices that wait. Device codes are kept as digests only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._by_device: dict[str, DeviceRequest] = {}

    def new_user_code(self) -> str:
        """A short code that no waiting device has."""
        while True:
            code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
            if self.find(code) is None:
                return code

    def start(
        self, user_code: str, request: AuthorizationRequest, lifetime: float, interval: float
    ) -> str:
        """Let a device wait; gives the code it polls with."""
        device_code = f"B{secrets.token_urlsafe(64)}"
        waiting = DeviceRequest(user_code, request, self._clock() + lifetime, interval)
        with self._lock:
            self._by_device[_digest(device_code)] = waiting
            while len(self._by_device) > _MAXIMUM:
                del self._by_device[next(iter(self._by_device))]
        return device_code

    def find(self, user_code: str) -> DeviceRequest | None:
        """The undecided request behind a typed code; case, spaces and hyphens do not count."""
        wanted = "".join(user_code.split()).replace("-", "").upper()
        with self._lock:
            for waiting in self._by_device.values():
                if waiting.user_code == wanted and not waiting.decided:
                    return waiting if self._clock() < waiting.expires_at else None
        return None

    def decide(self, user_code: str, grant: Grant | None) -> bool:
        """Approve with a grant, decline with None; False when it is too late for that."""
        with self._lock:
            waiting = self.find(user_code)
            if waiting is None:
                return False
            waiting.grant, waiting.declined = grant, grant is None
            return True

    def poll(self, device_code: str, client_id: str) -> Grant:
        """The grant a device waits for, or why it has none yet (RFC 8628 section 3.5)."""
        with self._lock:
            waiting = self._by_device.get(_digest(device_code))
            if waiting is None or waiting.request.client.client_id != client_id:
                raise problem(70018)
            if self._clock() >= waiting.expires_at:
                raise problem(70020)
            if waiting.declined:
                raise problem(65004, error="authorization_declined")
            if waiting.grant is None:
                raise self._pending(waiting)
            return waiting.grant

    def _pending(self, waiting: DeviceRequest) -> ProtocolError:
        now, before = self._clock(), waiting.polled_at
        waiting.polled_at = now
        error = "authorization_pending"
        if before is not None and now - before < waiting.interval - _GRACE:
            error = "slow_down"
            waiting.interval += _SLOWER
        return problem(70016, error=error, interval=f"every {waiting.interval:g} seconds")

    def use(self, device_code: str) -> None:
        """Use a device code up. Of two polls at the same time only one gets past here."""
        with self._lock:
            if self._by_device.pop(_digest(device_code), None) is None:
                raise problem(70018)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()

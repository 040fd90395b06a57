"""A web API's bearer tokens: an unseen one beside a raw verification, and a remembered one."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from measure import Row, duration, medians, quickest, say, times
from sessions import SETTINGS
from world import AUTHORITY, CLIENT, CONTOSO, Wire, home_of, name_of

import keyfob
from keyfob.web.bearer import BearerChecks
from keyfob.web.settings import load_settings
from keyfob_emulator import Emulator

TOKENS = 100


def claims_of(number: int) -> dict[str, Any]:
    """As long as Microsoft's are."""
    now = int(time.time())
    return {
        "aud": CLIENT,
        "iss": f"{AUTHORITY}/v2.0",
        "iat": now - 300,
        "nbf": now - 300,
        "exp": now + 3600,
        "aio": "A" * 120,
        "azp": CLIENT,
        "azpacr": "1",
        "name": "Ada Keyring",
        "oid": home_of(number),
        "preferred_username": name_of(number),
        "rh": "1." + "I" * 40,
        "roles": ["Orders.Admin"],
        "scp": "Orders.Read Orders.Write",
        "sub": "s" * 43,
        "tid": CONTOSO,
        "uti": "u" * 22,
        "ver": "2.0",
    }


def rows() -> Iterator[Row]:
    say(f"{TOKENS:,} access tokens")
    emulator = Emulator()
    wire = Wire(emulator)
    client = keyfob.ConfidentialClientApplication(
        CLIENT, "secret", authority=AUTHORITY, http_client=wire
    )
    checks = BearerChecks(load_settings(SETTINGS, {}, source="flask"), client, time.time)
    tokens = [emulator.keys.sign(claims_of(number), CONTOSO) for number in range(TOKENS)]
    headers = [f"Bearer {token}" for token in tokens]
    for header in headers[:2]:
        checks.caller(header)  # the first fetches metadata and keys, the second is remembered
    unseen = unseen_of(headers[2:], checks)
    own, other = quickest(unseen, _raw(emulator, tokens[0]))
    name = "bearer check of an unseen token, beside one RSA-2048 verification"
    yield Row(
        name, duration(own), duration(other), f"{own / other:.2f}x", "<= 3x", own / other <= 3
    )
    quick, slow = medians(lambda: checks.caller(headers[1]), unseen)
    yield Row(
        "... of a remembered one, beside an unseen one",
        duration(quick),
        duration(slow),
        times(slow / quick),
        ">= 10x",
        slow / quick >= 10,
    )
    wire.close()


def unseen_of(headers: list[str], checks: BearerChecks) -> Callable[[], None]:
    """Checks of one token after the other, each of which is forgotten at once."""
    turns = itertools.cycle(headers)
    memory = checks._remembered._entries

    def call() -> None:
        checks.caller(next(turns))
        memory.popitem()

    return call


def _raw(emulator: Emulator, token: str) -> Callable[[], None]:
    """What cryptography takes for the signature alone."""
    public = emulator.keys.current("organisations").private.public_key()
    signed, _, last = token.rpartition(".")
    data = signed.encode()
    signature = base64.urlsafe_b64decode(last + "=" * (-len(last) % 4))
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()

    def call() -> None:
        public.verify(signature, data, scheme, digest)

    return call

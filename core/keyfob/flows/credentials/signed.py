"""A private key: what it signs proves the client (private_key_jwt)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from keyfob.flows import Flow, call
from keyfob.flows.credentials.credential import Occasion
from keyfob.flows.credentials.files import Watched
from keyfob.protocol.client_assertion import (
    Assertion,
    Signer,
    assertion_proof,
    refuse_other_methods,
    sign_assertion,
)
from keyfob.protocol.client_auth import Proof
from keyfob.protocol.pkce import RandomBytes

_log = logging.getLogger(__name__)


class SignedCredential:
    """A private key. An assertion serves all requests until shortly before it expires.

    The key is read when it is first needed. One that is in files is read again when they have
    changed and a new assertion is due, or when the provider refused the last one.

    :param signers: gives the key.
    :param claims: the application's own, for every assertion.
    """

    kind = "a private key"

    def __init__(
        self, signers: Watched[Signer], claims: Mapping[str, Any], random_bytes: RandomBytes
    ) -> None:
        self._signers = signers
        self._claims = dict(claims)
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        #: By client and audience. All of them are one application's: there are few.
        self._made: dict[tuple[str, str], Assertion] = {}

    def __repr__(self) -> str:
        return f"<SignedCredential: {self._signers!r}>"

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        refuse_other_methods(occasion.metadata)
        # Whoever finds one at hand waits for nobody, and for no thread to be started.
        made = self._at_hand(occasion)
        if made is None:
            made = yield from call(lambda: self._new(occasion))
        return assertion_proof(made.text)

    def refused(self) -> None:
        """The next assertion is a new one, for there may be a new key by now; where it cannot
        change, the next one would be no better."""
        if self._signers.files:
            with self._lock:
                self._made.clear()

    def _at_hand(self, occasion: Occasion) -> Assertion | None:
        made = self._made.get(_addressed(occasion))
        # One from the future was made before the clock was set back.
        if made is None or not made.issued_at <= occasion.now < made.usable_until:
            return None
        return made

    def _new(self, occasion: Occasion) -> Assertion:
        """Only one thread reads and signs; the others find what it made."""
        with self._lock:
            made = self._at_hand(occasion)
            if made is None:
                signer = self._signers.current()
                _warn_of_dates(signer, occasion.now)
                made = sign_assertion(
                    signer,
                    client_id=occasion.client_id,
                    metadata=occasion.metadata,
                    now=occasion.now,
                    random_bytes=self._random_bytes,
                    claims=self._claims,
                )
                self._made[_addressed(occasion)] = made
            return made


def _addressed(occasion: Occasion) -> tuple[str, str]:
    return occasion.client_id, occasion.metadata.token_endpoint


def _warn_of_dates(signer: Signer, now: float) -> None:
    if not signer.chain:
        return
    certificate, moment = signer.chain[0], datetime.fromtimestamp(now, timezone.utc)
    if certificate.not_after < moment:
        _log.warning(
            "The client's certificate expired on %s: the provider will refuse it. Renew it",
            certificate.not_after.isoformat(" "),
        )
    elif certificate.not_before > moment:
        _log.warning(
            "The client's certificate is not valid before %s; is the clock right?",
            certificate.not_before.isoformat(" "),
        )

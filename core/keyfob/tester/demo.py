"""What the tester knows of the local identity provider: where it is, and what it has to offer.

All of it is published, and good for nothing but development on one's own machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyfob.errors import TransportError
from keyfob.protocol.http import HttpRequest, strict_json
from keyfob.transport import RequestsTransport

ADDRESS = "http://localhost:8400"
HOW_TO_START = "python -m keyfob_emulator"
USER = "ada@contoso.example"
PASSWORD = "open-sesame"
API_SCOPE = "api://orders/Orders.Read"
#: Seconds; on one's own machine an answer is there at once or not at all.
_PATIENCE = 3.0


@dataclass(frozen=True)
class Sample:
    """One of its applications. `secret` is published, and "" for a public client."""

    word: str
    client_id: str
    secret: str
    tenant: str
    name: str
    good_for: str
    redirect_uri: str = ""


_SITE_REDIRECT = "http://localhost:5000/auth/callback"
SAMPLES = (
    Sample(
        "desktop",
        "de5c0000-0004-4de5-9b04-000000000004",
        "",
        # Not common, where Microsoft takes no passwords.
        "organizations",
        "Desktop tool",
        "public: browser, device code, password, silent",
    ),
    Sample(
        "site",
        "f1a5c000-0001-4f1a-9b01-000000000001",
        "flask-site-development-secret",
        "common",
        "Flask demo site",
        "confidential: authorization code, silent",
        _SITE_REDIRECT,
    ),
    Sample(
        "api",
        "0de50000-0005-40de-9b05-000000000005",
        "orders-api-development-secret",
        "contoso.example",
        "Orders API",
        "confidential: on behalf of who called it",
    ),
    Sample(
        "job",
        "da3e0000-0006-4da3-9b06-000000000006",
        "nightly-job-development-secret",
        "contoso.example",
        "Nightly job",
        "confidential: tokens in its own name",
    ),
)


def sample_with(client_id: str) -> Sample | None:
    return next((sample for sample in SAMPLES if sample.client_id == client_id), None)


@dataclass(frozen=True)
class Demo:
    """The local identity provider, whether or not it is running.

    :param address: where it is, without a slash at the end.
    """

    address: str = ADDRESS

    def is_there(self) -> bool:
        """Whether it answers at its address, and is what it should be."""
        transport = RequestsTransport(timeout=_PATIENCE)
        request = HttpRequest(
            "GET",
            f"{self.address}/common/v2.0/.well-known/openid-configuration",
            "the local identity provider",
            direct=True,
        )
        try:
            answer = transport.send(request)
            metadata = strict_json(answer.body)
        except (TransportError, ValueError):
            return False
        finally:
            transport.close()
        issuer = metadata.get("issuer") if isinstance(metadata, dict) else None
        return isinstance(issuer, str) and issuer.startswith(f"{self.address}/")

    def has(self, authority: str) -> bool:
        """Whether an authority is one of its own."""
        return authority.startswith(f"{self.address}/")

    def authority_of(self, sample: Sample) -> str:
        return f"{self.address}/{sample.tenant}"

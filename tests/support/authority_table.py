"""Reads the table of authorities: `authority_table.txt`, which is made for reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyfob.protocol.authority import Authority, microsoft_authority, oidc_authority
from keyfob.protocol.metadata import ProviderMetadata, parse_metadata
from support.sign_in import answer

TENANT = "11111111-aaaa-4bbb-8ccc-222222222222"
OTHER = "33333333-dddd-4eee-8fff-444444444444"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
_SHORT = {"<T>": TENANT, "<O>": OTHER, "<P>": PERSONAL}
_MANY = ("accepts", "refuses")


@dataclass
class Row:
    """One authority, in all its spellings, and whose issuers its metadata may name."""

    addresses: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    accepts: list[str] = field(default_factory=list)
    refuses: list[str] = field(default_factory=list)

    @property
    def authority(self) -> Authority:
        return authority_of(self.addresses[0])

    def metadata(self, issuer: str, **more: Any) -> ProviderMetadata:
        """The provider's document, judged."""
        document = {
            "issuer": issuer,
            "authorization_endpoint": f"{self.authority.url}/oauth2/authorize",
            "token_endpoint": self.facts["token"],
            "jwks_uri": f"{self.authority.url}/discovery/keys",
            **more,
        }
        return parse_metadata(self.authority, answer(document))


def authority_of(address: str) -> Authority:
    """An address of the table as an authority."""
    if address.startswith("oidc "):
        return oidc_authority(address.removeprefix("oidc "))
    return microsoft_authority(address)


def rows() -> list[Row]:
    """The table."""
    found: list[Row] = []
    for line in (Path(__file__).parent / "authority_table.txt").read_text("utf-8").splitlines():
        text = line.strip()
        for short, long in _SHORT.items():
            text = text.replace(short, long)
        if not text or text.startswith("#"):
            continue
        if not line.startswith(" "):
            if not found or found[-1].facts:
                found.append(Row())
            found[-1].addresses.append(text)
            continue
        name, _, value = text.partition(" ")
        if name in _MANY:
            getattr(found[-1], name).append(value.strip())
        else:
            assert name not in found[-1].facts, line
            found[-1].facts[name] = value.strip()
    return found

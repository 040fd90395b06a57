"""The header WWW-Authenticate: what an API says it wants (RFC 9110 §11.6.1, RFC 6750 §3).

One header may hold several challenges, and an answer several headers. What is read here comes from
another server, and may be anything: what cannot be read is left out, and nothing raises.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keyfob.protocol.http import strict_json

#: Characters of all headers together that are looked at: the rest is not read.
MAX_HEADER = 16_384
#: Characters of a claims challenge, as it is in the header and when it is written anew: it goes on
#: in an address. Those of Microsoft's APIs have some hundred.
MAX_CLAIMS = 2_048
#: Objects and lists in it: what is nested a thousand deep would end whoever reads it.
_MAX_PARTS = 100

# RFC 9110 §5.6.2, §5.6.4 and §11.2; `token68` is a scheme's one value in the place of parameters.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# What some write without the quotes that it needs: base64, and addresses.
_BARE = r"[!#$%&'*+./:^_`|~0-9A-Za-z-]+=*"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PIECE = re.compile(
    rf"[ \t]*(?:,|(?P<name>{_TOKEN})[ \t]*=[ \t]*(?P<value>{_QUOTED}|{_BARE})(?=[ \t]*(?:,|$))"
    rf"|(?P<scheme>{_TOKEN})(?=[ \t,]|$)"
    r"(?: +(?P<token68>[A-Za-z0-9._~+/-]+=*)(?=[ \t]*(?:,|$)))?)",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Challenge:
    """One challenge.

    :ivar scheme: such as `Bearer`, as it was written; compare it in lower case.
    :ivar parameters: by lower-case name, unquoted.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def build_challenge(scheme: str, parameters: Mapping[str, str]) -> str:
    """One challenge as a header's value; parameters that are empty are left out.

    :raises ValueError: a name or a value holds what no header can.
    """
    parts = []
    for name, value in parameters.items():
        if not value:
            continue
        if not re.fullmatch(_TOKEN, name) or not _PRINTABLE.fullmatch(value):
            raise ValueError(f"The parameter {name!r} holds what no header can")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'{name}="{escaped}"')
    return f"{scheme} {', '.join(parts)}" if parts else scheme


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """All challenges of an answer that can be read, in their order.

    Reading a header ends where it breaks the grammar: what stands before that counts. Of a
    parameter that comes twice in a challenge the first counts.

    :param headers: the values of its WWW-Authenticate headers.
    """
    found: list[tuple[str, dict[str, str]]] = []
    room = MAX_HEADER
    for header in headers:
        text, place = header[:room], 0
        room -= len(text)
        current: dict[str, str] | None = None
        while place < len(text):
            piece = _PIECE.match(text, place)
            if piece is None:
                break
            place = piece.end()
            if piece["scheme"] is not None:
                current = {}
                found.append((piece["scheme"], current))
            elif piece["name"] is not None:
                if current is None:
                    break
                current.setdefault(piece["name"].lower(), _unquoted(piece["value"]))
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def encode_claims(claims: str) -> str:
    """A claims challenge as it stands in the header: base64, which needs no quoting."""
    return base64.b64encode(claims.encode()).decode()


def claims_challenge(headers: Sequence[str]) -> str:
    """The claims challenge of an answer with status 401, as JSON text; "" where there is none.

    Microsoft Graph and its kin write it as base64 (either alphabet, with or without padding);
    others write the JSON object itself.
    """
    for challenge in parse_challenges(headers):
        if challenge.scheme.lower() != "bearer":
            continue
        claims = _decoded(challenge.parameters.get("claims", ""))
        if claims:
            return claims
    return ""


def _decoded(value: str) -> str:
    if not value or len(value) > MAX_CLAIMS:
        return ""
    text = value
    if not value.lstrip().startswith("{"):
        try:
            padded = value.rstrip("=").replace("-", "+").replace("_", "/")
            text = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode()
        except (binascii.Error, UnicodeError, ValueError):
            return ""
    if text.count("{") + text.count("[") > _MAX_PARTS:
        return ""
    try:
        document = strict_json(text.encode())
        if not isinstance(document, dict):
            return ""
        # Written anew: what travels on is JSON of ASCII alone, whatever came.
        anew = json.dumps(document, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return ""
    return anew if len(anew) <= MAX_CLAIMS else ""

"""What a token, a refusal, a person and a cache look like in eighty columns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keyfob.cache import SerializableTokenCache
from keyfob.cache.entries import CredentialType, Entry, epoch
from keyfob.protocol.unverified import unverified_claims
from keyfob.tester.advice import Advice
from keyfob.tester.kept import kept
from keyfob.tester.masking import masked
from keyfob.tester.terminal import Terminal
from keyfob.tester.times import until

_SOURCES = {
    "cache": "the cache; nothing was sent",
    "identity_provider": "the identity provider",
}
#: What the claims mean that nobody remembers (OpenID Connect Core §2 and §5.1, Microsoft's own).
_MEANINGS = {
    "acr": "how they proved themselves",
    "amr": "how they proved themselves",
    "at_hash": "ties it to the access token",
    "aud": "for which application",
    "auth_time": "when they signed in",
    "azp": "asked for by",
    "exp": "valid until",
    "iat": "issued",
    "idp": "who signed a guest in",
    "iss": "issued by",
    "nbf": "valid from",
    "nonce": "ties it to the attempt",
    "oid": "the person, in this tenant",
    "preferred_username": "a name to show, not a key",
    "sid": "the session there",
    "sub": "the person, here",
    "tfp": "the user flow",
    "tid": "their tenant",
}
_MOMENTS = frozenset({"exp", "iat", "nbf", "auth_time", "updated_at", "xms_tcdt"})
_KINDS = {
    CredentialType.ACCESS_TOKEN: "Access token",
    CredentialType.REFRESH_TOKEN: "Refresh token",
    CredentialType.ID_TOKEN: "ID token",
    CredentialType.ACCOUNT: "Account",
}
_CACHE_COLUMNS = (("Kind", 13), ("User", 22), ("Scopes", 18), ("Expires", 10), ("Size", 6))
_MOST_LINES = 60


def result(terminal: Terminal, answer: Mapping[str, Any], now: float, who: str = "") -> None:
    """A token response: the key facts first, then what came along with it.

    :param who: whose token it is, where the response does not say.
    """
    claims = answer.get("id_token_claims")
    who = (person(claims) if isinstance(claims, Mapping) else "") or who
    terminal.line(f"Here is a token for {who}." if who else "Here is a token.", "good")
    expires = epoch(answer.get("expires_in"))
    source = str(answer.get("token_source", ""))
    kind = str(answer.get("token_type", "")) or "Bearer"
    terminal.facts(
        [
            ("Access token", f"{masked(str(answer.get('access_token', '')))}, {kind}"),
            ("Came from", _SOURCES.get(source, source)),
            ("Expires", moment(now + expires, now) if expires is not None else "not said"),
            ("Renewed from", moment(epoch(answer.get("refresh_on")), now)),
            ("Good for", str(answer.get("scope", ""))),
            ("Refresh token", _masked_or_nothing(answer, "refresh_token")),
            ("ID token", _masked_or_nothing(answer, "id_token")),
        ]
    )


def refusal(terminal: Terminal, advice: Advice, head: str) -> None:
    """Why something did not work, and what to do."""
    terminal.paragraph(f"{head} {advice.sentence}.".strip(), style="bad")
    terminal.facts(
        [
            ("It says", advice.said),
            ("Error", advice.names),
            ("Correlation id", advice.correlation_id),
            ("What to do", advice.cure),
        ]
    )


def person(claims: Mapping[str, Any]) -> str:
    """Who the claims are about: `Ada Keyring (ada@contoso.example)`."""
    name = str(claims.get("name") or "")
    username = next(
        (str(claims[key]) for key in ("preferred_username", "upn", "email") if claims.get(key)), ""
    )
    if name and username:
        return f"{name} ({username})"
    return name or username or str(claims.get("sub") or "")


def claims_table(terminal: Terminal, claims: Mapping[str, Any], now: float) -> None:
    """An ID token's claims, one a line, with what they mean."""
    width = min(24, max(map(len, claims), default=0))
    rows = []
    for name, value in claims.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if name in _MOMENTS and epoch(value) is not None:
            text = moment(epoch(value), now)
        if name in _MEANINGS:
            meaning = f"({_MEANINGS[name]})"
            fits = len(text) + len(meaning) + 2 <= terminal.value_width(width)
            text += f"  {meaning}" if fits else f"\n{meaning}"
        rows.append((name, text or '""'))
    terminal.facts(rows, width)


def answer_of_api(terminal: Terminal, status: int, document: Any) -> None:
    """What an API said, as JSON."""
    terminal.line(f"HTTP {status}", "good" if status < 400 else "bad")
    lines = json.dumps(document, indent=2, ensure_ascii=False).splitlines()
    for line in lines[:_MOST_LINES]:
        terminal.line(f"  {line}")
    if len(lines) > _MOST_LINES:
        terminal.line(f"  … and {len(lines) - _MOST_LINES} lines more")


def cache_table(
    terminal: Terminal, cache: SerializableTokenCache, names: Mapping[str, str], now: float
) -> None:
    """Everything that the cache holds, and no secret of it, by the application it is for.

    :param names: of applications, by their client ids.
    """
    held = kept(cache)
    users = _users(held)
    groups: dict[str, list[tuple[str, ...]]] = {}
    for section in _KINDS:
        for entry in held.get(section, ()):
            groups.setdefault(str(entry.get("client_id") or ""), []).append(
                _row(section, entry, users, now)
            )
    if not groups:
        terminal.paragraph("The cache is empty: get a token first.")
    for client_id in sorted(groups):
        if client_id:
            name = names.get(client_id, "Application")
            terminal.line(f"{name} {client_id}", "bold")
        else:
            terminal.line("Accounts, for all applications", "bold")
        table(terminal, _CACHE_COLUMNS, groups[client_id])
        terminal.line()


def table(
    terminal: Terminal, columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[str]]
) -> None:
    """Rows under a head. What is too wide for its column goes on below, in the same column."""
    terminal.line("  " + "  ".join(f"{name:<{width}}" for name, width in columns).rstrip(), "dim")
    widths = [width for _, width in columns]
    for row in rows:
        cells = [list(_broken(cell, width)) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells))):
            line = (
                f"{(cell[number] if number < len(cell) else ''):<{width}}"
                for cell, width in zip(cells, widths, strict=True)
            )
            terminal.line("  " + "  ".join(line).rstrip())


def moment(when: float | None, now: float) -> str:
    """A time, by how far it is and by this machine's clock: `in 57 min (14:05:10)`."""
    if when is None:
        return ""
    form = "%H:%M:%S" if abs(when - now) < 12 * 3600 else "%Y-%m-%d %H:%M"
    try:
        return f"{until(when, now)} ({time.strftime(form, time.localtime(when))})"
    except (ValueError, OverflowError, OSError):
        return "at no time that this machine can name"


def _row(section: str, entry: Entry, users: Mapping[str, str], now: float) -> tuple[str, ...]:
    home = entry.get("home_account_id")
    user = users.get(home, home) if isinstance(home, str) else "(the application)"
    secret = str(entry.get("secret") or "")
    if section == CredentialType.ACCOUNT:
        # No secret and no end; as whose account it is known is what matters.
        return _KINDS[section], user, f"realm {entry.get('realm') or '?'}", "", ""
    expires = None
    if section == CredentialType.ACCESS_TOKEN:
        expires = epoch(entry.get("expires_on"))
    elif section == CredentialType.ID_TOKEN:
        expires = epoch((unverified_claims(secret) or {}).get("exp"))
    scopes = str(entry.get("target") or "-")
    return _KINDS[section], user, scopes, until(expires, now) or "unknown", f"{len(secret):,}"


def _users(held: Mapping[str, Sequence[Entry]]) -> dict[str, str]:
    return {
        str(entry.get("home_account_id")): str(entry.get("username") or "(no user name)")
        for entry in held.get(CredentialType.ACCOUNT, ())
    }


def _broken(cell: str, width: int) -> Iterator[str]:
    """The cell in lines of at most `width`; longer words are broken, behind a slash if possible."""
    line = ""
    for word in cell.split() or [""]:
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while len(line) > width:
            end = line.rfind("/", 0, width) + 1 or width
            yield line[:end]
            line = line[end:]
    yield line


def _masked_or_nothing(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return masked(value) if isinstance(value, str) and value else ""

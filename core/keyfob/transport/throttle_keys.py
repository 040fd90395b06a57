"""Which requests are the same one: keys that hold no secret, and that no two people share.

Whatever a request says tells it apart from others, except for a few members that are known to say
nothing about whom it is for. So a member that nobody thought of here divides more than it need; it
never lets one person's error answer another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from keyfob.protocol.http import HttpRequest
from keyfob.transport.http_cache import PREFIX

#: Members of a token request that may change between two tries of the same one: how the client
#: proves itself. (A password is no part of any key but by a secret of this process: whoever finds
#: the key could guess it.)
_PROOFS = frozenset({"client_secret", "client_assertion", "client_assertion_type", "password"})
#: Headers that say who is asking and not for whom. Everything else divides, X-AnchorMailbox too.
_NEUTRAL_HEADERS = frozenset(
    {
        "accept",
        "client-request-id",
        "content-type",
        "return-client-request-id",
        "user-agent",
        "x-app-name",
        "x-app-ver",
        "x-client-cpu",
        "x-client-current-telemetry",
        "x-client-last-telemetry",
        "x-client-os",
        "x-client-sku",
        "x-client-ver",
        "x-ms-lib-capability",
    }
)
#: Members of a form that are no secret, whatever they hold.
_PUBLIC = frozenset(
    {
        "claims",
        "client_assertion_type",
        "client_id",
        "client_info",
        "grant_type",
        "redirect_uri",
        "requested_token_use",
        "resource",
        "scope",
        "token_type",
        "user_id",
        "username",
    }
)
#: Characters. A shorter text may stand anywhere by chance, and only a password is as short.
_TELLING = 8


def need_key(request: HttpRequest) -> str:
    """What the request is for: address, client, scope, grant and person, however it is proven."""
    form = {name: text for name, text in (request.form or {}).items() if name not in _PROOFS}
    headers = _telling(request.headers)
    if "authorization" in headers:
        headers["authorization"] = _client_of(headers["authorization"])
    return _key("need", request, form, headers)


def exact_key(request: HttpRequest, pepper: bytes) -> str:
    """The request, word for word.

    :param pepper: a secret of this process, without which a password cannot be told from the key.
    """
    form = dict(request.form or {})
    if "password" in form:
        form["password"] = hmac.new(
            pepper, form["password"].encode("utf-8", "surrogatepass"), "sha256"
        ).hexdigest()
    return _key("exact", request, form, _telling(request.headers))


def document_key(request: HttpRequest) -> str:
    """The public document that the request is for."""
    return _key("document", request, {}, {})


def quotes_a_secret(request: HttpRequest, body: bytes) -> bool:
    """Whether an answer repeats what nobody else may see, as a debug page may do."""
    form = dict(request.form or {})
    sent = [text for name, text in form.items() if name not in _PUBLIC and len(text) >= _TELLING]
    sent += [text for text in _telling(request.headers).values() if len(text) >= _TELLING]
    sent += [form["password"]] if form.get("password") else []
    return any(spelled in body for text in sent for spelled in _spellings(text))


def _spellings(text: str) -> set[bytes]:
    """How a page or a JSON document would repeat a text."""
    quoted = quote(text, errors="replace"), quote_plus(text, errors="replace")
    escaped = html.escape(text), json.dumps(text)[1:-1]
    return {spelled.encode("utf-8", "replace") for spelled in (text, *quoted, *escaped)}


def _key(
    kind: str, request: HttpRequest, form: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    facts = [
        kind,
        request.method,
        request.url,
        _sorted(request.params.items()),
        _sorted(form.items()),
        _sorted(headers.items()),
    ]
    # ASCII, and half a surrogate pair is written out: every text has one form, and none fails.
    digest = hashlib.sha256(json.dumps(facts).encode("ascii")).hexdigest()
    return f"{PREFIX}{kind}:{digest}"


def _sorted(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    return sorted([str(name), str(text)] for name, text in pairs)


def _telling(headers: Mapping[str, str]) -> dict[str, str]:
    named = {name.lower(): text for name, text in headers.items()}
    return {name: text for name, text in named.items() if name not in _NEUTRAL_HEADERS}


def _client_of(authorization: str) -> str:
    """Of a client's Basic credentials its id, so that they may change; anything else as it is."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, colon, _ = base64.b64decode(credentials, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return authorization
        if colon:
            return f"{scheme} {client_id.hex()}"
    return authorization

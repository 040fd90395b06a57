"""What can be counted and measured: names, units, and the few values each attribute can have.

Names follow OpenTelemetry's semantic conventions: dots between namespaces, durations in seconds,
units in UCUM's writing, `error.type` for what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from keyfob import errors

#: What stands in the place of every value that is not of its attribute's set.
OTHER = "_OTHER"

#: Attributes by their short names, which the code uses, and those that are shown.
ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "store": "keyfob.store",
        "operation": "keyfob.operation",
        "outcome": "keyfob.outcome",
        "purpose": "keyfob.purpose",
        "scope": "keyfob.scope",
        "channel": "keyfob.channel",
        "state": "keyfob.state",
        "error": "error.type",
    }
)

#: Finer than the class of an error is, and worth telling apart.
_FINER = (
    *("lease_timeout", "record_too_large", "throttled", "tokens_lost", "tenant_not_allowed"),
    *("foreign_issuer", "iss_mismatch", "iss_missing", "too_large", "timeout"),
    *("index_contention", "store_refused"),
)
#: The checks of ID tokens and logout tokens, most of them called as the claim that failed.
_CHECKS = (
    *("algorithm", "aud", "auth_time", "azp", "events", "exp", "iat", "iss", "jti", "key_issuer"),
    *("malformed", "missing", "nbf", "nonce", "oid", "replayed", "signature", "sub", "tid"),
    *("unknown_key", "unsupported_header", "wrong_type"),
)
#: RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6.
_OAUTH = (
    *("invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type"),
    *("invalid_scope", "server_error", "temporarily_unavailable", "invalid_client"),
    *("invalid_grant", "unsupported_grant_type", "interaction_required", "login_required"),
    *("account_selection_required", "consent_required"),
)
ERROR_TYPES: frozenset[str] = frozenset(
    {getattr(errors, name).code for name in errors.__all__} | {*_FINER, *_CHECKS, *_OAUTH}
)
#: What keeps a caller out of a web API of ours: the checks of access tokens, and what they allow.
BEARER_ERRORS: frozenset[str] = frozenset(
    {
        *("access_token", "bound", "client_not_allowed", "encrypted", "id_token", "idtyp"),
        *("insufficient_claims", "insufficient_scope", "no_permissions", "permission_missing"),
        *("proxied", "role", "roles", "scope", "scp", "tenant_not_allowed", "ver", *_CHECKS),
    }
)

STORES = frozenset({"memory", "sqlite", "redis", "django-db", "django-cache"})
#: An operation of a store, and how the outcome is called where there was something, or not.
OPERATIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "load": ("found", "absent"),
        "version": ("found", "absent"),
        "create": ("done", "refused"),
        "replace": ("done", "refused"),
        "extend": ("done", "absent"),
        "delete": ("done", "absent"),
        "clear_expired": ("done", "done"),
    }
)

#: Upper ends of a histogram's buckets: OpenTelemetry's own are made for milliseconds.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BYTES = tuple(float(1024 * 2**power) for power in range(11))


@dataclass(frozen=True)
class Metric:
    """One counter or histogram.

    :ivar unit: as in UCUM: `s`, `By`, or a thing in braces.
    :ivar attributes: by their short names, the values that each can have, besides `_OTHER`.
    :ivar buckets: a histogram's upper ends, in its unit.
    """

    name: str
    kind: Literal["counter", "histogram"]
    unit: str
    description: str
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


def _of(**values: Iterable[str]) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({name: frozenset(given) for name, given in values.items()})


DOCUMENT_READS = Metric(
    "keyfob.document.reads",
    "counter",
    "{read}",
    "Times that a session's document was asked for: `hit` without the store, `revalidated` after "
    "the store was asked for its version only, `stale` where that had changed, `miss` where this "
    "process remembered none.",
    _of(outcome=("hit", "revalidated", "stale", "miss")),
)
DOCUMENT_SIZE = Metric(
    "keyfob.document.size",
    "histogram",
    "By",
    "Size of a session's document, before it is sealed.",
    _of(operation=("load", "create", "replace")),
    _BYTES,
)
STORE_DURATION = Metric(
    "keyfob.store.operation.duration",
    "histogram",
    "s",
    "Duration of one operation of the token store.",
    _of(
        store=STORES,
        operation=OPERATIONS,
        outcome=(*(name for pair in OPERATIONS.values() for name in pair), "failed"),
        error=ERROR_TYPES,
    ),
    _SECONDS,
)
STORE_REJECTIONS = Metric(
    "keyfob.store.rejections",
    "counter",
    "{operation}",
    "Operations that failed at once, because the token store could not be reached a moment ago.",
)
STORE_CIRCUIT = Metric(
    "keyfob.store.circuit.changes",
    "counter",
    "{change}",
    "Times that this process stopped asking the token store (`open`), and began again (`closed`).",
    _of(state=("open", "closed")),
)
UNREADABLE_RECORDS = Metric(
    "keyfob.store.unreadable_records",
    "counter",
    "{record}",
    "Records that could not be unsealed, and were removed.",
)
REFRESH_DURATION = Metric(
    "keyfob.token.refresh.duration",
    "histogram",
    "s",
    "Duration of a token's refresh, without waiting for others: `renewed` by the provider, "
    "`shared` where another request had just done it, `unavailable` where there was nothing to "
    "refresh with, `refused` by the provider, `failed` without a usable answer.",
    _of(
        purpose=("token", "account_check"),
        outcome=("renewed", "shared", "unavailable", "refused", "failed"),
        error=ERROR_TYPES,
    ),
    _LONG,
)
REFRESH_WAIT = Metric(
    "keyfob.token.refresh.wait.duration",
    "histogram",
    "s",
    "Time before a refresh in which others refresh the same session: those of this `process`, "
    "then those of all that share the `store`, by a lease.",
    _of(scope=("process", "store"), outcome=("acquired", "failed"), error=ERROR_TYPES),
    _LONG,
)
SIGN_IN_ATTEMPTS = Metric(
    "keyfob.sign_in.attempts",
    "counter",
    "{attempt}",
    "Browsers sent to the provider: by a `person`, or for a `renewal` without a page.",
    _of(purpose=("person", "renewal")),
)
SIGN_INS = Metric(
    "keyfob.sign_ins",
    "counter",
    "{sign_in}",
    "Sign-ins that came back: `done`, `refused` by the provider, `failed` at our checks, or "
    "`unknown` where the answer belongs to no attempt of this browser.",
    _of(
        purpose=("person", "renewal"),
        outcome=("done", "refused", "failed", "unknown"),
        error=ERROR_TYPES,
    ),
)
SIGN_OUTS = Metric(
    "keyfob.sign_outs",
    "counter",
    "{session}",
    "Sessions that were ended: by the `site`'s own form, by the provider in the `frontchannel` or "
    "`backchannel`, `everywhere` for one account, or at a `renewal` that the provider refused.",
    _of(channel=("site", "frontchannel", "backchannel", "everywhere", "renewal")),
)

LOGOUT_REFUSALS = Metric(
    "keyfob.sign_out.refused_tokens",
    "counter",
    "{token}",
    "Logout tokens of the back channel that were not believed.",
    _of(error=ERROR_TYPES),
)

BEARER_REFUSALS = Metric(
    "keyfob.bearer.refusals",
    "counter",
    "{request}",
    "Requests to a web API of ours with a bearer token that was refused, or allowed too little.",
    _of(error=BEARER_ERRORS),
)

METRICS: tuple[Metric, ...] = (
    DOCUMENT_READS,
    DOCUMENT_SIZE,
    STORE_DURATION,
    STORE_REJECTIONS,
    STORE_CIRCUIT,
    UNREADABLE_RECORDS,
    REFRESH_DURATION,
    REFRESH_WAIT,
    SIGN_IN_ATTEMPTS,
    SIGN_INS,
    SIGN_OUTS,
    LOGOUT_REFUSALS,
    BEARER_REFUSALS,
)


def metrics_as_markdown() -> str:
    """The table of docs/observability.md."""
    lines = ["| metric | unit | attributes | what it tells |", "|---|---|---|---|"]
    for metric in METRICS:
        shown = "<br>".join(
            f"`{ATTRIBUTES[name]}`" + ("" if name == "error" else f": {_listed(values)}")
            for name, values in metric.attributes.items()
        )
        lines.append(
            f"| `{metric.name}` ({metric.kind}) | `{metric.unit}` | {shown} "
            f"| {metric.description} |"
        )
    return "\n".join(lines) + "\n"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in sorted(values))

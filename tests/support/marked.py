"""What was secret in a run, and where it might show: logs, warnings, reprs, exceptions, output."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote_plus

from support.provider import Provider
from support.provider_http import Answer, Reply, Request

if TYPE_CHECKING:
    from typing_extensions import Self

#: Form fields and members of answers that nobody but the two ends may see.
SECRET_NAMES = frozenset(
    {
        "access_token", "assertion", "client_assertion", "client_secret", "code", "code_verifier",
        "device_code", "id_token", "password", "refresh_token", "req_cnf", "nonce",
        "user_federated_identity_credential",
    }
)  # fmt: skip
#: Characters. Who cuts a secret to a length shows most of it all the same.
_HEAD = 20
#: Those hold the request, and with it everything in it.
_FOREIGN = re.compile(r"[/\\](requests|urllib3|httpx|httpcore|anyio|http|json)[/\\]")

Trouble = Callable[[Request, str], Answer]


@dataclass
class Marked:
    """Every secret that was met, whoever made it."""

    secrets: set[str] = field(default_factory=set)

    def add(self, *secrets: str) -> None:
        # The provider's own names of errors and the like are no secrets, and shorter.
        self.secrets |= {one for one in secrets if len(one) >= 9}

    def learn(self, value: Any) -> None:
        """Take up what a form, an answer, a flow or a result has by a secret's name."""
        if isinstance(value, Mapping):
            for name, item in value.items():
                if name in SECRET_NAMES and isinstance(item, str):
                    self.add(item)
                else:
                    self.learn(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self.learn(item)

    def learn_headers(self, headers: Mapping[str, str]) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        self.add(given)
        if scheme.lower() == "basic":
            pair = base64.b64decode(given).decode()
            self.add(*(unquote_plus(part) for part in pair.split(":")[1:]))

    def shown_in(self, text: str) -> set[str]:
        """Those of which at least the beginning stands in a text, in any usual spelling."""
        return {one for one in self.secrets if any(s in text for s in _spellings(one[:_HEAD]))}


def _spellings(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1]
    return {secret, quote(secret), quote_plus(secret), html.escape(secret), escaped}


class Tap:
    """Listens at a provider's endpoints, learns what is secret there, and makes trouble.

    :param trouble: is given the request, and all secrets of it as one text; None for none.
    :param only: the grant types that have trouble; None for all.
    """

    def __init__(
        self,
        provider: Provider,
        marked: Marked,
        trouble: Trouble | None = None,
        only: frozenset[str] | None = None,
    ) -> None:
        self.troubled = 0
        for endpoint in ("token", "device", "userinfo"):
            provider.raw[endpoint] = self._tap(provider, marked, endpoint, trouble, only)

    def _tap(
        self,
        provider: Provider,
        marked: Marked,
        endpoint: str,
        trouble: Trouble | None,
        only: frozenset[str] | None,
    ) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            marked.learn(request.form)
            marked.learn_headers(request.headers)
            grant = request.form.get("grant_type")
            if trouble is not None and (only is None or grant in only):
                self.troubled += 1
                return trouble(request, quoted(request))
            reply = provider.answer(endpoint, request)
            marked.learn(json.loads(reply.body))
            return reply

        return answer


def quoted(request: Request) -> str:
    """What a talkative provider repeats: the request's secrets, on one line."""
    own = [text for name, text in request.form.items() if name in SECRET_NAMES]
    return " ".join([*own, request.headers.get("authorization", "")]).strip() or "nothing"


@dataclass
class Ear:
    """Hears everything that is said while it is open."""

    said: list[str] = field(default_factory=list)
    records: list[logging.LogRecord] = field(default_factory=list)

    def __enter__(self) -> Self:
        ear = self

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                ear.records.append(record)

        self._handler, root = Handler(logging.DEBUG), logging.getLogger()
        self._level = root.level
        root.addHandler(self._handler)
        root.setLevel(logging.DEBUG)
        self._warnings = warnings.catch_warnings(record=True)
        self._warned = self._warnings.__enter__()
        warnings.simplefilter("always")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._level)
        self._warnings.__exit__(kind, error, trace)
        self.said += [repr(vars(one)) for one in self._warned]
        for record in self.records:
            # Where the browser is sent is logged by the test's own HTTP client, as its address.
            if not _is_not_ours(record):
                self.said += [record.getMessage(), repr(vars(record))]

    def hear(self, thing: object) -> None:
        """Every repr within reach of a thing of Keyfob's."""
        self.said += [f"{one!r} {one}" for one in within_reach(thing)]

    def hear_error(self, error: BaseException) -> None:
        """An error with all that hangs on it; frames only so far as they are no caller's own."""
        seen: list[BaseException] = []
        waiting: list[BaseException | None] = [error]
        while waiting:
            one = waiting.pop()
            if one is None or one in seen:
                continue
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
            self.said += [repr(one), str(one), repr(one.args), repr(vars(one))]
            self.said += traceback.format_exception(one)
            for frame, _ in traceback.walk_tb(one.__traceback__):
                where = frame.f_code.co_filename
                assert not _FOREIGN.search(where), f"a frame of {where} holds the request"
                # A verb's own arguments are its caller's; but what Keyfob made of them has a repr.
                # A copy: before Python 3.13, looking at it again fills it anew.
                found = dict(frame.f_locals)
                for local in found.values():
                    if is_ours(local) and local is not found.get("self"):
                        self.said.append(repr(local))


def _is_not_ours(record: logging.LogRecord) -> bool:
    """httpcore, at DEBUG, logs the head of each answer as it came, and how a body is malformed: a
    provider that repeats secrets there shows them to whoever turned that on, and no caller of
    httpcore can have it otherwise. What is sent is not logged."""
    by_httpcore = record.name == "httpcore.http11" and "receive_response_" in str(record.msg)
    return by_httpcore or "/authorize?" in record.getMessage()


def is_ours(thing: object) -> bool:
    return type(thing).__module__.split(".")[0] == "keyfob" and not isinstance(thing, (dict, str))


def within_reach(thing: object) -> Iterator[object]:
    """The objects of Keyfob's classes that a debugger gets to from here."""
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Mapping):
            waiting += list(one.values())
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += list(one)
        if is_ours(one) and not isinstance(one, type):
            yield one
            waiting += list(vars(one).values()) if hasattr(one, "__dict__") else []
            slots = getattr(type(one), "__slots__", ())
            waiting += [getattr(one, name, None) for name in slots]


def body(text: str, status: int = 200, kind: str = "application/json", **headers: str) -> Reply:
    return Reply(status, {"Content-Type": kind, **headers}, text.encode())

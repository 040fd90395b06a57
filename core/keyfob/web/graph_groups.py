"""Asking Microsoft Graph about the signed-in person's groups, with patience that has an end."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from keyfob.errors import (
    ApiUnreachable,
    DownstreamError,
    GroupsUnknown,
    KeyfobError,
    ProtocolError,
)
from keyfob.protocol.http import HttpResponse, retry_after_seconds
from keyfob.protocol.memberships import (
    CHECK_PATH,
    LIST_PATH,
    MAX_CHECKED,
    build_member_check,
    parse_member_check,
    parse_memberships,
)

if TYPE_CHECKING:
    from keyfob.web.downstream import ApiSession

logger = logging.getLogger(__name__)

#: Seconds that one lookup waits at the most, in all, where Graph asks for patience: a person waits
#: for the page, and a worker with them.
PATIENCE = 3.0
#: Seconds to connect, and between two bytes.
_TIMEOUT = (5.0, 10.0)
#: Bytes of one page: 999 entries take about 150 kB.
_MAX_BODY = 2_000_000
#: Pages of a list of all groups. Nobody is in 20,000.
_MAX_PAGES = 20
#: Seconds between two attempts, where Graph asks for less.
_SHORTEST_WAIT = 0.5
#: Seconds of rest where Graph does not say for how long, or does not answer at all.
_REST = 5
_LONGEST_REST = 600
#: Sessions whose rest is remembered.
_MAX_RESTING = 1000

_BUSY = frozenset({429, 503, 504})
_REFUSED = frozenset({401, 403})

Parse = Callable[[bytes], tuple[frozenset[str], str]]


class GraphGroups:
    """Program life: shared by all threads.

    :param clock: seconds, of any origin, that only ever go on.
    :param sleep: waits for so many seconds.
    :param patience: seconds that one lookup waits at the most.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = PATIENCE,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._patience = patience
        self._lock = threading.Lock()
        #: Until when Graph is not asked again, by whom it asked for patience.
        self._resting: OrderedDict[str, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<GraphGroups: {len(self._resting)} resting>"

    def check(self, api: ApiSession, ids: Collection[str], *, whose: str) -> frozenset[str]:
        """Those of the groups that the person is in, directly or through other groups; whatever
        else Graph names was not asked.

        :param api: Graph, in the person's name.
        :param ids: object ids, in lower case; twenty are asked about at once.
        :param whose: names the session, to let Graph rest where it asked for that.
        :raises GroupsUnknown: Graph did not tell.
        :raises InteractionRequired: the person must let the site ask first.
        :raises ApiUnreachable: Graph did not answer.
        """
        ordered = sorted(ids)
        call = _Call(self, api, whose)
        found: set[str] = set()
        for start in range(0, len(ordered), MAX_CHECKED):
            body = build_member_check(ordered[start : start + MAX_CHECKED])
            found |= call.collection("POST", CHECK_PATH, parse_member_check, json=body)
        return frozenset(found)

    def all_of(self, api: ApiSession, *, whose: str) -> frozenset[str]:
        """The object ids of all groups that the person is in. As `check` else."""
        return frozenset(_Call(self, api, whose).collection("GET", LIST_PATH, parse_memberships))

    def still_rests(self, whose: str) -> int:
        """For how many seconds Graph is still to be left alone."""
        with self._lock:
            left = self._resting.get(whose, 0.0) - self._clock()
            if left <= 0:
                self._resting.pop(whose, None)
        return max(0, math.ceil(left))

    def let_rest(self, whose: str, seconds: int) -> None:
        with self._lock:
            self._resting[whose] = self._clock() + min(seconds, _LONGEST_REST)
            self._resting.move_to_end(whose)
            while len(self._resting) > _MAX_RESTING:
                self._resting.popitem(last=False)

    def wait(self, seconds: float, waited: float) -> float | None:
        """Wait, where that stays within the patience; the seconds waited in all, or None."""
        if waited + seconds > self._patience:
            return None
        self._sleep(seconds)
        return waited + seconds


class _Call:
    """One lookup: some requests in a row, with one patience for all of them."""

    def __init__(self, graph: GraphGroups, api: ApiSession, whose: str) -> None:
        self._graph = graph
        self._api = api
        self._whose = whose
        self._waited = 0.0

    def collection(self, method: str, address: str, parse: Parse, **body: Any) -> set[str]:
        """All pages of a collection."""
        found: set[str] = set()
        for _ in range(_MAX_PAGES):
            try:
                page, address = parse(self._body(method, address, body))
            except ProtocolError as error:
                raise _unknown(f"{error}") from None
            found |= page
            if not address:
                return found
            # Each further page is an address of Graph's own making, and asked for by GET.
            method, body = "GET", {}
        raise _unknown("Microsoft Graph's list of groups has no end")

    def _body(self, method: str, address: str, body: dict[str, Any]) -> bytes:
        while True:
            rest = self._graph.still_rests(self._whose)
            if rest:
                raise _throttled(rest)
            answer = self._sent(method, address, body)
            if answer.status == 200:
                return answer.body
            if answer.status not in _BUSY:
                raise _refusal(answer)
            self._be_patient(answer)

    def _be_patient(self, answer: HttpResponse) -> None:
        asked = retry_after_seconds(answer)
        waited = self._graph.wait(
            1.0 if asked is None else max(asked, _SHORTEST_WAIT), self._waited
        )
        if waited is None:
            rest = _REST if asked is None else asked
            self._graph.let_rest(self._whose, rest)
            raise _throttled(max(1, rest))
        self._waited = waited

    def _sent(self, method: str, address: str, body: dict[str, Any]) -> HttpResponse:
        """The answer; one that is too large, or breaks off, is none."""
        answer: HttpResponse | None = None
        try:
            response = self._api.request(
                method, address, timeout=_TIMEOUT, allow_redirects=False, stream=True, **body
            )
            with response:
                answer = _read(response)
        except DownstreamError:
            pass  # a next page that is not Graph's: nothing was sent
        except ApiUnreachable:
            # The next request need not wait for the same timeout.
            self._graph.let_rest(self._whose, _REST)
            raise
        except KeyfobError:
            raise
        except OSError:
            pass  # one of requests' own, which would show the token to whoever shows its frames
        if answer is None:
            raise _unknown("Microsoft Graph's answer about groups cannot be used")
        return answer


def _read(response: Any) -> HttpResponse | None:
    content = bytearray()
    for chunk in response.iter_content(65_536):
        content += chunk
        if len(content) > _MAX_BODY:
            return None
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpResponse(response.status_code, headers, bytes(content))


def _unknown(message: str) -> GroupsUnknown:
    return GroupsUnknown(message, code="groups_unknown")


def _throttled(seconds: int) -> GroupsUnknown:
    return GroupsUnknown(
        f"Microsoft Graph is asked about groups again in {seconds} s, and not before",
        retry_after=seconds,
        code="groups_throttled",
    )


def _refusal(answer: HttpResponse) -> GroupsUnknown:
    if answer.status in _REFUSED:
        logger.error(
            "Microsoft Graph does not let this site ask about groups (%d): the scopes of "
            'DOWNSTREAM_APIS["graph"] must have User.Read',
            answer.status,
        )
        return GroupsUnknown(
            "Microsoft Graph does not let this site ask about groups", code="groups_refused"
        )
    logger.error(
        "Microsoft Graph refused to tell about groups (%d): look at the object ids in GROUPS, and "
        "in groups_required",
        answer.status,
    )
    return _unknown(f"Microsoft Graph answered {answer.status} about groups")

"""Timing two things so that a busy machine does not decide which of them is quicker."""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds of one batch of calls, and how many batches each side has.
BATCH = 0.02
ROUNDS = 15


@dataclass(frozen=True)
class Row:
    """One line of the result.

    :param holds: whether the target is met; None where there is none.
    """

    name: str
    ours: str
    theirs: str
    found: str = ""
    target: str = ""
    holds: bool | None = None


def faster(
    name: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    at_least: float | None = None,
) -> Row:
    """How many times as fast the first is."""
    mine, other = medians(ours, theirs)
    ratio = other / mine
    return Row(
        name,
        duration(mine),
        duration(other),
        times(ratio),
        "" if at_least is None else f">= {at_least:g}x",
        None if at_least is None else ratio >= at_least,
    )


def medians(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Seconds per call of each: the medians of batches that take turns.

    A thread's own processor time is counted, so that what else the machine does counts for
    neither.
    """
    found = _samples(ours, theirs)
    return statistics.median(found[0]), statistics.median(found[1])


def quickest(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """As `medians`, of each the quickest batch: for calls that lose differently by a busy machine,
    such as a tight loop of arithmetic beside code that is all over the caches."""
    found = _samples(ours, theirs)
    return min(found[0]), min(found[1])


def _samples(
    ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[list[float], list[float]]:
    sides = (ours, theirs)
    counts = [_batch_size(call) for call in sides]
    samples: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, count, found in zip(sides, counts, samples, strict=True):
            found.append(_batch(call, count))
    return samples


def _batch_size(call: Callable[[], object]) -> int:
    call()  # what is made at the first call is not what is measured
    return max(1, int(BATCH / max(_batch(call, 1), 1e-7)))


def _batch(call: Callable[[], object], count: int) -> float:
    collecting = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        for _ in range(count):
            call()
        return (time.thread_time() - began) / count
    finally:
        if collecting:
            gc.enable()


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds * 1e6:,.1f} µs"


def times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:,.1f}x"


def say(text: str) -> None:
    """Progress, apart from the result."""
    print(f"  {text} ...", file=sys.stderr, flush=True)

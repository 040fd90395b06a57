"""Times as people say them. Pure."""

from __future__ import annotations

_UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """A length of time in its largest unit that fits twice or more, or in seconds: `57 min`."""
    whole = max(0, int(seconds))
    for size, unit in _UNITS:
        if whole >= 2 * size or size == 1:
            count = whole // size
            return f"{count} {unit}{'s' if unit == 'day' else ''}"
    raise AssertionError  # pragma: no cover - the last unit always fits


def until(moment: float | None, now: float) -> str:
    """How far a moment is: `in 57 min`, `3 min ago`; "" where there is none."""
    if moment is None:
        return ""
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"

"""Retry-After in seconds and as a date, from whoever may have written it (RFC 9110 §10.2.3)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.protocol.http import HttpResponse, http_date, retry_after_seconds

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
moments = st.integers(200_000, 10**11).map(lambda number: EPOCH + timedelta(seconds=number))


def seconds(retry_after: str, date: str | None = None) -> int | None:
    headers = {"retry-after": retry_after} | ({} if date is None else {"date": date})
    return retry_after_seconds(HttpResponse(503, headers, b""))


@given(st.integers(0, 999_999_999))
def test_a_number_is_seconds(number: int) -> None:
    assert seconds(str(number)) == number


@given(moments, st.integers(-100_000, 100_000))
def test_a_date_counts_from_the_answers_own(moment: datetime, wait: int) -> None:
    later = moment + timedelta(seconds=wait)
    found = seconds(format_datetime(later, usegmt=True), format_datetime(moment, usegmt=True))
    assert found == max(0, wait)


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "  Sun, 06 Nov 1994 08:49:37 GMT ",
    ],
)
def test_dates_have_three_forms(date: str) -> None:
    """RFC 9110 §5.6.7."""
    assert http_date(date) == 784_111_777
    assert seconds(date, "Sun, 06 Nov 1994 08:49:07 GMT") == 30


def test_a_date_that_counts_from_nothing_says_nothing() -> None:
    assert seconds("Sun, 06 Nov 1994 08:49:37 GMT") is None
    assert seconds("Sun, 06 Nov 1994 08:49:37 GMT", "yesterday") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "1.5",
        "soon",
        "٣",
        "9" * 30,
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9999999",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov 1994 99:99:99 GMT",
    ],
)
def test_nonsense_says_nothing(text: str) -> None:
    found = seconds(text, "Sun, 06 Nov 1994 08:49:07 GMT")
    assert found is None


alphabet = st.text("SunMoNvGT0123456789,:+- \t;é٣", max_size=45)


@given(st.text() | alphabet, st.text() | alphabet)
def test_hostile_texts_are_a_number_or_nothing(retry_after: str, date: str) -> None:
    found = seconds(retry_after, date)
    assert found is None or found >= 0

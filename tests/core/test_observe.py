"""Measurements: to the logs where somebody wants them, and never with a value of anybody's."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import StoreUnavailable, TokenResponseError
from keyfob.web.metrics import (
    ATTRIBUTES,
    METRICS,
    OTHER,
    REFRESH_DURATION,
    SIGN_OUTS,
    STORE_DURATION,
    Metric,
    metrics_as_markdown,
)
from keyfob.web.observe import LOGGER, Observer, error_type
from support.measurements import Measurements, measured

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


class Ticking:
    """A clock that goes on by a quarter of a second whenever it is looked at."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def test_a_measurement_is_one_readable_record() -> None:
    with measured() as seen:
        Observer().record(STORE_DURATION, 0.0012, store="redis", operation="load", outcome="found")
    [record] = seen.records

    assert (record.name, record.levelno) == ("keyfob.metrics", logging.DEBUG)
    assert record.getMessage() == (
        "keyfob.store.operation.duration 0.001200 s keyfob.store=redis keyfob.operation=load "
        "keyfob.outcome=found"
    )
    [found] = seen.all
    assert found.name == "keyfob.store.operation.duration"
    assert found.value == 0.0012
    assert found.attributes == {
        "keyfob.store": "redis",
        "keyfob.operation": "load",
        "keyfob.outcome": "found",
    }


def test_above_debug_there_is_no_record() -> None:
    with measured() as seen:
        logging.getLogger(LOGGER).setLevel(logging.INFO)
        Observer().count(SIGN_OUTS, channel="site")
    assert seen.records == []


def test_whoever_begins_to_listen_later_is_told_from_then_on() -> None:
    observer = Observer()
    observer.count(SIGN_OUTS, channel="site")
    with measured() as seen:
        observer.count(SIGN_OUTS, channel="everywhere")
    observer.count(SIGN_OUTS, channel="site")
    assert seen.told(SIGN_OUTS) == [{"channel": "everywhere"}]


def test_a_block_is_timed_and_may_say_how_it_ended() -> None:
    observer = Observer(clock=Ticking())
    with measured() as seen, observer.timing(REFRESH_DURATION, purpose="token") as attributes:
        attributes["outcome"] = "renewed"
    assert seen.of(REFRESH_DURATION, purpose="token", outcome="renewed")[0].value == 0.25


def test_a_block_that_raises_is_timed_as_well_and_raises_on() -> None:
    timing = Observer(clock=Ticking()).timing(REFRESH_DURATION, outcome="renewed")
    with measured() as seen, pytest.raises(StoreUnavailable), timing:
        raise StoreUnavailable("away", code="lease_timeout")
    assert seen.told(REFRESH_DURATION) == [{"outcome": "failed", "type": "lease_timeout"}]


def test_an_error_is_its_code_and_where_that_is_a_providers_word_its_class() -> None:
    assert error_type(StoreUnavailable("x")) == "store_unavailable"
    assert error_type(TokenResponseError("x", code="invalid_grant")) == "invalid_grant"
    assert error_type(TokenResponseError("x", code="ada@contoso.example")) == "token_response"
    assert error_type(ZeroDivisionError("ada@contoso.example")) == OTHER


ANYTHING = st.one_of(
    st.text(),
    st.sampled_from(["ada@contoso.example", "eyJhbGciOiJub25lIn0.e30.", "memory", "invalid_grant"]),
    st.text().map(lambda code: TokenResponseError(code, code=code)),
    st.text().map(ValueError),
    st.lists(st.text()),
    st.none(),
)


@given(
    metric=st.sampled_from(METRICS),
    given=st.dictionaries(st.sampled_from([*ATTRIBUTES, "user"]), ANYTHING),
    value=st.floats(allow_nan=False),
)
def test_whatever_it_is_told_only_values_of_small_sets_come_out(
    metric: Metric, given: dict[str, object], value: float
) -> None:
    with measured() as seen:
        Observer().record(metric, value, **given)  # type: ignore[arg-type]
    [found] = seen.all

    assert found.name == metric.name
    allowed = {ATTRIBUTES[name]: {*values, OTHER} for name, values in metric.attributes.items()}
    assert found.attributes.keys() <= allowed.keys()
    assert all(text in allowed[name] for name, text in found.attributes.items())
    # The message says the same and no more.
    words = seen.records[0].getMessage().split(" ")
    assert words[0] == metric.name
    assert words[2] == metric.unit
    assert words[3:] == [f"{name}={text}" for name, text in found.attributes.items()]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_described(metric: Metric) -> None:
    assert metric.name.startswith("keyfob.")
    assert metric.description.endswith(".")
    assert set(metric.attributes) <= set(ATTRIBUTES)
    assert all(0 < len(values) < 100 for values in metric.attributes.values())
    assert metric.kind == ("histogram" if metric.unit in ("s", "By") else "counter")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(metric.buckets)
    # What a description names in backquotes is a value that there is.
    named = set(metric.description.split("`")[1::2])
    assert named <= {value for values in metric.attributes.values() for value in values}


def test_names_are_told_apart() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_page_has_the_table_as_it_is() -> None:
    assert metrics_as_markdown() in PAGE.read_text(encoding="utf-8")


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_opentelemetry_is_not_loaded_before_the_first_measurement() -> None:
    code = """
import sys
from keyfob.web import WebApplication, load_settings
from keyfob.web.stores import MemoryStore
settings = load_settings({"CLIENT_ID": "x", "CLIENT_SECRET": "y", "TENANT_ID": "organizations",
    "BASE_URL": "https://a.example"}, {}, source="flask")
WebApplication(settings, store=MemoryStore(), secrets=["a secret that is long enough"])
print("opentelemetry" in sys.modules)
"""
    assert run(code) == "False\n"


def test_without_opentelemetry_the_logs_have_it_all_the_same() -> None:
    code = """
import logging, sys
sys.modules["opentelemetry"] = None  # as if it were not installed
from keyfob.web.observe import Observer
from keyfob.web.metrics import SIGN_OUTS
observer = Observer()
print(observer.listens)
observer.count(SIGN_OUTS, channel="site")
logging.basicConfig(level="DEBUG", stream=sys.stdout, format="%(name)s: %(message)s")
observer.count(SIGN_OUTS, channel="site")
"""
    expected = "False\nkeyfob.metrics: keyfob.sign_outs 1 {session} keyfob.channel=site\n"
    assert run(code) == expected


def test_it_tells_nothing_in_its_repr() -> None:
    assert repr(Observer()) == "<Observer>"
    assert Measurements().all == []

"""Measurements through OpenTelemetry's API, read by its own SDK."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from keyfob._version import __version__
from keyfob.web.metrics import DOCUMENT_READS, METRICS, REFRESH_DURATION, SIGN_OUTS
from keyfob.web.observe import Observer
from support.store_contract import at_once

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


class Reader:
    """A program's own meter provider, and what it has collected."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def metrics(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        [resource] = data.resource_metrics
        [scope] = resource.scope_metrics
        assert (scope.scope.name, scope.scope.version) == ("keyfob", __version__)
        return {metric.name: metric for metric in scope.metrics}

    def points(self, name: str) -> dict[tuple[tuple[str, str], ...], Any]:
        points = self.metrics()[name].data.data_points
        return {tuple(sorted(point.attributes.items())): point for point in points}


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.provider.shutdown()


def test_a_counter_adds_up_by_its_attributes(reader: Reader) -> None:
    observer = Observer(meter_provider=reader.provider)
    for outcome in ("hit", "hit", "miss"):
        observer.count(DOCUMENT_READS, outcome=outcome)
    observer.record(SIGN_OUTS, 7, channel="everywhere")

    points = reader.points("keyfob.document.reads")
    assert points[("keyfob.outcome", "hit"),].value == 2
    assert points[("keyfob.outcome", "miss"),].value == 1
    [ended] = reader.points("keyfob.sign_outs").values()
    assert ended.value == 7


def test_a_histogram_has_buckets_that_fit_its_unit(reader: Reader) -> None:
    observer = Observer(meter_provider=reader.provider)
    observer.record(REFRESH_DURATION, 0.3, purpose="token", outcome="refused", error="who knows")

    [(attributes, point)] = reader.points("keyfob.token.refresh.duration").items()
    assert point.sum == 0.3
    assert point.explicit_bounds == REFRESH_DURATION.buckets
    assert dict(attributes) == {
        "keyfob.purpose": "token",
        "keyfob.outcome": "refused",
        "error.type": "_OTHER",
    }


def test_every_metric_arrives_with_its_unit_and_description(reader: Reader) -> None:
    observer = Observer(meter_provider=reader.provider)
    for metric in METRICS:
        observer.record(metric, 1)

    found = reader.metrics()
    assert {name: metric.unit for name, metric in found.items()} == {
        metric.name: metric.unit for metric in METRICS
    }
    assert all(metric.description and "`" not in metric.description for metric in found.values())


def test_threads_that_begin_at_once_share_the_instruments(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    observer = Observer(meter_provider=reader.provider)
    at_once(16, lambda _: observer.count(DOCUMENT_READS, outcome="hit"))

    [point] = reader.points("keyfob.document.reads").values()
    assert point.value == 16
    # The SDK warns of an instrument that is made twice.
    assert caplog.records == []


def test_an_older_api_takes_no_advice_on_buckets() -> None:
    class OldMeter(NoOpMeter):
        made: list[str] = []

        def create_histogram(self, name: str, unit: str = "", description: str = "") -> Any:
            self.made.append(name)
            return super().create_histogram(name, unit, description)

    class OldProvider(AnyMeterProvider):
        def get_meter(self, name: str, *rest: Any, **more: Any) -> OldMeter:
            return OldMeter(name)

    Observer(meter_provider=OldProvider()).record(REFRESH_DURATION, 1.0)
    assert OldMeter.made == [metric.name for metric in METRICS if metric.kind == "histogram"]


def test_the_programs_provider_counts_soon_after_it_is_set() -> None:
    """The global one can be set once in a process, so in one of its own."""
    code = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from keyfob.web.observe import LOOK_EVERY, Observer
from keyfob.web.metrics import SIGN_OUTS

now = 0.0
observer = Observer(clock=lambda: now)
observer.count(SIGN_OUTS, channel="site")
print(observer.listens)
reader = InMemoryMetricReader()
provider = MeterProvider([reader])
metrics.set_meter_provider(provider)
print(observer.listens)
now += LOOK_EVERY
print(observer.listens)
observer.count(SIGN_OUTS, channel="site")
[point] = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
print(point.value, dict(point.attributes))
provider.shutdown()
"""
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert printed == "False\nFalse\nTrue\n1 {'keyfob.channel': 'site'}\n"


def test_the_pages_example_prints_what_keyfob_counted() -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = f"""
from keyfob.web.observe import Observer
from keyfob.web.metrics import SIGN_OUTS
{example}
Observer().count(SIGN_OUTS, channel="site")
"""
    # The SDK prints the rest when the program ends.
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert '"name": "keyfob.sign_outs"' in printed
    assert '"keyfob.channel": "site"' in printed

"""Counters and durations, handed to whoever listens: the logs, and OpenTelemetry.

Nothing here names a person, a session or a token. That is not left to the callers: an attribute
has a small set of values (see `metrics`), and any other is replaced before anybody sees it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from keyfob._version import __version__
from keyfob.errors import KeyfobError
from keyfob.web.metrics import ATTRIBUTES, BEARER_ERRORS, ERROR_TYPES, METRICS, OTHER, Metric

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider

#: Seconds between two looks for a meter provider: to ask for it takes longer than what is measured.
LOOK_EVERY = 1.0
#: Has a DEBUG record for each measurement.
LOGGER = "keyfob.metrics"

_logger = logging.getLogger(LOGGER)
_is_logged = _logger.isEnabledFor
_Put = Callable[[float, Mapping[str, str]], None]


class Observer:
    """Program life: shared by all threads. Costs next to nothing while nobody listens.

    A measurement goes to the logger `keyfob.metrics`, where that is enabled for DEBUG, and to
    OpenTelemetry, where its API is installed and the program has set a MeterProvider. OpenTelemetry
    is loaded at the first measurement; a provider that is set later is found within a second.

    :param meter_provider: default: OpenTelemetry's global one.
    :param clock: seconds, of any origin, that only ever go on.
    """

    def __init__(
        self,
        *,
        meter_provider: MeterProvider | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.clock = clock
        self._provider = meter_provider
        self._making = threading.Lock()
        #: None as long as no provider is there.
        self._instruments: Mapping[str, _Put] | None = None
        self._look_at = -math.inf

    def __repr__(self) -> str:
        return "<Observer>"

    @property
    def listens(self) -> bool:
        """Whether anybody does. A caller for whom the measurement itself costs something asks."""
        # Asked in each request: cheap.
        return (
            self._instruments is not None
            or _is_logged(DEBUG)
            or (self.clock() >= self._look_at and self._has_provider())
        )

    def count(self, metric: Metric, **attributes: str | BaseException) -> None:
        """Add one to a counter.

        :param attributes: by their short names. `error` may be an exception: what is shown is its
            kind.
        """
        if self.listens:
            self._hand_over(metric, 1, attributes)

    def record(self, metric: Metric, value: float, **attributes: str | BaseException) -> None:
        """Hand over one measurement, in the metric's unit; attributes as in `count`."""
        if self.listens:
            self._hand_over(metric, value, attributes)

    def _hand_over(
        self, metric: Metric, value: float, attributes: Mapping[str, str | BaseException]
    ) -> None:
        # One that the metric does not have is left out: no request shall fail for its figures.
        shown = {
            ATTRIBUTES[name]: _shown(attributes[name], values)
            for name, values in metric.attributes.items()
            if name in attributes
        }
        if self._has_provider() and self._instruments is not None:
            self._instruments[metric.name](value, shown)
        if _is_logged(DEBUG):
            _log(metric, value, shown)

    @contextmanager
    def timing(
        self, metric: Metric, *, failed: str = "failed", **attributes: str
    ) -> Iterator[dict[str, str]]:
        """Measure how long the block takes. It may add attributes to what it is given.

        :param failed: the outcome of a block that ends with an exception.
        """
        found: dict[str, Any] = dict(attributes)
        began = self.clock()
        try:
            yield found
        except BaseException as error:
            found.update(outcome=failed, error=error)
            raise
        finally:
            self.record(metric, self.clock() - began, **found)

    def _has_provider(self) -> bool:
        if self._instruments is None and self.clock() >= self._look_at:
            self._look()
        return self._instruments is not None

    def _look(self) -> None:
        with self._making:
            if self._instruments is not None:
                return
            try:
                provider = self._provider or _global_provider()
            except ImportError:
                self._look_at = math.inf
                return
            self._look_at = self.clock() + LOOK_EVERY
            if provider is not None:
                self._instruments = _instruments(provider)


def _global_provider() -> MeterProvider | None:
    """The one that the program has set, if it has.

    :raises ImportError: OpenTelemetry's API is not installed.
    """
    from opentelemetry.metrics import get_meter_provider

    provider = get_meter_provider()
    # The API's own stand-ins hand nothing on.
    is_stand_in = type(provider).__module__.startswith("opentelemetry.metrics")
    return None if is_stand_in else provider


def _instruments(provider: Any) -> Mapping[str, _Put]:
    meter: Meter = provider.get_meter("keyfob", __version__)
    return {metric.name: _instrument(meter, metric) for metric in METRICS}


def _instrument(meter: Meter, metric: Metric) -> _Put:
    name, unit, description = metric.name, metric.unit, metric.description.replace("`", "")
    if metric.kind == "counter":
        return meter.create_counter(name, unit, description).add
    try:
        histogram = meter.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=metric.buckets
        )
    except TypeError:  # before 1.30 the API takes no advice on buckets
        histogram = meter.create_histogram(name, unit, description)
    return histogram.record


def _shown(value: object, values: frozenset[str]) -> str:
    if isinstance(value, BaseException):
        value = error_type(value)
    return value if isinstance(value, str) and value in values else OTHER


def error_type(error: BaseException) -> str:
    """An error's kind, of a small set. Its code may be a provider's own word; its class is ours."""
    if not isinstance(error, KeyfobError):
        return OTHER
    known = error.code in ERROR_TYPES or error.code in BEARER_ERRORS
    return error.code if known else type(error).code


def _log(metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
    written = f"{value:.6f}" if metric.unit == "s" else f"{value:g}"
    _logger.debug(
        "%s %s %s%s",
        metric.name,
        written,
        metric.unit,
        "".join(f" {name}={text}" for name, text in attributes.items()),
        extra={
            "keyfob_metric": metric.name,
            "keyfob_value": value,
            "keyfob_attributes": dict(attributes),
        },
    )

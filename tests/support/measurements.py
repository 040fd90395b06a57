"""What a site's measurements were, as the logs have them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from keyfob.web.metrics import Metric
from keyfob.web.observe import LOGGER


class Measurement(NamedTuple):
    name: str
    value: float
    attributes: dict[str, str]


class Measurements(logging.Handler):
    """A handler for the logger `keyfob.metrics`."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def all(self) -> list[Measurement]:
        return [_measurement(record) for record in self.records]

    def of(self, metric: Metric, **wanted: str) -> list[Measurement]:
        """Those of one metric with these attributes, by the last part of their names."""
        return [
            found
            for found in self.all
            if found.name == metric.name
            and all(self._short(found).get(name) == value for name, value in wanted.items())
        ]

    def told(self, metric: Metric) -> list[dict[str, str]]:
        """The attributes of a metric's measurements, by the last part of their names."""
        return [self._short(found) for found in self.of(metric)]

    def clear(self) -> None:
        self.records.clear()

    @staticmethod
    def _short(found: Measurement) -> dict[str, str]:
        return {name.rpartition(".")[2]: value for name, value in found.attributes.items()}


def _measurement(record: Any) -> Measurement:
    return Measurement(record.keyfob_metric, record.keyfob_value, record.keyfob_attributes)


@contextmanager
def measured() -> Iterator[Measurements]:
    """Listen for the time of the block."""
    logger, handler = logging.getLogger(LOGGER), Measurements()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
        logger.setLevel(before[0])

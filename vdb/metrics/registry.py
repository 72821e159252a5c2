"""The metrics written in Python that a database has been given since it was opened, by name."""

from __future__ import annotations

import threading

from vdb.errors import InvalidArgument
from vdb.metrics.custom import AnyMetric, CustomMetric
from vdb.types import METRICS


class MetricRegistry:
    """One function for each name. Thread-safe."""

    def __init__(self) -> None:
        self._metrics: dict[str, CustomMetric] = {}
        self._lock = threading.Lock()

    def register(self, metric: CustomMetric) -> None:
        """Know a metric by its name from now on, instead of another function if there was one."""
        if not isinstance(metric, CustomMetric):
            raise InvalidArgument(
                f"register_metric takes a metric written in Python, got {metric!r:.80}.\n"
                "  Fix: pass vdb.metric(function)."
            )
        with self._lock:
            self._metrics[metric.name] = metric

    def resolve(self, metric: object) -> AnyMetric:
        """The metric that a caller named or passed; one that is passed is registered if its name is free.

        InvalidArgument where no metric has that name, or another function has it.
        """
        if isinstance(metric, CustomMetric):
            return self._adopted(metric)
        for known in METRICS:
            if metric == known:
                return known
        if isinstance(metric, str) and metric in self._metrics:
            return self._metrics[metric]
        names = ", ".join((*METRICS, *self._metrics))
        raise InvalidArgument(
            f"unknown metric {metric!r}; expected one of {names}.\n"
            "  Fix: pass one of them; a metric written in Python is passed itself, vdb.metric(function), or by name"
            " after db.register_metric."
        )

    def find(self, name: str) -> AnyMetric | None:
        """The metric an index was built with; None where its function has not been given."""
        for known in METRICS:
            if name == known:
                return known
        return self._metrics.get(name)

    def _adopted(self, metric: CustomMetric) -> CustomMetric:
        with self._lock:
            known = self._metrics.setdefault(metric.name, metric)
        if known != metric:
            raise InvalidArgument(
                f"metric {metric.name!r} is another function than the one of that name in use (digest"
                f" {metric.digest[:8]}, in use {known.digest[:8]}).\n"
                "  Fix: give it another name=, or db.register_metric it to replace the other; indexes of that name are"
                " then rebuilt."
            )
        return known

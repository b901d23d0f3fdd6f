"""What the server counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

from hardmine.serving.server.loaded_model import LoadedModel

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
  """The figures of one server; two in a process do not share any."""

  def __init__(self):
    registry = self._registry = prometheus_client.CollectorRegistry()
    self.requests = Counter(
      "hardmine_requests",
      "Requests that were answered",
      ["endpoint", "status"],
      registry=registry,
    )
    self.seconds = Histogram(
      "hardmine_request_seconds",
      "From a request's headers to the end of its answer",
      ["endpoint"],
      buckets=_SECONDS,
      registry=registry,
    )
    self.in_flight = Gauge(
      "hardmine_requests_in_flight", "Requests without an answer", registry=registry
    )
    self.rejected = Counter(
      "hardmine_rejected",
      "Requests that no model answered",
      ["reason"],
      registry=registry,
    )
    self.answers = Counter(
      "hardmine_answers", "Answers that a version made", ["version"], registry=registry
    )
    self.version = Gauge(
      "hardmine_model_version", "The version that answers; 0 is none", registry=registry
    )
    self.model = Gauge(
      "hardmine_model_info",
      "The model that answers",
      ["kind", "alias", "version", "model_id"],
      registry=registry,
    )
    self.switches = Counter(
      "hardmine_model_switches", "Versions that were taken", registry=registry
    )
    self.load_failures = Counter(
      "hardmine_model_load_failures",
      "Attempts at a version that was not taken",
      registry=registry,
    )
    self.store_errors = Counter(
      "hardmine_store_errors", "Polls that could not read the store", registry=registry
    )
    self.following = Gauge(
      "hardmine_alias_followed",
      "1 while the version that answers is the one that the alias names",
      registry=registry,
    )

  def watch_memory(self, num_models: Callable[[], int]) -> None:
    """Adds the gauge of models in memory, asked for when the figures are read."""
    gauge = Gauge(
      "hardmine_models_in_memory",
      "The model that answers, and replaced ones that still work",
      registry=self._registry,
    )
    gauge.set_function(num_models)

  def show_model(self, model: LoadedModel, alias: str) -> None:
    """Notes that a version was taken."""
    self.switches.inc()
    self.version.set(model.number)
    self.model.clear()
    self.model.labels(model.kind, alias, str(model.number), model.model_id).set(1)

  def text(self) -> bytes:
    """All figures, for `GET /metrics`."""
    return prometheus_client.generate_latest(self._registry)

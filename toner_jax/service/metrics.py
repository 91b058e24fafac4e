"""What the service counts, as Prometheus reads it. Nothing of what texts say is in it."""

from __future__ import annotations

import time

from fastapi import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from toner_jax.service.batching import Batcher
from toner_jax.service.guard import App, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The counters of one service."""

    def __init__(self, batcher: Batcher):
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "toner_requests", "Requests, by path and status.", ("path", "status"), registry=registry
        )
        self._seconds = Histogram(
            "toner_request_seconds", "From a request to its answer, by path.", ("path",), registry=registry,
            buckets=_SECONDS,
        )  # fmt: skip
        sentences = Histogram(
            "toner_batch_sentences", "Sentences that are read together.", registry=registry, buckets=_SIZES
        )
        requests = Histogram(
            "toner_batch_requests", "Requests that are read together.", registry=registry, buckets=_SIZES
        )
        waiting = Gauge("toner_waiting_requests", "Requests that are not answered yet.", registry=registry)
        waiting.set_function(lambda: batcher.waiting)
        prepared = Gauge("toner_prepared", "1 once all programs are compiled.", registry=registry)
        prepared.set_function(lambda: batcher.is_prepared)

        def on_batch(sentence_count: int, request_count: int) -> None:
            sentences.observe(sentence_count)
            requests.observe(request_count)

        batcher.on_batch = on_batch

    def measured(self, app: App) -> App:
        """The application, whose requests are counted by the path of their route: unknown paths do not fill memory."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            begin, status = time.perf_counter(), "500"

            async def sending(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = str(message["status"])
                await send(message)

            try:
                await app(scope, receive, sending)
            finally:
                path = getattr(scope.get("route"), "path", "other")
                self._requests.labels(path, status).inc()
                self._seconds.labels(path).observe(time.perf_counter() - begin)

        return counted

    async def page(self) -> Response:
        """All of them, in Prometheus' format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

"""Rate, errors and duration of requests, and which build answers them.

Invariant: the number of series is bounded. A path or a method that the service does not know is counted as "other",
whatever a client sends.
"""

import time
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, process_collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.settings import Settings

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The series of one process, in a registry of its own."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time from a request to the end of its answer.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being answered.", registry=self.registry)
        build = Gauge(
            "service_build_info",
            "Always 1; the labels say what runs.",
            ("service", "version", "commit"),
            registry=self.registry,
        )
        build.labels(settings.service, settings.version, settings.commit).set(1)
        process_collector.ProcessCollector(registry=self.registry)


class Measure:
    """ASGI middleware that counts and times each request."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Collection[str]) -> None:
        self.app = app
        self.metrics = metrics
        self.routes = frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = scope["path"] if scope["path"] in self.routes else "other"
        # An exception that nobody catches becomes a 500 outside of this.
        status = 500

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        with self.metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, observe)
            finally:
                self.metrics.requests.labels(method, route, str(status)).inc()
                self.metrics.duration.labels(method, route).observe(time.perf_counter() - began)

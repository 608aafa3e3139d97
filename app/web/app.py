"""The service's four answers."""

import logging
from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web import health
from web.metrics import Measure, Metrics
from web.settings import Settings

GREETING = "hello"

log = logging.getLogger("web")


def create_app(settings: Settings, extra: Sequence[Route] = ()) -> Starlette:
    """The service. `extra` routes are for tests."""
    metrics = Metrics(settings)
    identity = {"version": settings.version, "commit": settings.commit, "deployment": settings.deployment}

    async def index(request: Request) -> Response:
        return JSONResponse(
            {
                "message": GREETING,
                "service": settings.service,
                "version": settings.version,
                "hostname": settings.hostname,
            }
        )

    async def healthz(request: Request) -> Response:
        if found := health.problems():
            log.error("not healthy: %s", "; ".join(found))
            return JSONResponse({"status": "unhealthy", "problems": found}, status_code=503)
        return JSONResponse({"status": "ok"})

    async def version(request: Request) -> Response:
        return JSONResponse(identity)

    async def show_metrics(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    routes = [
        Route("/", index),
        Route("/healthz", healthz),
        Route("/version", version),
        Route("/metrics", show_metrics),
        *extra,
    ]
    measure = Middleware(Measure, metrics=metrics, routes=[route.path for route in routes])
    return Starlette(routes=routes, middleware=[measure])

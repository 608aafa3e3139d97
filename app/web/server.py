"""One process, one event loop. More of it is more containers."""

from collections.abc import Sequence

import uvicorn
from starlette.routing import Route

from web.app import create_app
from web.settings import Settings

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}


def serve(settings: Settings, extra: Sequence[Route] = ()) -> None:
    """Serves until SIGTERM or SIGINT. Requests in flight are finished, idle connections are closed at once."""
    uvicorn.run(
        create_app(settings, extra),
        host=settings.address,
        port=settings.port,
        log_config=LOGGING,
        # The proxy in front keeps the access log; each line here would cost more than the answer.
        access_log=False,
        server_header=False,
        # Longer than a proxy keeps an idle connection, so that it is the proxy that closes it.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.stop_seconds,
        lifespan="off",
        ws="none",
    )

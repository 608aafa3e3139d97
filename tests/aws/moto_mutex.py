"""moto's AWS on loopback, one request at a time.

moto_server is threaded and its back ends have no lock: two writers that race can both win, and a failed transaction
takes acknowledged writes of others with it. Here each request is read whole, then served under one mutex.

    python3 tests/aws/moto_mutex.py --port 5000     prints "ready 5000" once it listens; port 0 takes any free one
"""

import argparse
import io
import logging
import os
import signal
import sys
import threading
import time

from moto import backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

HOST = "127.0.0.1"
SLOW_S = 5
PRELOADED = ("autoscaling", "dynamodb", "s3", "ssm", "sts")


class OneAtATime:
    """A WSGI application that reads the request outside of the lock and answers inside of it."""

    def __init__(self, application):
        self.application = application
        self.mutex = threading.Lock()

    def __call__(self, environ, start_response):
        # A slow sender must not hold the others up.
        if not environ.get("wsgi.input_terminated"):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        else:
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read())
        # What a client would ask for again is written down, with the time: its second try meets what the first one did.
        status = "no answer"

        def note(line, *rest):
            nonlocal status
            status = line
            return start_response(line, *rest)

        began = time.monotonic()
        try:
            with self.mutex:
                waited = time.monotonic() - began
                return [b"".join(self.application(environ, note))]
        finally:
            seconds = time.monotonic() - began
            if not status.startswith(("2", "3", "4")) or seconds > SLOW_S:
                what = environ.get("HTTP_X_AMZ_TARGET") or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
                print(
                    f"moto: {what}: {status} after {seconds:.1f} s, {waited:.1f} s of them in the queue",
                    file=sys.stderr,
                    flush=True,
                )


def listen(port: int, around=lambda application: application, ready=None) -> None:
    """Serves until SIGTERM; `ready` is called with the port once it listens."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # moto imports a service with its first request, for seconds; nobody is to take that for a silence of AWS.
    for service in PRELOADED:
        backends.get_backend(service)
    application = around(OneAtATime(DomainDispatcherApplication(create_backend_app)))
    server = make_server(HOST, port, application, threaded=True)
    # moto's own URLs, such as those of SQS queues, name it.
    os.environ["MOTO_PORT"] = str(server.server_port)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    (ready or announce)(server.server_port)
    serving.join()


def announce(port: int) -> None:
    print(f"ready {port}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    listen(parser.parse_args().port)


if __name__ == "__main__":
    main()

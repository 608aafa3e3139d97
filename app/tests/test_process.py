"""How the process starts and stops: the real one, with real signals."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SLOW = """
import asyncio
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from web.server import serve
from web.settings import Settings

async def slow(request):
    await asyncio.sleep(1.5)
    return PlainTextResponse("done")

serve(Settings.from_environment(), [Route("/slow", slow)])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, *command: str) -> None:
        self.port = free_port()
        environment = {**os.environ, "PORT": str(self.port), "RELMAN_VERSION": "9.9.9"}
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )

    @contextmanager
    def connect(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            yield connection
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        with self.connect() as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def await_ready(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert self.get("/healthz")[0] == 200
                return
            except ConnectionRefusedError:
                assert self.process.poll() is None, "the server ended before it answered"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.02)

    def stop(self) -> tuple[int, float]:
        """Sends SIGTERM; exit status and seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20), time.monotonic() - began


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running("-m", "web")


@pytest.fixture
def slow_server() -> Iterator[Server]:
    yield from running("-c", SLOW)


def running(*command: str) -> Iterator[Server]:
    server = Server(*command)
    try:
        server.await_ready()
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def test_sigterm_ends_it_at_once(server: Server) -> None:
    status, seconds = server.stop()
    assert status == 0
    assert seconds < 1.5


def test_sigterm_does_not_wait_for_idle_connections(server: Server) -> None:
    with server.connect() as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read()
        status, seconds = server.stop()
    assert status == 0
    assert seconds < 1.5


def test_a_request_in_flight_is_finished_and_new_ones_are_refused(slow_server: Server) -> None:
    answer: list[tuple[int, bytes]] = []
    client = threading.Thread(target=lambda: answer.append(slow_server.get("/slow")))
    client.start()
    in_flight(slow_server)
    slow_server.process.send_signal(signal.SIGTERM)
    refused_within(slow_server, 1.0)
    client.join(10)
    assert answer == [(200, b"done")]
    slow_server.process.wait(timeout=5)


def in_flight(server: Server) -> None:
    """Waits until the slow request is being answered beside the one that asks."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if b"\nhttp_requests_in_flight 2.0" in server.get("/metrics")[1]:
            return
        time.sleep(0.02)
    pytest.fail("the slow request did not arrive")


def refused_within(server: Server, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    pytest.fail("new connections are still taken after SIGTERM")


def test_sigterm_while_it_starts_ends_it() -> None:
    server = Server("-m", "web")
    # Python is up once it has taken the signal handler over from the default.
    status_file = Path(f"/proc/{server.process.pid}/status")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.process.poll() is None:
        caught = next(line for line in status_file.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) & (1 << (signal.SIGTERM - 1)):
            break
    status, seconds = server.stop()
    server.process.communicate()
    assert status == 0
    assert seconds < 2

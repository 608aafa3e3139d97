#!/usr/bin/env python3
"""A steady stream of GET requests and an honest count of what became of them. Only the standard library.

Requests start on a fixed schedule whatever the answers do (an open loop). A share of them goes over kept connections,
the others each over a new one. What counts:

  ok         a whole answer with a status of 2xx or 3xx
  retried    a GET on a kept connection that the server closed before the first byte of an answer, and that was then
             answered on a new connection: what HTTP lets every client do by itself (RFC 9110, section 9.2.2)
  reopened   kept connections found closed before a byte of the next request was sent
  failed     everything else: refused, reset, cut off, timed out, another status
  skipped    not sent, because too many were already under way; a run with any of these proves nothing

It ends after --seconds or --count, or on SIGTERM or SIGINT, waits for what is under way, and writes its result as JSON.
"""

import argparse
import asyncio
import collections
import json
import os
import signal
import ssl
import sys
import time
import urllib.parse
from dataclasses import dataclass, field

MAX_HEAD = 64 * 1024
MAX_BODY = 8 * 1024 * 1024
MAX_SAMPLES = 50


class Failed(Exception):
    """A request that a user would have seen fail; the text is the kind of failure."""


class ClosedBeforeAnswer(Exception):
    """The server closed the connection before the first byte of an answer."""


@dataclass
class Tally:
    """What became of the requests."""

    sent: int = 0
    ok: int = 0
    retried: int = 0
    reopened: int = 0
    skipped: int = 0
    kinds: collections.Counter = field(default_factory=collections.Counter)
    samples: list = field(default_factory=list)
    versions: dict = field(default_factory=dict)
    timeline: list = field(default_factory=list)
    seconds: list = field(default_factory=list)

    def failed(self, at: float, kind: str, kept: bool) -> None:
        self.kinds[kind] += 1
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append({"at": round(at, 3), "kind": kind, "kept": kept})

    def answered(self, at: float, seconds: float, body: bytes) -> None:
        self.ok += 1
        self.seconds.append(seconds)
        version = version_of(body)
        if version is None:
            return
        seen = self.versions.setdefault(version, {"requests": 0, "first": round(at, 3), "last": 0})
        seen["requests"] += 1
        seen["last"] = max(seen["last"], round(at, 3))
        if (not self.timeline or self.timeline[-1]["version"] != version) and len(self.timeline) < 1000:
            self.timeline.append({"at": round(at, 3), "version": version})


def version_of(body: bytes) -> str | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    version = answer.get("version") if isinstance(answer, dict) else None
    return version if isinstance(version, str) else None


class Connection:
    """One connection; speaks just enough HTTP/1.1 to tell a whole answer from half a one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.used = False

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext | None) -> "Connection":
        try:
            return cls(*await asyncio.open_connection(host, port, limit=MAX_HEAD, ssl=tls))
        except OSError as error:
            raise Failed(f"connect: {type(error).__name__}") from error

    def is_closed(self) -> bool:
        return self.reader.at_eof() or self.reader.exception() is not None or self.writer.is_closing()

    def close(self) -> None:
        self.writer.close()

    async def get(self, request: bytes) -> tuple[int, bytes, bool]:
        """Status, body, and whether the connection may be used again."""
        try:
            self.writer.write(request)
            await self.writer.drain()
            first = await self.reader.read(1)
        except OSError as error:
            raise ClosedBeforeAnswer(type(error).__name__) from error
        if not first:
            raise ClosedBeforeAnswer("closed")
        self.used = True
        try:
            return await self.answer(first)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Failed(f"answer cut off: {type(error).__name__}") from error
        except (asyncio.LimitOverrunError, ValueError, IndexError) as error:
            raise Failed("not HTTP") from error

    async def answer(self, first: bytes) -> tuple[int, bytes, bool]:
        head = first + await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        protocol, status = lines[0].split(" ")[:2]
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        keep = protocol == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        code = int(status)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self.chunks()
        elif "content-length" in headers:
            body = await self.reader.readexactly(min(int(headers["content-length"]), MAX_BODY))
        elif code in (204, 304):
            body = b""
        else:
            body, keep = await self.reader.read(MAX_BODY), False
        return code, body, keep

    async def chunks(self) -> bytes:
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size + len(body) > MAX_BODY:
                raise ValueError("too large")
            body += (await self.reader.readexactly(size + 2))[:-2]
            if size == 0:
                return body


def any_certificate() -> ssl.SSLContext:
    """Which certificate it is, is looked at by who asks for the load; here it is whether requests are answered."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Load:
    """The schedule, the kept connections and the tally."""

    def __init__(self, options: argparse.Namespace) -> None:
        url = urllib.parse.urlsplit(options.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            sys.exit(f"load: {options.url} is not an http:// or https:// URL")
        self.tls = any_certificate() if url.scheme == "https" else None
        self.host, self.port = url.hostname, url.port or (443 if self.tls else 80)
        self.options = options
        path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        head = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: relman-lab-load\r\nAccept: */*\r\n"
        self.keep_request = f"{head}\r\n".encode()
        self.close_request = f"{head}Connection: close\r\n\r\n".encode()
        self.idle: collections.deque[Connection] = collections.deque()
        self.busy = 0
        self.tally = Tally()
        self.under_way: set[asyncio.Task] = set()
        self.stop = asyncio.Event()

    async def run(self) -> dict:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        began, wall, scheduled = loop.time(), time.time(), 0
        limit = min(self.options.count, int(self.options.seconds * self.options.rate))
        while not self.stop.is_set() and scheduled < limit:
            wait = began + scheduled / self.options.rate - loop.time()
            if wait > 0:
                try:
                    await asyncio.wait_for(self.stop.wait(), wait)
                    break
                except TimeoutError:
                    pass
            # An even spread: the share of kept requests is met at every moment, not only at the end.
            kept = int((scheduled + 1) * self.options.keep_alive) > int(scheduled * self.options.keep_alive)
            scheduled += 1
            if len(self.under_way) >= self.options.concurrency:
                self.tally.skipped += 1
                continue
            task = loop.create_task(self.one(kept))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)
        seconds = loop.time() - began
        if self.under_way:
            await asyncio.wait(self.under_way)
        while self.idle:
            self.idle.pop().close()
        return self.result(wall, seconds)

    async def one(self, kept: bool) -> None:
        self.tally.sent += 1
        at, began = time.time(), time.perf_counter()
        try:
            async with asyncio.timeout(self.options.timeout):
                status, body = await (self.over_kept() if kept else self.over_new())
            if not 200 <= status < 400:
                raise Failed(f"status {status}")
        except TimeoutError:
            self.tally.failed(at, "timeout", kept)
        except Failed as failure:
            self.tally.failed(at, str(failure), kept)
        else:
            self.tally.answered(time.time(), time.perf_counter() - began, body)

    async def over_new(self) -> tuple[int, bytes]:
        connection = await Connection.open(self.host, self.port, self.tls)
        try:
            status, body, _ = await connection.get(self.close_request)
            return status, body
        except ClosedBeforeAnswer as closed:
            raise Failed(f"no answer: {closed}") from closed
        finally:
            connection.close()

    async def over_kept(self) -> tuple[int, bytes]:
        connection = self.take_idle()
        self.busy += 1
        try:
            return await self.over(connection)
        finally:
            self.busy -= 1

    async def over(self, connection: Connection | None) -> tuple[int, bytes]:
        retry = connection is not None
        if connection is None:
            connection = await Connection.open(self.host, self.port, self.tls)
        try:
            try:
                status, body, keep = await connection.get(self.keep_request)
            except ClosedBeforeAnswer as closed:
                if not retry:
                    raise Failed(f"no answer: {closed}") from closed
                connection.close()
                connection = await Connection.open(self.host, self.port, self.tls)
                try:
                    status, body, keep = await connection.get(self.keep_request)
                except ClosedBeforeAnswer as again:
                    raise Failed(f"no answer: {again}") from again
                self.tally.retried += 1
        except BaseException:
            connection.close()
            raise
        if keep:
            self.idle.append(connection)
        else:
            connection.close()
        return status, body

    def take_idle(self) -> Connection | None:
        # Many clients keep a connection open each: a busy server sees all of them, and each is idle for a while.
        while len(self.idle) + self.busy >= self.options.connections and self.idle:
            connection = self.idle.popleft()
            if not connection.is_closed():
                return connection
            connection.close()
            self.tally.reopened += 1
        return None

    def result(self, began: float, seconds: float) -> dict:
        tally = self.tally
        times = sorted(tally.seconds)

        def at(share: float) -> float | None:
            return round(1000 * times[min(int(share * len(times)), len(times) - 1)], 2) if times else None

        return {
            "url": self.options.url,
            "began": round(began, 3),
            "seconds": round(seconds, 1),
            "requests": tally.sent,
            "ok": tally.ok,
            "failed": sum(tally.kinds.values()),
            "retried": tally.retried,
            "reopened": tally.reopened,
            "skipped": tally.skipped,
            "rate": round(tally.sent / seconds, 1) if seconds else 0,
            "kinds": dict(tally.kinds),
            "samples": tally.samples,
            "latency_ms": {"p50": at(0.50), "p99": at(0.99), "max": at(1.0)},
            "versions": tally.versions,
            "timeline": tally.timeline,
        }


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=200, help="requests a second (at most 2000)")
    parser.add_argument("--keep-alive", type=float, default=0.5, help="share sent over kept connections, 0 to 1")
    parser.add_argument("--connections", type=int, default=20, help="kept connections to have open")
    parser.add_argument("--seconds", type=float, default=1800, help="end after this time (at most two hours)")
    parser.add_argument("--count", type=int, default=1_000_000, help="end after this many requests")
    parser.add_argument("--concurrency", type=int, default=1000, help="most requests under way at once")
    parser.add_argument("--timeout", type=float, default=15, help="seconds that one request may take")
    parser.add_argument("--output", help="file for the result; stdout without")
    chosen = parser.parse_args()
    for name, low, high in (
        ("rate", 0.1, 2000),
        ("keep_alive", 0, 1),
        ("seconds", 0.1, 7200),
        ("count", 1, 5_000_000),
        ("concurrency", 1, 5000),
        ("connections", 1, 1000),
        ("timeout", 0.1, 120),
    ):
        if not low <= getattr(chosen, name) <= high:
            parser.error(f"--{name.replace('_', '-')} must be from {low} to {high}")
    return chosen


async def run(chosen: argparse.Namespace) -> dict:
    return await Load(chosen).run()


def main() -> int:
    chosen = options()
    result = asyncio.run(run(chosen))
    text = json.dumps(result, indent=2) + "\n"
    if chosen.output:
        partial = f"{chosen.output}.tmp"
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, chosen.output)
    else:
        sys.stdout.write(text)
    return 0 if result["failed"] == 0 and result["skipped"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Takes what Alertmanager sends, and keeps it: receiver.py PORT FILE. One JSON line per POST: its path and its body."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # One write of one line: whoever reads meanwhile finds whole ones.
        kept.write(json.dumps({"path": self.path, "body": json.loads(body)}) + "\n")
        kept.flush()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *arguments):
        pass


with open(sys.argv[2], "a") as kept:
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()

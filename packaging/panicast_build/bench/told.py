# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a webhook's target on a port: prints the host of each complete record that it is told of."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class _Target(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        record = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if record["complete"]:
            print(record["host"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of what it was asked."""


if __name__ == "__main__":
    target = HTTPServer(("127.0.0.1", int(sys.argv[1])), _Target)
    print("ready", flush=True)
    target.serve_forever()

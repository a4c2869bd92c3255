"""Receives notices: python receiver.py 9000 whsec_…   Needs `pip install standardwebhooks` and nothing else.

It verifies every signature, echoes the challenge that proves whose address this is, answers before it works, and deals
with each `webhook-id` once.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import ClassVar

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    """One request is one notice."""

    webhook: ClassVar[Webhook]
    seen: ClassVar[set[str]] = set()  # yours is a table: a notice may come twice, also after a restart
    one_at_a_time: ClassVar[Lock] = Lock()  # several notices come at once

    def do_POST(self) -> None:
        """A notice, or somebody's try."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            told = self.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.answer(400, {"error": "signature"})
            return
        if told["type"] == "linli.endpoint.challenge":
            self.answer(200, {"challenge": told["challenge"]})
            return
        self.answer(200, {})
        with self.one_at_a_time:
            if self.headers["webhook-id"] not in self.seen:
                self.seen.add(self.headers["webhook-id"])
                print(json.dumps(told, ensure_ascii=False), flush=True)

    def answer(self, status: int, body: dict[str, str]) -> None:
        """Said before anything else is done: the sender waits fifteen seconds and no longer."""
        told = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        """Requests are not written down."""


if __name__ == "__main__":
    Receiver.webhook = Webhook(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"listening on {server.server_address[1]}", flush=True)
    server.serve_forever()

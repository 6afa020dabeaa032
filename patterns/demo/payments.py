"""A real payment service for the demo: HTTP on loopback, in a process of its own, with faults to order.

It behaves as real ones do: a charge is made when the request is worked on,
whether or not the answer arrives. Its journal, one JSON line per money
movement, is what the demo counts afterwards. Run it as
``python -m patterns.demo.payments JOURNAL``; it prints its port.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["main"]


class Service:
    """The journal and the faults that are ordered for the next requests."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._faults: list[str] = []

    def order_faults(self, faults: list[str]) -> None:
        """Let the next requests meet these: ``down``, ``lose the answer`` or ``work``."""
        with self._lock:
            self._faults = list(faults)

    def next_fault(self) -> str:
        """Return what the present request meets."""
        with self._lock:
            return self._faults.pop(0) if self._faults else "work"

    def move(self, kind: str, order: str, amount: int) -> dict[str, Any]:
        """Move money: append to the journal and make it durable before anything else happens."""
        with self._lock, self._journal.open("a", encoding="utf-8") as journal:
            number = sum(1 for _ in self._journal.open(encoding="utf-8")) + 1
            movement = {"id": f"{kind[:2]}_{number}", "kind": kind, "order": order, "amount": amount}
            journal.write(json.dumps(movement) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        return movement

    def movements(self, order: str) -> list[dict[str, Any]]:
        """Return every movement for *order*."""
        with self._lock:
            lines = self._journal.read_text(encoding="utf-8").splitlines()
        return [movement for movement in map(json.loads, lines) if movement["order"] == order]


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, service.movements(self.path.rpartition("/")[2]))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/faults":
                service.order_faults(body["faults"])
                self._answer(200, {})
                return
            fault = service.next_fault()
            if fault == "down":
                self._answer(503, {"error": "the payment service is down"})
                return
            movement = service.move(self.path.strip("/"), body["order"], body["amount"])
            if fault == "lose the answer":
                self.close_connection = True  # the money has moved; the caller never hears of it
                return
            self._answer(201, movement)

        def _answer(self, status: int, body: Any) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing; the journal tells what matters."""

    return Handler


def main(arguments: list[str] | None = None) -> None:
    """Serve until standard input is closed, which happens when the demo's process ends, however it ends."""
    journal = Path((sys.argv[1:] if arguments is None else arguments)[0])
    journal.touch()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Service(journal)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()

"""What the agent's tools use to talk to the payment service, with errors that say what is known."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PaymentDown", "Payments", "PaymentsProcess"]


class PaymentDown(Exception):
    """The service answered that it did nothing."""


class Payments:
    """A client of the payment service on *port*."""

    def __init__(self, port: int, *, timeout: float = 2.0) -> None:
        self._port = port
        self._timeout = timeout

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            payload = json.loads(answer.read())
        except http.client.RemoteDisconnected as lost:
            raise ConnectionError("the payment service hung up without an answer") from lost
        finally:
            connection.close()
        if answer.status == http.client.SERVICE_UNAVAILABLE:
            raise PaymentDown(payload["error"])
        return payload

    def move(self, kind: str, order: str, amount: int) -> dict[str, Any]:
        """Charge or refund *amount* for *order*.

        Raises:
            PaymentDown: Nothing was moved.
            ConnectionError: The answer was lost; the money may have moved.

        """
        movement: dict[str, Any] = self._ask("POST", f"/{kind}", {"order": order, "amount": amount})
        return movement

    def movements(self, order: str) -> list[dict[str, Any]]:
        """Return what really happened for *order*."""
        found: list[dict[str, Any]] = self._ask("GET", f"/movements/{order}")
        return found

    def order_faults(self, *faults: str) -> None:
        """Let the next requests meet these faults."""
        self._ask("POST", "/faults", {"faults": faults})


class PaymentsProcess:
    """The payment service as a child process, as long as the ``with`` block."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "patterns.demo.payments", str(self._journal)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
        if self._process.stdout is None:
            raise AssertionError("a pipe was asked for")
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()  # closing its standard input tells it to end
        self._process.wait(timeout=10)

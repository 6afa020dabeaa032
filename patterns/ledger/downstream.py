"""Sending the effect's key along, so that the provider tells repetitions too."""

from __future__ import annotations

from patterns.errors import misuse
from patterns.kernel.call import current_call

__all__ = ["idempotency_headers"]


def idempotency_headers() -> dict[str, str]:
    """Return the ``Idempotency-Key`` header of the effect this code runs in, for any HTTP client.

    The key is the same for every attempt at the effect, and tells nothing of its arguments.
    Source: IETF draft-ietf-httpapi-idempotency-key-header; without the quotes it
    asks for, as providers expect it today.

    Raises:
        Misuse: This code does not run in an effect.

    """
    call = current_call()
    while call is not None and call.idempotency_key is None:
        call = call.parent
    if call is None or call.idempotency_key is None:
        misuse(
            "this code runs in no effect, so there is no key to send",
            wrong="httpx.post(url, headers=idempotency_headers())",
            right="@ledger.once\n           def pay(...): httpx.post(url, headers=idempotency_headers())",
        )
    return {"Idempotency-Key": call.idempotency_key}

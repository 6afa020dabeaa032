"""What an error from the body says about the effect: failed for good, nothing happened, or nobody knows."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import frozen

from patterns.errors import InDoubt, NotPerformed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Failures", "Meaning"]

Types = tuple[type[BaseException], ...]

_AMBIGUOUS: Types = (InDoubt, TimeoutError, ConnectionError)

# Whether the request may have been carried out, by where a client defines its errors, for no client is imported for
# this. What inherits from them, or is raised from them, is meant as well; the closest entry counts.
_BY_NAME = {
    "aiohttp.client_exceptions.ClientConnectionError": True,
    "aiohttp.client_exceptions.ClientPayloadError": True,
    "anthropic.APIConnectionError": True,
    "botocore.exceptions.ConnectionClosedError": True,
    "botocore.exceptions.HTTPClientError": True,
    "grpc.RpcError": True,
    "http.client.BadStatusLine": True,
    "http.client.IncompleteRead": True,
    "httpcore.NetworkError": True,
    "httpcore.ProtocolError": True,
    "httpcore.TimeoutException": True,
    "httpx.TransportError": True,
    "openai.APIConnectionError": True,
    "psycopg.OperationalError": True,
    "requests.exceptions.ChunkedEncodingError": True,
    "requests.exceptions.ConnectionError": True,
    "requests.exceptions.Timeout": True,
    "stripe._error.APIConnectionError": True,
    "stripe.error.APIConnectionError": True,
    "urllib.error.HTTPError": False,  # an answer
    "urllib.error.URLError": True,
    "urllib3.exceptions.ProtocolError": True,
    "urllib3.exceptions.TimeoutError": True,
}


class Meaning(Enum):
    """What is known of an effect whose body raised."""

    FAILED = "failed"
    NOT_PERFORMED = "not performed"
    IN_DOUBT = "in doubt"


@frozen
class Failures:
    """How the errors of one function are read.

    Args:
        retry_on: Errors that prove that nothing happened, so the call may be made again.
        terminal: Errors that are failures for good, even if they look ambiguous.
        strict: Whether every other error leaves the effect in doubt.

    """

    retry_on: Types = ()
    terminal: Types = ()
    strict: bool = False

    def meaning(self, error: BaseException) -> Meaning:
        """Return what *error* says."""
        if not isinstance(error, Exception):
            return Meaning.IN_DOUBT
        if isinstance(error, (NotPerformed, *self.retry_on)):
            return Meaning.NOT_PERFORMED
        if isinstance(error, self.terminal):
            return Meaning.FAILED
        return Meaning.IN_DOUBT if self.strict or any(map(_is_ambiguous, _chain(error))) else Meaning.FAILED


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it was explicitly raised from, for wrapping a time-out does not make it certain."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        one = ahead.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        ahead.append(one.__cause__)
        if isinstance(one, BaseExceptionGroup):
            ahead.extend(one.exceptions)


def _is_ambiguous(error: BaseException) -> bool:
    if isinstance(error, _AMBIGUOUS) or not isinstance(error, Exception):
        return True
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((_BY_NAME[name] for name in names if name in _BY_NAME), False)

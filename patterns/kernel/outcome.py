"""The five ways a guarded call can end; every pattern reads them the same.

============  ==========================================================
`Returned`    it ran and returned
`Replayed`    it did not run now: an earlier run's result or failure is handed out
`Raised`      it ran and raised
`Refused`     it did not run; nothing happened
`Abandoned`   cancelled, interrupted, closed early: it may have run
============  ==========================================================
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["Abandoned", "CarriedExit", "CarriedStop", "Outcome", "Raised", "Refused", "Replayed", "Returned"]


class CarriedStop(Exception):
    """Carries a StopIteration through coroutines, which would turn it into a RuntimeError (PEP 479)."""

    def __init__(self, error: StopIteration) -> None:
        super().__init__(error)
        self.error = error


class CarriedExit(BaseException):
    """Carries a GeneratorExit into coroutines, where ``throw`` would close the inner ones instead of raising."""

    def __init__(self, error: GeneratorExit) -> None:
        super().__init__(error)
        self.error = error


class Returned:
    """It ran and returned *value*."""

    __match_args__ = ("value",)
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def unwrap(self) -> Any:
        """Return the value."""
        return self.value


class _Ended:
    __match_args__ = ("error",)
    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def unwrap(self) -> NoReturn:
        """Raise the error, unchanged (a StopIteration in its carrier)."""
        error = CarriedStop(self.error) if isinstance(self.error, StopIteration) else self.error
        try:
            raise error
        finally:
            del error, self  # an outcome kept in a frame of the traceback would be a reference cycle


class Raised(_Ended):
    """It ran and raised *error*, an `Exception`."""

    __slots__ = ()


class Refused(_Ended):
    """It did not run: *error* came before the body was entered."""

    __slots__ = ()


class Abandoned(_Ended):
    """It was cut short by *error* (cancellation, KeyboardInterrupt, GeneratorExit) and may have run."""

    __slots__ = ()


class Replayed:
    """It did not run now; *value*, or *error* if that is not None, was recorded by an earlier run."""

    __match_args__ = ("value", "error")
    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error

    def unwrap(self) -> Any:
        """Return the recorded value or raise the recorded error."""
        if self.error is None:
            return self.value
        return Raised(self.error).unwrap()


Outcome = Returned | Replayed | Raised | Refused | Abandoned

"""The two-step form: ask first, tell later how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from patterns.circuit_breaker.era import Era
from patterns.circuit_breaker.verdict import FAILURE, IGNORE, SUCCESS, Ending, Verdict
from patterns.errors import misuse

if TYPE_CHECKING:
    from types import TracebackType

    from patterns.circuit_breaker.engine import Engine
    from patterns.circuit_breaker.era import Probe
    from patterns.circuit_breaker.verdict import Judge

__all__ = ["Permit"]


class Permit:
    """Leave to make one call; made by ``breaker.acquire()``.

    Tell it how the call went with `success`, `failure` or `release`, or use it
    as a ``with`` block, which does so by how the block ends. A probe that is
    never settled frees its place at its deadline.
    """

    __slots__ = ("_admitted", "_engine", "_judge", "_settled", "_started")

    def __init__(self, engine: Engine, judge: Judge, admitted: Era | Probe) -> None:
        self._engine = engine
        self._judge = judge
        self._admitted = admitted
        self._started = 0.0 if engine.policy.slow_over is None else engine.now()
        self._settled = False

    def success(self) -> bool:
        """The call was made and went well.

        Returns:
            Whether it counted: False if the circuit changed its state in the meantime.

        Raises:
            Misuse: The permit was settled before.

        """
        return self._settle(SUCCESS)

    def failure(self, why: BaseException | Verdict | str = "", /) -> bool:
        """The call was made and failed.

        Args:
            why: The error, which is judged as the breaker's options say; or a verdict or a reason, which is taken.

        Returns:
            Whether it counted: False if the circuit changed its state in the meantime.

        Raises:
            Misuse: The permit was settled before.

        """
        if isinstance(why, BaseException):
            return self._failed(why)
        return self._settle(why if isinstance(why, Verdict) else FAILURE.because(why))

    def release(self) -> None:
        """The call was not made, or nobody knows what came of it; harmless if the permit is settled."""
        if not self._settled:
            self._settle(IGNORE)

    def _failed(self, error: BaseException) -> bool:
        judged = isinstance(error, Exception)
        return self._settle(self._judge.of_error(error) if judged else IGNORE, error if judged else None)

    def _settle(self, verdict: Verdict, error: BaseException | None = None) -> bool:
        if self._settled:
            misuse(
                "the permit was settled before; a call ends once",
                wrong="permit.success(); permit.failure()",
                right="permit.success()",
            )
        self._settled = True
        engine, admitted = self._engine, self._admitted
        over = engine.policy.slow_over
        now = engine.now()
        slow = over is not None and now - self._started > over
        if verdict is SUCCESS and not slow and isinstance(admitted, Era) and now < admitted.edge:
            next(admitted.ticks)
            return admitted is engine.era
        return engine.settle(admitted, Ending.of(verdict, error, slow=slow))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settled:
            return
        if error is None:
            self.success()
        else:
            self._failed(error)

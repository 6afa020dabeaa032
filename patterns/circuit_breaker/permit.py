"""The two-step form: ask first, tell later how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from patterns.circuit_breaker.era import Era
from patterns.circuit_breaker.machine import Judged
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

    __slots__ = ("_admitted", "_ended", "_engine", "_judge", "_number", "_settled", "_started")

    def __init__(self, engine: Engine, judge: Judge, admitted: Era | Probe) -> None:
        self._engine = engine
        self._judge = judge
        self._admitted = admitted
        self._started = 0.0 if engine.policy.slow_over is None else engine.now()
        self._settled: Verdict | None = None
        self._number = 0
        self._ended = 0.0

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
        if self._settled is None:
            self._settle(IGNORE)

    def revise(self, why: Verdict | str, /) -> bool:
        """The call that seemed to have gone well turned out to have failed, says a validator or a person.

        Args:
            why: A reason, or a failure.

        Returns:
            Whether it counted, as if it had failed then; False if the circuit changed its state since.

        Raises:
            Misuse: The call was not settled as a success, or *why* is no failure.

        """
        verdict = why if isinstance(why, Verdict) else FAILURE.because(why)
        if self._settled is None or self._settled.judged is not Judged.SUCCESS or verdict.judged is not Judged.FAILURE:
            misuse(
                "only a success can be revised, and only to a failure",
                wrong="permit.failure(error); permit.revise(SUCCESS)",
                right='permit.success(); permit.revise("the answer was made up")',
            )
        self._settled = verdict
        return self._engine.revise(self._admitted, self._number, self._ended, Ending.of(verdict))

    def _failed(self, error: BaseException) -> bool:
        judged = isinstance(error, Exception)
        return self._settle(self._judge.of_error(error) if judged else IGNORE, error if judged else None)

    def _settle(self, verdict: Verdict, error: BaseException | None = None) -> bool:
        if self._settled is not None:
            misuse(
                "the permit was settled before; a call ends once",
                wrong="permit.success(); permit.failure()",
                right="permit.success()",
            )
        self._settled = verdict
        engine, admitted = self._engine, self._admitted
        over = engine.policy.slow_over
        now = self._ended = engine.now()
        slow = over is not None and now - self._started > over
        if verdict is SUCCESS and not slow and isinstance(admitted, Era) and now < admitted.edge:
            self._number = next(admitted.ticks) - admitted.peeks
            return admitted is engine.era
        self._number = engine.settle(admitted, Ending.of(verdict, error, slow=slow))
        return self._number > 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settled is not None:
            return
        if error is None:
            self.success()
        else:
            self._failed(error)

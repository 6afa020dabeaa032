"""Guards around a ``with`` or ``async with`` block: the body of the block is the call."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

from patterns.errors import Misuse, misuse
from patterns.kernel.call import Call
from patterns.kernel.drive import Awaited, Steps, at_once
from patterns.kernel.stack import Stack
from patterns.kernel.target import Kind, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType

    from patterns.kernel.stack import Guard

__all__ = ["Block", "Step"]


class Step:
    """What a guarded block is told and tells.

    Attributes:
        call: The block as a call; ``call.idempotency_key`` is what to send downstream.
        result: What the block produced; set it, and the ledger records it. On a replay it is the recorded result.

    """

    def __init__(self, call: Call, *, fresh: bool, result: Any) -> None:
        self.call = call
        self.result = result
        self.asked = fresh
        self._fresh = fresh

    @property
    def fresh(self) -> bool:
        """Whether the block is to do its work; False if an earlier run already did."""
        self.asked = True
        return self._fresh


class Block:
    """One use of a guard around a block; made by a pattern's ``step(name, **facts)``.

    Raises:
        Misuse: It is entered twice, or a replay was not asked for with ``step.fresh``.

    """

    _inside = False

    def __init__(self, guard: Guard, name: str, facts: Mapping[str, Any]) -> None:
        if not isinstance(name, str) or not name:
            misuse(f"a step needs a name, not {name!r}", wrong=".step()", right='.step("nightly sync")')
        self._guard = guard
        self._name = name
        self._facts = dict(facts)
        self._steps: Steps | None = None
        self._step: Step | None = None
        self._token: Token[Call | None] | None = None

    def _start(self, kind: Kind) -> Steps:
        if self._steps is not None:
            misuse(
                f"the step {self._name!r} was entered before; every use needs a new one",
                wrong='step = pattern.step("a"); with step: ...; with step: ...',
                right='with pattern.step("a"): ...; with pattern.step("a"): ...',
            )
        target = Target(None, kind, self._name, f"step:{self._name}")
        stack = Stack(target, (self._guard.bind(target),))
        self._steps = Steps(stack, Call(target, (), self._facts))
        return self._steps

    def _entered(self, *, fresh: bool) -> Step:
        steps = self._steps
        if steps is None:
            raise AssertionError("entered before it was started")
        if not fresh and not steps.call.is_replay:
            raise Misuse.shown(
                f"a guard ended without running the step {self._name!r}, which a with block cannot express",
                wrong="with pattern.step(...) where the pattern returns a substitute",
                right="a function, or a pattern that raises",
            )
        self._step = Step(steps.call, fresh=fresh, result=steps.value)
        steps.call.step = self._step
        self._token = steps.call.activate()
        self._inside = True
        return self._step

    def _left(self, error: BaseException | None) -> tuple[Steps, Step]:
        steps, step = self._steps, self._step
        if steps is None or step is None or self._token is None:
            raise AssertionError("left before it was entered")
        self._inside = False
        steps.call.deactivate(self._token)
        if not step.asked and error is None:
            misuse(
                f"the step {self._name!r} was done before, yet its block ran again without asking",
                wrong="with ledger.step(...): send()",
                right="with ledger.step(...) as step:\n               if step.fresh: send()",
            )
        return steps, step

    def __enter__(self) -> Step:
        return self._entered(fresh=at_once(self._start(Kind.BLOCK).begin()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        steps, step = self._left(error)
        if steps.ended:
            return False
        if error is None:
            at_once(steps.returned(step.result))
            return False
        try:
            at_once(steps.raised(error))
        except BaseException as raised:  # noqa: BLE001 - the block's own goes on, any other is raised
            return _same(raised, error, trace)
        return steps.kept is None

    async def __aenter__(self) -> Step:
        return self._entered(fresh=await Awaited(self._start(Kind.ASYNC_BLOCK).begin()))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        steps, step = self._left(error)
        if steps.ended:
            return False
        if error is None:
            await Awaited(steps.returned(step.result))
            return False
        try:
            await Awaited(steps.raised(error))
        except BaseException as raised:  # noqa: BLE001 - the block's own goes on, any other is raised
            return _same(raised, error, trace)
        return steps.kept is None

    def __del__(self) -> None:
        if self._inside:
            warnings.warn(f"the step {self._name!r} was entered but never left", ResourceWarning, stacklevel=2)

    def __copy__(self) -> Self:
        misuse("a step cannot be copied", wrong="copy(step)", right="pattern.step(name)")


def _same(raised: BaseException, error: BaseException, trace: TracebackType | None) -> bool:
    """Let the block's own error go on untouched; raise any other one."""
    if raised is error:
        error.__traceback__ = trace
        return False
    raise raised

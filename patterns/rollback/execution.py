"""Runs a plan: steps one after the other, and groups of them in parallel."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self

from attrs import frozen

from patterns.errors import InDoubt, Refused, misuse
from patterns.kernel.drive import finish_at_once
from patterns.kernel.run import current_run, distinct
from patterns.rollback.machine import ActionState, SagaStatus
from patterns.rollback.mode import Mode
from patterns.rollback.options import check_retry
from patterns.rollback.report import SagaReport, StepRecord
from patterns.rollback.retrying import retried
from patterns.rollback.tools import check_call
from patterns.rollback.transaction import Transaction, actions_of_step, parallel_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.rollback.saga import Saga

__all__ = ["Executor", "Plan", "Step"]


@frozen(init=False)
class Step:
    """A planned call of a saga's tool.

    Args:
        tool: The tool's name, or the tool itself.
        arguments: What it is called with, by name.

    """

    tool: str | Callable[..., Any]
    arguments: Mapping[str, Any]

    def __init__(self, tool: str | Callable[..., Any], /, **arguments: Any) -> None:
        # Not attrs' own: it would take the arguments as one mapping.
        object.__setattr__(self, "tool", tool)
        object.__setattr__(self, "arguments", arguments)


Plan = Iterable[Step | Sequence[Step]]
"""Steps in order; a list among them is a group that runs in parallel."""


@frozen
class _Ready:
    """A step that was checked."""

    name: str
    tool: Callable[..., Any]
    arguments: Mapping[str, Any]


_Groups = tuple[tuple[_Ready, ...], ...]


class Executor:
    """Runs plans of one saga.

    Args:
        saga: Whose tools are called.

    """

    def __init__(self, saga: Saga) -> None:
        self._saga = saga

    def execute(self, plan: Plan, run_id: str | None, retry: Any) -> SagaReport:
        """Run *plan* to its end and return what became of it."""
        groups = self._checked(plan, asynchronous=False)
        mode = Mode(asynchronous=False, clock=self._saga.clock)

        async def once() -> SagaReport:
            return self._once(groups, run_id)

        report: SagaReport = finish_at_once(_again_while_compensated(once, check_retry(retry, "retry"), mode))
        return report

    async def aexecute(self, plan: Plan, run_id: str | None, retry: Any) -> SagaReport:
        """Do as `execute`, with an event loop."""
        groups = self._checked(plan, asynchronous=True)
        mode = Mode(asynchronous=True, clock=self._saga.clock)

        async def once() -> SagaReport:
            return await self._aonce(groups, run_id)

        return await _again_while_compensated(once, check_retry(retry, "retry"), mode)

    def _checked(self, plan: Plan, *, asynchronous: bool) -> _Groups:
        """Look at every step before the first is made."""
        groups: list[tuple[_Ready, ...]] = []
        for entry in plan:
            steps = (entry,) if isinstance(entry, Step) else tuple(entry) if isinstance(entry, Sequence) else ()
            if not steps or not all(isinstance(step, Step) for step in steps):
                misuse(
                    f"a plan is made of steps and lists of steps, not {entry!r}",
                    wrong=f"saga.execute([{entry!r}])",
                    right='saga.execute([Step("reserve", sku=1), [Step("charge"), Step("label")]])',
                )
            groups.append(tuple(self._ready(step, asynchronous=asynchronous) for step in steps))
        return tuple(groups)

    def _ready(self, step: Step, *, asynchronous: bool) -> _Ready:
        tool = self._saga.tools.find(step.tool)
        check_call(tool, step.arguments, asynchronous=asynchronous)
        return _Ready(getattr(tool, "__name__", type(tool).__name__), tool, step.arguments)

    def _once(self, groups: _Groups, run_id: str | None) -> SagaReport:
        transaction = self._saga.transaction(run_id)
        try:
            with transaction:
                for group in _announced(transaction, groups):
                    _run_group(transaction, group)
        except Exception:
            if transaction.error is None:
                raise  # it never began
        return transaction.report

    async def _aonce(self, groups: _Groups, run_id: str | None) -> SagaReport:
        transaction = self._saga.transaction(run_id)
        try:
            async with transaction:
                for group in _announced(transaction, groups):
                    await _arun_group(transaction, group)
        except Exception:
            if transaction.error is None:
                raise  # it never began
        return transaction.report


def _announced(transaction: Transaction, groups: _Groups) -> Iterable[tuple[_Ready, ...]]:
    names = [tuple(step.name for step in group) for group in groups]
    transaction.planned = sum(names, ())
    for number, group in enumerate(groups):
        transaction.planned = sum(names[number + 1 :], ())
        yield group


async def _again_while_compensated(once: Callable[[], Any], policy: Any, mode: Mode) -> SagaReport:
    """Run the whole saga again under *policy*, but only from a clean state."""
    reports: list[SagaReport] = []

    async def attempt() -> SagaReport:
        with _as_new_effects(len(reports)):
            report: SagaReport = await once()
        reports.append(report)
        if policy is not None and report.status is SagaStatus.COMPENSATED and report.error is not None:
            raise report.error
        return report

    try:
        last: SagaReport = await retried(policy, attempt, mode, never=(Refused, InDoubt))
    except Exception as error:
        if not reports or reports[-1].error is not error:
            raise
        return reports[-1]
    return last


def _as_new_effects(attempts_before: int) -> AbstractContextManager[object]:
    """Return a context in which a ledger does not hand out what was taken back in between."""
    if not attempts_before or current_run() is None:
        return nullcontext()
    return distinct(f"attempt {attempts_before + 1}")


# One group


def _run_group(transaction: Transaction, group: tuple[_Ready, ...]) -> None:
    if len(group) == 1:
        _call(transaction, group[0])
        return
    from concurrent.futures import ThreadPoolExecutor

    token = parallel_group.set(transaction.log.position)
    try:
        with ThreadPoolExecutor(len(group)) as pool:
            contexts = [contextvars.copy_context() for _ in group]
            calls = [pool.submit(one.run, _call, transaction, step) for one, step in zip(contexts, group, strict=True)]
    finally:
        parallel_group.reset(token)
    _raise_first([call.exception() for call in calls])


async def _arun_group(transaction: Transaction, group: tuple[_Ready, ...]) -> None:
    if len(group) == 1:
        await _acall(transaction, group[0])
        return
    import asyncio

    token = parallel_group.set(transaction.log.position)
    try:
        # None is cancelled because another one failed: that would only create doubt.
        ended = await asyncio.gather(*(_acall(transaction, step) for step in group), return_exceptions=True)
    finally:
        parallel_group.reset(token)
    _raise_first([one if isinstance(one, BaseException) else None for one in ended])


def _raise_first(errors: list[BaseException | None]) -> None:
    raised = [error for error in errors if error is not None]
    raised.sort(key=lambda error: isinstance(error, Exception))  # interruptions come first
    if raised:
        raise raised[0]


def _call(transaction: Transaction, step: _Ready) -> None:
    with _Watched(transaction, step) as watched:
        watched.result = step.tool(**step.arguments)


async def _acall(transaction: Transaction, step: _Ready) -> None:
    with _Watched(transaction, step) as watched:
        value = step.tool(**step.arguments)
        watched.result = await value if hasattr(type(value), "__await__") else value


class _Watched:
    """Sees whether a step reached the undo log: a guard around its tool may have refused or replayed it."""

    def __init__(self, transaction: Transaction, step: _Ready) -> None:
        self._transaction = transaction
        self._step = step
        self._seen: list[str] = []
        self.result: Any = None

    def __enter__(self) -> Self:
        self._token = actions_of_step.set(self._seen)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        actions_of_step.reset(self._token)
        if not self._seen:
            state = ActionState.REPLAYED if error is None else ActionState.REFUSED
            record = StepRecord(name=self._step.name, state=state, error=error, result=self.result)
            self._transaction.unrecorded = (*self._transaction.unrecorded, record)

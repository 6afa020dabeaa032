"""Which piece of work a call belongs to: run, tenant, agent and user, carried by the context."""

from __future__ import annotations

import contextvars
import functools
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from attrs import evolve, frozen

from patterns.errors import ScopeRequired, misuse
from patterns.kernel.ids import SYSTEM_IDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Run", "RunContext", "carry", "current_run", "distinct", "run"]

P = ParamSpec("P")
R = TypeVar("R")


@frozen(kw_only=True)
class Run:
    """One piece of work of an agent, such as a ticket, a job or a conversation.

    ``path`` holds the ids of the runs it is nested in and its own;
    ``distinct`` the labels of the deliberate repetitions it is inside of.
    """

    path: tuple[str, ...]
    tenant: str | None = None
    agent: str | None = None
    user: str | None = None
    distinct: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The innermost run's id."""
        return self.path[-1]


@frozen
class _Frame:
    run: Run
    outer: _Frame | None


_frame: contextvars.ContextVar[_Frame | None] = contextvars.ContextVar("patterns_run", default=None)


def current_run() -> Run | None:
    """Return the run this code belongs to, or None."""
    frame = _frame.get()
    return None if frame is None else frame.run


def _without(frame: _Frame | None, run: Run) -> _Frame | None:
    """Return the stack without the topmost frame of *run*, which is not on top if a generator is closed elsewhere."""
    if frame is None or frame.run is run:
        return frame and frame.outer
    return _Frame(frame.run, _without(frame.outer, run))


class RunContext:
    """Enters a run, as ``with`` or ``async with``; may be entered again and from other threads."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __enter__(self) -> Run:
        # A linked frame in the context, not a token in this object: threads and tasks may share the object.
        _frame.set(_Frame(self.run, _frame.get()))
        return self.run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _frame.set(_without(_frame.get(), self.run))

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __copy__(self) -> Self:
        return self


def _text(value: str | None, name: str) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    return misuse(
        f"{name} must be a text that is not empty, not {value!r}", wrong=f"{name}={value!r}", right=f'{name}="a-1"'
    )


def run(
    id: str | None = None,  # noqa: A002 - the word users look for
    *,
    tenant: str | None = None,
    agent: str | None = None,
    user: str | None = None,
) -> RunContext:
    """Return a context in which calls belong to the run *id*.

    Runs nest: an inner run keeps what it is not given from the outer one,
    and its calls are distinct from those of an equally named run elsewhere.

    Args:
        id: The work's own name, such as a ticket number; a new one is made if missing.
        tenant: Whose work it is; tenants never see each other's effects.
        agent: Which agent works.
        user: For whom.

    Raises:
        Misuse: An argument is an empty text or not a text.

    """
    outer = current_run()
    own = _text(id, "id") or SYSTEM_IDS.new("run_")
    if outer is None:
        return RunContext(
            Run(path=(own,), tenant=_text(tenant, "tenant"), agent=_text(agent, "agent"), user=_text(user, "user"))
        )
    return RunContext(
        Run(
            path=(*outer.path, own),
            tenant=_text(tenant, "tenant") or outer.tenant,
            agent=_text(agent, "agent") or outer.agent,
            user=_text(user, "user") or outer.user,
            distinct=outer.distinct,
        )
    )


def distinct(label: str) -> RunContext:
    """Return a context in which equal calls are meant as new effects: a deliberate repetition.

    Args:
        label: What makes them different, such as "second gift"; equal labels are equal effects again.

    Raises:
        ScopeRequired: Outside any run.
        Misuse: The label is empty or not a text.

    """
    outer = current_run()
    if outer is None:
        raise ScopeRequired.shown(
            "a deliberate repetition belongs to a run",
            wrong=f"with patterns.distinct({label!r}): ...",
            right=f'with patterns.run("ticket-1"), patterns.distinct({label!r}): ...',
        )
    if _text(label, "label") is None:
        misuse("label must be a text", wrong="patterns.distinct(None)", right='patterns.distinct("second gift")')
    return RunContext(evolve(outer, distinct=(*outer.distinct, label)))


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Return *function* bound to the run and trace of here, for threads and executors that would lose them.

    Tasks and ``asyncio.to_thread`` keep them by themselves.
    """
    context = contextvars.copy_context()

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        # A context can be entered once at a time, so each call gets its own copy.
        return context.copy().run(function, *args, **kwargs)

    return carried

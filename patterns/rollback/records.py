"""The undo log in a store: one record per action that may have to be undone, written before the action runs.

A record is JSON: what the undo needs to know, the name of its handler, and
who wrote it. It is deleted when there is nothing left to undo, so whatever is
found belongs to something unfinished. Only one process can move a record to
``undoing``, and a record found there whose owner is dead means that the undo
may have happened.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import evolve

from patterns.errors import EffectFailed, InDoubt, StoreUnavailable, misuse
from patterns.kernel import faults
from patterns.kernel.commit import Claim
from patterns.kernel.storage import ABSENT, Change
from patterns.rollback.machine import OPEN, Action, ActionState, Policies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from patterns.kernel.storage import AsyncCells, Cell
    from patterns.rollback.handler import Handler
    from patterns.rollback.holder import Holder
    from patterns.rollback.mode import Mode

__all__ = ["Records", "pages", "part", "unpart"]

_FORMAT = 1
_PAGE = 100
_ACTION = "act_"


_ESCAPES = {"%": "%25", "/": "%2F", ",": "%2C"}


def part(text: str | None) -> str:
    """Return *text* as one part of a key; None and the empty text are the same."""
    return "" if text is None else "".join(_ESCAPES.get(letter, letter) for letter in text)


def unpart(text: str) -> str:
    """Return what `part` made *text* of."""
    return text.replace("%2F", "/").replace("%2C", ",").replace("%25", "%")


async def pages(cells: AsyncCells, prefix: str) -> list[Cell]:
    """Return all records under *prefix*, in key order."""
    found: list[Cell] = []
    while page := await cells.scan(prefix, after=found[-1].key if found else "", limit=_PAGE):
        found += page
    return found


class Records:
    """The records of one undo log.

    Args:
        holder: Whose.
        prefix: What all their keys start with.

    """

    def __init__(self, holder: Holder, prefix: str) -> None:
        self.holder = holder
        self.store = holder.store
        self.prefix = prefix

    async def claim(self, action: Action, handler: Handler, mode: Mode) -> Claim | None:
        """Return the claim that writes the action's record; None if there will be nothing to undo.

        Raises:
            Misuse: The undo needs an argument that JSON cannot say.

        """
        if handler.undo is None:
            return None

        async def revert() -> None:
            await self.erase((action,), mode)

        created = Change(self.prefix + action.id, ABSENT, await self._encoded(action, handler, mode))
        return Claim(self.store, [created], revert=revert)

    async def settle(self, action: Action, handler: Handler, mode: Mode) -> None:
        """Write where the action stands, or delete its record if there is nothing left to undo.

        Losing this write is harmless: the action, or its undo, then counts as in doubt.
        """
        if handler.undo is None:
            return
        faults.reach("rollback.settle.before")
        cells, key = mode.cells(self.store), self.prefix + action.id
        try:
            cell = await cells.read(key)
            if cell is not None:
                value = await self._encoded(action, handler, mode) if action.state in OPEN else None
                await cells.swap([Change(key, cell.version, value)], durable=False)
        except StoreUnavailable as error:
            import logging

            text = "the undo log of %s could not be written; after a crash it counts as in doubt"
            logging.getLogger("patterns").error(text, action.name, exc_info=error)  # noqa: TRY400 - it is not handled here
        faults.reach("rollback.settle.after")

    async def take(self, action: Action, handler: Handler, mode: Mode) -> bool:
        """Write that this process undoes the action; False if another one does or did.

        Raises:
            StoreUnavailable: The store cannot say.

        """
        if handler.undo is None:
            return True
        cells, key = mode.cells(self.store), self.prefix + action.id
        cell = await cells.read(key)
        if cell is None or await self._is_taken(json.loads(cell.value), mode):
            return False
        return await cells.swap([Change(key, cell.version, await self._encoded(action, handler, mode))]) is None

    async def _is_taken(self, record: Mapping[str, Any], mode: Mode) -> bool:
        if record["state"] != ActionState.UNDOING.value:
            return False
        return await self.holder.is_alive(record["owner"], mode) is not False

    async def erase(self, actions: Iterable[Action], mode: Mode) -> None:
        """Delete the records of *actions* in one step, durably."""
        wanted = {self.prefix + action.id for action in actions}
        cells = mode.cells(self.store)
        changes = [
            Change(cell.key, cell.version, None) for cell in await pages(cells, self.prefix) if cell.key in wanted
        ]
        if changes and (lost := await cells.swap(changes)) is not None:
            raise StoreUnavailable(f"{lost.key} was changed by another process at this moment")

    async def finish(self, kept: Collection[str], mode: Mode) -> None:
        """Delete all records but those *kept*, by the end of their keys, in one step, durably.

        Raises:
            StoreUnavailable: The store cannot say whether it happened, or another process changed one.

        """
        cells = mode.cells(self.store)
        found = await pages(cells, self.prefix)
        changes = [Change(one.key, one.version, None) for one in found if one.key.removeprefix(self.prefix) not in kept]
        if changes and (lost := await cells.swap(changes)) is not None:
            raise StoreUnavailable(f"{lost.key} was changed by another process at this moment")

    async def load(self, handlers: Mapping[str, Handler], mode: Mode) -> list[tuple[Action, Handler]]:
        """Return what is written down, in order, with how it is undone."""
        cells = await pages(mode.cells(self.store), self.prefix + _ACTION)
        found = [await self._decoded(cell, handlers, mode) for cell in cells]
        return sorted(found, key=lambda one: (one[0].started, one[0].position, one[0].id))

    async def is_left(self, header: Cell, mode: Mode, *, named: bool) -> bool:
        """Whether the writer of *header* is dead; where that cannot be told, whether a person *named* the run."""
        alive = await self.holder.is_alive(json.loads(header.value)["owner"], mode)
        return alive is False or (alive is None and named)

    # How a record is spelled.

    async def _encoded(self, action: Action, handler: Handler, mode: Mode) -> bytes:
        names = handler.takes
        arguments = {
            name: _plain(value, f"{name} of {action.name}")
            for name, value in action.arguments.items()
            if names is None or name in names
        }
        record = {
            "format": _FORMAT,
            "name": action.name,
            "handler": handler.name,
            "state": action.state.value,
            "ended": None if action.ended is None else action.ended.value,
            "arguments": arguments,
            "key": action.idempotency_key,
            "position": action.position,
            "group": action.group,
            "started": action.started,
            "undo_in_doubt": action.undo_in_doubt,
            "error": _spelled(action.error),
            "owner": await self.holder.me(mode),
        }
        if action.has_result and (names is None or "result" in names):
            record |= _result(action)
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    async def _decoded(self, cell: Cell, handlers: Mapping[str, Handler], mode: Mode) -> tuple[Action, Handler]:
        record = json.loads(cell.value)
        handler = handlers.get(record["handler"]) or _missing(record["handler"])
        error = record["error"]
        action = Action(
            id=cell.key.removeprefix(self.prefix),
            name=record["name"],
            position=record["position"],
            arguments=record["arguments"],
            policies=handler.policies,
            state=ActionState(record["state"]),
            ended=None if record["ended"] is None else ActionState(record["ended"]),
            result=record.get("result"),
            has_result="result" in record,
            error=None if error is None else EffectFailed(error, effect_id=record["key"], error_type=""),
            undo_in_doubt=record["undo_in_doubt"],
            idempotency_key=record["key"],
            group=record["group"],
            started=record["started"],
        )
        dead = await self.holder.is_alive(record["owner"], mode) is False
        return (_of_the_dead(action) if dead else action), handler


def _of_the_dead(action: Action) -> Action:
    if action.state is ActionState.RUNNING:
        return evolve(action, state=ActionState.IN_DOUBT, ended=ActionState.IN_DOUBT)
    if action.state is ActionState.UNDOING:
        cut = InDoubt(f"the process that undid {action.name} died", effect_id=action.id, key=action.idempotency_key)
        return evolve(action, state=ActionState.PARKED, undo_in_doubt=True, undo_error=cut)
    return action


def _missing(name: str) -> Handler:
    from patterns.rollback.handler import Handler  # noqa: PLC0415 - only where a module was not imported

    return Handler(name=name, undo=None, resolve=None, retry=None, policies=Policies())


def _spelled(error: BaseException | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"


def _result(action: Action) -> dict[str, Any]:
    try:
        return {"result": _plain(action.result, f"the result of {action.name}")}
    except TypeError:
        return {}  # a later process then has an undo without a result, which it parks rather than guesses


def _plain(value: Any, what: str) -> Any:
    """Return *value* as JSON can say it.

    Raises:
        Misuse: It cannot.

    """
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and value - value == 0):
        return value
    if kind in (list, tuple):
        return [_plain(one, what) for one in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: _plain(one, what) for key, one in value.items()}
    misuse(
        f"{what} is {kind.__name__}, which a durable undo log cannot keep; its undo should ask for what JSON can say",
        wrong="undo=lambda customer, **_: cancel(customer)",
        right="undo=lambda customer_id: cancel(customer_id)",
    )

"""What every guard must do, as pytest tests that anybody can run on a guard of their own.

::

    from patterns.testing.guard_conformance import GuardConformance
    from patterns.testing.shapes import Guarding

    class TestMyGuard(GuardConformance):
        def make(self):
            return Guarding("mine", my_guard.decorate, my_guard.step)

The guard that `make` returns is to let every call pass. Each test gets a new one.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import patterns
from patterns.errors import Misuse, Refused
from patterns.kernel.block import Block
from patterns.kernel.guard import Guard, attach, layers
from patterns.testing.shapes import SHAPES, Guarding, decorated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patterns.kernel.call import Call, Proceed
    from patterns.testing.shapes import Shape

__all__ = ["GuardConformance"]

_ERRORS = (ValueError("a failure"), Refused("of a nested call"), KeyboardInterrupt(), SystemExit(3))


def _one() -> int:
    return 1


class _Witness(Guard):
    """Stands outside or inside the guard under test and sees how the call ended for it."""

    name = "witness"

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def around(self, call: Call, proceed: Proceed) -> Any:
        outcome = await call.attempt(proceed)
        self.seen.append(type(outcome).__name__)
        return outcome.unwrap()

    def guarding(self) -> Guarding:
        return Guarding("witness", lambda function: attach(function, self), lambda name: Block(self, name, {}))


class _Refusing(_Witness):
    """Refuses what it guards."""

    async def around(self, call: Call, proceed: Proceed) -> Any:
        del proceed
        raise Refused("not now", call=call.name)


class GuardConformance:
    """Subclass it, override `make`, and set the flags.

    Attributes:
        streams: Whether it guards generators and async generators; if not, it must refuse them when they are
            decorated.
        blocks: Whether it guards ``with`` and ``async with`` blocks.

    """

    streams: ClassVar[bool] = True
    blocks: ClassVar[bool] = True

    def make(self) -> Guarding:
        """Return the guard under test, new, and willing to let every call pass."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _in_a_run(self) -> Iterator[None]:
        with patterns.run("conformance"):
            yield

    def _can(self, shape: Shape) -> bool:
        if "generator" in shape.name:
            return self.streams
        return self.blocks or "with" not in shape.name

    def _shapes(self) -> list[Shape]:
        return [shape for shape in SHAPES if self._can(shape)]

    def test_values_pass_untouched(self) -> None:
        """Transparent: the caller gets what the function returned."""
        for shape in self._shapes():
            value = {"of": shape.name}
            assert shape.run([self.make()], partial(dict, value)) == value, shape.name

    @pytest.mark.parametrize("error", _ERRORS, ids=repr)
    def test_errors_pass_untouched(self, error: BaseException) -> None:
        """Transparent: the very error reaches the caller, with nothing chained to it."""
        for shape in self._shapes():
            error.__cause__ = error.__context__ = None

            def body() -> None:
                raise error

            with pytest.raises(type(error)) as caught:
                shape.run([self.make()], body)
            assert caught.value is error, shape.name
            assert (error.__cause__, error.__context__) == (None, None), shape.name

    def test_the_function_runs_once(self) -> None:
        """Once: neither skipped nor repeated."""
        for shape in self._shapes():
            runs: list[str] = []
            shape.run([self.make()], partial(runs.append, "ran"))
            assert runs == ["ran"], shape.name

    def test_a_refusal_further_in_leaves_as_it_is(self) -> None:
        """Nothing before the commit point: the function does not run, and for those outside it was refused."""
        for shape in SHAPES[:2]:
            outside, refusing = _Witness(), _Refusing()
            with pytest.raises(Refused, match="not now"):
                shape.run([outside.guarding(), self.make(), refusing.guarding()], lambda: pytest.fail("it ran"))
            assert outside.seen == ["Refused"], shape.name

    def test_cancellation_passes(self) -> None:
        """Abandoned is neither: a cancelled task is cancelled, for the caller and for the guards outside."""
        outside, started = _Witness(), asyncio.Event()

        async def tool() -> None:
            started.set()
            await asyncio.Event().wait()

        guarded = decorated([outside.guarding(), self.make()], tool)

        async def main() -> bool:
            task: asyncio.Future[None] = asyncio.ensure_future(guarded())
            await started.wait()
            task.cancel()
            await asyncio.wait({task})
            return task.cancelled()

        assert asyncio.run(main())
        assert outside.seen == ["Abandoned"]

    def test_signature_and_kind_stay(self) -> None:
        """Transparent: what a framework reads off a function is the same."""

        def tool(order: str, amount: int = 3, *, note: str | None = None) -> str:
            """Pay."""
            return f"{order}{amount}{note}"

        async def later() -> int:
            return 1

        guarded = decorated([self.make()], tool)
        assert inspect.signature(guarded) == inspect.signature(tool)
        assert (guarded.__name__, guarded.__doc__, guarded("A", 1)) == ("tool", "Pay.", "A1None")
        assert inspect.iscoroutinefunction(decorated([self.make()], later))

    def test_methods_bind(self) -> None:
        """A method, a classmethod and a staticmethod get what they always got."""
        guard = self.make().decorate

        class Shop:
            def __idempotency_key__(self) -> str:
                return "shop"

            @guard
            def own(self, amount: int) -> tuple[Any, int]:
                return type(self), amount

            @guard
            @classmethod
            def of_class(cls, amount: int) -> tuple[Any, int]:
                return cls, amount

            @guard
            @staticmethod
            def of_nobody(amount: int) -> int:
                return amount

        Shop.__qualname__ = "Shop"  # a class that keys can name
        globals()["Shop"] = Shop
        try:
            assert (Shop().own(1), Shop.of_nobody(3)) == ((Shop, 1), 3)
            assert Shop.of_class(2) == (Shop, 2)
        finally:
            del globals()["Shop"]

    def test_it_fuses_with_others(self) -> None:
        """One wrapper per stack, in the order written, for every order."""
        for order in itertools.permutations([self.make(), _Witness().guarding()]):
            guarded = decorated(order, _one)
            assert len(layers(guarded)) == len(order)
            assert not hasattr(guarded.__wrapped__, "__wrapped__")

    def test_what_it_cannot_guard_is_refused_early(self) -> None:
        """A shape that it does not take is refused when it is decorated, not when it is called."""
        if self.streams:
            return

        def items() -> Iterator[int]:
            yield 1

        with pytest.raises(Misuse):
            decorated([self.make()], items)

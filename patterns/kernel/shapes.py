"""Which driver stands in for a function of which kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patterns.kernel.drive import guarded_coroutine, guarded_function
from patterns.kernel.generators import guarded_async_generator, guarded_generator
from patterns.kernel.target import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.stack import Stack

__all__ = ["SHAPES"]

SHAPES: dict[Kind, Callable[[Stack], Callable[..., Any]]] = {
    Kind.FUNCTION: guarded_function,
    Kind.COROUTINE: guarded_coroutine,
    Kind.GENERATOR: guarded_generator,
    Kind.ASYNC_GENERATOR: guarded_async_generator,
}
"""Makes the function that stands in for a target of each kind."""

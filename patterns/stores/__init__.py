"""Stores: where guards keep what must outlive a call. `open_store` opens one by its URL."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from patterns.errors import misuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from patterns.kernel.storage import Store

__all__ = ["open_store"]

# A new back end is one line here: scheme -> module and the function in it that opens a URL.
_BACK_ENDS = {
    "memory": ("patterns.stores.memory", "open_url"),
    "sqlite": ("patterns.stores.sqlite", "open_url"),
}


def open_store(url: str, **options: Any) -> Store:
    """Open the store that *url* names.

    Args:
        url: ``memory://`` (this process alone), ``sqlite:///relative.db`` or ``sqlite:////absolute/path.db``.
        options: What the back end takes: `patterns.stores.memory.open_url`, `patterns.stores.sqlite.open_url`.

    Returns:
        The store; share one between all patterns, threads and event loops of a process, and close it at the end.

    Raises:
        Misuse: No back end has that scheme, the rest of the URL is malformed, or an option is unknown.
        StoreUnavailable: The store exists but cannot be used; the text says why and what helps.

    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _BACK_ENDS:
        known = ", ".join(f"{name}://" for name in _BACK_ENDS)
        misuse(
            f"no store is called {url!r}; known are {known}",
            wrong=f"open_store({url!r})",
            right='open_store("sqlite:///agent.db")',
        )
    module, name = _BACK_ENDS[scheme]
    opener: Callable[..., Store] = getattr(import_module(module), name)
    _check_options(url, opener, options)
    return opener(rest, **options)


def _check_options(url: str, opener: Callable[..., Store], options: dict[str, Any]) -> None:
    known = [name for name, each in signature(opener).parameters.items() if each.kind is each.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            misuse(
                f"{url} takes no option {name!r}; it takes {', '.join(known)}",
                wrong=f"open_store({url!r}, {name}=...)",
                right=f"open_store({url!r}, {known[0]}=...)",
            )

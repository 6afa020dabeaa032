"""Checks of what users configure, made when an object is built and not when it is needed."""

from __future__ import annotations

import inspect
from typing import Any, get_args

from patterns.errors import misuse
from patterns.rollback.machine import Policy

__all__ = ["check_count", "check_name", "check_policy", "check_retry"]

_POLICIES = get_args(Policy)


def check_name(name: str, owner: str) -> str:
    """Return *name*.

    Raises:
        Misuse: It is empty or not a text.

    """
    if not isinstance(name, str) or not name:
        misuse(f"{owner} needs a name, not {name!r}", wrong=f"{owner}({name!r})", right=f'{owner}("support-bot")')
    return name


def check_policy(policy: Policy, option: str) -> Policy:
    """Return *policy*.

    Raises:
        Misuse: It is none of the three words.

    """
    if policy not in _POLICIES:
        known = ", ".join(repr(word) for word in _POLICIES)
        misuse(f"{option} is one of {known}", wrong=f"{option}={policy!r}", right=f'{option}="compensate"')
    return policy


def check_count(count: int, option: str) -> int:
    """Return *count*.

    Raises:
        Misuse: It is not a positive integer.

    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        misuse(f"{option} is a whole number from 1 on", wrong=f"{option}={count!r}", right=f"{option}=100")
    return count


def check_retry(policy: Any, option: str) -> Any:
    """Return *policy*, a ``tenacity.Retrying`` or None.

    Raises:
        Misuse: It is something else; ``AsyncRetrying`` too, since one policy serves sync and async calls.

    """
    if policy is None:
        return None
    is_policy = all(callable(getattr(policy, part, None)) for part in ("copy", "iter", "begin"))
    if not is_policy or inspect.iscoroutinefunction(policy.iter):
        misuse(
            f"{option} is a tenacity.Retrying, for async functions too, not {policy!r}",
            wrong=f"{option}={policy!r}",
            right=f"{option}=tenacity.Retrying(stop=tenacity.stop_after_attempt(3))",
        )
    return policy

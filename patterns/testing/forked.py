"""Functions run in forked child processes that all start at the same moment."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Child", "fork", "run_in_processes"]


class Child:
    """A forked process and the JSON value it sends back."""

    def __init__(self, pid: int, answers: int) -> None:
        self.pid = pid
        self._answers = answers

    def result(self) -> Any:
        """Wait for the child to end and return what its function returned.

        Raises:
            ChildProcessError: It failed, or was killed by a signal.

        """
        with open(self._answers, "rb") as answers:
            text = answers.read()
        _pid, status = os.waitpid(self.pid, 0)
        if status:
            raise ChildProcessError(f"the child ended with exit code {os.waitstatus_to_exitcode(status)}")
        return json.loads(text)

    def reap(self) -> int:
        """Wait for the child to end, whoever else holds its pipe; return its exit code, negative for a signal."""
        os.close(self._answers)
        _pid, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def kill(self, signal: int) -> None:
        """Send *signal*."""
        os.kill(self.pid, signal)


def fork(work: Callable[[], Any]) -> Child:
    """Run *work* in a forked child; what it returns must be JSON."""
    answers, answer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the tests are not used by the child
        pid = os.fork()
    if pid == 0:
        os.close(answers)
        _work_and_exit(work, answer)
    os.close(answer)
    return Child(pid, answers)


def run_in_processes(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Return what *work* returns for 0, 1, 2 ... in as many processes, all started at the same moment."""
    gate, latch = os.pipe()

    def wait_and_work(number: int) -> Any:
        os.close(latch)
        os.read(gate, 1)  # ends when nobody holds the latch any more
        return work(number)

    children = [fork(functools.partial(wait_and_work, number)) for number in range(count)]
    os.close(latch)
    try:
        return [child.result() for child in children]
    finally:
        os.close(gate)


def _work_and_exit(work: Callable[[], Any], answer: int) -> None:
    code = 1
    try:
        with open(answer, "wb") as answers:
            answers.write(json.dumps(work()).encode())
        code = 0
    except BaseException:  # noqa: BLE001 - shown, and told by the exit code
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)  # nothing of the parent's is cleaned up here

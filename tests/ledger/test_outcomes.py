"""What is recorded of each way a call can end, in every shape."""

from __future__ import annotations

import asyncio

import pytest

from patterns.errors import (
    CircuitOpen,
    EffectFailed,
    InDoubt,
    NotPerformed,
    ResultUnavailable,
)
from patterns.ledger import EffectRecorded, EffectReplayed, Ledger


class Declined(Exception):
    """An error of the application."""


class Interrupt(BaseException):
    """Something that stops a program."""


def raising(error: BaseException, till):
    """Return a body that pays and raises."""

    def body():
        till.pay(10)
        raise error

    return body


def only(ledger):
    """Return the only record."""
    (record,) = ledger.effects()
    return record


def test_returned_is_recorded_and_replayed(once, till, ledger):
    """A result is recorded, and handed out instead of running again."""
    assert (1, [2]) == once(lambda: (till.pay(1), [2]))
    assert (1, [2]) == once(lambda: (till.pay(1), [2]))
    assert ([1], "done") == (till.paid, only(ledger).state.value)


@pytest.mark.parametrize("error", [ValueError("no money"), KeyError("k"), Declined("card", 5), OSError(2, "gone")])
def test_an_error_is_recorded_and_raised_again(error, once, till, ledger):
    """A definite failure is the effect's outcome: the same type, text and arguments each time."""
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            once(raising(error, till))
        assert (str(error), error.args) == (str(caught.value), caught.value.args)
    assert ([10], "failed") == (till.paid, only(ledger).state.value)
    assert "effects before it may have happened" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_rebuilt_keeps_its_text(once, till):
    """A class of its own that nobody can find any more is replayed as EffectFailed."""
    lost = type("Lost", (Exception,), {"__module__": "gone"})
    with pytest.raises(lost):
        once(raising(lost("no money"), till))
    with pytest.raises(EffectFailed, match=r"gone\.Lost: no money") as caught:
        once(raising(lost("no money"), till))
    assert ("gone:Lost", [10]) == (caught.value.error_type, till.paid)


AMBIGUOUS = [
    TimeoutError("read"),
    ConnectionResetError(104, "reset"),
    BrokenPipeError(),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
    SystemExit(1),
    Interrupt(),
    InDoubt("within", effect_id="inner", key="inner"),
    ExceptionGroup("both", [ValueError(), TimeoutError()]),
]


@pytest.mark.parametrize("error", AMBIGUOUS, ids=lambda error: type(error).__name__)
def test_an_ambiguous_error_leaves_the_effect_in_doubt(error, once, till, ledger, events):
    """After time-outs, lost connections and interruptions nobody knows, so nobody runs it again."""
    with pytest.raises(type(error)):
        once(raising(error, till))
    with pytest.raises(InDoubt) as caught:
        once(raising(error, till))
    record = only(ledger)
    assert ([10], "in_doubt", True) == (till.paid, record.state.value, record.over)
    assert record.id == caught.value.effect_id
    assert "ledger.resolve" in str(caught.value)
    assert all(type(event) is EffectRecorded for event in events)


def test_wrapping_a_time_out_does_not_make_it_certain(once, till, ledger):
    """An error raised from an ambiguous one is as ambiguous."""

    def body():
        till.pay(1)
        raise Declined from TimeoutError("read")

    with pytest.raises(Declined):
        once(body)
    assert "in_doubt" == only(ledger).state.value


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (NotPerformed("the queue is full"), {}),
        (Declined("later"), {"retry_on": (Declined,)}),
        (ConnectionRefusedError(), {"retry_on": ConnectionRefusedError}),
    ],
)
def test_an_error_that_proves_that_nothing_happened_frees_the_key(error, options, once, till, ledger):
    """The next call runs again, under a higher fence."""
    with pytest.raises(type(error)):
        once(raising(error, till), **options)
    assert "ready" == only(ledger).state.value
    assert 5 == once(lambda: till.pay(5), **options)
    record = only(ledger)
    assert ([10, 5], "done", 2) == (till.paid, record.state.value, record.fence)


def test_terminal_errors_are_final_even_if_they_look_ambiguous(once, till, ledger):
    """The tool's author knows better."""
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            once(raising(ConnectionRefusedError(111, "refused"), till), terminal=ConnectionRefusedError)
    assert ([10], "failed") == (till.paid, only(ledger).state.value)


def test_the_strict_choice_doubts_every_error_that_is_not_named(once, till, ledger):
    """For money: an ordinary error proves nothing, unless it is declared terminal."""
    with pytest.raises(ValueError, match="odd"):
        once(raising(ValueError("odd"), till), on_error="doubt")
    assert "in_doubt" == only(ledger).state.value
    with pytest.raises(Declined):
        once(raising(Declined(), till), "other", on_error="doubt", terminal=(Declined,))
    assert ["in_doubt", "failed"] == sorted((one.state.value for one in ledger.effects()), reverse=True)


def test_a_refusal_of_a_nested_call_is_an_error_of_this_one(once, till, ledger):
    """This call did run, whatever the nested one did not; handed out again it is no refusal of today."""
    body = raising(CircuitOpen("closed for now", call="inner", breaker="b", state="open"), till)
    with pytest.raises(CircuitOpen) as caught:
        once(body)
    assert ("inner", "b") == (caught.value.call, caught.value.breaker)
    with pytest.raises(EffectFailed, match="CircuitOpen: closed for now"):
        once(body)
    assert ([10], "failed") == (till.paid, only(ledger).state.value)


def test_an_unrecordable_result_never_loses_the_success(once, till, ledger):
    """The caller gets the very object; a replay says clearly that only the result is gone."""
    thing = object()

    def body():
        till.pay(1)
        return {"client": thing}

    assert thing is once(body)["client"]
    with pytest.raises(ResultUnavailable, match=r"result\['client'\] is a object") as caught:
        once(body)
    assert ([1], "done", only(ledger).id) == (till.paid, only(ledger).state.value, caught.value.effect_id)


def test_a_result_that_is_too_large_is_a_success_all_the_same(memory, till, run):
    """It is not recorded, and the effect not run again."""
    ledger = Ledger(memory, largest_result=100)

    @ledger.once
    def report():
        till.pay(1)
        return "x" * 1000

    assert 1000 == len(report())
    with pytest.raises(ResultUnavailable, match="more than 100"):
        report()
    assert [1] == till.paid


def test_events_tell_what_was_recorded_and_replayed(once, till, ledger, events):
    """Listeners see one event per call, with the effect's id and state."""
    once(lambda: till.pay(1))
    once(lambda: till.pay(1))
    assert [EffectRecorded, EffectReplayed] == [type(event) for event in events]
    assert {("done", only(ledger).id)} == {(event.state, event.effect_id) for event in events}


def test_a_stop_iteration_is_recorded_like_any_error(ledger, run, till):
    """It cannot be raised in a coroutine, and gets through all the same."""

    @ledger.once
    def tool():
        till.pay(1)
        raise StopIteration(7)

    for _ in range(2):
        with pytest.raises(StopIteration) as caught:
            tool()
        assert 7 == caught.value.value
    assert [1] == till.paid


def test_cancelling_the_caller_leaves_the_effect_in_doubt(ledger, run, till):
    """A real cancellation, with the settlement shielded from it."""
    started = asyncio.Event()

    @ledger.once
    async def tool():
        till.pay(1)
        started.set()
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(tool())
        await started.wait()
        task.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(InDoubt):
            await tool()

    asyncio.run(main())
    assert ([1], "in_doubt") == (till.paid, only(ledger).state.value)


def test_a_coroutine_closed_by_force_leaves_the_effect_in_doubt(ledger, run, till):
    """Nothing can be awaited any more, and the record is written all the same."""

    @ledger.once
    async def tool():
        till.pay(1)
        await asyncio.Event().wait()

    async def main():
        coroutine = tool()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(main())
    assert ([1], "in_doubt") == (till.paid, only(ledger).state.value)

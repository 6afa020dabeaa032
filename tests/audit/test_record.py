"""`@audit.record` and `audit.step`: the intention is durable before the body, the outcome after it, in every shape."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

import patterns
from patterns.audit import AuditLogger, MemorySink, Phase, SigningKey
from patterns.errors import ActionBlocked, AuditError, InDoubt, Misuse
from patterns.kernel.commit import ClaimLost, Intent
from patterns.kernel.guard import Guard, attach
from patterns.testing import Fault, inject
from patterns.testing.shapes import ASYNC_SHAPES, SHAPES, Guarding, Shape

if TYPE_CHECKING:
    from pathlib import Path


class Breakable(MemorySink):
    """A sink whose appends fail while it is down."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    def keep(self, lines: Any) -> Any:
        if self.down:
            raise AuditError("the disk is full")
        return super().keep(lines)


class Refusing(Guard):
    """Refuses before the commit point."""

    name = "refusing"

    async def around(self, call: Any, proceed: Any) -> Any:
        raise ActionBlocked("too much", call=call.name)


class Replaying(Guard):
    """Hands out a recorded result, as the ledger does."""

    name = "replaying"

    async def around(self, call: Any, proceed: Any) -> Any:
        call.is_replay, call.replayed_from = True, "effect_1"
        return "recorded"


class Losing(Guard):
    """Loses the race for its claim at the commit point, after the intention was written."""

    name = "losing"

    async def around(self, call: Any, proceed: Any) -> Any:
        async def lose() -> None:
            raise ClaimLost("taken", claim=None)

        call.at_commit(Intent(lose))
        return await proceed()


def guarding(audit: AuditLogger) -> Guarding:
    """Return the pattern as the shapes use it."""
    return Guarding("audit", audit.record, audit.step)


def phases(audit: AuditLogger) -> list[str]:
    """Return the phases of all records."""
    return [entry.record["phase"] for entry in audit.entries()]


def records(audit: AuditLogger) -> list[dict]:
    """Return all records."""
    return [entry.record for entry in audit.entries()]


@pytest.fixture
def memory() -> AuditLogger:
    """Return an unsigned log in memory."""
    return AuditLogger("memory")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_call_that_returns_leaves_two_linked_records(shape: Shape, memory: AuditLogger):
    """Proposed before the body, executed after it, in every shape."""
    seen: list[list[str]] = []
    shape.run([guarding(memory)], lambda: seen.append(phases(memory)))
    assert [["proposed"]] == seen
    first, second = records(memory)
    assert ("executed", [first["id"]], first["call"]) == (second["phase"], second["cause"], second["call"])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_call_that_raises_is_failed_with_its_type_alone(shape: Shape, memory: AuditLogger):
    """The text of a stranger's error may quote arguments."""

    def body() -> None:
        raise ValueError("card 4111")

    with pytest.raises(ValueError, match="4111"):
        shape.run([guarding(memory)], body)
    assert ["proposed", "failed"] == phases(memory)
    assert {"type": "ValueError"} == records(memory)[1]["error"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_interrupted_call_is_abandoned(shape: Shape, memory: AuditLogger):
    """It may have run."""

    def body() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shape.run([guarding(memory)], body)
    assert ["proposed", "abandoned"] == phases(memory)


def test_a_cancelled_task_is_abandoned_and_still_recorded(audit: AuditLogger):
    """The record of the outcome is shielded from the cancellation."""

    @audit.record
    async def wait(started: asyncio.Event) -> None:
        started.set()
        await asyncio.Event().wait()

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.ensure_future(wait(started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ["proposed", "abandoned"] == phases(audit)


def test_a_refusal_leaves_one_record_and_no_intention(memory: AuditLogger):
    """What is refused before the commit point was never about to happen; why is told in the library's words."""
    function = memory.record(attach(lambda amount: amount, Refusing()))
    with pytest.raises(ActionBlocked):
        function(5)
    (record,) = records(memory)
    assert (Phase.BLOCKED, {"type": "patterns.errors.ActionBlocked", "text": "too much"}) == (
        record["phase"],
        record["error"],
    )
    assert "cause" not in record
    assert record["arguments"].startswith("k1:")


def test_a_replay_leaves_one_record_that_names_the_original(memory: AuditLogger):
    """Nothing happened now."""
    function = memory.record(attach(lambda: "fresh", Replaying()))
    assert "recorded" == function()
    (record,) = records(memory)
    assert (Phase.REPLAYED, "effect_1") == (record["phase"], record["original"])


def test_a_claim_lost_after_the_intention_is_told(memory: AuditLogger):
    """The intention is durable and harmless: its outcome says that it was blocked."""
    function = memory.record(attach(lambda: "ran", Losing()))
    with pytest.raises(ClaimLost):
        function()
    first, second = records(memory)
    assert (["proposed", "blocked"], [first["id"]]) == (phases(memory), second["cause"])


def test_a_doubt_from_within_is_a_doubt(memory: AuditLogger):
    """It is neither a failure nor a success."""

    @memory.record
    def pay() -> None:
        raise InDoubt("no answer", effect_id="e", key="k")

    with pytest.raises(InDoubt):
        pay()
    assert ["proposed", "in_doubt"] == phases(memory)


def test_inside_and_outside_of_other_guards(memory: AuditLogger):
    """Below a refusing guard the logger sees nothing; above it, the refusal."""
    with pytest.raises(ActionBlocked):
        attach(memory.record(lambda: None), Refusing())()
    assert [] == phases(memory)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_without_the_intention_nothing_runs(shape: Shape, caplog: pytest.LogCaptureFixture):
    """Fail closed: the body is not entered, and both records follow when the log can be written again."""
    sink = Breakable()
    audit = AuditLogger(sink)
    ran: list[int] = []
    sink.down = True
    with caplog.at_level(logging.ERROR), pytest.raises(AuditError, match="disk is full"):
        shape.run([guarding(audit)], lambda: ran.append(1))
    assert ([], 1) == (ran, audit.unwritten)
    assert "cannot be written" in caplog.text
    sink.down = False
    audit.flush()
    assert ["blocked"] == phases(audit)
    assert "patterns.errors.AuditError" == records(audit)[0]["error"]["type"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_success_is_never_turned_into_a_failure(shape: Shape, caplog: pytest.LogCaptureFixture):
    """If the outcome cannot be written the result is handed out, the loss is told, and the next commit writes it."""
    sink = Breakable()
    audit = AuditLogger(sink)
    ran: list[int] = []

    def body() -> None:
        ran.append(1)
        sink.down = True

    with caplog.at_level(logging.ERROR):
        shape.run([guarding(audit)], body)
    assert ([1], ["proposed"], 1) == (ran, phases(audit), audit.unwritten)
    assert 1 == len(audit.unsettled())
    assert "1 records wait" in caplog.text
    with pytest.raises(AuditError):
        shape.run([guarding(audit)], body)
    assert [1] == ran
    sink.down = False
    audit.flush()
    assert ["proposed", "executed", "blocked"] == phases(audit)
    assert () == audit.unsettled()


def test_availability_before_evidence_on_request(caplog: pytest.LogCaptureFixture):
    """``on_failure="continue"`` lets the action run; both records follow in their order."""
    sink = Breakable()
    audit = AuditLogger(sink, on_failure="continue")
    sink.down = True
    with caplog.at_level(logging.ERROR):
        assert 5 == audit.record(lambda: 5)()
    sink.down = False
    audit.log("note", "back")
    assert ["proposed", "executed", "note"] == phases(audit)


def test_a_real_full_disk_stops_the_action(tmp_path: Path, key: SigningKey):
    """The same with files: the function is not entered, the log stays whole."""
    audit = AuditLogger(tmp_path / "log", key=key)
    ran: list[int] = []

    def full() -> None:
        raise OSError(28, "No space left on device")

    with inject(Fault("audit.written", full)), pytest.raises(AuditError, match="No space"):
        audit.record(lambda: ran.append(1))()
    assert [] == ran
    audit.record(lambda: ran.append(1))()
    assert [1] == ran
    assert ["blocked", "proposed", "executed"] == phases(audit)
    assert audit.verify().ok


def test_a_redaction_hook_that_fails_later_loses_the_outcome_loudly(caplog: pytest.LogCaptureFixture):
    """Nothing unredacted is written, the result is handed out, the intention stays as evidence."""
    broken = False

    def redact(record: dict) -> dict:
        return record if not broken else {}["no"]

    audit = AuditLogger("memory", redact=redact)

    def body() -> int:
        nonlocal broken
        broken = True
        return 5

    with caplog.at_level(logging.ERROR):
        assert 5 == audit.record(body)()
    assert "redaction hook" in caplog.text
    assert 1 == len(audit.unsettled())


def test_what_is_written_of_arguments_and_results(memory: AuditLogger):
    """Digests by default; the arguments themselves, without secrets, or nothing on request."""

    def refund(order: str, amount: int = 20, *, api_key: str = "") -> dict:
        return {"order": order}

    memory.record(refund)("A1", api_key="x")
    memory.record(arguments="plain")(refund)("A1", api_key="x")
    memory.record(arguments="none", action="money.refund")(refund)("A1")
    digest, executed, plain, _, none, _ = records(memory)
    assert digest["arguments"].startswith("k1:")
    assert executed["result"].startswith("k1:")
    assert {"order": "A1", "amount": 20, "api_key": "[redacted]"} == plain["arguments"]
    assert "arguments" not in none
    assert ["refund", "money.refund"] == [digest["action"], none["action"]]


def test_arguments_are_told_as_they_are_when_the_body_begins(memory: AuditLogger):
    """Positional, keyword and default spell the same arguments."""

    @memory.record
    def pay(order: str, amount: int = 20) -> None:
        """Pay."""

    pay("A1")
    pay("A1", 20)
    pay(order="A1", amount=20)
    assert 1 == len({one["arguments"] for one in records(memory) if one["phase"] == "proposed"})


def test_a_method_is_recorded_without_its_object(memory: AuditLogger):
    """``self`` is no data, unless it can spell itself."""

    class Account:
        @memory.record
        def charge(self, amount: int) -> int:
            return amount

    assert 5 == Account().charge(5)
    assert ["self"] == records(memory)[0]["unspelled"]


def test_wrong_arguments_are_the_functions_own_error(memory: AuditLogger):
    """The caller gets Python's own TypeError, and the attempt is on record."""

    @memory.record
    def pay(order: str) -> None:
        """Pay."""

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        pay()
    assert ["proposed", "blocked"] == phases(memory)  # it was never entered


def test_a_step_tells_its_facts(memory: AuditLogger):
    """They are the block's own words, so they are written as they are."""
    with memory.step("nightly sync", rows=3, api_key="x") as step:
        step.result = 4
    first, second = records(memory)
    assert ("nightly sync", {"rows": 3, "api_key": "[redacted]"}) == (first["action"], first["facts"])
    assert second["result"].startswith("k1:")


def test_nested_calls_name_their_parent(memory: AuditLogger):
    """The causal chain goes from the inner call to the outer one."""
    inner = memory.record(lambda: 1)

    @memory.record
    def outer() -> int:
        memory.log("note", "inside")
        return inner()

    with patterns.run("ticket-1", tenant="acme", agent="bot", user="u"):
        outer()
    told = records(memory)
    assert ["proposed", "note", "proposed", "executed", "executed"] == [one["phase"] for one in told]
    assert told[0]["call"] == told[1]["call"] == told[2]["parent"]
    assert {("ticket-1", "acme", "bot", "u")} == {
        (one["run"], one["tenant"], one["agent"], one["user"]) for one in told
    }


def test_two_logs_around_one_call(memory: AuditLogger):
    """Each records for itself; both intentions come first."""
    other = AuditLogger("memory")
    seen: list[tuple[list[str], list[str]]] = []
    memory.record(other.record(lambda: seen.append((phases(memory), phases(other)))))()
    assert [(["proposed"], ["proposed"])] == seen
    assert ["proposed", "executed"] == phases(memory) == phases(other)


def test_the_decorator_keeps_the_function(memory: AuditLogger):
    """Name, signature and kind stay; both spellings of the decorator do the same."""

    @memory.record()
    async def fetch(url: str) -> str:
        """Fetch."""
        return url

    assert ("fetch", "Fetch.", ("audit.record",)) == (fetch.__name__, fetch.__doc__, patterns.layers(fetch))
    assert asyncio.iscoroutinefunction(fetch)
    with pytest.raises(Misuse, match='right: arguments="digest"'):
        memory.record(arguments="all")


@pytest.mark.parametrize("shape", ASYNC_SHAPES, ids=str)
def test_tasks_write_to_a_file_without_blocking(shape: Shape, audit: AuditLogger):
    """The event loop is free during the sync to disk; the plugin fails this test otherwise."""
    shape.run([guarding(audit)], lambda: None)
    audit.close()
    assert ["proposed", "executed"] == phases(audit)


def test_the_span_names_the_record(memory: AuditLogger, spans: Any):
    """Trace and record find each other."""
    memory.record(lambda: None)()
    (record, _) = records(memory)
    attributes = spans.one("audit.record").attributes
    assert (record["id"], 0) == (attributes["patterns.audit.id"], attributes["patterns.audit.index"])
    call = spans.one("execute_tool <lambda>")
    assert f"{call.context.trace_id:032x}" == record["trace"].split("-")[1]


def test_a_coroutine_closed_by_force_is_abandoned(tmp_path: Path, key: SigningKey):
    """It can wait for nothing any more, so its outcome goes along with the next commit."""
    audit = AuditLogger(tmp_path / "log", key=key)
    started = asyncio.Event()

    @audit.record
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.ensure_future(wait())
        await started.wait()
        task.get_coro().close()
        task.cancel()
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await task

    asyncio.run(main())
    assert (["proposed"], 1) == (phases(audit), audit.unwritten)
    audit.close()
    assert ["proposed", "abandoned"] == phases(audit)

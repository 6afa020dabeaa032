"""The gate without a world: the model judges, the thresholds decide."""

from __future__ import annotations

import asyncio
import math

import pytest

from patterns.errors import ActionBlocked, ApprovalPending, Misuse
from patterns.impact_gate import Action, Assessed, Assessment, Estimate, ImpactGate, Level, ReviewPassed
from patterns.kernel.guard import layers
from patterns.testing.shapes import SHAPES, Guarding, Shape


def gate_of(impact: float, **options) -> ImpactGate:
    """Return a gate whose model always says the same."""
    return ImpactGate(model=lambda _: impact, **options)


def guarding(gate: ImpactGate) -> Guarding:
    """Return the gate as the shapes use it."""
    return Guarding("gate", gate.check, gate.step)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_low_impact_changes_nothing(shape: Shape):
    """The function runs once and its result is the caller's."""
    ran = []
    assert 42 == shape.run([guarding(gate_of(0.39))], lambda: ran.append(1) or 42)
    assert [1] == ran


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_functions_own_error_is_the_callers(shape: Shape):
    """The very object, not a copy."""
    mine = ZeroDivisionError("mine")

    def fail() -> None:
        raise mine

    with pytest.raises(ZeroDivisionError) as caught:
        shape.run([guarding(gate_of(0.0))], fail)
    assert mine is caught.value


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_high_impact_is_blocked_before_anything_happens(shape: Shape):
    """The error carries what was found."""
    ran = []
    with pytest.raises(ActionBlocked, match="blocked") as caught:
        shape.run([guarding(gate_of(0.75))], lambda: ran.append(1))
    assert [] == ran
    assert (0.75, Level.CRITICAL, "block") == (
        caught.value.assessment.impact,
        caught.value.assessment.level,
        caught.value.assessment.decision,
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_review_without_a_reviewer_is_a_refusal(shape: Shape):
    """Fail closed: the text says what is missing."""
    ran = []
    with pytest.raises(ActionBlocked, match="no reviewer="):
        shape.run([guarding(gate_of(0.4))], lambda: ran.append(1))
    assert [] == ran


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_reviewer_lets_a_call_run_or_not(shape: Shape):
    """A plain function says True, and only True means yes."""
    asked = []
    gate = gate_of(0.5, reviewer=lambda assessment: asked.append(assessment) or True)
    assert 42 == shape.run([guarding(gate)], lambda: 42)
    assert ["review"] == [one.decision for one in asked]
    for answer in (False, None, 1, "yes"):
        with pytest.raises(ActionBlocked, match="did not approve"):
            shape.run([guarding(gate_of(0.5, reviewer=lambda _, answer=answer: answer))], lambda: 42)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "said",
    [math.nan, -0.1, 1.1, None, True, "low", math.inf],
    ids=["nan", "low", "high", "none", "true", "text", "inf"],
)
def test_a_model_that_says_nothing_sensible_blocks(shape: Shape, said: object):
    """What is no number from 0 to 1 is no impact; the worst is assumed."""
    with pytest.raises(ActionBlocked) as caught:
        shape.run([guarding(gate_of(said))], lambda: 42)
    assert (1.0, "block") == (caught.value.assessment.impact, caught.value.assessment.decision)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_model_that_fails_blocks(shape: Shape):
    """The gate does not know, so the action does not run; the cause is kept."""

    def broken(_: Action) -> float:
        raise KeyError("limits.json")

    with pytest.raises(ActionBlocked, match=r"limits\.json") as caught:
        shape.run([guarding(ImpactGate(model=broken))], lambda: 42)
    assert isinstance(caught.value.__cause__, KeyError)
    assert "limits.json" in caught.value.assessment.error


def test_what_cannot_be_measured_may_be_reviewed_instead():
    """on_error="review" hands the unknown to a person, who is told that it is unknown."""
    asked = []
    gate = gate_of(math.nan, on_error="review", reviewer=lambda assessment: asked.append(str(assessment)) or True)

    @gate.check
    def act() -> int:
        return 42

    assert 42 == act()
    assert ["act: review, its impact is unknown: an impact is from 0 to 1, not nan (highest nan)"] == asked


def test_a_model_sees_name_arguments_and_run():
    """Arguments by name, with defaults; the run if there is one."""
    from patterns.kernel.run import run

    seen = []

    def model(action: Action) -> float:
        seen.append(action)
        return 0.0

    @ImpactGate(model=model).check
    def refund(order: str, amount: int = 5) -> None:
        return None

    with run("ticket-1", tenant="acme"):
        refund("A1")
    (action,) = seen
    assert ("refund", {"order": "A1", "amount": 5}) == (action.name, dict(action.arguments))
    assert ("ticket-1", "acme") == (action.run.id, action.run.tenant)
    assert None is action.diff is action.simulated


def test_wrong_arguments_raise_the_functions_own_error():
    """A call that could never run is a TypeError, not a matter for the gate."""

    @gate_of(1.0).check
    def refund(order: str) -> None:
        return None

    with pytest.raises(TypeError, match="refund"):
        refund()


def test_methods_of_all_kinds():
    """The receiver is an argument like any other."""
    seen = []

    def model(action: Action) -> float:
        seen.append(set(action.arguments))
        return 0.0

    gate = ImpactGate(model=model)

    class Shop:
        @gate.check
        def sell(self, amount: int) -> int:
            return amount

        @classmethod
        @gate.check
        def build(cls, amount: int) -> int:
            return amount

        @gate.check
        @staticmethod
        def price(amount: int) -> int:
            return amount

    assert (1, 2, 3) == (Shop().sell(1), Shop.build(2), Shop.price(amount=3))
    assert [{"self", "amount"}, {"cls", "amount"}, {"amount"}] == seen


def test_async_models_and_reviewers():
    """Both are awaited for an async def; a def cannot wait for them."""

    async def model(_: Action) -> Estimate:
        await asyncio.sleep(0)
        return Estimate(0.5, reasons=("because",))

    async def reviewer(assessment: Assessment) -> bool:
        await asyncio.sleep(0)
        return assessment.reasons == ("because",)

    gate = ImpactGate(model=model, reviewer=reviewer)

    @gate.check
    async def act() -> int:
        return 42

    @gate.check
    def act_at_once() -> int:
        return 42

    assert 42 == asyncio.run(act())
    with pytest.raises(Misuse, match="model is async"):
        act_at_once()


def test_a_reviewer_object_decides_with_the_call_in_hand():
    """What it raises is the caller's: a pending approval is no failure of the gate."""

    class People:
        asked = 0

        async def review(self, call, assessment) -> None:
            self.asked += 1
            if self.asked == 1:
                raise ApprovalPending(f"{call.name} waits", call=call.name, approval_id="a-1")

    people = People()

    @gate_of(0.5, reviewer=people).check
    def act() -> int:
        return 42

    with pytest.raises(ApprovalPending, match="act waits"):
        act()
    assert 42 == act()
    assert 2 == people.asked


def test_a_reviewer_that_fails_refuses():
    """An error is not a yes."""

    def reviewer(_: Assessment) -> bool:
        raise ConnectionError("mail server")

    @gate_of(0.5, reviewer=reviewer).check
    def act() -> int:
        return 42

    with pytest.raises(ActionBlocked, match="mail server") as caught:
        act()
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_the_decision_is_told_on_the_call_and_to_listeners():
    """Audit and explanations find it on the call; a listener that fails changes nothing."""
    from patterns.kernel.guard import Guard, attach
    from patterns.testing import ManualClock

    seen, told = [], []

    class Witness(Guard):
        async def around(self, call, proceed):
            try:
                return await proceed()
            finally:
                seen.extend(call.events)

    gate = gate_of(0.5, reviewer=lambda _: True, name="till", clock=ManualClock(wall=7.0))
    end = gate.subscribe(told.append)
    gate.subscribe(lambda event: 1 / 0)

    def act() -> int:
        return 42

    assert 42 == attach(gate.check(act), Witness())()
    assert [Assessed, ReviewPassed] == [type(event) for event in seen]
    assert ("till", 7.0, "review") == (seen[0].source, seen[0].at, seen[0].assessment.decision)
    assert seen == [event for event in told if isinstance(event, (Assessed, ReviewPassed))]
    end()
    told.clear()
    attach(gate.check(act), Witness())()
    assert [] == told


def test_a_baseline_is_another_action():
    """The delta is the distance from what would happen instead."""

    def model(action: Action) -> float:
        return min(1.0, action.arguments["amount"] / 100)

    gate = ImpactGate(model=model, baseline=lambda action: action.with_arguments(amount=30))

    @gate.check
    def pay(amount: int) -> int:
        return amount

    assert 50 == pay(50)
    assessment = gate.assess(pay, 50)
    assert (0.5, 0.3) == (assessment.proposed, assessment.counterfactual)
    assert 0.2 == pytest.approx(assessment.impact) == pytest.approx(assessment.delta)
    assert 0.2 == pytest.approx(gate.assess(pay, 10).delta)
    with pytest.raises(ActionBlocked):
        pay(200)

    @gate.check(baseline="inaction")
    def pay_anyway(amount: int) -> int:
        return amount

    assert 0.5 == gate.assess(pay_anyway, 50).impact


def test_the_result_of_a_services_own_dry_run_reaches_the_model():
    """simulate= works without a world too; it is called with the function's own parameters."""

    def dry_run(path: str, **_: object) -> list[str]:
        return ["a", "b", path]

    def model(action: Action) -> float:
        return len(action.simulated) / 10

    gate = ImpactGate(model=model)

    @gate.check(simulate=dry_run)
    def delete(path: str, force: bool = False) -> str:  # noqa: FBT001, FBT002 - like many tools
        return path

    assert "x" == delete("x")
    assert 0.3 == gate.assess(delete, "x").impact
    with gate.step("purge", simulate=lambda path: [path] * 3, path="p"):
        pass
    with pytest.raises(ActionBlocked), gate.step("purge", simulate=lambda path: [path] * 9, path="p"):
        pass


def test_a_simulation_works_on_copies():
    """Lists and dicts it changes are its own, and nobody gets an iterator that is used up."""

    def spoil(items: list) -> int:
        items[0].clear()
        items.clear()
        return 0

    gate = ImpactGate(model=lambda action: action.simulated)

    @gate.check(simulate=spoil)
    def act(items: list) -> list:
        return items

    assert [[1, 2]] == act([[1, 2]])
    with pytest.raises(ActionBlocked, match="items is an iterator"):
        act(iter([1]))


def test_the_facts_of_a_step_reach_the_model():
    """A block has no arguments, so it states facts."""
    gate = ImpactGate(model=lambda action: action.arguments["rows"] / 1000)
    with gate.step("nightly clean-up", rows=100) as step:
        assert step.fresh
    with pytest.raises(ActionBlocked), gate.step("nightly clean-up", rows=900):
        pass


def test_assess_tells_without_running():
    """For guarded and plain functions, methods, names and both colours."""
    gate = ImpactGate(model=lambda action: action.arguments.get("amount", 0) / 100)
    ran = []

    def plain(amount: int) -> None:
        ran.append(amount)

    async def later(amount: int) -> None:
        ran.append(amount)

    class Shop:
        @gate.check
        def sell(self, amount: int) -> None:
            ran.append(amount)

    assert 0.5 == gate.assess(plain, 50).impact
    assert 0.5 == gate.assess(gate.check(plain), amount=50).impact
    assert 0.5 == gate.assess(Shop().sell, 50).impact
    assert 0.5 == gate.assess("anything", amount=50).impact
    assert 0.5 == asyncio.run(_assess(gate, later, 50)).impact
    assert 0.5 == asyncio.run(_assess(gate, gate.check(later), 50)).impact
    assert [] == ran


async def _assess(gate: ImpactGate, function, *args: object) -> Assessment:
    return await gate.assess(function, *args)


def test_an_assessment_is_plain_data():
    """One line for a person, and values that JSON can hold."""
    import json

    gate = ImpactGate(model=lambda _: Estimate(0.5, highest=0.6, reasons=("42 mails",)))
    assessment = gate.assess("send", to="all")
    assert "send: review, impact 0.50 HIGH: 42 mails" == str(assessment)
    told = json.loads(json.dumps(assessment.to_dict(), allow_nan=False))
    assert ("send", 0.5, "HIGH", "review", "unknown") == (
        told["action"],
        told["delta"],
        told["level"],
        told["decision"],
        told["scope"],
    )
    assert 0.1 == pytest.approx(told["uncertainty"])


def test_the_layer_has_a_name():
    """`layers` tells the stack."""

    @gate_of(0.0).check
    def act() -> None:
        return None

    assert ("gate.check",) == layers(act)


@pytest.mark.parametrize(
    "make",
    [
        ImpactGate,
        lambda: ImpactGate(model=0.5),
        lambda: gate_of(0.1, reviewer="bob"),
        lambda: gate_of(0.1, review=0.8, block=0.7),
        lambda: gate_of(0.1, review=-0.1),
        lambda: gate_of(0.1, block=1.1),
        lambda: gate_of(0.1, block=math.nan),
        lambda: gate_of(0.1, block=True),
        lambda: gate_of(0.1, review="high"),
        lambda: gate_of(0.1, baseline="nothing"),
        lambda: gate_of(0.1, baseline=asyncio.sleep),
        lambda: gate_of(0.1, on_error="proceed"),
        lambda: gate_of(0.1).check(simulate=3),
        lambda: gate_of(0.1).check(expected="ValueError"),
        lambda: gate_of(0.1).check(expected=KeyboardInterrupt),
        lambda: gate_of(0.1).check(undo=lambda: None)(lambda: None),
        lambda: gate_of(0.1).check(simulate=lambda nobody: nobody)(lambda order: None),
        lambda: gate_of(0.1).step(""),
        lambda: gate_of(0.1).check(int),
    ],
)
def test_wrong_use_shows_the_right_line(make):
    """A mistake is found where it is made, not at the first call."""
    with pytest.raises(Misuse, match="right:"):
        make()


def test_equal_thresholds_leave_no_room_for_review():
    """Then everything is either let through or blocked, and 0 blocks everything."""

    @gate_of(0.0, review=0.0, block=0.0).check
    def act() -> None:
        return None

    with pytest.raises(ActionBlocked, match="blocked"):
        act()


def test_a_refusal_tells_a_model_what_to_do():
    """`for_model` says that nothing happened and what to do instead."""

    @gate_of(0.9).check
    def wipe() -> None:
        return None

    with pytest.raises(ActionBlocked) as caught:
        wipe()
    assert "wipe did not run" in caught.value.for_model()
    assert "Propose a smaller or reversible action" in caught.value.for_model()

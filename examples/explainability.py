"""Why did it do that? Reasons before every action, what became of it, and who said no."""

from __future__ import annotations

import tempfile
from pathlib import Path

import patterns
from patterns import CircuitBreaker, ExplainabilityHooks
from patterns.errors import Refused
from patterns.explainability import JsonLines, Phase

lines = Path(tempfile.mkdtemp()) / "why.jsonl"


def hide_cards(values: dict[str, object]) -> dict[str, object]:
    """Keep card numbers out of every explanation."""
    return {name: "[hidden]" if name == "card" else value for name, value in values.items()}


hooks = ExplainabilityHooks("support-bot", redact=hide_cards, sinks=[JsonLines(lines)])
bank = CircuitBreaker("bank", failure_threshold=1)


@hooks.explain(reasoning=lambda order_id: f"what was paid for {order_id} is needed for the refund", confidence=1)
def look_up(order_id: str) -> int:
    """Return what was paid."""
    return {"A1": 20}[order_id]


@hooks.explain(
    reasoning=lambda order_id, **_: f"the parcel of {order_id} was lost",
    confidence=lambda attempt: 0.9 / attempt,
    alternatives=("send it again", "a voucher"),
)
@bank.protect
def refund(order_id: str, card: str, attempt: int = 1) -> str:
    """Pay back."""
    amount = look_up(order_id)
    raise OSError(f"the bank refuses {amount} for the card ending in {card[-2:]}, attempt {attempt}")


def main() -> None:
    """Let an agent try twice, and tell the story."""
    with patterns.run("ticket-4711", tenant="acme", user="u-17"):
        for attempt in (1, 2):
            try:
                refund("A1", "4111 1111", attempt)
            except OSError as error:
                print("the agent saw:", error)
            except Refused as refused:
                print("the model was told:", refused.for_model())
        with hooks.step("hand over", reasoning="the bank does not answer", to="a person") as step:
            step.result = "case 17"
    print()
    print(hooks.story("ticket-4711"))
    print()
    refused_calls = [one.tool for one in hooks.explanations(Phase.ERROR, run="ticket-4711")]
    print("on error:", refused_calls, "- lines in the file:", len(lines.read_text().splitlines()))


if __name__ == "__main__":
    main()

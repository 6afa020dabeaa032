"""Going back: checkpoints, an undo per action, a transaction, and an undo that fails.

An agent tidies a small shop. It goes back to a safe point when its plan turns
out to be wrong, and what cannot be undone is kept for a person.
"""

from __future__ import annotations

import patterns
from patterns import RollbackManager
from patterns.errors import RollbackIncomplete

prices = {"lamp": 40, "chair": 90}
outbox: list[str] = []

undo = RollbackManager("shop-bot", capture=lambda: dict(prices), restore=lambda before: print("   prices were", before))


def put_back(sku: str, result: int) -> None:
    """Undo a change of price."""
    prices[sku] = result


@undo.undoable(undo=put_back)
def set_price(sku: str, price: int) -> int:
    """Change a price; return what it was."""
    before, prices[sku] = prices[sku], price
    return before


def recall(text: str) -> None:
    """Try to take a mail back."""
    raise ConnectionError(f"{text!r} may have left already")


@undo.undoable(undo=recall)
def announce(text: str) -> None:
    """Send a mail to everybody."""
    outbox.append(text)


def look_at_the_shelf() -> None:
    """Find out that the plan was wrong."""
    raise RuntimeError("the shelf is empty")


def main() -> None:
    """Do, and undo."""
    with patterns.run("spring-sale", agent="shop-bot"):
        start = undo.checkpoint("before the sale", safe=True)
        set_price("lamp", 30)
        set_price("chair", 60)
        print("prices now", prices)
        done = undo.rollback_to(start)
        print("undone:", ", ".join(f"{action.name} {action.arguments}" for action in done.undone))
        print("prices now", prices)

        try:
            with undo.transaction("half price"):
                set_price("lamp", 20)
                look_at_the_shelf()
        except RuntimeError as error:
            print(f"{error}; the lamp costs {prices['lamp']} again")

        set_price("lamp", 35)
        announce("lamps for 35!")
        try:
            undo.rollback_to_last_safe_point()
        except RollbackIncomplete as error:
            print(error)
        (parked,) = undo.actions()
        print(f"waits for a person: {parked.name} ({parked.state.value}); the lamp costs {prices['lamp']}")
        undo.dismiss(parked.id, reason="a second mail explained the first")
        print("left to undo:", undo.actions())


if __name__ == "__main__":
    main()

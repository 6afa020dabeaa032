"""``patterns ledger``: what was done, what is in doubt, and a person's word on it."""

from __future__ import annotations

import getpass
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from patterns.cli.output import complain, natural, say, say_json, table
from patterns.errors import Misuse, StoreUnavailable
from patterns.ledger import Ledger, State
from patterns.stores import open_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from patterns.ledger import Record

__all__ = ["add"]

ENVIRONMENT = "PATTERNS_STORE"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``ledger``."""
    ledger = commands.add_parser("ledger", help="list, show and resolve recorded effects")
    actions = ledger.add_subparsers(dest="action", required=True, metavar="ACTION")

    listing = _action(actions, "list", _list, "list recorded effects")
    listing.add_argument("--state", choices=[state.value for state in State], help="only those in this state")
    listing.add_argument("--tool", help="only those of this tool")
    listing.add_argument("--run", dest="of_run", metavar="RUN", help="only those of this run and the runs in it")
    listing.add_argument("--limit", type=natural, default=100, metavar="N", help="at most so many (100)")

    show = _action(actions, "show", _show, "show one effect; exit code 1: there is none")
    show.add_argument("effect", help="its id, some first characters of it, or its key")

    resolve = _action(actions, "resolve", _resolve, "say what became of an effect in doubt")
    resolve.add_argument("effect", help="its id, some first characters of it, or its key")
    what = resolve.add_mutually_exclusive_group(required=True)
    what.add_argument("--succeeded", metavar="JSON", help="it happened, and this is its result")
    what.add_argument("--failed", metavar="TEXT", help="it failed for good")
    what.add_argument("--retry", action="store_true", help="it did not happen; the next call runs it")
    what.add_argument("--give-up", action="store_true", help="it is not wanted any more")
    resolve.add_argument("--note", default="", help="how you know; kept on the record")
    resolve.add_argument("--by", default=None, help="who says so; your user name if missing")
    resolve.add_argument("--force", action="store_true", help="although its owner may be alive")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    words: str,
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=words, description=words)
    action.add_argument(
        "--store", default=os.environ.get(ENVIRONMENT), metavar="URL", help=f"where it is ({ENVIRONMENT} if missing)"
    )
    action.add_argument("--name", default="ledger", help="which ledger of the store (ledger)")
    action.add_argument("--json", action="store_true", help="print JSON")
    action.set_defaults(run=run)
    return action


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[Ledger]:
    if not options.store:
        raise Misuse.shown(
            "which store?",
            wrong=f"patterns ledger {options.action}",
            right=f"patterns ledger {options.action} --store sqlite:///agent.db",
        )
    if options.store.startswith("memory:"):
        raise Misuse.shown(
            "a store in memory ends with its process, so there is nothing to look at from here",
            wrong=f"--store {options.store}",
            right="--store sqlite:///agent.db",
        )
    _refuse_missing_file(options.store)
    store = open_store(options.store)
    try:
        yield Ledger(store, name=options.name)
    finally:
        store.close()


def _refuse_missing_file(url: str) -> None:
    """A store is made when it is opened, but a command that only looks must not make one of a misspelt name."""
    path = url.removeprefix("sqlite:///")
    if path != url and not os.path.exists(path):
        raise StoreUnavailable(f"there is no file {path!r}")


def _list(options: argparse.Namespace) -> int:
    with _opened(options) as ledger:
        found = ledger.effects(state=options.state, tool=options.tool, run=options.of_run, limit=options.limit)
    if options.json:
        say_json([record.to_dict() for record in found])
    else:
        table(("effect", "tool", "run", "state", "changed", "doubt"), [_row(record) for record in found])
    return 0


def _row(record: Record) -> dict[str, Any]:
    identity = record.identity
    return {
        "effect": _short(identity.id),
        "tool": identity.tool,
        "run": "/".join(identity.run),
        "state": record.state.value,
        "changed": _time(record.changed),
        "doubt": record.doubt,
    }


def _short(effect_id: str) -> str:
    """Return enough of the id to name the effect in the next command."""
    return effect_id.rpartition("/")[2][:12]


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")


def _show(options: argparse.Namespace) -> int:
    with _opened(options) as ledger:
        record = ledger.effect(options.effect)
    if record is None:
        complain(f"there is no effect {options.effect!r}")
        return 1
    _print(record, as_json=options.json)
    return 0


def _print(record: Record, *, as_json: bool) -> None:
    facts = record.to_dict()
    if as_json:
        say_json(facts)
        return
    times = {"created", "first", "started", "changed"}
    for name, value in facts.items():
        if value not in (None, [], ""):
            say(f"{name:<12} {_time(value) if name in times else value}")


def _resolve(options: argparse.Namespace) -> int:
    given: dict[str, Any] = {"retry": options.retry, "give_up": options.give_up}
    if options.succeeded is not None:
        given["succeeded"] = _json(options.succeeded)
    if options.failed is not None:
        given["failed"] = options.failed
    with _opened(options) as ledger:
        by = options.by or getpass.getuser()
        record = ledger.resolve(options.effect, note=options.note, by=by, force=options.force, **given)
    if options.json:
        say_json(record.to_dict())
    else:
        say(f"{_short(record.identity.id)} of {record.identity.tool} is {record.state.value}")
    return 0


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Misuse.shown(
            f"the result is no JSON: {error}",
            wrong=f"--succeeded {text}",
            right=f"--succeeded '{json.dumps(text)}'",
        ) from None

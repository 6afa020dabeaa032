"""``patterns audit``: what the log says, and whether it is what was signed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from patterns.audit import commands
from patterns.cli.output import complain, natural, say, say_json, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

__all__ = ["add"]


def add(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``audit``."""
    audit = commands_of.add_parser("audit", help="verify, show and prove an audit log")
    actions = audit.add_subparsers(dest="action", required=True, metavar="ACTION")

    verify = _action(actions, "verify", _verify, "check the log against its signed checkpoint; exit code 1: it breaks")
    verify.add_argument("--key", action="append", default=[], metavar="VKEY", help="verifying key, or a file with it")
    verify.add_argument("--against", action="append", default=[], metavar="FILE", help="a checkpoint kept elsewhere")
    verify.add_argument("--origin", help="name the log must have")
    verify.add_argument("--unsigned", action="store_true", help="accept a log without signatures")

    show = _action(actions, "show", _show, "print the entries")
    show.add_argument("--start", type=natural, default=0, metavar="INDEX", help="first entry (0)")
    show.add_argument("--limit", type=natural, default=100, metavar="N", help="at most so many (100)")
    show.add_argument("--run", dest="of_run", metavar="RUN", help="only of this run")
    show.add_argument("--tool", help="only of this tool")
    show.add_argument("--unsettled", action="store_true", help="only proposals without an outcome")

    prove = _action(actions, "prove", _prove, "print the proof that an entry is in the log")
    prove.add_argument("index", type=natural, help="which entry, counted from 0")

    _action(actions, "checkpoint", _checkpoint, "print the newest checkpoint, to be kept elsewhere")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    words: str,
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=words, description=words)
    action.add_argument("log", help="directory of the log")
    action.add_argument("--json", action="store_true", help="print JSON")
    action.set_defaults(run=run)
    return action


def _verify(options: argparse.Namespace) -> int:
    result = commands.verify_log(
        options.log, vkeys=options.key, origin=options.origin, against=options.against, unsigned=options.unsigned
    )
    if options.json:
        say_json(result.as_dict())
    else:
        say(str(result))
    return int(result.verdict)


def _show(options: argparse.Namespace) -> int:
    where = {name: value for name, value in (("run", options.of_run), ("action", options.tool)) if value is not None}
    if options.unsettled:
        entries = list(commands.show_unsettled(options.log))
    else:
        entries = list(islice(commands.show_entries(options.log, start=options.start, where=where), options.limit))
    if options.json:
        say_json([{"index": entry.index, **entry.record} for entry in entries])
        return 0
    rows = [{**entry.record, "index": entry.index} for entry in entries]
    table(("index", "time", "phase", "action", "run", "error"), rows)
    return 0


def _prove(options: argparse.Namespace) -> int:
    try:
        entry, proof = commands.prove_entry(options.log, options.index)
    except IndexError:
        complain(f"the log has no entry {options.index}")
        return 1
    if options.json:
        say_json({"index": entry.index, "entry": entry.line.decode(), "proof": str(proof)})
    else:
        say(str(proof).rstrip("\n"))
    return 0


def _checkpoint(options: argparse.Namespace) -> int:
    note = str(commands.show_checkpoint(options.log))
    if options.json:
        say_json({"checkpoint": note})
    else:
        say(note.rstrip("\n"))
    return 0

"""The command ``patterns``.

Exit codes: 0 all is well; 1 the answer is bad news (a log that does not
verify, money lost, nothing found); 2 the command is written wrongly; 3 a store
or log cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from patterns._version import __version__
from patterns.cli.output import complain
from patterns.errors import AuditError, Misuse, PatternsError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

WELL, BAD_NEWS, WRONG_USE, UNREADABLE = 0, 1, 2, 3

_COMMANDS = ("demo", "audit", "ledger")


def parser() -> argparse.ArgumentParser:
    """Return the whole command line; each command lives in the module of its name."""
    root = argparse.ArgumentParser(
        prog="patterns",
        description="Safety patterns for AI agents: what was done, what is in doubt, and a demonstration.",
        epilog="Exit codes: 0 all is well, 1 bad news, 2 wrong use, 3 a store or log cannot be read.",
    )
    root.add_argument("--version", action="version", version=f"patterns {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _COMMANDS:
        import_module(f"patterns.cli.{name}").add(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after ``patterns``; those of the process if missing.

    Returns:
        The exit code.

    """
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        return WELL
    except (StoreUnavailable, AuditError, OSError) as error:
        complain(str(error))
        return UNREADABLE
    except Misuse as error:
        complain(str(error))
        return WRONG_USE
    except PatternsError as error:
        complain(str(error))
        return BAD_NEWS
    except KeyboardInterrupt:
        complain("interrupted")
        return 128 + 2


if __name__ == "__main__":
    sys.exit(main())

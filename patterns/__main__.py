"""``python -m patterns`` is the command ``patterns``."""

from __future__ import annotations

import sys

from patterns.cli import main

sys.exit(main())

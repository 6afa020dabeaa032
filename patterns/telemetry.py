"""How much the patterns tell OpenTelemetry, and to whom."""

from __future__ import annotations

from patterns.kernel.telemetry import Detail, Settings, configure, configured

__all__ = ["Detail", "Settings", "configure", "configured"]

"""A public testing kit: a clock whose waits jump, written interleavings, faults at named points, conformance suites.

``patterns.testing.plugin`` is a pytest plugin (``pytest -p patterns.testing.plugin``)
that fails a test which blocks the event loop or leaves a call unsettled or a
span open.
"""

from __future__ import annotations

from patterns.testing.clock import ManualClock
from patterns.testing.faults import Fault, arm_from_environment, inject
from patterns.testing.sequencer import Sequencer

__all__ = ["Fault", "ManualClock", "Sequencer", "arm_from_environment", "inject"]

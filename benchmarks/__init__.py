"""Costs, measured against named peers in one run: ``python -m benchmarks``."""

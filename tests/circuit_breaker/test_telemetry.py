"""What a trace shows of a breaker."""

from __future__ import annotations

import pytest

from patterns.circuit_breaker import CircuitOpen


def test_a_span_says_where_the_circuit_stood(make, backend, spans, clock):
    """Each guarded call has a thin span with the breaker's name and the state it met."""
    breaker = make(failure_threshold=1)

    @breaker.protect
    def refund(works):
        if not works:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        refund(works=False)
    with pytest.raises(CircuitOpen):
        refund(works=True)
    clock.advance(10)
    refund(works=True)
    thin = [span.attributes for span in spans.finished() if span.name == "breaker.protect"]
    assert ["billing"] * 3 == [facts["patterns.breaker.name"] for facts in thin]
    assert ["closed", "open", "half_open"] == [facts["patterns.breaker.state"] for facts in thin]
    assert ["failed", "rejected", "executed"] == [facts["patterns.outcome"] for facts in thin]
    assert 10.0 == thin[1]["patterns.breaker.retry_after"]
    assert "half_open" == thin[2]["patterns.breaker.state"]
    assert ["open", "closed"] == [facts.get("patterns.breaker.moved_to") for facts in (thin[0], thin[2])]


def test_without_a_recorder_nothing_is_told(make):
    """The fast lane makes no call object at all."""
    breaker = make()
    seen = []

    @breaker.protect
    def refund():
        from patterns import current_call

        seen.append(current_call())

    refund()
    assert [None] == seen

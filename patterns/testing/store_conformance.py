"""What every store must do, as pytest tests that anybody can run on a store of their own.

::

    from patterns.testing.store_conformance import StoreConformance

    class TestMyStore(StoreConformance):
        survives = True

        def make(self, tmp_path):
            return MyStore(tmp_path / "data")

``pytest.register_assert_rewrite("patterns.testing.store_conformance")`` in
``conftest.py`` makes failures tell more.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from patterns.errors import Misuse, StoreUnavailable
from patterns.kernel.storage import ABSENT, Change, Lost
from patterns.testing.forked import fork, run_in_processes
from patterns.testing.store_helpers import add, content, count_up, in_threads, one_winner, put, race, value, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from patterns.kernel.storage import Cells, Store

__all__ = ["StoreConformance"]

LONG = 20.0
"""Seconds nobody really waits: a wait that takes so long was not woken."""

VALUES = {
    "empty": b"",
    "nul": b"\0",
    "every byte": bytes(range(256)),
    "not utf-8": b"\xff\xfe\x80",
    "one megabyte": bytes(range(256)) * 4096,
}

KEYS = {
    "blank": " ",
    "nul": "a\0b",
    "nul at the end": "a\0",
    "quotes": '\'; drop table "x" --',
    "wildcards": "100%_[*]?",
    "backslash": "\\n",
    "lines": "a\r\nb",
    "composed": "\u00e9",
    "decomposed": "e\u0301",
    "beyond the basic plane": "\U0001f9fe\U0010ffff",
    "long": "k" * 2000,
    "path": "../a//b/.",
}

# In order of code point, which is not the order of UTF-16.
ORDERED = ["p", "p\0", "p ", "pA", "p_", "pa", "p\u00e9", "p\ud7ff", "p\ue000", "p\uffff", "p\U00010000", "p\U0010ffff"]


class StoreConformance:
    """The tests; derive, and say how a store is made and what it claims."""

    survives: ClassVar[bool] = False
    """A store made again in the same directory finds what was there."""

    many_processes: ClassVar[bool] = False
    """Stores made in the same directory by several processes are one."""

    logs: ClassVar[bool] = True
    """`Store.log` is offered."""

    def make(self, tmp_path: Path) -> Store:
        """Return an open store that keeps its data in *tmp_path*, if it keeps any."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """Return a store that is closed after the test."""
        store = self.make(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def cells(self, store: Store) -> Cells:
        """Return the store's records."""
        return store.cells

    # Compare and swap.

    def test_a_key_never_written_is_absent(self, cells: Cells) -> None:
        """Nothing is read, scanned or found at a version other than zero."""
        assert cells.read("a") is None
        assert cells.scan("") == []
        assert cells.swap([Change("a", 1, b"x")]) == Lost("a", ABSENT)
        assert cells.read("a") is None

    def test_create_update_delete(self, cells: Cells) -> None:
        """Each needs the version last seen, and each version is larger than the one before."""
        assert cells.swap([Change("a", ABSENT, b"1")]) is None
        first = version(cells, "a")
        assert first > ABSENT
        assert cells.swap([Change("a", first, b"2")]) is None
        second = version(cells, "a")
        assert (second > first, value(cells, "a")) == (True, b"2")
        assert cells.swap([Change("a", second, None)]) is None
        assert cells.read("a") is None

    def test_the_late_one_loses_and_learns_the_version(self, cells: Cells) -> None:
        """A stale version changes nothing, whether it creates, updates or deletes."""
        put(cells, "a", b"1")
        stale = version(cells, "a")
        put(cells, "a", b"2")
        lost = Lost("a", version(cells, "a"))
        for change in (Change("a", ABSENT, b"x"), Change("a", stale, b"x"), Change("a", stale, None)):
            assert cells.swap([change]) == lost
        assert (version(cells, "a"), value(cells, "a")) == (lost.version, b"2")

    @pytest.mark.parametrize("last", [b"x", None], ids=["update", "delete"])
    def test_several_keys_change_together_or_not_at_all(self, cells: Cells, last: bytes | None) -> None:
        """One stale key keeps all others from changing, wherever it stands, and is named."""
        for key in ("a", "b", "c"):
            put(cells, key, b"1")
        good = [Change(key, version(cells, key), last) for key in ("a", "b", "c")]
        put(cells, "b", b"2")
        for changes in (good, [*good[::-1], Change("new", ABSENT, b"x")]):
            assert cells.swap(changes) == Lost("b", version(cells, "b"))
        assert [cell.value for cell in cells.scan("")] == [b"1", b"2", b"1"]
        assert cells.swap([good[0], Change("b", version(cells, "b"), last), good[2]]) is None
        assert [cell.value for cell in cells.scan("")] == ([] if last is None else [last] * 3)

    def test_nothing_to_change_is_done(self, cells: Cells) -> None:
        """An empty swap succeeds; deleting what is absent checks that it is."""
        assert cells.swap([]) is None
        assert cells.swap([Change("a", ABSENT, None)]) is None
        put(cells, "a", b"1")
        assert cells.swap([Change("a", ABSENT, None), Change("b", ABSENT, b"1")]) == Lost("a", version(cells, "a"))
        assert cells.read("b") is None

    def test_a_version_never_comes_back(self, cells: Cells) -> None:
        """A key deleted and made again gets a larger version than any it had, so nobody mistakes it for the old one."""
        seen = [ABSENT]
        for _ in range(4):
            for _ in range(3):
                put(cells, "a", b"x")
                seen.append(version(cells, "a"))
            put(cells, "a", None)
            put(cells, "other", b"x")
        assert seen == sorted(set(seen))

    @pytest.mark.parametrize("content", VALUES.values(), ids=VALUES.keys())
    def test_a_value_is_kept_byte_by_byte(self, cells: Cells, content: bytes) -> None:
        """Any bytes come back."""
        put(cells, "a", content)
        assert value(cells, "a") == content

    @pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
    def test_a_key_is_kept_letter_by_letter(self, cells: Cells, key: str) -> None:
        """Any text is a key of its own."""
        for other in KEYS.values():
            put(cells, other, other.encode())
        assert (cells.read(key) or pytest.fail("it is lost")).key == key
        assert value(cells, key) == key.encode()
        assert key in [cell.key for cell in cells.scan("")]

    @pytest.mark.parametrize(
        "changes",
        [
            [Change("", ABSENT, b"x")],
            [Change("\ud800", ABSENT, b"x")],
            [Change("a", ABSENT, "text")],  # type: ignore[arg-type]  # wrong on purpose
            [Change("a", ABSENT, b"x"), Change("a", ABSENT, b"y")],
        ],
        ids=["empty key", "half a surrogate pair", "text", "twice"],
    )
    def test_what_no_store_can_keep_is_refused(self, cells: Cells, changes: list[Change]) -> None:
        """Misuse is told at once and changes nothing."""
        with pytest.raises(Misuse):
            cells.swap([Change("b", ABSENT, b"x"), *changes])
        assert cells.scan("") == []

    # Scanning.

    def test_a_scan_is_in_order_of_code_point(self, cells: Cells) -> None:
        """Also where the order of bytes in UTF-16, or of a locale, is another."""
        for key in [*ORDERED[::-1], "o", "o\U0010ffff", "q", "P"]:
            put(cells, key, b"x")
        assert [cell.key for cell in cells.scan("p")] == ORDERED
        assert [cell.key for cell in cells.scan("p\U0010ffff")] == ["p\U0010ffff"]
        assert [cell.key for cell in cells.scan("p\ud7ff")] == ["p\ud7ff"]

    def test_a_prefix_is_plain_text(self, cells: Cells) -> None:
        """Wildcards of a query language are letters like others."""
        for key in ("a_b", "axb", "a%", "A_b", "a*", "["):
            put(cells, key, b"x")
        assert [cell.key for cell in cells.scan("a_")] == ["a_b"]
        assert [cell.key for cell in cells.scan("a%")] == ["a%"]
        assert [cell.key for cell in cells.scan("[")] == ["["]
        assert cells.scan("b") == []

    def test_pages_join_up(self, cells: Cells) -> None:
        """Each page goes on after the last key of the one before, whatever was deleted meanwhile."""
        keys = [f"p/{number:02}" for number in range(23)]
        for key in [*keys, "o", "q"]:
            put(cells, key, b"x")
        found: list[str] = []
        while page := cells.scan("p/", after=found[-1] if found else "", limit=5):
            assert len(page) <= 5  # noqa: PLR2004 - the limit asked for
            found += [cell.key for cell in page]
            put(cells, found[-1], None)
        assert found == keys
        assert cells.scan("q", after="a") != []
        assert cells.scan("q", after="z") == []
        assert cells.scan("", limit=0) == []

    # Many at once.

    def test_one_of_64_threads_wins(self, cells: Cells) -> None:
        """Whoever does not win learns who was there."""
        outcomes = in_threads(64, lambda number: cells.swap([Change("a", ABSENT, b"%d" % number)]))
        assert one_winner(outcomes) == int(value(cells, "a"))

    def test_one_of_64_tasks_wins(self, store: Store) -> None:
        """The same for tasks of one event loop."""
        outcomes = asyncio.run(race(store, 64))
        assert one_winner(outcomes) == int(value(store.cells, "a"))

    def test_one_of_8_event_loops_wins(self, store: Store) -> None:
        """A store belongs to no event loop."""
        winners = in_threads(8, lambda number: [*asyncio.run(race(store, 4, first=number * 4))])
        outcomes = [outcome for each in winners for outcome in each]
        assert one_winner(outcomes) == int(value(store.cells, "a"))

    def test_one_of_8_processes_wins(self, store: Store, tmp_path: Path) -> None:
        """Every key has one winner among processes."""
        self._needs(self.many_processes, "one process only")

        def claim_all(number: int) -> list[int]:
            cells = self.make(tmp_path).cells
            keys = [f"{(number * 7 + step) % 40:02}" for step in range(40)]
            return [int(key) for key in keys if cells.swap([Change(key, ABSENT, b"%d" % number)]) is None]

        won = run_in_processes(8, claim_all)
        assert sorted(key for keys in won for key in keys) == [*range(40)]
        assert {int(cell.key): int(cell.value) for cell in store.cells.scan("")} == {
            key: number for number, keys in enumerate(won) for key in keys
        }

    def test_no_update_is_lost(self, cells: Cells) -> None:
        """Threads that add to two records end up with the sum in both."""
        put(cells, "a", b"0")
        put(cells, "b", b"0")
        in_threads(8, lambda _: add(cells, 15, "a", "b"))
        assert (value(cells, "a"), value(cells, "b")) == (b"120", b"120")

    # Waiting.

    def test_a_wait_for_what_has_happened_ends_at_once(self, store: Store) -> None:
        """So a change between reading and waiting is never missed."""
        put(store.cells, "a", b"x")
        assert store.cells.wait("a", ABSENT, LONG) is True
        assert asyncio.run(_wait(store, "a", ABSENT, LONG)) is True

    def test_a_wait_for_nothing_ends_in_time(self, store: Store) -> None:
        """Nothing is noticed where nothing changed; no time is no time."""
        put(store.cells, "a", b"x")
        for timeout in (0.0, 0.02):
            assert store.cells.wait("a", version(store.cells, "a"), timeout) is False
            assert asyncio.run(_wait(store, "b", ABSENT, timeout)) is False

    @pytest.mark.parametrize("new", [b"y", None], ids=["update", "delete"])
    def test_a_change_wakes_all_threads_that_wait(self, cells: Cells, new: bytes | None) -> None:
        """Every waiter is told, of a deletion as well."""
        put(cells, "a", b"x")
        seen = version(cells, "a")
        with ThreadPoolExecutor(4) as pool:
            waits = [pool.submit(cells.wait, "a", seen, LONG) for _ in range(4)]
            put(cells, "a", new)
            assert [wait.result(LONG / 2) for wait in waits] == [True] * 4

    def test_a_change_wakes_tasks_of_all_event_loops(self, store: Store) -> None:
        """Whoever makes it, here a thread."""
        ready = threading.Barrier(4)

        def wait_in_a_loop(_number: int) -> list[bool]:
            async def wait_twice() -> list[bool]:
                waits = [asyncio.ensure_future(store.async_cells.wait("a", ABSENT, LONG)) for _ in range(2)]
                await asyncio.sleep(0)
                ready.wait()
                return await asyncio.wait_for(asyncio.gather(*waits), LONG / 2)

            return asyncio.run(wait_twice())

        def work(number: int) -> list[bool]:
            if number:
                return wait_in_a_loop(number)
            ready.wait()
            put(store.cells, "a", b"x")
            return []

        assert in_threads(4, work)[1:] == [[True, True]] * 3

    def test_no_change_of_many_is_missed(self, cells: Cells) -> None:
        """A waiter that follows a writer step by step never sleeps through the last step."""
        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(count_up, cells, 100)
            seen = ABSENT
            while (content(cells, "a") or b"") != b"99":
                assert cells.wait("a", seen, LONG)
                seen = version(cells, "a")
            writer.result()

    def test_a_change_by_another_process_wakes(self, store: Store, tmp_path: Path) -> None:
        """Threads and tasks notice what other processes do."""
        self._needs(self.many_processes, "one process only")
        child = fork(lambda: put(self.make(tmp_path).cells, "a", b"x"))
        assert store.cells.wait("a", ABSENT, LONG) is True
        assert child.result() is None
        child = fork(lambda: put(self.make(tmp_path).cells, "b", b"x"))
        assert asyncio.run(_wait(store, "b", ABSENT, LONG)) is True
        assert child.result() is None

    def test_a_swap_happens_although_the_task_is_cancelled(self, store: Store) -> None:
        """Once it has suspended, nobody can take it back half done."""

        async def cancel() -> bool:
            swap = asyncio.ensure_future(store.async_cells.swap([Change("a", ABSENT, b"x")]))
            await asyncio.sleep(0)
            swap.cancel()
            await asyncio.wait([swap])
            return await store.async_cells.wait("a", ABSENT, LONG)

        assert asyncio.run(cancel()) is True

    # What lasts.

    def test_what_was_swapped_is_there_after_reopening(self, tmp_path: Path) -> None:
        """Durable or not, it outlives the store object; so do versions."""
        self._needs(self.survives, "does not survive")
        store = self.make(tmp_path)
        assert store.cells.swap([Change("a", ABSENT, b"1")]) is None
        assert store.cells.swap([Change("b", ABSENT, b"2")], durable=False) is None
        put(store.cells, "c", b"3")
        gone = version(store.cells, "c")
        put(store.cells, "c", None)
        before = store.cells.scan("")
        store.close()
        store = self.make(tmp_path)
        assert store.cells.scan("") == before
        put(store.cells, "c", b"4")
        assert version(store.cells, "c") > gone
        store.close()

    def test_a_log_keeps_its_order(self, store: Store) -> None:
        """Positions count from zero and each log is on its own."""
        self._needs(self.logs, "no log")
        log = store.log("a")
        assert (log.size(), log.read(0), store.log("b").append([b"other"])) == (0, [], 0)
        assert [log.append([b"0"]), log.append([b"1", b"2", b"\0" * 1000]), log.append([])] == [0, 1, 4]
        assert log.read(0) == [b"0", b"1", b"2", b"\0" * 1000]
        assert (log.read(1, limit=2), log.read(9), log.read(0, limit=0)) == ([b"1", b"2"], [], [])
        assert (log.size(), store.log("a").size(), store.log("b").size()) == (4, 4, 1)

    def test_what_is_appended_together_stays_together(self, store: Store) -> None:
        """Threads that append three values each never mix, and each learns where its own begin."""
        self._needs(self.logs, "no log")
        log = store.log("a")
        starts = in_threads(16, lambda number: log.append([b"%d.%d" % (number, part) for part in range(3)]))
        values = log.read(0, limit=100)
        assert sorted(starts) == [*range(0, 48, 3)]
        for number, start in enumerate(starts):
            assert values[start : start + 3] == [b"%d.%d" % (number, part) for part in range(3)]

    def test_a_log_is_there_after_reopening(self, tmp_path: Path) -> None:
        """What was appended is found, and goes on."""
        self._needs(self.logs and self.survives, "does not survive")
        store = self.make(tmp_path)
        store.log("a").append([b"0", b"1"])
        store.close()
        store = self.make(tmp_path)
        assert (store.log("a").append([b"2"]), store.log("a").read(0)) == (2, [b"0", b"1", b"2"])
        store.close()

    # The store itself.

    def test_the_store_tells_the_time(self, store: Store) -> None:
        """The same for threads and tasks, and never backwards here."""
        before = store.cells.now()
        assert before <= asyncio.run(_now(store)) <= store.cells.now()

    def test_owners_know_the_living(self, store: Store) -> None:
        """The owner is one and alive; a stranger is not called alive."""
        owners = store.owners
        self._needs(owners is not None, "no owners")
        assert owners is not None
        assert owners.me() == owners.me()
        assert owners.alive(owners.me()) is True
        assert owners.alive("nobody") is not True

    def test_owners_know_the_dead(self, store: Store, tmp_path: Path) -> None:
        """A process that has ended is dead, exactly."""
        owners = store.owners
        self._needs(owners is not None and self.many_processes, "one process only")
        assert owners is not None
        child = fork(lambda: (other := self.make(tmp_path).owners) and other.me()).result()
        assert child != owners.me()
        assert owners.alive(child) is False

    def test_a_closed_store_says_so(self, tmp_path: Path) -> None:
        """It refuses, for a guard cannot decide without it; closing twice is harmless."""
        store = self.make(tmp_path)
        log = store.log("a") if self.logs else None
        store.close()
        store.close()
        refused: list[Callable[[], Any]] = [
            lambda: store.cells.read("a"),
            lambda: store.cells.swap([Change("a", ABSENT, b"x")]),
            lambda: store.cells.scan(""),
            lambda: store.cells.wait("a", ABSENT, LONG),
            lambda: asyncio.run(_wait(store, "a", ABSENT, LONG)),
            lambda: asyncio.run(race(store, 1)),
        ]
        if log is not None:
            refused += [lambda: log.append([b"x"]), lambda: log.read(0), log.size]
        for use in refused:
            with pytest.raises(StoreUnavailable):
                use()

    def _needs(self, claim: bool, reason: str) -> None:  # noqa: FBT001 - a claim of this class
        if not claim:
            pytest.skip(reason)


async def _wait(store: Store, key: str, seen: int, timeout: float) -> bool:  # noqa: ASYNC109 - what is tested
    return await store.async_cells.wait(key, seen, timeout)


async def _now(store: Store) -> float:
    return await store.async_cells.now()

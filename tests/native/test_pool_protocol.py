"""The pool's protocol in a small model: every order in which its threads can take their steps.

A step is one access to memory that threads share, as in ``pool_text``. A run has several jobs; in every state
that can be reached, a chunk is run once and as a part of the job that it belongs to, no job begins before the
one before is finished, and somebody can go on until all jobs are done. Sleeping has no time limit here, so a
wake-up that is lost would be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

CALLER = -1


@dataclass(frozen=True)
class Memory:
    """What all threads see; ``asleep`` are the threads that the system has put to sleep."""

    generation: int = 0
    ranges: tuple[tuple[int, int], ...] = ((0, 0), (0, 0))
    """Of each range the generation and how many chunks are left."""
    unfinished: int = 0
    waiting: bool = False
    sleepers: int = 0
    job: int = 0
    chunks: int = 0
    asleep: frozenset[int] = frozenset()
    run: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Thread:
    """Where a thread is, the generation that it works for or has seen, and what it has read.

    ``place`` is the range that it claims from, ``tried`` how many it has found empty, ``finished`` how many
    chunks it has finished and not told yet.
    """

    at: str
    generation: int = 0
    read: tuple[int, ...] = ()
    place: int = 0
    tried: int = 0
    finished: int = 0


Step = tuple[Memory, Thread]


def end(chunks: int, place: int, ranges: int) -> int:
    """The chunk at which a range ends."""
    return (place + 1) * chunks // ranges


def _with(
    ranges: tuple[tuple[int, int], ...], place: int, generation: int, left: int
) -> tuple[tuple[int, int], ...]:
    return (*ranges[:place], (generation, left), *ranges[place + 1 :])


class Protocol:
    def __init__(self, jobs: list[int], workers: int, forgets: str = "") -> None:
        """``forgets`` is a step that is left out, to see that the model notices."""
        self.jobs, self.workers, self.forgets = jobs, workers, forgets

    def drain(self, m: Memory, t: Thread, own: int, after: str) -> Step:
        """Claim chunks, first of the own range, until none is left."""
        if t.at == "begin to claim":
            return m, replace(t, at="see", place=own, tried=0, finished=0)
        if t.at == "see":
            generation, left = m.ranges[t.place]
            if generation == t.generation and left:
                return m, replace(t, at="claim", read=(left,))
            tried = t.tried + 1
            at = "see" if tried < len(m.ranges) else "tell" if t.finished else after
            return m, replace(t, at=at, read=(), tried=tried, place=(t.place + 1) % len(m.ranges))
        if t.at == "claim":
            if m.ranges[t.place] != (t.generation, *t.read):
                return m, replace(t, at="see")
            return replace(m, ranges=_with(m.ranges, t.place, t.generation, t.read[0] - 1)), replace(
                t, at="work"
            )
        if t.at == "work":
            chunk = (m.job, end(m.chunks, t.place, len(m.ranges)) - t.read[0])
            assert m.job == t.generation, "a chunk of another job"
            assert 0 <= chunk[1] < m.chunks, "a chunk that there is not"
            assert chunk not in m.run, "a chunk is run twice"
            return replace(m, run=m.run | {chunk}), replace(t, at="see", finished=t.finished + 1)
        if t.at == "tell":
            m = replace(m, unfinished=m.unfinished - t.finished)
            return m, replace(t, at=after if m.unfinished else "rouse")
        assert t.at == "rouse"
        if m.waiting and self.forgets != "rouse":
            m = replace(m, asleep=m.asleep - {CALLER})
        return m, replace(t, at=after)

    def caller(self, m: Memory, t: Thread) -> Step | None:
        number = t.generation + 1
        if t.at == "begin":
            assert not any(left for _, left in m.ranges), "chunks are left"
            assert not m.unfinished, "a chunk is not finished"
            return None if t.generation == len(self.jobs) else (m, replace(t, at="job"))
        if t.at == "job":
            return replace(m, job=number), replace(t, at="chunks")
        if t.at == "chunks":
            return replace(m, chunks=self.jobs[t.generation]), replace(t, at="unfinished")
        if t.at == "unfinished":
            return replace(m, unfinished=self.jobs[t.generation]), replace(t, at="open", place=0)
        if t.at == "open":
            parts, place = len(m.ranges), t.place
            amount = end(m.chunks, place, parts) - end(m.chunks, place - 1, parts)
            m = replace(m, ranges=_with(m.ranges, place, number, amount))
            at = "open" if place + 1 < parts else "announce"
            return m, replace(t, at=at, place=(place + 1) % parts)
        if t.at == "announce":
            return replace(m, generation=number), replace(t, at="sleepers", generation=number)
        if t.at == "sleepers":
            return m, replace(t, at="wake" if m.sleepers else "begin to claim")
        if t.at == "wake":
            asleep = m.asleep if self.forgets == "wake" else m.asleep & {CALLER}
            return replace(m, asleep=asleep), replace(t, at="begin to claim")
        if t.at == "wait":
            return m, replace(t, at="doze" if m.unfinished else "begin", read=(m.unfinished,))
        if t.at == "doze":
            return replace(m, waiting=self.forgets != "waiting"), replace(t, at="futex")
        if t.at == "futex":  # the system compares and puts to sleep in one step
            same = m.unfinished == t.read[0] or self.forgets == "compare"
            asleep = m.asleep | {CALLER} if same else m.asleep
            return replace(m, asleep=asleep), replace(t, at="awake")
        if t.at == "awake":
            return replace(m, waiting=False), replace(t, at="wait")
        return self.drain(m, t, 0, "wait")

    def worker(self, m: Memory, t: Thread, name: int) -> Step:
        if t.at == "watch":
            if m.generation != t.generation:
                return m, replace(t, at="begin to claim", generation=m.generation)
            return m, replace(t, at="sleep")
        if t.at == "sleep":
            return replace(m, sleepers=m.sleepers + 1), replace(t, at="futex")
        if t.at == "futex":
            asleep = m.asleep | {name} if m.generation == t.generation else m.asleep
            return replace(m, asleep=asleep), replace(t, at="awake")
        if t.at == "awake":
            return replace(m, sleepers=m.sleepers - 1), replace(t, at="watch")
        return self.drain(m, t, (name + 1) % len(m.ranges), "watch")

    def steps(self, m: Memory, threads: tuple[Thread, ...]) -> Iterator[tuple[Memory, tuple[Thread, ...]]]:
        """What can happen next; the caller is the last thread."""
        for number, t in enumerate(threads):
            name = CALLER if number == self.workers else number
            if name in m.asleep:
                continue
            step = self.caller(m, t) if name == CALLER else self.worker(m, t, name)
            if step is not None:
                yield step[0], (*threads[:number], step[1], *threads[number + 1 :])

    def search(self) -> int:
        """Go through all states; how many there are."""
        start = Memory(), (*(Thread("watch") for _ in range(self.workers)), Thread("begin"))
        found, rest = {start}, [start]
        while rest:
            memory, threads = rest.pop()
            states = list(self.steps(memory, threads))
            caller = threads[-1]
            if (caller.at, caller.generation) == ("begin", len(self.jobs)):
                assert len(memory.run) == sum(self.jobs)
            else:
                assert states, "nobody can go on"
            new = [state for state in states if state not in found]
            found.update(new)
            rest += new
        return len(found)


@pytest.mark.parametrize(("jobs", "workers"), [([2, 3], 1), ([2, 2, 1], 1), ([3, 2], 2), ([1, 2], 2)])
def test_every_order_of_steps(jobs, workers):
    assert Protocol(jobs, workers).search() > 500


@pytest.mark.parametrize("forgets", ["rouse", "waiting", "compare"])
def test_the_model_finds_a_lost_wake_up(forgets):
    with pytest.raises(AssertionError, match="nobody can go on"):
        Protocol([2, 3], 1, forgets).search()


def test_a_worker_that_is_not_woken_costs_no_more_than_its_help():
    """The caller never waits for a thread that has claimed nothing."""
    assert Protocol([2, 3], 2, "wake").search() > 500

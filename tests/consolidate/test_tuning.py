"""What is chosen from what batches take: always within the caps, near the best, and back when things change."""

import heapq
import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from diamond_opus.consolidate.tuning import LONGEST_SECONDS, Tuning

#: What a batch takes, of so many stones beside so many lanes in all.
Curve = Callable[[int, int], float]


def machine(
    *, lanes: float, seconds_a_stone: float = 1e-4, overhead: float = 0.005, others: float = 0.0
) -> Curve:
    """A machine for so many lanes: one more makes all slower, as others do who need so many of them."""

    def seconds(stones: int, concurrency: int) -> float:
        return overhead + stones * seconds_a_stone * max(1.0, concurrency / max(0.25, lanes - others))

    return seconds


def work(tuning: Tuning, curve: Curve, batches: int, *, noise: float = 0.0, seed: int = 0) -> list[int]:
    """So many batches on that machine, as many side by side as chosen; how many those were each time."""
    chance = random.Random(seed)
    now, started = 0.0, 0
    chosen: list[int] = []
    under_way: list[tuple[float, int, int, float]] = []
    while len(chosen) < batches:
        while len(under_way) < tuning.choice.concurrency:
            stones = tuning.choice.batch_size
            seconds = curve(stones, len(under_way) + 1) * chance.uniform(1 - noise, 1 + noise)
            heapq.heappush(under_way, (now + seconds, started, stones, seconds))
            started += 1
        now, _, stones, seconds = heapq.heappop(under_way)
        tuning.note(stones, seconds)
        chosen.append(tuning.choice.concurrency)
    return chosen


def rate(curve: Curve, stones: int, concurrency: int) -> float:
    return concurrency * stones / curve(stones, concurrency)


@given(
    largest=st.integers(1, 100_000),
    most=st.integers(1, 40),
    batches=st.lists(st.tuples(st.integers(0, 100_000), st.floats(0, 1e6)), max_size=400),
)
def test_whatever_batches_take_the_choice_is_within_its_bounds(
    largest: int, most: int, batches: list[tuple[int, float]]
) -> None:
    tuning = Tuning(largest_batch=largest, most_lanes=most)
    for stones, seconds in batches:
        tuning.note(stones, seconds)
        for choice in (tuning.choice, tuning.settled):
            assert max(1, largest // 10) <= choice.batch_size <= largest
            assert 1 <= choice.concurrency <= most


@settings(deadline=None, max_examples=25)
@given(
    most=st.integers(1, 12),
    lanes=st.integers(2, 10),
    noise=st.floats(0, 0.04),
    seed=st.integers(0, 2**32),
)
def test_it_comes_to_do_nearly_the_most_that_the_machine_can(
    most: int, lanes: int, noise: float, seed: int
) -> None:
    tuning = Tuning(largest_batch=2000, most_lanes=most)
    curve = machine(lanes=lanes)
    work(tuning, curve, 1500, noise=noise, seed=seed)

    best = max(rate(curve, 2000, concurrency) for concurrency in range(1, most + 1))
    assert rate(curve, 2000, tuning.settled.concurrency) >= 0.9 * best
    assert tuning.settled.concurrency <= min(most, lanes + 1)


@settings(deadline=None, max_examples=25)
@given(seconds_a_stone=st.floats(1e-6, 0.1), noise=st.floats(0, 0.15), seed=st.integers(0, 2**32))
def test_a_batch_is_as_large_as_it_may_be_without_taking_too_long(
    seconds_a_stone: float, noise: float, seed: int
) -> None:
    tuning = Tuning(largest_batch=2000, most_lanes=1)
    curve = machine(lanes=1, seconds_a_stone=seconds_a_stone)
    work(tuning, curve, 30, noise=noise, seed=seed)
    sizes = []
    for _ in range(40):
        work(tuning, curve, 1, noise=noise, seed=seed)
        sizes.append(tuning.choice.batch_size)

    for size in set(sizes) - {200}:
        assert curve(size, 1) <= LONGEST_SECONDS * (1 + noise)
    for size in set(sizes) - {2000}:
        assert curve(size, 1) >= LONGEST_SECONDS / 2 * (1 - noise) or size == 200


def test_the_size_stands_still_while_batches_take_about_the_same() -> None:
    tuning = Tuning(largest_batch=2000, most_lanes=1)
    curve = machine(lanes=1, seconds_a_stone=5e-3)
    work(tuning, curve, 10, noise=0.2)
    size = tuning.choice.batch_size
    work(tuning, curve, 200, noise=0.2)
    assert tuning.choice.batch_size == size
    assert 500 < size < 1000


def test_one_batch_that_stood_still_is_soon_forgotten() -> None:
    tuning = Tuning(largest_batch=2000, most_lanes=1)
    work(tuning, machine(lanes=1), 10)
    tuning.note(2000, 3.0)
    assert tuning.choice.batch_size == 2000
    tuning.note(2000, 30.0)
    assert tuning.choice.batch_size < 1000
    work(tuning, machine(lanes=1), 8)
    assert tuning.choice.batch_size == 2000


def test_it_gives_way_to_others_and_comes_back_when_they_are_gone() -> None:
    tuning = Tuning(largest_batch=2000, most_lanes=8)
    work(tuning, machine(lanes=6), 2000, noise=0.02)
    alone = tuning.settled.concurrency
    work(tuning, machine(lanes=6, others=4), 2000, noise=0.02)
    beside_others = tuning.settled.concurrency
    work(tuning, machine(lanes=6), 2000, noise=0.02)
    assert (alone, beside_others, tuning.settled.concurrency) == (6, 2, 6)


def test_once_it_has_found_the_best_it_stays_there_but_for_rare_trials() -> None:
    tuning = Tuning(largest_batch=2000, most_lanes=8)
    work(tuning, machine(lanes=3), 500, noise=0.02)
    chosen = work(tuning, machine(lanes=3), 3000, noise=0.02)
    assert set(chosen) <= {2, 3, 4}
    assert chosen.count(3) > 0.9 * len(chosen)
    assert chosen.count(2) < 0.02 * len(chosen)


def test_where_two_are_the_most_one_is_tried_rarely() -> None:
    """The default on a small machine: the only trial there is costs much, and next to nothing in all."""
    tuning = Tuning(largest_batch=2000, most_lanes=2)
    chosen = work(tuning, machine(lanes=2), 3000, noise=0.05)
    assert chosen.count(1) < 0.02 * len(chosen)
    assert tuning.settled.concurrency == 2

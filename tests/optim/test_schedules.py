"""Schedules at their boundaries, against numbers derived by hand."""

import dataclasses
import math

import pytest

from boxgrad.optim.schedules import Constant, Cosine, Exponential, Linear, OneCycle, Step, WarmUp


def rates(schedule, count):
    return [schedule(step) for step in range(count)]


def test_constant():
    assert rates(Constant(0.3), 3) == [0.3, 0.3, 0.3]


def test_step_changes_at_the_multiple():
    schedule = Step(1.0, size=30)
    assert schedule(29) == 1.0
    assert schedule(30) == pytest.approx(0.1)
    assert schedule(59) == pytest.approx(0.1)
    assert schedule(60) == pytest.approx(0.01)


def test_exponential():
    assert rates(Exponential(2.0, factor=0.5), 4) == [2.0, 1.0, 0.5, 0.25]


def test_linear_ends_and_stays():
    # PyTorch's documented example: 0.025, 0.03125, 0.0375, 0.04375, 0.05, 0.05
    schedule = Linear(0.05, steps=4, start=0.5)
    assert rates(schedule, 6) == pytest.approx([0.025, 0.03125, 0.0375, 0.04375, 0.05, 0.05])
    assert Linear(3.0, steps=5)(0) == pytest.approx(1.0)


def test_cosine_is_half_a_wave_and_goes_on():
    schedule = Cosine(1.0, steps=10, minimum=0.2)
    assert schedule(0) == 1.0
    assert schedule(5) == pytest.approx(0.6)
    assert schedule(10) == pytest.approx(0.2)
    assert schedule(20) == pytest.approx(1.0)


def test_cosine_agrees_with_the_recursive_form():
    schedule = Cosine(0.1, steps=7, minimum=0.01)
    rate = 0.1
    for step in range(1, 8):
        ratio = (1 + math.cos(math.pi * step / 7)) / (1 + math.cos(math.pi * (step - 1) / 7))
        rate = ratio * (rate - 0.01) + 0.01
        assert schedule(step) == pytest.approx(rate, rel=1e-12)


def test_warm_up_joins_without_a_jump():
    schedule = WarmUp(Cosine(1.0, steps=10), steps=4, start=0.0)
    assert rates(schedule, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert schedule(4 + 5) == pytest.approx(0.5)
    assert WarmUp(Constant(3.0), steps=2)(0) == pytest.approx(1.0)


def test_one_cycle_at_its_corners():
    schedule = OneCycle(1.0, steps=100)
    assert schedule(0) == pytest.approx(1 / 25)
    assert schedule(29) == pytest.approx(1.0)
    assert schedule(99) == pytest.approx(1 / 25 / 1e4)
    assert schedule(1000) == schedule(99)
    assert schedule(64) == pytest.approx(0.5, rel=1e-5)
    assert max(rates(schedule, 100)) == schedule(29)


def test_one_cycle_in_straight_lines():
    schedule = OneCycle(10.0, steps=11, rise=6 / 11, anneal="linear", divisor=10, final_divisor=10)
    assert schedule(0) == pytest.approx(1.0)
    assert schedule(1) == pytest.approx(2.8)
    assert schedule(5) == pytest.approx(10.0)
    assert schedule(10) == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("rise", [0.0, 0.25, 0.5, 1.0])
def test_short_cycles_stay_between_their_bounds(steps, rise):
    schedule = OneCycle(1.0, steps=steps, rise=rise)
    for rate in rates(schedule, steps + 1):
        assert 1 / 25 / 1e4 * (1 - 1e-9) <= rate <= 1.0


def test_schedules_print_and_compare_and_cannot_change():
    schedule = WarmUp(Step(0.1, size=3), steps=2)
    expected = "WarmUp(after=Step(lr=0.1, size=3, factor=0.1), steps=2, start=0.3333333333333333)"
    assert repr(schedule) == expected
    assert schedule == WarmUp(Step(0.1, size=3), steps=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.steps = 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Step(0.1, size=0),
        lambda: Linear(0.1, steps=0),
        lambda: Cosine(0.1, steps=-1),
        lambda: WarmUp(Constant(0.1), steps=0),
        lambda: OneCycle(0.1, steps=0),
        lambda: OneCycle(0.1, steps=5, rise=1.5),
        lambda: OneCycle(0.1, steps=5, anneal="sine"),
    ],
)
def test_arguments_out_of_range(make):
    with pytest.raises(ValueError, match="instead:"):
        make()

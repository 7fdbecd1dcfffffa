"""A sample of the benchmark of planted mistakes, with thresholds that leave room for the sample's size."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def figures():
    sys.path.insert(0, str(BENCHMARKS))
    found = importlib.util.spec_from_file_location("benchmark_of_the_doctor", BENCHMARKS / "doctor.py")
    assert found is not None
    assert found.loader is not None
    benchmark = importlib.util.module_from_spec(found)
    found.loader.exec_module(benchmark)
    try:
        yield benchmark.main(["--sample"])
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_planted_mistakes_are_found_and_named(figures):
    planted = figures["planted"]["all"]
    assert planted["count"] >= 60
    assert planted["detected"] >= 0.99
    assert planted["reported"] >= 0.97
    assert planted["box"] >= 0.95
    assert planted["exact"] >= 0.70


def test_mistakes_by_hand_are_found_and_placed(figures):
    by_hand = figures["by hand"]["all"]
    assert by_hand["count"] >= 20
    assert by_hand["detected"] == 1
    assert by_hand["localised"] >= 0.90


def test_no_false_alarm(figures):
    assert figures["correct"]["count"] >= 50
    assert figures["correct"]["false alarms"] == 0


def test_a_check_takes_a_second_at_most(figures):
    for row in figures["time"].values():
        assert row["boxes"] == 20
        assert row["right"] < 2
        assert row["wrong"] < 2

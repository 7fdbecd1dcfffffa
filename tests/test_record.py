"""Records: what they hold, what they refuse."""

from __future__ import annotations

import copy
import pickle

import pytest

from boxgrad.graph.primitive import Delimited, Infix, Sum
from boxgrad.record import Record


class Pair(Record):
    first: int
    second: int = 2


class Nothing(Record):
    """No fields."""


def test_fields_by_place_and_by_name():
    assert (Pair(1).first, Pair(1).second) == (1, 2)
    assert Pair(1, 3) == Pair(second=3, first=1) != Pair(1)
    assert Nothing() == Nothing() != Pair(1)
    assert repr(Pair(1)) == "Pair(first=1, second=2)"


def test_equal_fields_of_another_class_are_another_record():
    assert Sum("Σ") != Infix("Σ", 1)
    assert len({Pair(1), Pair(1, 2), Pair(2), Nothing()}) == 3
    assert Pair(1) != (1, 2)


def test_records_are_matched_by_their_fields():
    match Delimited("|", "⟩"):
        case Delimited(left, right):
            assert (left, right) == ("|", "⟩")


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"first": 1}), ((1,), {"third": 3})]
)
def test_wrong_fields(values, named):
    with pytest.raises(TypeError, match=r"Pair has the fields \('first', 'second'\)"):
        Pair(*values, **named)


def test_records_do_not_change():
    pair = Pair(1)
    with pytest.raises(AttributeError, match="Pair does not change"):
        pair.first = 2
    with pytest.raises(AttributeError):
        del pair.first
    assert pair == Pair(1)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_equal(again):
    assert again(Pair(3)) == Pair(3)

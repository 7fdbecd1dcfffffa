"""The examples of defects are named, their corrected versions pass; the functions of the zoo are right."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from blind import PASSES
from zoo import CASES

import boxgrad as bg
from numeric import assert_near, direction, inner, richardson

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "defects"))

from defects import TITLES, check, example, plain_check, point, verdict  # noqa: E402
from table import table  # noqa: E402

FILES = sorted(path.stem for path in (ROOT / "examples" / "defects").glob("*.py"))
LANGUAGES = {"README.md": "en", "README.zh-CN.md": "zh"}


# ---- examples
def test_every_example_is_in_the_table():
    assert sorted({*TITLES, "defects", "gru_common", "table"}) == FILES


@pytest.mark.parametrize("name", TITLES)
def test_a_wrong_gradient_is_named(name):
    answer = verdict(name)
    assert not answer.ok, str(answer)
    found = [(each.kind, each.where and re.sub(r"_\d+$", "", each.where.box)) for each in answer.findings]
    assert found == list(example(name).EXPECTED), str(answer)
    with pytest.raises(bg.GradientMistake):
        answer.raise_if_wrong()


@pytest.mark.parametrize("name", TITLES)
def test_a_right_gradient_passes(name):
    chosen = example(name)
    answer = check(chosen, chosen.right)
    assert answer.ok is True, str(answer)
    answer.raise_if_wrong()


@pytest.mark.parametrize("name", [name for name in TITLES if callable(example(name).wrong)])
def test_wrong_and_right_by_differences(name):
    chosen = example(name)
    args = point(chosen)
    assert plain_check(chosen.loss, chosen.wrong, args, chosen.WRT) > 0.1
    assert plain_check(chosen.loss, chosen.right, args, chosen.WRT) < 1e-6


def test_a_plain_check_is_fooled_by_one_image():
    chosen = example("rows_in_another_order")
    args = chosen.one_image(np.random.default_rng(0))
    assert plain_check(chosen.loss, chosen.wrong, args, chosen.WRT) < 1e-6
    assert bg.check(chosen.loss, chosen.wrong, *args, wrt=chosen.WRT).ok is False


# ---- the zoo
def test_the_zoo_is_large():
    assert len(CASES) >= 40
    assert len(PASSES) >= 15
    assert sum(len(each.mistakes) for each in PASSES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_the_zoo(name):
    case = CASES[name]
    args = case.sample(np.random.default_rng(3))
    chosen = case.positions(args)
    gradients = bg.grad(case.function, argnums=chosen)(*args)
    random = np.random.default_rng(5)
    moves = [v if i in chosen else None for i, v in enumerate(direction(args, random))]
    slope = richardson(case.function, args, moves, 1e-3)
    assert abs(inner(gradients, [moves[i] for i in chosen]) - slope) <= 1e-8 * max(1.0, abs(slope))


@pytest.mark.parametrize("each", PASSES, ids=lambda each: each.name)
def test_backward_passes_by_hand(each):
    args = each.sample(np.random.default_rng(0))
    chosen = CASES[each.name].positions(args)
    true = bg.grad(each.function, argnums=chosen)(*args)
    for mine, wanted in zip(each.mine()(*args), true, strict=True):
        assert_near(mine, wanted, each.name)
    for mistake in each.mistakes:
        found = each.mine(mistake)(*args)
        assert [np.shape(g) for g in found] == [np.shape(g) for g in true], mistake
        sizes = [np.linalg.norm(g - w) / np.linalg.norm(w) for g, w in zip(found, true, strict=True)]
        assert max(sizes) > 1e-4, mistake


# ---- the table
@pytest.mark.parametrize("page", LANGUAGES)
def test_the_table_of_the_readme(page):
    source = (ROOT / page).read_text(encoding="utf-8")
    assert table(LANGUAGES[page]) in source

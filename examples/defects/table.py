"""Print the table of the README: what a plain gradient check says of each defect, and what boxgrad says.

python examples/defects/table.py [--lang zh]
"""

from __future__ import annotations

import argparse
from types import ModuleType

import numpy as np
from defects import TITLES, example, plain_check, point, verdict

from boxgrad.check.words import kind_name

HEADS = {"en": ("defect", "a plain gradient check", "boxgrad"), "zh": ("缺陷", "普通的梯度检查", "boxgrad")}
SAYINGS = {
    "en": (
        "relative error {:.2g}: wrong",
        "relative error {:.0e}: right",
        "with one image: right",
        "cannot read it",
    ),
    "zh": ("相对误差 {:.2g}：错误", "相对误差 {:.0e}：正确", "只有一张图像时：正确", "看不懂公式"),
}
FOUND = {"en": ("**{}** at `{}`", "**{}**"), "zh": ("`{1}` 处**{0}**", "**{}**")}
SEPARATOR = {"en": "; ", "zh": "；"}
TOLERANCE = 1e-5


def row(name: str, lang: str) -> str:
    """One defect as a row."""
    chosen = example(name)
    title = TITLES[name][lang == "zh"]
    return f"| [{title}](examples/defects/{name}.py) | {plain(chosen, lang)} | {found(name, lang)} |"


def plain(chosen: ModuleType, lang: str) -> str:
    """What a plain check says."""
    wrong, right, one_image, unreadable = SAYINGS[lang]
    if isinstance(chosen.wrong, str):
        return unreadable
    error = plain_check(chosen.loss, chosen.wrong, point(chosen), chosen.WRT)
    said = (wrong if error > TOLERANCE else right).format(error)
    if hasattr(chosen, "one_image"):
        alone = plain_check(chosen.loss, chosen.wrong, chosen.one_image(np.random.default_rng(0)), chosen.WRT)
        said += f"{SEPARATOR[lang]}{one_image}" if alone <= TOLERANCE else ""
    return said


def found(name: str, lang: str) -> str:
    """Kind and box of what boxgrad finds."""
    placed, placeless = FOUND[lang]
    words = []
    for finding in verdict(name).findings:
        kind = kind_name(finding.kind, lang)
        words.append(placed.format(kind, finding.where.box) if finding.where else placeless.format(kind))
    return SEPARATOR[lang].join(words)


def table(lang: str) -> str:
    """The whole table in Markdown."""
    heads = HEADS[lang]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(row(name, lang) for name in TITLES)]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--lang", choices=["en", "zh"], default="en")
    print(table(parser.parse_args().lang))

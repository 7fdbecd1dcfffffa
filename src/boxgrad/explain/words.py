"""The words of an explanation, in English and in Chinese.

One table for all views; each view keeps its keys together. ``{name}`` is filled in by ``word``. What the
views mark so that a page can link them is in steps.py.
"""

from __future__ import annotations

from typing import Any

LANGUAGES = ("en", "zh")

WORDS: dict[str, dict[str, str]] = {
    # ---- common
    "forward": {"en": "forward", "zh": "前向"},
    "backward": {"en": "backward", "zh": "反向"},
    "input": {"en": "input", "zh": "输入"},
    "parameter": {"en": "parameter", "zh": "参数"},
    "constant": {"en": "constant", "zh": "常量"},
    "scalar": {"en": "scalar", "zh": "标量"},
    # ---- page
    "page_title": {"en": "{name}: its gradient, three ways", "zh": "{name} 的梯度：三种讲法"},
    "page_subtitle": {
        "en": "A function and its gradient, three ways: mathematics, diagram, code.",
        "zh": "一个函数和它的梯度，三种讲法：公式、框图、代码。",
    },
    "diagram": {"en": "Diagram", "zh": "框图"},
    "mathematics": {"en": "Mathematics", "zh": "公式"},
    "code": {"en": "Code", "zh": "代码"},
}


def word(key: str, lang: str, **values: Any) -> str:
    """A word or sentence of the table.

    >>> word("mathematics", "zh")
    '公式'
    >>> word("page_title", "en", name="loss(X, W)")
    'loss(X, W): its gradient, three ways'
    """
    text = WORDS[key][lang]
    return text.format(**values) if values else text

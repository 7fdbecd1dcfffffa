"""The words of a verdict, in English and in Chinese: one row for each kind of mistake, one for each sentence.

``KINDS`` lists the kinds with their names; ``MEANS`` says what each means in a sentence. Knows words only.
"""

from __future__ import annotations

from typing import Any

from boxgrad.explain.words import Words, word

KINDS: Words = {
    "constant factor": {"en": "constant factor", "zh": "常数因子"},
    "sign": {"en": "sign", "zh": "符号"},
    "transposed": {"en": "transposed", "zh": "转置"},
    "factors swapped": {"en": "factors swapped", "zh": "因子次序颠倒"},
    "impossible shape": {"en": "impossible shape", "zh": "形状不可能"},
    "sum missing": {"en": "sum missing", "zh": "漏了求和"},
    "sum too wide": {"en": "sum too wide", "zh": "求和过宽"},
    "derivative left out": {"en": "derivative left out", "zh": "漏了导数"},
    "wrong value": {"en": "wrong value", "zh": "取值不对"},
    "path dropped": {"en": "path dropped", "zh": "漏了一条路径"},
    "term missing": {"en": "term missing", "zh": "漏了一项"},
    "wrong upstream": {"en": "wrong upstream gradient", "zh": "上游梯度不对"},
    "kernel not flipped": {"en": "kernel not flipped", "zh": "卷积核没有翻转"},
    "order permuted": {"en": "order permuted", "zh": "次序打乱"},
    "treated as constant": {"en": "treated as constant", "zh": "误当常量"},
    "another loss": {"en": "another loss", "zh": "另一个损失函数"},
    "parameter unused": {"en": "parameter unused", "zh": "参数未使用"},
    "parameter swapped": {"en": "parameter swapped", "zh": "参数用错"},
    "wrong at kinks": {"en": "wrong at kinks", "zh": "尖点处不对"},
    "right for batch 1 only": {"en": "right for batch 1 only", "zh": "仅批量为 1 时正确"},
    "right for square shapes only": {"en": "right for square shapes only", "zh": "仅方形时正确"},
    "not deterministic": {"en": "not deterministic", "zh": "结果不确定"},
    "precision only": {"en": "precision only", "zh": "只是精度不足"},
    "wrong axis": {"en": "wrong axis", "zh": "轴不对"},
    "counted twice": {"en": "counted twice", "zh": "重复计入"},
    "operator": {"en": "operator", "zh": "运算符"},
    "raises": {"en": "raises", "zh": "报错"},
    "returns nothing": {"en": "returns nothing", "zh": "没有返回值"},
    "wrong number of results": {"en": "wrong number of results", "zh": "返回值个数不对"},
    "not finite": {"en": "not finite", "zh": "不是有限数"},
    "does not parse": {"en": "does not parse", "zh": "无法解析"},
    "unknown": {"en": "unknown", "zh": "未知"},
}
"""Every kind of finding, with its name."""

MEANS: Words = {
    "constant factor": {
        "en": "{gradient} is {factor} times the true gradient.",
        "zh": "{gradient} 是真实梯度的 {factor} 倍。",
    },
    "sign": {"en": "{gradient} has the opposite sign.", "zh": "{gradient} 的符号相反。"},
    "zero": {"en": "{gradient} is zero, and should not be.", "zh": "{gradient} 为零，而它不应为零。"},
}
"""What a finding says, where its kind needs a sentence with numbers."""

SAID: Words = {
    "right": {"en": "{title}: the gradient is right", "zh": "{title}：梯度正确"},
    "wrong": {"en": "{title}: wrong in {wrong}", "zh": "{title}：{wrong} 不对"},
    "unclear": {"en": "{title}: cannot tell", "zh": "{title}：无法判断"},
    "error": {"en": "relative error {error}", "zh": "相对误差 {error}"},
    "at": {"en": "at {box}, line {line}", "zh": "在 {box}，第 {line} 行"},
    "repair": {"en": "repair", "zh": "改正"},
    "same": {"en": "the same numbers also come from", "zh": "下列错误会给出同样的数"},
    "and": {"en": " and ", "zh": "和"},
}
"""The sentences of a verdict as a whole."""

TABLE: Words = {**SAID, **{f"kind {key}": row for key, row in KINDS.items()}}


def kind_name(kind: str, lang: str) -> str:
    """A kind of mistake as it is written in a language.

    >>> kind_name("sum missing", "zh")
    '漏了求和'
    """
    return KINDS[kind][lang]


def said(key: str, lang: str, **values: Any) -> str:
    """A sentence of the verdict."""
    return word(key, lang, SAID, **values)

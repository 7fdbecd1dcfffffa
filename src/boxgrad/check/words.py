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
        "en": "In the derivative at {box} a constant is wrong or missing.",
        "zh": "{box} 处的导数里，有一个常数写错或漏掉了。",
    },
    "constant factor: number": {
        "en": "In the derivative at {box} a constant is another one: {detail}.",
        "zh": "{box} 处的导数里，有一个常数写错了：{detail}。",
    },
    "scaled": {
        "en": "What {box} passes back to {gradient} is {factor} times what it should be{meaning}.",
        "zh": "{box} 传给 {gradient} 的是应有值的 {factor} 倍{meaning}。",
    },
    "axis size": {
        "en": " ({size} is the size of axis {axis} of {value})",
        "zh": "（{size} 是 {value} 的轴 {axis} 的大小）",
    },
    "array size": {
        "en": " ({size} is the number of elements of {value})",
        "zh": "（{size} 是 {value} 的元素个数）",
    },
    "sign": {
        "en": "What {box} passes back to {gradient} has the wrong sign.",
        "zh": "{box} 传给 {gradient} 的符号不对。",
    },
    "transposed": {
        "en": "In the derivative at {box} a factor is transposed that should not be, or the other way round.",
        "zh": "{box} 处的导数里，有一个因子的转置弄反了。",
    },
    "factors swapped": {
        "en": "In the derivative at {box} the two factors of the product stand in the wrong order.",
        "zh": "{box} 处的导数里，乘积的两个因子次序颠倒了。",
    },
    "impossible shape": {
        "en": "{gradient} cannot have this shape: a gradient has the shape of its value.",
        "zh": "{gradient} 不可能是这个形状：梯度与它所属的值形状相同。",
    },
    "sum missing": {
        "en": "{value} is used for several elements at {box}, so its gradient is a sum: it is missing.",
        "zh": "{value} 在 {box} 处被多个元素共用，所以它的梯度要对这些元素求和；这里漏了求和。",
    },
    "sum too wide": {
        "en": "What {box} passes back to {gradient} is summed along too many axes ({detail}).",
        "zh": "{box} 传给 {gradient} 的值多求了和（{detail}）。",
    },
    "sum too wide: mean": {
        "en": "What {box} passes back to {gradient} is averaged along {detail}.",
        "zh": "{box} 传给 {gradient} 的值被取了平均（{detail}）。",
    },
    "derivative left out": {
        "en": "The derivative of {function} at {box} is left out: it is taken as 1.",
        "zh": "漏了 {box} 处 {function} 的导数：把它当成了 1。",
    },
    "derivative left out: true": {
        "en": "The mask in the derivative at {box} is always true, so the derivative is 1 everywhere.",
        "zh": "{box} 处导数里的掩码总是为真，导数因此处处为 1。",
    },
    "wrong value": {
        "en": "The derivative at {box} is evaluated at the wrong value: {detail}.",
        "zh": "{box} 处的导数取值不对：用了 {detail}。",
    },
    "wrong value: function of": {
        "en": "The derivative at {box} applies {function} once more to a value that already went through it.",
        "zh": "{box} 处的导数对已经过 {function} 的值又作用了一次 {function}。",
    },
    "path dropped": {
        "en": "The path from {box} back to {value} is missing: what it adds to {gradient} is left out.",
        "zh": "漏了从 {box} 回到 {value} 的路径：它对 {gradient} 的贡献没有加上。",
    },
    "path dropped: only": {
        "en": "{value} is used several times, but {gradient} has only the {detail} share; shares add up.",
        "zh": "{value} 用了多次，{gradient} 却只算了其中一次（{detail}）：各次的贡献应当相加。",
    },
    "term missing": {
        "en": "In the derivative at {box} a term is missing.",
        "zh": "{box} 处的导数里漏了一项。",
    },
    "wrong upstream": {
        "en": "At {box} the gradient that arrives is not {upstream} but another one: {detail}.",
        "zh": "在 {box} 处用的上游梯度不是 {upstream}，而是别的：{detail}。",
    },
    "kernel not flipped": {
        "en": "In the derivative at {box} a kernel is not turned round, or once too often ({detail}).",
        "zh": "{box} 处的导数里，卷积核没有翻转，或多翻转了一次（{detail}）。",
    },
    "order permuted": {
        "en": "Rows or elements of the gradient at {box} stand in the wrong order ({detail}).",
        "zh": "{box} 处梯度的行或元素次序（{detail}）与它们所属的值不一致。",
    },
    "treated as constant": {
        "en": "A statistic at {box} is treated as a constant, but it depends on its input too.",
        "zh": "{box} 处的统计量被当成常量，但它也依赖于输入。",
    },
    "another loss": {
        "en": "This is the gradient of another function: {detail}.",
        "zh": "这是另一个函数的梯度：{detail}。",
    },
    "parameter unused": {
        "en": "{detail} is not used at {box} in the function that this is the gradient of.",
        "zh": "在这个梯度所对应的函数里，{box} 处没有用到 {detail}。",
    },
    "parameter swapped": {
        "en": "At {box} another value of the same shape is used: {detail}.",
        "zh": "在 {box} 处用了形状相同的另一个值：{detail}。",
    },
    "wrong at kinks": {
        "en": "{gradient} is right save at a kink of the function, where it is none of the slopes beside it.",
        "zh": "除函数的尖点外 {gradient} 都对；在尖点处，它不是两侧斜率之间的值。",
    },
    "right for batch 1 only": {
        "en": "{gradient} is right for a batch of 1, and wrong for a larger one ({detail}).",
        "zh": "批量为 1 时 {gradient} 正确，更大（{detail}）就不对。",
    },
    "right for square shapes only": {
        "en": "{gradient} is right where two sizes are equal ({detail}), and wrong where they differ.",
        "zh": "两个大小相等（{detail}）时 {gradient} 正确，不等时就不对。",
    },
    "not deterministic": {
        "en": "Two calls with the same arguments give different gradients: fix the seed, or pass numbers in.",
        "zh": "同样的自变量调用两次，得到的梯度不同；请固定随机种子，或把随机数作为参数传入。",
    },
    "function not deterministic": {
        "en": "The function itself gives different values for the same arguments: nothing can be compared.",
        "zh": "函数本身对同样的自变量给出不同的值，因此无法比较。",
    },
    "precision only": {
        "en": "{gradient} is right in double precision ({double}) but loses digits in single precision "
        "({single}): large numbers cancel. Write it so that none do: subtract the maximum before exp, "
        "use log1p, expm1, logaddexp, or subtract the mean before squaring.",
        "zh": "{gradient} 在双精度下正确（{double}），在单精度下丢失有效数字（{single}）：大数相消。"
        "请改写以避免相消：先减最大值再取 exp，用 log1p、expm1、logaddexp，或先减均值再平方。",
    },
    "wrong axis": {
        "en": "In the derivative at {box} something runs along {detail}, which is the wrong axis.",
        "zh": "{box} 处的导数里，有一步沿 {detail} 进行，轴不对。",
    },
    "counted twice": {
        "en": "What {box} passes back to {gradient} is counted twice, or a factor stands in it twice.",
        "zh": "{box} 传给 {gradient} 的值计了两次，或其中一个因子乘了两次。",
    },
    "operator": {
        "en": "In the derivative at {box} an operator is wrong: {detail}.",
        "zh": "{box} 处的导数里运算符不对：用了 {detail}。",
    },
    "not finite": {
        "en": "{gradient} is not finite ({count} of {total} elements), where the true gradient is.",
        "zh": "{gradient} 中有非有限数（{total} 个元素中的 {count} 个），而真实梯度是有限的。",
    },
    "unknown at": {
        "en": "Wrong in {gradients}, from {box} backwards; no single known mistake explains it.",
        "zh": "{gradients} 从 {box} 往回就不对；没有哪一个已知错误能单独解释。",
    },
    "unknown": {
        "en": "Wrong in {gradients}; no single known mistake explains it.",
        "zh": "{gradients} 不对；没有哪一个已知错误能单独解释。",
    },
    "without": {"en": "without {0}", "zh": "缺少 {0}"},
    "instead": {"en": "{0} in place of {1}", "zh": "用 {0} 代替了 {1}"},
    "counterpart": {"en": "with the term of 1 − y and 1 − p added", "zh": "多了含 1 − y 与 1 − p 的一项"},
    "exchanged": {
        "en": "{one} and {other} are exchanged: each is the true gradient of the other.",
        "zh": "{one} 和 {other} 互换了：各自是对方的真实梯度。",
    },
    "whole zero": {
        "en": "{gradient} is zero everywhere, and should not be: nothing is passed back to it.",
        "zh": "{gradient} 处处为零，而它不应为零：没有梯度传到它。",
    },
    "whole factor": {
        "en": "{gradient} is {detail} times the true gradient.",
        "zh": "{gradient} 是真实梯度的 {detail} 倍。",
    },
    "whole transposed": {
        "en": "{gradient} is the transpose of the true gradient; its shape must be {shape}.",
        "zh": "{gradient} 是真实梯度的转置；它的形状应为 {shape}。",
    },
    "whole sum": {
        "en": "{gradient} has a sum too few or too many along axis {detail}; its shape should be {shape}.",
        "zh": "{gradient} 沿轴 {detail} 少了或多了一次求和：它的形状应为 {shape}。",
    },
    "whole mean": {
        "en": "{gradient} is averaged along axis {detail}.",
        "zh": "{gradient} 沿轴 {detail} 取了平均。",
    },
    "whole narrow": {
        "en": "{gradient} is summed along axis {detail} too; it should keep the shape {shape}.",
        "zh": "{gradient} 还沿轴 {detail} 求了和；它应保持形状 {shape}。",
    },
    "whole flip": {
        "en": "{gradient} is the true gradient backwards along {detail}.",
        "zh": "{gradient} 是真实梯度沿 {detail} 倒过来的结果。",
    },
    "whole order": {
        "en": "{gradient} has its parts in another order, along {detail}.",
        "zh": "{gradient} 的各部分次序不对，沿 {detail}。",
    },
    "whole memory": {
        "en": "{gradient} has its numbers in another order, as after reshape for transpose ({detail}).",
        "zh": "{gradient} 的数都对，但次序不对，像是该转置（{detail}）时用了 reshape。",
    },
    "whole decay": {
        "en": "{gradient} has an added term: {detail} times the argument itself, as of weight decay.",
        "zh": "{gradient} 多了一项：自变量本身的 {detail} 倍，如同权重衰减。",
    },
    "whole reshape": {
        "en": "{gradient} holds the right numbers, but has shape {claimed} where the argument has {shape}.",
        "zh": "{gradient} 的数都对，但形状是 {claimed}，而自变量的形状是 {shape}。",
    },
    "whole shape": {
        "en": "{gradient} has shape {claimed}, but a gradient has the shape of its argument: {shape}.",
        "zh": "{gradient} 的形状是 {claimed}，而梯度应与自变量形状相同：{shape}。",
    },
}
"""What a finding says: a sentence for each kind, or for a kind made in a certain way."""

SAID: Words = {
    "right": {"en": "{title}: the gradient is right", "zh": "{title}：梯度正确"},
    "wrong": {"en": "{title}: wrong in {wrong}", "zh": "{title}：{wrong} 不对"},
    "wrong at all": {"en": "{title}: the gradient is wrong", "zh": "{title}：梯度不对"},
    "unclear": {"en": "{title}: cannot tell", "zh": "{title}：无法判断"},
    "error": {"en": "relative error {error}", "zh": "相对误差 {error}"},
    "at": {"en": "at {box}", "zh": "在 {box} 处"},
    "or at": {
        "en": "at {box} (or, with the same gradient, {more})",
        "zh": "在 {box} 处（或 {more}，梯度相同）",
    },
    "repair": {"en": "instead:", "zh": "应为："},
    "code": {"en": "in code:", "zh": "写成代码："},
    "line": {"en": "line:", "zh": "代码行："},
    "same": {"en": "gives the same:", "zh": "同样结果："},
    "and": {"en": " and ", "zh": "和"},
    "comma": {"en": ", ", "zh": "、"},
    "number": {"en": "a number", "zh": "一个数"},
    "copies": {
        "en": " The same in all {count} copies of the line.",
        "zh": "这一行的 {count} 次执行都是如此。",
    },
    "several": {"en": "{count} mistakes together explain it.", "zh": "{count} 处错误合起来才能解释。"},
    "points": {
        "en": "compared at {count} points; largest relative error {error}",
        "zh": "在 {count} 个点上比较过；最大相对误差 {error}",
    },
    "errors": {"en": "relative errors: {errors}", "zh": "相对误差：{errors}"},
    "capped": {
        "en": "The search was cut short after {seconds} s; there may be further explanations.",
        "zh": "搜索在 {seconds} 秒后中止；可能还有别的解释。",
    },
    "right here": {
        "en": "At your own numbers the gradient is right; at others of the same kind it is wrong.",
        "zh": "在你给的数上梯度正确；换成同类的其他数就不对。",
    },
    "only here": {
        "en": "The gradient was compared at your arguments only, as arrays are known there alone.",
        "zh": "只在你给的自变量处作了比较，因为数组只在那里已知。",
    },
    "kinks": {
        "en": "Where the function has a kink, {gradient} is another of the slopes that are right there.",
        "zh": "在函数的尖点处，{gradient} 取了另一个同样正确的斜率。",
    },
    "unused": {
        "en": "{title} does not use {name}: its gradient is 0.",
        "zh": "{title} 没有用到 {name}：它的梯度为 0。",
    },
    "refused": {
        "en": "mine refuses other numbers or sizes ({error}); compared at the others only.",
        "zh": "所给梯度不接受其他的数或大小（{error}）；只在其余的点上作了比较。",
    },
}
"""The sentences of a verdict as a whole."""


def phrase(key: str, lang: str, *values: str) -> str:
    """A part of a sentence, its places filled in by number.

    >>> phrase("instead", "en", "W", "U")
    'W in place of U'
    """
    return MEANS[key][lang].format(*values)


def detail_in(text: str, lang: str) -> str:
    """What was put in place, in a language: axes and places are words, names and numbers stay."""
    if lang == "en":
        return text
    words = {"axes ": "轴 ", "axis ": "轴 ", "first": "第一次", "last": "最后一次", "a constant": "一个常量"}
    for english, chinese in words.items():
        text = text.replace(english, chinese)
    return text


def sentence(key: str, lang: str, **values: Any) -> str:
    """What a finding says; nothing where there is no sentence of that key."""
    return word(key, lang, MEANS, **values) if key in MEANS else ""


def kind_name(kind: str, lang: str) -> str:
    """A kind of mistake as it is written in a language.

    >>> kind_name("sum missing", "zh")
    '漏了求和'
    """
    return KINDS[kind][lang]


def said(key: str, lang: str, **values: Any) -> str:
    """A sentence of the verdict."""
    return word(key, lang, SAID, **values)

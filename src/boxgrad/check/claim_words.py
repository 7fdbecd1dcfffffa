"""The words about claims that cannot be compared, and about how a claim was read, in English and Chinese."""

from __future__ import annotations

from boxgrad.explain.words import Words

WORDS: Words = {
    "raises": {
        "en": "{name} raised {error}: {message}{where}",
        "zh": "{name} 抛出了 {error}：{message}{where}",
    },
    "at_line": {"en": "\n  where:   {place}", "zh": "\n  位置：{place}"},
    "signature": {
        "en": "{name}{signature} cannot be called as the function is, with ({given}): {error}\n"
        "  instead: a gradient function takes the arguments of the function itself",
        "zh": "{name}{signature} 不能像原函数那样以 ({given}) 调用：{error}\n"
        "  改法：梯度函数的自变量与原函数相同",
    },
    "nothing": {
        "en": "{name} returns None\n  instead: return the gradient, or a tuple with one for each of {wanted}",
        "zh": "{name} 返回了 None\n  改法：返回梯度；有几个自变量（{wanted}），就返回几个梯度的元组",
    },
    "nothing_claimed": {
        "en": "{name} gives no gradient: everything in it is None or empty\n  instead: one for {wanted}",
        "zh": "{name} 没有给出任何梯度：内容全是 None 或为空\n  改法：给出 {wanted} 的梯度",
    },
    "count": {
        "en": "{name} returns {count} results for {expected} arguments ({wanted})\n"
        "  instead: one gradient for each, None where nothing is claimed, or wrt= the arguments meant",
        "zh": "{name} 返回了 {count} 个结果，而自变量有 {expected} 个（{wanted}）\n"
        "  改法：每个自变量一个梯度，不声明的写 None；或用 wrt= 指明求哪些",
    },
    "unknown": {
        "en": "{name} speaks of {given}, which the function does not have\n"
        "  why:     its arguments are {known}{suggestion}",
        "zh": "{name} 提到了 {given}，函数里没有它\n  原因：它的自变量是 {known}{suggestion}",
    },
    "not_chosen": {
        "en": "{name} speaks of {given}, but wrt asks for {wanted} only",
        "zh": "{name} 提到了 {given}，而 wrt 只求 {wanted}",
    },
    "perhaps": {"en": "\n  instead: {found}?", "zh": "\n  改法：{found}？"},
    "structure": {
        "en": "the gradient of {given} is a {kind}, but {given} is a {expected}\n"
        "  instead: the same kind, or a dict from the names of its arrays ({known}) to gradients",
        "zh": "{given} 的梯度是 {kind}，而 {given} 是 {expected}\n"
        "  改法：同样的结构，或从各数组的名字（{known}）到梯度的字典",
    },
    "ragged": {
        "en": "the gradient of {given} is a list whose rows have different lengths: {error}",
        "zh": "{given} 的梯度是各行长度不同的列表：{error}",
    },
    "not_numbers": {
        "en": "the gradient of {given} holds {kind}, not real numbers\n"
        "  instead: an array of floats with the shape of {given}",
        "zh": "{given} 的梯度里是 {kind}，不是实数\n  改法：与 {given} 同形状的浮点数组",
    },
    "cannot_claim": {
        "en": "a {kind} is not a gradient\n"
        "  instead: a function with the arguments of f, a dict, an array, or a formula such as {example}",
        "zh": "{kind} 不是梯度\n  改法：与 f 自变量相同的函数、字典、数组，或公式，如 {example}",
    },
    "one_array": {
        "en": "one array is given, but there are several arguments: {wanted}\n"
        "  instead: wrt={example!r}, or a dict from names to arrays",
        "zh": "只给了一个数组，而自变量有几个：{wanted}\n  改法：wrt={example!r}，或从名字到数组的字典",
    },
    "float32": {
        "en": "{name} is {dtype}: compared in that precision",
        "zh": "{name} 是 {dtype}：按这个精度比较",
    },
    # ---- formulas
    "syntax": {
        "en": "the formula cannot be read: {what}\n    {line}\n    {caret}",
        "zh": "公式读不懂：{what}\n    {line}\n    {caret}",
    },
    "expected": {"en": "{wanted} expected here, not {found}", "zh": "这里应是 {wanted}，而不是 {found}"},
    "ends": {"en": "the end", "zh": "结尾"},
    "operand": {"en": "a value", "zh": "一个量"},
    "command": {"en": "the command {name} is not known", "zh": "不认识命令 {name}"},
    "character": {"en": "the character {name} is not known", "zh": "不认识字符 {name}"},
    "construct": {
        "en": "{name} is not part of a formula; formulas have + - * / ** @, .T, sums and functions",
        "zh": "公式里不能有 {name}；公式由 + - * / ** @、.T、求和与函数组成",
    },
    "name": {
        "en": "there is no {name} in the function; it has {known}{suggestion}",
        "zh": "函数里没有 {name}；它有 {known}{suggestion}",
    },
    "meant": {"en": ". Is {found} meant?", "zh": "。是指 {found} 吗？"},
    "function": {
        "en": "{name} is not a function that is known here{suggestion}",
        "zh": "不认识函数 {name}{suggestion}",
    },
    "by_sum": {
        "en": "a derivative is taken with respect to a variable, not to {given}; is {found} meant?",
        "zh": "求导是对变量求的，不能对 {given} 求；是指 {found} 吗？",
    },
    "nested": {"en": "it is nested too deeply", "zh": "嵌套太深"},
    "no_target": {
        "en": "it does not say of what it is the gradient\n  instead: dL/dX = …",
        "zh": "没有说是哪个量的梯度\n  改法：dL/dX = …",
    },
    "two_equations": {"en": "{name} is given twice", "zh": "{name} 给了两次"},
    "letters": {
        "en": "the indices {letters} do not fit a value of shape {shape}",
        "zh": "下标 {letters} 与形状 {shape} 不相配",
    },
    "shapes": {
        "en": "the shapes in {formula} do not fit: {shapes}",
        "zh": "{formula} 里的形状不相配：{shapes}",
    },
    "read_as": {"en": "read as {formula}", "zh": "读作 {formula}"},
    "read_as_count": {"en": "{name} read as {value}", "zh": "{name} 取 {value}"},
}

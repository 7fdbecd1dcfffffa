"""The words of an explanation, in English and in Chinese.

One table for all views; each view keeps its keys together. ``{name}`` is filled in by ``word``. What the
views mark so that a page can link them is in steps.py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

LANGUAGES = ("en", "zh")
Words = dict[str, dict[str, str]]

WORDS: Words = {
    # ---- common
    "forward": {"en": "forward", "zh": "前向"},
    "backward": {"en": "backward", "zh": "反向"},
    "input": {"en": "input", "zh": "输入"},
    "parameter": {"en": "parameter", "zh": "参数"},
    "constant": {"en": "constant", "zh": "常量"},
    "scalar": {"en": "scalar", "zh": "标量"},
    # ---- code
    "code_file": {
        "en": "A function and its gradient by the chain rule; made by boxgrad, needs NumPy only.",
        "zh": "一个函数，以及按链式法则求出的梯度；由 boxgrad 生成，只需 NumPy。",
    },
    "code_file_forward": {
        "en": "A function; made by boxgrad, needs NumPy only.",
        "zh": "一个函数；由 boxgrad 生成，只需 NumPy。",
    },
    # ---- page
    "page_title_forward": {"en": "{name}, three ways", "zh": "{name}：三种讲法"},
    "page_forward_alone": {
        "en": "A function, three ways: mathematics, diagram, code.",
        "zh": "一个函数，三种讲法：公式、框图、代码。",
    },
    "page_title": {"en": "{name}: its gradient, three ways", "zh": "{name} 的梯度：三种讲法"},
    "page_subtitle": {
        "en": "A function and its gradient, three ways: mathematics, diagram, code.",
        "zh": "一个函数和它的梯度，三种讲法：公式、框图、代码。",
    },
    "diagram": {"en": "Diagram", "zh": "框图"},
    "mathematics": {"en": "Mathematics", "zh": "公式"},
    "code": {"en": "Code", "zh": "代码"},
    "page_language": {"en": "Language", "zh": "语言"},
    "page_dark": {"en": "Dark", "zh": "深色"},
    "page_light": {"en": "Light", "zh": "浅色"},
    "page_walk": {"en": "Walk through the steps", "zh": "逐步演示"},
    "page_previous": {"en": "Previous step", "zh": "上一步"},
    "page_next": {"en": "Next step", "zh": "下一步"},
    "page_play": {"en": "Play", "zh": "播放"},
    "page_pause": {"en": "Pause", "zh": "暂停"},
    "page_scrub": {"en": "Step", "zh": "步骤"},
    "page_forward": {"en": "Forward", "zh": "前向"},
    "page_backward": {"en": "Backward", "zh": "反向"},
    "page_step": {"en": "step {number} of {count}", "zh": "第 {number} 步，共 {count} 步"},
    "page_legend_forward": {"en": "forward: values", "zh": "前向：值"},
    "page_legend_backward": {"en": "backward: gradients", "zh": "反向：梯度"},
    "page_legend_box": {"en": "closed box, opens", "zh": "合上的盒子，可打开"},
    "page_legend_scale": {"en": "each array on its own scale", "zh": "每个数组各用一把色标"},
    "page_unroll": {"en": "+ unroll", "zh": "+ 展开"},
    "page_fold": {"en": "− fold", "zh": "− 折叠"},
    "page_simplified": {"en": "simplified in {count} steps", "zh": "分 {count} 步化简"},
    "page_left_out": {"en": "left out", "zh": "从略"},
    "page_helpers": {"en": "Helper functions", "zh": "辅助函数"},
    "page_fit": {"en": "Whole diagram", "zh": "看全图"},
    "page_copy": {"en": "Copy", "zh": "复制"},
    "page_copied": {"en": "Copied", "zh": "已复制"},
    "page_keys": {
        "en": "Keys: ← → steps, space plays, Home and End, Enter opens a box or unrolls a loop.",
        "zh": "按键：← → 逐步，空格播放，Home 与 End 到两端，Enter 打开盒子或展开循环。",
    },
    "note_unused": {
        "en": "{y} does not depend on {x}: its gradient is 0 everywhere.",
        "zh": "{y} 不依赖于 {x}：它的梯度处处为 0。",
    },
    "note_cut": {
        "en": "{x} is used, but no gradient reaches it: every path from {y} back to {x} is cut.",
        "zh": "{x} 用到了，但没有梯度传到它：从 {y} 回到 {x} 的路都断了。",
    },
    "note_branch": {
        "en": "The function asks for a number ({place}): "
        "shown is the branch that it takes for these arguments.",
        "zh": "函数用到了具体数值（{place}）：这里讲的是它对这些自变量所走的那一支。",
    },
    "page_shape": {
        "en": "{gradient} has the shape of {value}: {shape}. "
        "Every gradient has the shape of the value it belongs to.",
        "zh": "{gradient} 与 {value} 形状相同：{shape}。每个梯度都与它所属的值形状相同。",
    },
    "page_partial": {
        "en": "The diagram up to the box that could not compute.",
        "zh": "到出错的那个盒子为止的框图。",
    },
    "page_error": {"en": "It stops here", "zh": "在这里停下"},
    # ---- mathematics
    "math_forward": {"en": "Forward", "zh": "前向"},
    "math_functions": {"en": "Functions and their derivatives", "zh": "函数及其导数"},
    "math_functions_alone": {"en": "Functions", "zh": "函数"},
    "math_backward": {"en": "Backward: the chain rule", "zh": "反向：链式法则"},
    "math_closed": {"en": "Closed form", "zh": "闭式"},
    "math_expanded": {"en": "Element by element", "zh": "逐元素展开"},
    "math_numbers": {"en": "With numbers", "zh": "代入数值"},
    "math_shape_rule": {
        "en": "{x} has the shape of {value}; every gradient has the shape of the value that it belongs to.",
        "zh": "{x} 的形状与 {value} 相同；每个梯度都与它所对应的量同形状。",
    },
    "math_cut": {
        "en": "Longer closed forms (over {limit} marks) are not substituted any further.",
        "zh": "更长的闭式（超过 {limit} 个记号）不再继续代入。",
    },
    "math_cancels": {
        "en": "softmax and cross-entropy: all else cancels",
        "zh": "softmax 遇上交叉熵：其余各项全部抵消",
    },
    "math_convolution": {
        "en": "⋆ slides the kernel as it is; ∗ slides it flipped in every spatial axis, over all overlaps. "
        "x ⋆ ∂L/∂y, the gradient of a kernel, is summed over the batch.",
        "zh": "⋆ 按原样滑动卷积核；∗ 先把卷积核沿各空间轴翻转，再滑过所有重叠位置。"
        "卷积核的梯度 x ⋆ ∂L/∂y 对整批求和。",
    },
    "math_constant": {"en": "{name}: constant, {text}", "zh": "{name}：常量，{text}"},
    "math_windows": {
        "en": "Below ⋆ and ∗: s is the stride, p the padding with zeros on both sides, d the dilation, "
        "g the number of groups, q the places added at the end.",
        "zh": "⋆ 与 ∗ 的下标：s 为步幅，p 为两侧补零的宽度，d 为膨胀率，g 为组数，q 为末端补出的位置数。",
    },
    "math_maxpool": {
        "en": "maxpool takes the largest element of each window (its size, s the stride, p the padding); "
        "maxpool′(g, x) adds each element of g where x has that maximum, ties share evenly.",
        "zh": "maxpool 取每个窗口（下标为窗口大小，s 为步幅，p 为填充）中的最大元素；"
        "maxpool′(g, x) 把 g 的每个元素加到 x 中该最大值所在之处，并列时平分。",
    },
    "math_avgpool": {
        "en": "avgpool is the mean of each window (its size, s the stride, p the padding with zeros); "
        "avgpool′(g) spreads each element of g evenly over its window.",
        "zh": "avgpool 是每个窗口（下标为窗口大小，s 为步幅，p 为补零）的平均值；"
        "avgpool′(g) 把 g 的每个元素平均分到它的窗口上。",
    },
    "math_reshape": {
        "en": "reshape keeps the elements in their order, row by row, in the shape below it.",
        "zh": "reshape 按行的次序保持各元素不变，只把形状改成下标所示。",
    },
    "math_permute": {
        "en": "permute puts the axes in another order: ijk→jik below it means yⱼᵢₖ = xᵢⱼₖ.",
        "zh": "permute 重排各轴：下标 ijk→jik 即 yⱼᵢₖ = xᵢⱼₖ。",
    },
    "math_concat": {
        "en": "concat puts arrays one after the other, along the axis below it or else the last.",
        "zh": "concat 把数组依次拼接：沿下标所示的轴，没有下标则沿最后一轴。",
    },
    "math_places": {
        "en": "In parts, look-ups and conditions indices count from 0, as in the code.",
        "zh": "切片、查表和条件中的下标从 0 起数，与代码一致。",
    },
    "math_brackets": {
        "en": "[condition] is 1 where it holds and 0 elsewhere; where it is 0, so is the product.",
        "zh": "[条件] 在条件成立处为 1，否则为 0；为 0 时，整个乘积为 0。",
    },
    "math_drawn": {
        "en": "{names}: drawn at random, anew at every run; constant to the gradient.",
        "zh": "{names}：随机抽取，每次运行重新抽取；求梯度时视为常量。",
    },
    "math_beyond": {
        "en": "There is no step t = {t}: a term with anything of it is 0.",
        "zh": "没有 t = {t} 这一步：含有它的项都为 0。",
    },
    "math_unrolled_cut": {
        "en": "Of {count} steps, the first {ends} and the last {ends} are written out.",
        "zh": "共 {count} 步，只写出前 {ends} 步和后 {ends} 步。",
    },
    "math_left_out": {"en": "{count} steps left out", "zh": "从略 {count} 步"},
    "math_lines_left_out": {"en": "{count} lines left out", "zh": "从略 {count} 行"},
    "rule_zero_term": {"en": "adding 0 changes nothing", "zh": "加 0 不变"},
    "rule_zero_factor": {"en": "0 times anything is 0", "zh": "乘 0 得 0"},
    "rule_one_factor": {"en": "multiplying by 1 changes nothing", "zh": "乘 1 不变"},
    "rule_numbers": {"en": "numbers are combined", "zh": "合并数字"},
    "rule_broadcast": {"en": "shapes repeat it by themselves", "zh": "形状本身已表明重复（广播）"},
    "rule_like_terms": {"en": "like terms are combined", "zh": "合并同类项"},
    "rule_concat": {"en": "parts side by side are one array", "zh": "并排的各段合成一个数组"},
    "rule_signs": {"en": "minus signs move outwards, two cancel", "zh": "整理正负号"},
    "rule_indicator": {
        "en": "a choice against 0 is a factor [condition]",
        "zh": "与 0 二选一写成因子 [条件]",
    },
    "rule_cancel": {"en": "a common factor cancels", "zh": "约去公因子"},
    "rule_powers": {"en": "powers of one base are combined", "zh": "合并同底的幂"},
    "rule_fraction": {"en": "fractions are combined", "zh": "合并分式"},
    "rule_transposes": {"en": "transposes are resolved: (A B)ᵀ = Bᵀ Aᵀ", "zh": "化简转置：(A B)ᵀ = Bᵀ Aᵀ"},
    "rule_sums": {"en": "numbers leave the sum, sums are joined", "zh": "数提到求和号外，合并求和"},
    "rule_repeated": {
        "en": "the sum of n equal terms is n times the term",
        "zh": "n 个相同项之和是该项的 n 倍",
    },
    "math_expanded_cut": {"en": "The rest is not written out: it is too long.", "zh": "其余过长，不再展开。"},
    "math_otherwise": {"en": "otherwise", "zh": "其他"},
    "math_if": {"en": "if", "zh": "若"},
}


def word(key: str, lang: str, table: Words = WORDS, **values: Any) -> str:
    """A word or sentence of a table.

    >>> word("mathematics", "zh")
    '公式'
    >>> word("page_title", "en", name="loss(X, W)")
    'loss(X, W): its gradient, three ways'
    """
    text = table[key][lang]
    return text.format(**values) if values else text


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern[str], dict[str, str]]]:
    """The sentences of the table as patterns."""
    found: list[tuple[re.Pattern[str], dict[str, str]]] = []
    for versions in WORDS.values():
        for template in dict.fromkeys(versions.values()):
            names = re.findall(r"\{(\w+)\}", template)
            if len(set(names)) == len(names):
                parts = [re.escape(part) for part in re.split(r"\{\w+\}", template)]
                groups = [f"(?P<{name}>.+?)" for name in names]
                pattern = "".join(part + group for part, group in zip(parts, [*groups, ""], strict=True))
                found.append((re.compile(pattern), versions))
    return found


def translated(text: str, lang: str) -> str:
    """A sentence of the table in another language; what is not from the table stays as it is.

    >>> translated("Copy", "zh"), translated("step 3 of 9", "zh"), translated("N = X W", "zh")
    ('复制', '第 3 步，共 9 步', 'N = X W')
    """
    for pattern, versions in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return versions[lang].format(**found.groupdict())
    return text

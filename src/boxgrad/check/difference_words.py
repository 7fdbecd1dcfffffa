"""The words of ``check_grad``, in English and Chinese."""

from __future__ import annotations

from typing import Any

from boxgrad.explain.words import Words, word

WORDS: Words = {
    "right": {"en": "{title}: boxgrad's gradient is right", "zh": "{title}：boxgrad 求出的梯度正确"},
    "wrong": {
        "en": "{title}: boxgrad's gradient differs from the function's differences",
        "zh": "{title}：boxgrad 求出的梯度与函数的差分不符",
    },
    "unclear": {"en": "{title}: cannot tell", "zh": "{title}：无法判断"},
    "complex step": {"en": "method: complex step, h = {step}", "zh": "方法：复数步长法，h = {step}"},
    "Richardson": {
        "en": "method: central differences, extrapolated (Richardson), first step {step}",
        "zh": "方法：中心差分加 Richardson 外推，首个步长 {step}",
    },
    "error": {"en": "{name}  relative error {error}  {mark}", "zh": "{name}  相对误差 {error}  {mark}"},
    "fine": {"en": "(allowed {allowed})", "zh": "（容许 {allowed}）"},
    "bad": {"en": "✗ (allowed {allowed})", "zh": "✗（容许 {allowed}）"},
    "single": {
        "en": "{names}: single precision, checked in double copies",
        "zh": "{names}：单精度，已转成双精度检验",
    },
    "random": {
        "en": "the function gives another value at each call; fix its seed",
        "zh": "函数每次调用给出的值都不同；请固定它的随机种子",
    },
    "directions": {
        "en": "large, so compared along random directions instead of element by element: {names}",
        "zh": "太大，因此沿随机方向比较，而非逐元素比较：{names}",
    },
    "kink": {
        "en": "kink: the slopes before and after {name} differ here; any slope between them counts as right",
        "zh": "尖点：在这里 {name} 两侧的斜率不同；介于两者之间的斜率都算正确",
    },
    "near kink": {
        "en": "near a kink: within about {distance} of {name} the slope jumps; smaller steps were taken",
        "zh": "靠近尖点：在 {name} 附近约 {distance} 之内斜率有跳变；已改用更小的步长",
    },
}


def said(key: str, lang: str, **values: Any) -> str:
    """A sentence."""
    return word(key, lang, WORDS, **values)

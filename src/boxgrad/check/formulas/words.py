"""What is said of a wrong formula, in English and Chinese: one sentence for each edit that repairs one."""

from __future__ import annotations

from boxgrad.explain.words import Words

WORDS: Words = {
    "first": {"en": "first", "zh": "第一个"},
    "last": {"en": "last", "zh": "最后一个"},
    "second": {"en": "second", "zh": "第二个"},
    "third": {"en": "third", "zh": "第三个"},
    "one": {"en": "the factor must be {new}", "zh": "因子应为 {new}"},
    "factor must be": {"en": "the {ordinal} factor must be {new}", "zh": "{ordinal}因子应为 {new}"},
    "instead": {"en": "{new} must stand in place of {old}", "zh": "{old} 应换成 {new}"},
    "at": {
        "en": "the derivative of {function} must be taken at {new}, not at {old}",
        "zh": "{function} 的导数应在 {new} 处取值，而不是在 {old} 处",
    },
    "swapped": {
        "en": "the factors stand in the wrong order, it must be {new}",
        "zh": "因子的次序颠倒了，应为 {new}",
    },
    "whole transposed": {"en": "the result is transposed, it must be {new}", "zh": "结果转置了，应为 {new}"},
    "grouped": {"en": "the brackets are wrong, it must be {new}", "zh": "括号的位置不对，应为 {new}"},
    "elementwise": {
        "en": "the product is one of elements, not of matrices: {new}",
        "zh": "这里是逐元素相乘，不是矩阵乘积：{new}",
    },
    "matrix product": {
        "en": "the product is one of matrices, not of elements: {new}",
        "zh": "这里是矩阵乘积，不是逐元素相乘：{new}",
    },
    "sign": {"en": "the sign is wrong, it must be {new}", "zh": "符号不对，应为 {new}"},
    "extra": {"en": "{gone} is too much, {new} is enough", "zh": "多了 {gone}，只要 {new}"},
    "factor": {"en": "the factor {more} is missing", "zh": "漏了因子 {more}"},
    "term": {"en": "the term {more} is missing", "zh": "漏了一项 {more}"},
    "path": {
        "en": "the path through {value} is missing: {more} must be added",
        "zh": "漏了经过 {value} 的路径：应加上 {more}",
    },
    "sum over": {"en": "the sum over axis {axis} is missing: {new}", "zh": "漏了沿第 {axis} 轴的求和：{new}"},
    "no sum": {"en": "nothing is to be summed in {old}", "zh": "{old} 不应求和"},
    "axis": {"en": "the sum runs over the wrong axis, it must be {new}", "zh": "求和的轴不对，应为 {new}"},
    "mean": {"en": "it is a mean, not a sum: {new}", "zh": "这里是平均，不是求和：{new}"},
    "sum": {"en": "it is a sum, not a mean: {new}", "zh": "这里是求和，不是平均：{new}"},
    "flip": {"en": "the kernel must be turned round, it must be {new}", "zh": "卷积核要翻转，应为 {new}"},
    "function": {
        "en": "the derivative is that of another function: {new}",
        "zh": "应是另一个函数的导数：{new}",
    },
    "constant": {"en": "it is {factor} times the true gradient", "zh": "它是真实梯度的 {factor} 倍"},
    "opposite": {"en": "the sign is wrong", "zh": "符号不对"},
    "not even": {
        "en": "; with {a} {shape_a} and {b} {shape_b} the shapes do not even fit",
        "zh": "；{a} 为 {shape_a}，{b} 为 {shape_b}，形状都不相配",
    },
    "do not fit": {
        "en": "; {a} is {shape_a} and {b} is {shape_b}, which do not fit",
        "zh": "；{a} 为 {shape_a}，{b} 为 {shape_b}，二者不相配",
    },
    "other shape": {
        "en": "; the right side is {shape}, and {gradient} has the shape of {value}: {wanted}",
        "zh": "；右边是 {shape}，而 {gradient} 与 {value} 形状相同：{wanted}",
    },
    "shape of": {
        "en": ". {gradient} has the shape of {value}: {wanted}",
        "zh": "。{gradient} 与 {value} 形状相同：{wanted}",
    },
    "and": {"en": ", and ", "zh": "，并且"},
    "colon": {"en": ": ", "zh": "："},
    "statement": {
        "en": "{formula}: this is not what {value} is in the function",
        "zh": "{formula}：函数里的 {value} 并不是这样",
    },
    "nothing found": {
        "en": "{formula}: wrong, and no small change of it makes it right",
        "zh": "{formula}：不对，而且小的改动都不能使它正确",
    },
    "scalar": {"en": "a number", "zh": "一个数"},
}

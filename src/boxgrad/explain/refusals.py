"""What is said where a function cannot be explained, in Chinese.

Messages are made in English, on lines of the source that know no language, from four parts: what, where,
why, instead. Here each part is read back by its pattern and said again; names, code, types and numbers stay
as they are, and so does a sentence that is not in the table.

Knows sentences; knows nothing of what raises them.
"""

from __future__ import annotations

import re
from functools import lru_cache

LABELS = {
    "where": "位置",
    "inside": "其中",
    "why": "原因",
    "instead": "改法",
    "so far": "至此",
    "picture": "框图",
    "note": "注意",
}
"""What the parts of a message are called."""

_SENTENCES = {
    # ---- what is asked to be explained
    "an explanation of a {kind}": "要讲解的是一个 {kind}",
    "only a function can be explained; a module is an argument of one": (
        "能讲解的只有函数；模块应作为函数的自变量"
    ),
    "an explanation of {name}() without arguments": "讲解 {name}() 时没有给出自变量",
    "the gradient is taken with respect to arguments, at their values": "梯度是对自变量、在其取值处求的",
    "bg.explain({name}, X, W) with arrays": "bg.explain({name}, X, W)，其中 X、W 是数组",
    "{name} cannot be called with {count} arguments: {error}": "不能用 {count} 个自变量调用 {name}：{error}",
    "{name} cannot be called with {count} argument: {error}": "不能用 {count} 个自变量调用 {name}：{error}",
    "it is defined as {definition}": "它的定义是 {definition}",
    "one argument after the function for each of its parameters": "在函数之后，为它的每个形参各给一个自变量",
    "an explanation without a real argument": "讲解时没有实数自变量",
    "the arguments are integers or truth values ({kinds}); a derivative needs real numbers": (
        "自变量都是整数或真值（{kinds}）；求导需要实数"
    ),
    "Python integers and texts stay as they are; a derivative needs real numbers": (
        "Python 的整数和文本保持原样；求导需要实数"
    ),
    "floats: 3.0 instead of 3, X.astype(float) instead of X": "用浮点数：3.0 代替 3，X.astype(float) 代替 X",
    "an explanation of a function that returns nothing": "要讲解的函数什么也没有返回",
    "an explanation of a function that returns {kinds}": "要讲解的函数返回的是 {kinds}",
    "a gradient is that of one real number": "梯度是对一个实数求的，函数要返回一个数",
    "return np.sum(…) or np.mean(…) of the result; or wrt=() for the forward pass alone": (
        "返回 np.sum(…) 或 np.mean(…)；或用 wrt=() 只看前向传播"
    ),
    "no real argument is called {name}": "没有名为 {name} 的实数自变量",
    "the arguments are {names}": "自变量有 {names}",
    "wrt='X', or a list of names": "wrt='X'，或一列名字",
    "an explanation cannot be saved as {name}": "讲解不能存成 {name}",
    "the ending says what is written, and it is one of {endings}": "扩展名决定写什么，可以是 {endings}",
    "lang={name}": "lang={name}",
    "the words are there in {languages}": "可用的语言有 {languages}",
    "lang='en' or lang='zh'": "lang='en' 或 lang='zh'",
    # ---- boxes that cannot compute
    "{name}({types}) cannot be computed": "{name}({types}) 无法计算",
    "{code}: {name}({types}) cannot be computed": "{code}：{name}({types}) 无法计算",
    "operands could not be broadcast together with shapes {shapes}": "形状 {shapes} 不能互相广播",
    "shapes {a} and {b} do not fit in the product {subscripts}: axis {axis} has size "
    "{n} on the left and {m} on the right": (
        "形状 {a} 与 {b} 不能相乘（{subscripts}）：轴 {axis} 左边长 {n}，右边长 {m}"
    ),
    "index {i} is out of bounds for axis {axis} with size {n}": "下标 {i} 超出范围：第 {axis} 轴长度为 {n}",
    "indices from -{n} to {last}; np.clip(indices, 0, {most}) where the nearest is meant": (
        "下标取 -{n} 到 {last}；若要取最近的元素，用 np.clip(indices, 0, {most})"
    ),
    "whole numbers from 0 to {last}: renumber them, or make room for more": (
        "用 0 到 {last} 的整数：重新编号，或增加容量"
    ),
    "whole numbers from 0 to {last}; a negative one, which layers and losses refuse, is shown here less "
    "{n}": ("用 0 到 {last} 的整数；层和损失不接受负数，这里显示的是它减去 {n} 的值"),
    "an array that has elements on that axis, or no indices": "让数组在该轴上有元素，或不取下标",
    "Singular matrix": "矩阵是奇异的",
    "np.linalg.pinv or np.linalg.lstsq, which take any matrix; or A + c * np.eye(n) with a small c > 0": (
        "np.linalg.pinv 或 np.linalg.lstsq，它们适用于任何矩阵；或 A + c * np.eye(n)，c > 0 取很小的数"
    ),
    "Matrix is not positive definite": "矩阵不是正定的",
    "a symmetric matrix with positive eigenvalues; A + c * np.eye(n) moves them up by c": (
        "特征值为正的对称矩阵；A + c * np.eye(n) 使特征值各增加 c"
    ),
    "{what} did not converge": "{what} 没有收敛",
    "a matrix of finite numbers; np.isfinite(A).all() says whether it is one": (
        "元素都是有限数的矩阵；np.isfinite(A).all() 可以检查"
    ),
    "operands without such elements (np.where, np.maximum), or np.errstate(all='ignore')": (
        "避开这样的元素（np.where、np.maximum），或用 np.errstate(all='ignore')"
    ),
    "Integers to negative integer powers are not allowed.": "整数不能取负整数次幂",
    "np.float_power(x, n), or x.astype(float) ** n": "np.float_power(x, n)，或 x.astype(float) ** n",
    "all the input array dimensions except for the concatenation axis must match "
    "exactly, but along dimension "
    "{axis}, the array at index {i} has size {n} and the array at index {j} has size {m}": (
        "拼接时，除拼接轴以外各轴长度必须相同；而在第 {axis} 轴上，数组 {i} 长 {n}，数组 {j} 长 {m}"
    ),
    "arguments whose shapes and dtypes fit; print(x.shape, x.dtype) works on traced values": (
        "让自变量的形状和类型相配；可用 print(x.shape, x.dtype) 查看"
    ),
    "cannot reshape {type} ({count} elements) into {sizes}": "{type}（共 {count} 个元素）不能变形为 {sizes}",
    "the number of elements must stay the same, and at most one size may be -1": (
        "元素个数必须不变，且最多有一个长度写作 -1"
    ),
    "axis {axis} of an array with {count} axes": "数组只有 {count} 个轴，没有第 {axis} 轴",
    "axes are numbered 0 … ndim-1, or from the end -1 … -ndim": (
        "轴的编号是 0 … ndim-1，或从末尾数 -1 … -ndim"
    ),
    "an axis below {count}": "用小于 {count} 的轴",
    "no axis: the value is a scalar": "不写 axis：这个值是标量",
    "transpose of {type} with axes {axes}": "按 {axes} 转置 {type}",
    "axes name every axis once": "每个轴要恰好写一次",
    "a permutation of {axes}": "{axes} 的一个排列",
    "matmul of a scalar": "对标量做矩阵乘",
    "a product of matrices needs at least one axis on both sides": "矩阵乘的两边都至少要有一个轴",
    "x * y for a product with a number": "与数相乘写 x * y",
    "could not write {type} into a place of shape {place}": "不能把 {type} 写进形状为 {place} 的位置",
    "the value must broadcast to the place": "写入的值必须能广播到该位置",
    "a value of shape {place}": "形状为 {place} 的值",
    "an index of dtype {dtype}": "下标的类型是 {dtype}",
    "only integers, slices, None, ellipsis, integer and boolean arrays are indices": (
        "下标只能是整数、切片、None、省略号、整数数组或布尔数组"
    ),
    "a boolean index of shape {mask} for axes of shape {shape}": (
        "布尔下标的形状是 {mask}，而对应的轴是 {shape}"
    ),
    "it has one truth value for each element to choose from": "每个可选元素要对应一个真值",
    "a condition on the array itself: x[x > 0]": "写数组自身的条件：x[x > 0]",
    "an in-place operation would turn {have} into {type}": "就地运算会把 {have} 变成 {type}",
    "an array keeps its shape": "数组的形状不会改变",
    "x = x + y, which makes a new array": "x = x + y，它产生新数组",
    "an array keeps its dtype, and NumPy casts in place only within a kind": (
        "数组的类型不会改变；NumPy 就地转换只限同一类"
    ),
    "x = x + y, or x.astype(...) before": "x = x + y，或先 x.astype(...)",
    # ---- what cannot be traced
    "{name} on a traced value": "对被追踪的值调用 {name}",
    "boxgrad has no derivative rule for it": "boxgrad 没有它的求导规则",
    "the same computation with functions that boxgrad traces (np.sum, @, np.where, slices …); or call it on "
    "plain arrays, outside of the traced function": (
        "用 boxgrad 能追踪的函数（np.sum、@、np.where、切片……）写出同样的计算；或在函数之外对普通数组调用它"
    ),
    "which elements there are, and how many, jumps with the values": "有哪些元素、有多少个，会随数值跳变",
    "np.sort(x) and comparisons of neighbours; or the same call on plain arrays before the traced function": (
        "np.sort(x) 再比较相邻元素；或在被追踪的函数之前对普通数组调用它"
    ),
    "{wanted} of a traced value {type} whose number is not known": (
        "对被追踪的值 {type} 取 {wanted}，但它的数值还不知道"
    ),
    "a compiled function is traced once, on types alone: it cannot branch on values, print them or turn them "
    "into Python numbers": "编译的函数和循环体只按类型追踪一次：不能按数值分支、打印，或转成 Python 数",
    "np.where(condition, a, b) for a choice, bg.scan for a loop; or call the function without compile: under "
    "bg.grad values are known": (
        "选择用 np.where(condition, a, b)，循环用 bg.scan；或不编译而直接调用：在 bg.grad 下数值是已知的"
    ),
    "a traced value was to become a plain ndarray (np.array, np.asarray, an element "
    "of an ndarray, or a function "
    "that NumPy does not dispatch)": (
        "被追踪的值要变成普通 ndarray（np.array、np.asarray、ndarray 的元素，或 NumPy 不转交的函数）"
    ),
    "a traced value was to become an element of a plain ndarray (A[i] = x)": (
        "被追踪的值要写成普通 ndarray 的元素（A[i] = x）"
    ),
    "the plain array would forget how the value was computed, and its gradient would be lost": (
        "普通数组记不住值是怎样算出来的，梯度就丢了"
    ),
    "np.stack([a, b]) for np.array([a, b]); np.zeros_like(x) or np.zeros(n, like=x) "
    "for an array to write traced "
    "values into; x itself for np.asarray(x)": (
        "np.array([a, b]) 改写为 np.stack([a, b])；要写入的数组用 np.zeros_like(x) 或 np.zeros(n, like=x)；"
        "np.asarray(x) 就写 x"
    ),
    "A = np.zeros_like(x) or np.zeros(n, like=x), which can be written into; or np.stack([a, b])": (
        "A = np.zeros_like(x) 或 np.zeros(n, like=x)，它们可以写入；或 np.stack([a, b])"
    ),
    "np.{name} was to write a traced value into a plain ndarray (+=, out=)": (
        "np.{name} 要把被追踪的值写进普通 ndarray（+=、out=）"
    ),
    "the ndarray cannot remember how its elements were computed, so the gradient would be lost": (
        "ndarray 记不住元素是怎样算出来的，梯度就丢了"
    ),
    "h = h + x for h += x; or make the target with np.zeros_like(x) or np.zeros(n, like=x)": (
        "h += x 改写为 h = h + x；或用 np.zeros_like(x)、np.zeros(n, like=x) 建立目标数组"
    ),
    "{name} of a traced value": "对被追踪的值调用 {name}",
    "it computes with a plain number, which is a constant to every derivative": (
        "它用普通数计算，对求导来说那是常数"
    ),
    "the function returned a {kind}": "函数返回的是 {kind}",
    "results of a traced function are arrays and numbers in containers": (
        "被追踪函数的结果应是数组和数，可放在容器里"
    ),
    "return of arrays only": "只返回数组",
    "a {kind} in a traced computation": "被追踪的计算里有 {kind}",
    "only arrays and numbers can be arguments of a box": "盒子的自变量只能是数组和数",
    "np.asarray of it, if it holds numbers": "若它装的是数，用 np.asarray",
    "scan: the carry starts as {a} and is {b} after a step": "scan：状态开始是 {a}，一步之后是 {b}",
    "the loop runs many times, so the carry must keep its shape and dtype": (
        "循环要走很多次，所以状态的形状和类型必须不变"
    ),
    "an initial carry of type {b}": "初始状态用 {b}",
    "the result depends on the argument only through {name}, which has no "
    "derivative: the gradient would be 0 "
    "everywhere": "结果只通过 {name} 依赖于自变量，而它没有导数：梯度会处处为 0",
    "a smooth function in its place (a weighted sum for argmax, a sigmoid for a "
    "comparison), or bg.stop_gradient "
    "around it if 0 is what you mean": (
        "换成光滑的函数（argmax 用加权和，比较用 sigmoid）；若确实要 0，用 bg.stop_gradient"
    ),
    "the result depends on the argument only through a Python number (float(), .item(), .tolist())": (
        "结果只通过一个 Python 数依赖于自变量（float()、.item()、.tolist()）"
    ),
    "a number does not remember how it was computed: the gradient would be 0 everywhere": (
        "一个数记不住自己是怎样算出来的：梯度会处处为 0"
    ),
    "NumPy functions of x itself; bg.stop_gradient(x) in the result if 0 is what you mean": (
        "对 x 本身用 NumPy 函数；若确实要 0，在结果里用 bg.stop_gradient(x)"
    ),
    # ---- the command line
    "error.explanation.save('page.html')": "error.explanation.save('page.html')",
    "in {path}": "已写入 {path}",
    "--html page.html draws them": "加上 --html page.html 就会画出来",
    "--shape and --value do not go with a run": "--shape 和 --value 不能与训练结果一起用",
    "the run knows the shapes of its own data": "训练结果自己知道数据的形状",
    "{path} does not say what its data look like": "{path} 没有说明数据是什么样的",
    "it was not made by 'boxgrad train'": "它不是由 boxgrad train 得到的",
    "in Python, with some of your data: bg.explain(loss, model, x, y)": (
        "在 Python 里用你的数据：bg.explain(loss, model, x, y)"
    ),
}


def is_part(line: str, *parts: str) -> bool:
    """Whether a line of a message is one of its parts, such as "where", in either language."""
    return line.strip().startswith(
        tuple(f"{each}:" for each in parts) + tuple(f"{LABELS[p]}：" for p in parts)
    )


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The sentences as patterns, the most particular first."""
    found: list[tuple[re.Pattern[str], str]] = []
    for english in sorted(_SENTENCES, key=lambda text: -len(re.sub(r"\{\w+\}", "", text))):
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(english))
        found.append((re.compile(pattern), _SENTENCES[english]))
    return found


def in_language(text: str, lang: str) -> str:
    """A message in a language: its labels, and those of its sentences that are known.

    >>> print(in_language("matmul of a scalar\\n  instead: x * y for a product with a number", "zh"))
    对标量做矩阵乘
      改法：与数相乘写 x * y
    """
    return "\n".join(map(_said, text.splitlines())) if lang == "zh" else text


def _said(line: str) -> str:
    found = re.match(rf"^  ({'|'.join(LABELS)}): +", line)
    if found is None:
        return re.sub("^ {11}(?=[^ ])", " " * 8, line) if line.startswith(" ") else _sentence(line)
    return f"  {LABELS[found[1]]}：{_sentence(line[found.end() :])}"


def _sentence(text: str) -> str:
    text = text.strip()
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return chinese.format(**found.groupdict())
    return text

"""The sentences of the walk, in English and in Chinese: one forward and one backward for each kind of box.

``{x}``, ``{w}`` and ``{y}`` are values; captions.py fills them in. Knows words only.
"""

from __future__ import annotations

from boxgrad.explain.words import Words

SENTENCES: Words = {
    "comma": {"en": ", ", "zh": "、"},
    "and": {"en": " and ", "zh": "与"},
    "given": {"en": "Given: {what}.", "zh": "已知：{what}。"},
    "given_many": {"en": "Given: {count} inputs and parameters.", "zh": "已知：{count} 个输入与参数。"},
    "input": {"en": "the input {names}", "zh": "输入 {names}"},
    "parameter": {"en": "the parameter {names}", "zh": "参数 {names}"},
    "seed": {
        "en": "Turn around. When {y} changes, {y} changes by just as much: start with 1.",
        "zh": "掉头往回走。{y} 变多少，{y} 就变多少：从 1 开始。",
    },
    "contract": {
        "en": "Multiply: each row of {x} meets each column of {w}.",
        "zh": "相乘：{x} 的每一行配 {w} 的每一列。",
    },
    "contraction": {
        "en": "Multiply {x} and {w}, and add along the axes they share.",
        "zh": "把 {x} 与 {w} 相乘，并沿共有的轴相加。",
    },
    "elementwise": {
        "en": "Element by element: each number of {y} comes from the numbers at the same place.",
        "zh": "逐元素：{y} 的每个数只由同一位置上的数得出。",
    },
    "plus": {"en": "Add {x} and {w}, element by element.", "zh": "把 {x} 与 {w} 逐元素相加。"},
    "minus": {
        "en": "Subtract, element by element: {x} and {w} give {y}.",
        "zh": "逐元素相减：由 {x} 与 {w} 得到 {y}。",
    },
    "negate": {"en": "Change the sign of {x}.", "zh": "把 {x} 变号。"},
    "cast": {"en": "The same numbers in another precision.", "zh": "同样的数，换一种精度。"},
    "choose": {
        "en": "Choose each element of {y} from one of two, by a condition.",
        "zh": "按条件，逐个元素二选一，组成 {y}。",
    },
    "sum": {
        "en": "Add all elements of {x}. One number remains: {y}.",
        "zh": "把 {x} 的所有元素加起来，只剩一个数：{y}。",
    },
    "sum_along": {"en": "Add {x} along axis {axes}.", "zh": "沿第 {axes} 轴把 {x} 加起来。"},
    "prod": {"en": "Multiply elements of {x} together.", "zh": "把 {x} 的元素连乘。"},
    "max": {"en": "Keep the largest element of {x}.", "zh": "留下 {x} 中最大的元素。"},
    "max_along": {
        "en": "Keep the largest of {x} along axis {axes}.",
        "zh": "沿第 {axes} 轴留下 {x} 的最大者。",
    },
    "min": {"en": "Keep the smallest element of {x}.", "zh": "留下 {x} 中最小的元素。"},
    "min_along": {
        "en": "Keep the smallest of {x} along axis {axes}.",
        "zh": "沿第 {axes} 轴留下 {x} 的最小者。",
    },
    "conv": {
        "en": "Slide the kernel {w} over {x}; at each place multiply and add.",
        "zh": "让卷积核 {w} 滑过 {x}，在每个位置相乘再相加。",
    },
    "max_pool": {
        "en": "Keep the largest number of each window of {x}.",
        "zh": "在 {x} 的每个窗口里留下最大的数。",
    },
    "avg_pool": {"en": "Take the mean of each window of {x}.", "zh": "对 {x} 的每个窗口取平均。"},
    "reshape": {
        "en": "The same numbers of {x}, arranged as {shape}.",
        "zh": "{x} 的数不变，重新排成 {shape}。",
    },
    "transpose": {"en": "Swap the axes of {x}.", "zh": "交换 {x} 的轴。"},
    "concatenate": {"en": "Put {xs} one after another.", "zh": "把 {xs} 依次拼接起来。"},
    "slice": {"en": "Take a part of {x}.", "zh": "从 {x} 中取出一部分。"},
    "gather": {"en": "Look elements of {x} up by index.", "zh": "按下标从 {x} 中取元素。"},
    "cumsum": {"en": "Add {x} up as one goes along.", "zh": "对 {x} 逐项累加。"},
    "sort": {"en": "Put the elements of {x} in order.", "zh": "把 {x} 的元素排好顺序。"},
    "loop": {
        "en": "Repeat the same cell for {length} steps, handing the state on.",
        "zh": "同一个单元重复 {length} 步，一步步传下状态。",
    },
    "closed": {
        "en": "{title}: from {xs} to {y}. Open the box to see its steps.",
        "zh": "{title}：由 {xs} 得到 {y}。打开盒子可看里面的步骤。",
    },
    "other": {"en": "{title}: from {xs} to {y}.", "zh": "{title}：由 {xs} 得到 {y}。"},
    "back_contract_first": {
        "en": "Back through the product, to {x}: multiply by {w} transposed.",
        "zh": "穿过矩阵乘，回到 {x}：乘以 {w} 的转置。",
    },
    "back_contract_second": {
        "en": "Back through the product, to {x}: {w} transposed, times what arrives.",
        "zh": "穿过矩阵乘，回到 {x}：用 {w} 的转置左乘传来的梯度。",
    },
    "back_contraction": {
        "en": "Back through the product, to {x}: multiply by {w}, and add along the other axes.",
        "zh": "穿过乘积，回到 {x}：乘以 {w}，并沿其余的轴相加。",
    },
    "back_elementwise": {
        "en": "Multiply what arrives by the slope at {x}, element by element.",
        "zh": "把传来的梯度逐元素乘上在 {x} 处的斜率。",
    },
    "back_plus": {
        "en": "Adding changes no slope: hand what arrives on to {x}.",
        "zh": "加法不改变斜率：把传来的梯度原样交给 {x}。",
    },
    "back_negate": {
        "en": "Back through the minus sign, to {x}: change the sign.",
        "zh": "穿过负号，回到 {x}：变号。",
    },
    "back_cast": {"en": "Hand what arrives on to {x}.", "zh": "把传来的梯度原样交给 {x}。"},
    "back_choose": {
        "en": "Only where {x} was chosen does the gradient go on to it; elsewhere it is 0.",
        "zh": "只有选中 {x} 的位置才把梯度传给它，其余为 0。",
    },
    "back_broadcast": {
        "en": "{x} was used at many places: add up what arrives from all of them.",
        "zh": "{x} 用在了许多位置：把各处传来的梯度加起来。",
    },
    "back_sum": {
        "en": "A sum hands what arrives to each of its terms unchanged.",
        "zh": "求和把传来的梯度原样交给每一项。",
    },
    "back_prod": {
        "en": "Back through the product, to {x}: multiply by all the other factors.",
        "zh": "穿过连乘，回到 {x}：乘以其余各个因子。",
    },
    "back_max": {
        "en": "The gradient goes to the element that won; all others get 0.",
        "zh": "梯度只交给胜出的元素，其余为 0。",
    },
    "back_conv_first": {
        "en": "Back through the convolution, to {x}: slide the flipped kernel over what arrives.",
        "zh": "穿过卷积，回到 {x}：让翻转的卷积核滑过传来的梯度。",
    },
    "back_conv_second": {
        "en": "Back through the convolution, to {x}: each weight adds up all places it has met.",
        "zh": "穿过卷积，回到 {x}：每个权重把它遇到过的所有位置加起来。",
    },
    "back_max_pool": {
        "en": "In each window the gradient goes to the largest number; the others get 0.",
        "zh": "每个窗口里，梯度只交给最大的数，其余为 0。",
    },
    "back_avg_pool": {
        "en": "Each number of a window gets an equal share.",
        "zh": "窗口里的每个数平分传来的梯度。",
    },
    "back_reshape": {"en": "The same numbers, arranged as {x} again.", "zh": "数不变，排回 {x} 的形状。"},
    "back_transpose": {"en": "Swap the axes back.", "zh": "把轴换回来。"},
    "back_concatenate": {
        "en": "Cut the gradient where the arrays were joined; {x} gets its part.",
        "zh": "在拼接处把梯度切开，{x} 得到自己的一段。",
    },
    "back_slice": {
        "en": "Put the gradient where the part was taken from; elsewhere 0.",
        "zh": "把梯度放回取出的位置，其余为 0。",
    },
    "back_gather": {
        "en": "Put the gradient where the elements were taken from, and add where one was taken twice.",
        "zh": "把梯度放回取出的位置，重复取用之处相加。",
    },
    "back_cumsum": {
        "en": "Each element reaches all later sums: add up what arrives from there.",
        "zh": "每个元素影响其后的所有累加和：把那里传来的梯度加起来。",
    },
    "back_sort": {
        "en": "Put each gradient back to its element's place.",
        "zh": "把梯度放回各元素原来的位置。",
    },
    "back_loop": {
        "en": "Back through the {length} steps, the last one first; {x} gets its share of each.",
        "zh": "从最后一步往回走完 {length} 步，{x} 得到每一步的一份。",
    },
    "back_closed": {
        "en": "Back through {title}, to {x}. Open the box to see how.",
        "zh": "穿过 {title}，回到 {x}。打开盒子可看怎么走。",
    },
    "back_other": {"en": "Back through {title}, to {x}.", "zh": "穿过 {title}，回到 {x}。"},
    "add_up": {
        "en": " {x} is used {count} times: all shares are added.",
        "zh": "{x} 用了 {count} 次：各份相加。",
    },
}

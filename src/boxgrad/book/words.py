"""The words around the lessons, in English and in Chinese; those of the views are ``explain``'s."""

from __future__ import annotations

from typing import Any

TAGS = {"en": "en", "zh": "zh-CN"}
"""The names of the languages in HTML."""
OWN = {"en": "English", "zh": "中文"}
"""What the languages call themselves."""

WORDS: dict[str, dict[str, str]] = {
    "book": {"en": "Deep learning that you can see through", "zh": "看得见的深度学习"},
    "about": {
        "en": "Each concept three ways: mathematics, diagram, code. All three are made by boxgrad from one "
        "function, and every program on these pages was run when they were built.",
        "zh": "每个概念都用三种方式来讲：公式、框图、代码。三者都由 boxgrad 从同一个函数生成；"
        "页面上的每段程序在生成页面时都运行过。",
    },
    "chapter": {"en": "Chapter 1: foundations", "zh": "第一章：基础"},
    "networks": {"en": "Networks", "zh": "神经网络"},
    "contents": {"en": "Contents", "zh": "目录"},
    "previous": {"en": "Previous", "zh": "上一节"},
    "next": {"en": "Next", "zh": "下一节"},
    "lessons": {"en": "Lessons", "zh": "各节"},
    "skip": {"en": "Skip to the text", "zh": "跳到正文"},
    "language": {"en": "Language", "zh": "语言"},
    "dark": {"en": "Dark", "zh": "深色"},
    "light": {"en": "Light", "zh": "浅色"},
    "theme": {"en": "Light or dark", "zh": "浅色或深色"},
    "three": {"en": "{name}, three ways", "zh": "{name}：三种讲法"},
    "walk": {"en": "Step through it", "zh": "逐步演示"},
    "prints": {"en": "It prints", "zh": "输出"},
    "plot": {"en": "The program of the picture", "zh": "绘图程序"},
    "keys": {"en": "Keys: ← and → turn the page.", "zh": "按键：← 与 → 翻页。"},
    # ---- the command
    "building": {"en": "building the book", "zh": "正在生成书页"},
    "ready": {"en": "the book is ready: {path}", "zh": "书页已就绪：{path}"},
    "denied": {
        "en": "(if the browser may not read that folder: boxgrad book --out pages, and open the file there)",
        "zh": "（如果浏览器无权读取那个文件夹：运行 boxgrad book --out pages，再打开其中的文件）",
    },
    "no_browser": {
        "en": "no browser could be opened\n  instead: open this file: {path}",
        "zh": "没有可用的浏览器\n  办法：用浏览器打开这个文件：{path}",
    },
    "unknown": {
        "en": "there is no page {name!r}\n  instead: one of these, by number or by name\n{names}",
        "zh": "没有名为 {name!r} 的页面\n  办法：用序号或名称指定下列之一\n{names}",
    },
    "several": {
        "en": "several pages match {name!r}\n  instead: one of them, by number or by name\n{names}",
        "zh": "有多个页面与 {name!r} 相符\n  办法：用序号或名称指定其中之一\n{names}",
    },
    "not_a_folder": {
        "en": "{path} is a file\n  why:     the book is a folder of pages\n  instead: --out a-folder",
        "zh": "{path} 是一个文件\n  原因：书由一个文件夹中的多个页面组成\n  办法：--out 文件夹",
    },
    "not_written": {
        "en": "the pages cannot be written to {path}\n  why:     {reason}\n  instead: --out another-folder",
        "zh": "无法把页面写入 {path}\n  原因：{reason}\n  办法：--out 另一个文件夹",
    },
}


def word(key: str, lang: str, **values: Any) -> str:
    """A word or sentence of the table.

    >>> word("next", "zh")
    '下一节'
    """
    text = WORDS[key][lang]
    return text.format(**values) if values else text

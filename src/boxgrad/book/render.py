"""A lesson's Markdown as HTML: programs with what they print, views, plots, formulas in a line.

Knows Markdown and the kinds of blocks; what is in the blocks is made elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from boxgrad.book.errors import BookError
from boxgrad.book.execute import Executed
from boxgrad.book.figures import inline_svg
from boxgrad.book.views import three_views
from boxgrad.book.words import word
from boxgrad.explain.explanation import Explanation
from boxgrad.explain.html_code import coloured

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

Address = Callable[[Explanation], "str | None"]
"""Where the page that steps through an explanation is, if it has one."""
FOLD = "fold"
"""The word after ``python`` on a program that is shown folded, such as one that only plots."""
NARROW, WIDE = "\u202f", "\u2003"
"""Spaces: between factors, which stay on one line, and between formulas."""
_SCRIPTS = {ord(sign): f"^{{{plain}}}" for sign, plain in zip("²³ⁿᵀ⁻", "23nT−", strict=True)}
_SCRIPTS |= {ord(sign): f"_{{{plain}}}" for plain, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")}
_SCRIPTS |= {ord(sign): f"_{{{plain}}}" for sign, plain in zip("ₜᵢⱼₖ₊₋", "tijk+−", strict=True)}
_ALONE = re.compile('<p>(<span class="m">(?:(?!</span>).)*</span>)</p>', re.S)
_TOKENS = re.compile(r"([_^])(?:\{([^}]*)\}|(.))|(d)(?=[A-Za-z]\b)|([^\W\d_]+)|(.)", re.S)


def page_html(executed: Executed, lang: str, address: Address) -> str:
    """The text of a lesson without its heading and first paragraph."""
    made = iter(_made(executed, lang, address))

    def fence(tokens: Any, index: int, _options: Any, _env: Any) -> str:
        return next(made)

    markdown = reader()
    markdown.add_render_rule("fence", lambda _self, *rest: fence(*rest))
    markdown.add_render_rule("table_open", lambda *_: '<div class="table"><table>')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>")
    numbers = iter(range(1, 100))
    text = markdown.render(executed.filled(executed.lesson.body(lang)))
    text = re.sub("<h2>", lambda _: f'<h2 id="part-{next(numbers)}">', text)
    return _ALONE.sub(r'<p class="display">\1</p>', text)


def reader() -> MarkdownIt:
    """Markdown with tables, and with formulas between dollar signs."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only where pages are made

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.inline.ruler.before("escape", "formula", _formula)
    markdown.add_render_rule("formula", lambda _self, tokens, index, *_: formula(tokens[index].content))
    return markdown


def _formula(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "$":
        return False
    end = state.src.find("$", state.pos + 1)
    if end < 0:
        return False
    if not silent:
        state.push("formula", "", 0).content = state.src[state.pos + 1 : end]
    state.pos = end + 1
    return True


def formula(text: str) -> str:
    """A formula in a line: single letters italic, words such as max upright, ``_`` and ``^`` as in TeX.

    >>> formula("∂L/∂x₁")
    '<span class="m">∂<i>L</i>/∂<i>x</i><sub>1</sub></span>'
    """
    text = re.sub(r"(?<=[\w)]) (?=[\w(])", NARROW, re.sub("  +", WIDE, text))
    text = re.sub(r"([_^]\{)([^}]*)\}(?:\1([^}]*)\})+", _joined, text.translate(_SCRIPTS))

    def token(found: re.Match[str]) -> str:
        script, group, single, d, letters, other = found.groups()
        if script:
            tag = "sub" if script == "_" else "sup"
            inner = group or single
            shown = (
                inner if inner == "T" else re.sub("[^\\W\\d_]", lambda letter: f"<i>{letter[0]}</i>", inner)
            )
            return f"<{tag}>{shown}</{tag}>"
        if letters and len(letters) == 1:
            return f"<i>{letters}</i>"
        return escape(d or letters or other)

    return f'<span class="m">{_TOKENS.sub(token, text)}</span>'


def _joined(found: re.Match[str]) -> str:
    """Scripts of the same kind as one: _{1}_{2} is _{12}."""
    return found[1] + "".join(re.findall(r"\{([^}]*)\}", found[0])) + "}"


def _made(executed: Executed, lang: str, address: Address) -> list[str]:
    """The HTML of each fenced block of a lesson, in order."""
    found: list[str] = []
    printed = iter(executed.printed)
    for block in executed.lesson.blocks[lang]:
        if block.kind == "python":
            found.append(_program(block.text, block.words, next(printed), lang))
        elif block.kind == "explain":
            name, *rest = block.text.strip().splitlines()
            options = {key: words.split() for key, _, words in (line.partition(":") for line in rest)}
            explanation = executed.value(name)
            found.append(three_views(explanation, options, lang, address(explanation)))
        elif block.kind == "figure":
            name, _, label = block.text.strip().partition("\n")
            picture = inline_svg(executed.value(name), label)
            found.append(f"<figure>{picture}<figcaption>{_line(label)}</figcaption></figure>")
        else:
            raise BookError(f"{executed.lesson.name}: nothing is known about blocks of kind {block.kind}")
    return found


def _line(text: str) -> str:
    return reader().renderInline(text)


def _program(text: str, words: tuple[str, ...], printed: str, lang: str) -> str:
    code = f'<pre class="program" tabindex="0"><code>{coloured(text.rstrip())}</code></pre>'
    if FOLD in words:
        code = f'<details class="fold"><summary>{word("plot", lang)}</summary>{code}</details>'
    if not printed.strip():
        return code
    label = escape(word("prints", lang))
    return f'{code}<pre class="printed" tabindex="0" aria-label="{label}">{escape(printed.rstrip())}</pre>'

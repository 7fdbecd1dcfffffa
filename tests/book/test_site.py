"""The book as files: what is written, that it stands alone, the cache, the command; what Markdown becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pooch
import pytest
from matplotlib import pyplot as plt
from typer.testing import CliRunner

from boxgrad.book import LANGUAGES, build, cached, find, lessons, site
from boxgrad.book.errors import BookError
from boxgrad.book.figures import COLOURS, drawing, inline_svg
from boxgrad.book.render import formula, reader
from boxgrad.cli import app
from boxgrad.cli import book as command

KNOWN = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML", "http://www.w3.org/1999/xlink"}


def run(*arguments: str):
    return CliRunner().invoke(app, ["book", *arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The whole book, as the command builds it."""
    folder = tmp_path_factory.mktemp("book") / "pages"
    found = run("--out", str(folder), "--lang", "zh")
    assert found.exit_code == 0, found.output
    assert "正在生成书页" in found.output
    assert "书页已就绪" in found.output
    return folder


@pytest.fixture
def few(monkeypatch):
    """Only two lessons, so that building is quick."""
    chosen = (find("4"), find("13"))
    monkeypatch.setattr(site, "lessons", lambda: chosen)
    return chosen


# ---- files
def test_the_whole_book_is_written_and_stands_alone(folder):
    pages = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.html")}
    for lang in LANGUAGES:
        assert {f"{lang}/{lesson.name}.html" for lesson in lessons()} <= pages.keys()
    for name, text in pages.items():
        assert set(re.findall(r"https?://[^\s\"'<)]+", text)) <= KNOWN, name
        for address in re.findall(r'(?:href|src)="([^"#]+)', text):
            if not address.startswith("data:"):
                assert ((folder / name).parent / address).resolve().is_file(), f"{name}: {address}"
    for name in ("book.css", "book.js"):
        assert not re.search("https?://|@import", (folder / name).read_text("utf-8"))
    assert not list(folder.rglob(".*"))
    assert sum(path.stat().st_size for path in folder.rglob("*.*")) < 10e6


def test_pages_know_their_language_and_their_neighbours(folder):
    for lang, tag in (("en", "en"), ("zh", "zh-CN")):
        names = [lesson.name for lesson in lessons()]
        for place, name in enumerate(names):
            text = (folder / lang / f"{name}.html").read_text("utf-8")
            assert f'<html lang="{tag}">' in text
            assert text.count("<h1>") == 1
            previous = re.findall(r'rel="prev" href="([^"]*)\.html"', text)
            following = re.findall(r'rel="next" href="([^"]*)\.html"', text)
            assert previous == names[max(place - 1, 0) : place]
            assert following == names[place + 1 : place + 2]
            other = {"en": "zh", "zh": "en"}[lang]
            assert f'href="../{other}/{name}.html"' in text


def test_every_explanation_with_a_gradient_has_a_page_to_step_through(folder):
    text = (folder / "en" / "13-backward-pass.html").read_text("utf-8")
    (walk,) = re.findall(r'data-walk href="([^"]*)"', text)
    assert 'data-k="∂W"' in (folder / "en" / walk).resolve().read_text("utf-8")
    assert "data-walk" not in (folder / "en" / "01-functions.html").read_text("utf-8")


def test_the_same_book_is_built_twice(tmp_path, few):
    for name in ("a", "b"):
        build(tmp_path / name)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 11
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_the_cache_is_kept_until_boxgrad_changes(tmp_path, few, monkeypatch):
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    built: list[str] = []
    index = cached(progress=lambda lesson: built.append(lesson.name))
    assert index.is_file()
    assert built == [lesson.name for lesson in few]
    assert cached(progress=lambda lesson: built.append(lesson.name)) == index
    assert len(built) == 2
    monkeypatch.setattr(site, "_fingerprint", lambda: "another")
    cached(progress=lambda lesson: built.append(lesson.name))
    assert len(built) == 4


# ---- the command
@pytest.fixture
def browsers(tmp_path, few, monkeypatch):
    """What the command would open in a browser."""
    opened: list[str] = []
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(command.webbrowser, "open", lambda address: opened.append(address) or True)
    return opened


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ([], "book/index.html"),
        (["--lang", "zh"], "book/zh/index.html"),
        (["chain-rule"], "book/en/04-chain-rule.html"),
        (["13", "--lang", "zh"], "book/zh/13-backward-pass.html"),
    ],
)
def test_what_is_opened(browsers, arguments, file):
    found = run(*arguments)
    assert found.exit_code == 0, found.output
    (address,) = browsers
    assert address.startswith("file://")
    assert address.endswith(file)
    assert file.rpartition("/")[2] in found.output.replace("\n", "")
    assert "--out" in found.output  # a browser in a sandbox may not read the cache


def test_without_a_browser_the_file_is_named(browsers, monkeypatch):
    found = run("4", "--no-browser")
    assert "04-chain-rule.html" in found.output.replace("\n", "")
    assert browsers == []
    monkeypatch.setattr(command.webbrowser, "open", lambda address: False)
    assert "没有可用的浏览器" in run("--lang", "zh").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["poetry"], ["there is no page 'poetry'", "13-backward-pass", "instead:"]),
        (["poetry", "--lang", "zh"], ["没有名为 'poetry' 的页面", "两个矩阵的反向传播"]),
        (["--lang", "fr"], ["--lang", "'en', 'zh'"]),
    ],
)
def test_mistakes_are_paragraphs(arguments, words):
    found = run(*arguments, "--no-browser")
    assert found.exit_code == 2
    for word in words:
        assert word in found.output
    assert "Traceback" not in found.output


@pytest.mark.parametrize(("lang", "words"), [("en", "is a file"), ("zh", "是一个文件")])
def test_a_file_is_not_a_folder(tmp_path, lang, words):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    found = run("--out", str(file), "--lang", lang)
    assert found.exit_code == 2
    assert words in found.output
    assert file.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(tmp_path, few):
    (tmp_path / "file").touch()
    with pytest.raises(BookError, match="cannot be written"):
        build(tmp_path / "file" / "pages")


# ---- Markdown and plots
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x", "<i>x</i>"),
        ("σ′(N)", "<i>σ</i>′(<i>N</i>)"),
        ("max(a, b)", "max(<i>a</i>, <i>b</i>)"),
        ("Wᵀ", "<i>W</i><sup>T</sup>"),
        ("x₁₂²", "<i>x</i><sub>12</sub><sup>2</sup>"),
        ("n_{ij}", "<i>n</i><sub><i>i</i><i>j</i></sub>"),
        ("hₜ₋₁", "<i>h</i><sub><i>t</i>−1</sub>"),
        ("X W", "<i>X</i>\u202f<i>W</i>"),
        ("a < b", "<i>a</i> &lt; <i>b</i>"),
        ("df", "d<i>f</i>"),
    ],
)
def test_formulas_in_a_line(text, shown):
    assert formula(text) == f'<span class="m">{shown}</span>'


def test_markdown_shows_formulas_and_no_html():
    shown = reader().render("a *b* $x_1 * y * z$ `$5` <script>")
    assert '<span class="m"><i>x</i><sub>1</sub> * <i>y</i> * <i>z</i></span>' in shown
    assert "<em>b</em>" in shown
    assert "<code>$5</code>" in shown
    assert "<script>" not in shown


def test_plots_have_the_colours_of_the_page_and_leave_nothing_behind():
    before = plt.rcParams["axes.grid"], plt.get_backend()
    with drawing():
        figure, axes = plt.subplots()
        axes.plot([0, 1], [1, 0], label="f")
        axes.legend()
        shown = inline_svg(figure, "A line & more")
    assert 'aria-label="A line &amp; more"' in shown
    assert "var(--f)" in shown
    assert not [colour for colour in COLOURS if colour in shown.lower()]
    assert "<text" in shown
    assert not plt.get_fignums()
    assert (plt.rcParams["axes.grid"], plt.get_backend()) == before


def test_pages_are_part_of_the_package():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert '"book/book.*", "book/pages/*.md"' in project
    assert '"markdown-it-py' in project


@pytest.mark.parametrize(("lang", "file"), [("en", "README.md"), ("zh", "README.zh-CN.md")])
def test_the_index_names_every_lesson(lang, file):
    text = (Path(__file__).parents[2] / "docs" / "book" / file).read_text("utf-8")
    for lesson in lessons():
        assert (
            f"{lesson.number}. [{lesson.title(lang)}](../../src/boxgrad/book/pages/{lesson.name}.{lang}.md)"
            in text
        )

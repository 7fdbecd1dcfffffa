"""Functions in a user's files, and arguments for them, as commands name them: FILE.py:loss, X=3x3, x=1.5.

Knows how functions are found and arguments are made, and what is said of mistakes, in English and in Chinese;
knows nothing of what is done with them.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import typer

from boxgrad.cli.messages import fail
from boxgrad.explain.words import Words, word

_SHAPE = re.compile(r"^\(?\d+([x×,]\d+)*,?\)?$")

WORDS: Words = {
    "target": {
        "en": "{target} is neither FILE.py:FUNCTION nor {other}\n  instead: boxgrad {command} {example}",
        "zh": "{target} 既不是 文件.py:函数名，也不是{other}\n  改法：boxgrad {command} {example}",
    },
    "a run": {"en": "the folder of a run", "zh": "训练结果的文件夹"},
    "a model": {"en": "a model", "zh": "模型"},
    "a formula": {"en": "a formula", "zh": "公式"},
    "no file": {
        "en": "there is no file {path}\n  instead: the path of a Python file, a colon, a function's name",
        "zh": "没有文件 {path}\n  改法：Python 文件的路径、冒号、函数名",
    },
    "no function": {
        "en": "{path} has no function {name}\n  why:     it defines {own}\n"
        "  instead: boxgrad {command} {path}:{first}",
        "zh": "{path} 里没有函数 {name}\n  原因：它定义了 {own}\n  改法：boxgrad {command} {path}:{first}",
    },
    "no functions": {"en": "no functions", "zh": "零个函数"},
    "not python": {
        "en": "{path} is not a Python file\n  instead: a file that ends in .py",
        "zh": "{path} 不是 Python 文件\n  改法：以 .py 结尾的文件",
    },
    "raised": {"en": "{what} raised {error}: {text}", "zh": "{what} 抛出了 {error}：{text}"},
    "where": {"en": "\n  where:   {place}", "zh": "\n  位置：{place}"},
    "at line": {"en": "line {line}: {text}", "zh": "第 {line} 行：{text}"},
    "option": {
        "en": "{option} {text} cannot be read\n  instead: {option} {example}",
        "zh": "{option} {text} 读不懂\n  改法：{option} {example}",
    },
    "no parameter": {
        "en": "{name} has no parameter {given}\n  why:     its parameters are {known}\n"
        "  instead: --shape {first}=3x3",
        "zh": "{name} 没有参数 {given}\n  原因：它的参数是 {known}\n  改法：--shape {first}=3x3",
    },
    "none": {"en": "none", "zh": "（无）"},
    "nothing said": {
        "en": "nothing is said about the parameter {parameter} of {name}\n"
        "  why:     the numbers are shown at some arguments\n"
        "  instead: --shape {parameter}=3x2, or --value {parameter}=1.5",
        "zh": "没有说明 {name} 的参数 {parameter}\n  原因：要代入一些自变量才有数值\n"
        "  改法：--shape {parameter}=3x2，或 --value {parameter}=1.5",
    },
    "shape": {
        "en": "--shape {name}={text} is not a shape\n  instead: --shape {name}=3x2, or {name}=5 for a vector",
        "zh": "--shape {name}={text} 不是形状\n  改法：--shape {name}=3x2，向量则写 {name}=5",
    },
    "page": {
        "en": "--html {path}: a page ends in .html\n  instead: --html {instead}",
        "zh": "--html {path}：网页应以 .html 结尾\n  改法：--html {instead}",
    },
    "number": {
        "en": "--value {name}={text} is not a number\n  instead: --value {name}=1.5, or {name}=[0,2,1]",
        "zh": "--value {name}={text} 不是数\n  改法：--value {name}=1.5，或 {name}=[0,2,1]",
    },
}


Shapes = Annotated[
    list[str] | None, typer.Option(metavar="X=3x3", help="An argument: normal random numbers of this shape.")
]
Values = Annotated[
    list[str] | None, typer.Option(metavar="x=1.5", help="An argument: a number, or a list like [0,2,1].")
]
"""The options that say what the arguments are."""


class Language(StrEnum):
    """The languages of the words."""

    en = "en"
    zh = "zh"


class Files:
    """What one command line names, with complaints in its language."""

    def __init__(self, command: str, lang: str = "en") -> None:
        self.command, self.lang = command, lang
        self._modules: dict[Path, ModuleType] = {}

    def fail(self, key: str, **values: Any) -> typer.Exit:
        """Say what is wrong; raise what this returns."""
        return fail(self.say(key, **values))

    def say(self, key: str, **values: Any) -> str:
        return word(key, self.lang, WORDS, **values)

    # ---- functions
    def function(self, target: str, other: str, example: str) -> Callable[..., Any]:
        """The function that FILE.py:NAME names; ``other`` says what else might have been given."""
        file, _, name = target.rpartition(":")
        if not file or not name.isidentifier():
            raise self.fail(
                "target", target=target, other=self.say(other), command=self.command, example=example
            )
        path = Path(file)
        if not path.is_file():
            raise self.fail("no file", path=path)
        module = self._loaded(path)
        found = getattr(module, name, None)
        if callable(found):
            return found
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and not key.startswith("_")
        ]
        listed = ", ".join(own) or self.say("no functions")
        first = own[0] if own else "loss"
        raise self.fail("no function", path=path, name=name, own=listed, command=self.command, first=first)

    def _loaded(self, path: Path) -> ModuleType:
        """A file as a module, with its own folder importable, as Python runs it; once for a command."""
        known = self._modules.get(path.resolve())
        if known is not None:
            return known
        spec = util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise self.fail("not python", path=path)
        module = util.module_from_spec(spec)
        sys.path.insert(0, str(path.resolve().parent))
        sys.modules.setdefault(path.stem, module)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise fail(self.raised(error, str(path))) from error
        self._modules[path.resolve()] = module
        return module

    def raised(self, error: Exception, what: str) -> str:
        """An error of the user's own code, with its line."""
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if "boxgrad" not in Path(frame.filename).parts
        ]
        text = self.say("raised", what=what, error=type(error).__name__, text=error)
        own = [frame for frame in frames if not frame.filename.startswith("<")]
        if isinstance(error, SyntaxError):
            line = self.say("at line", line=error.lineno, text=(error.text or "").strip())
            return text + self.say("where", place=line)
        if not own:
            return text
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}"
        return text + self.say("where", place=place)

    # ---- arguments
    def named(self, given: list[str] | None, option: str, example: str) -> dict[str, str]:
        """The options of the form X=3x3."""
        found: dict[str, str] = {}
        for text in given or []:
            name, equals, rest = text.partition("=")
            if not equals or not name.strip().isidentifier() or not rest.strip():
                raise self.fail("option", option=option, text=text, example=example)
            found[name.strip()] = rest.strip()
        return found

    def arguments(
        self, function: Callable[..., Any], shape: list[str] | None, value: list[str] | None, seed: int
    ) -> list[Any]:
        """An argument for each parameter: random numbers of a shape, or a value."""
        shapes, values = self.named(shape, "--shape", "X=3x3"), self.named(value, "--value", "x=1.5")
        parameters = inspect.signature(function).parameters
        name = getattr(function, "__name__", "the function")
        for given in (*shapes, *values):
            if given not in parameters:
                raise self.fail(
                    "no parameter",
                    name=name,
                    given=given,
                    known=", ".join(parameters) or self.say("none"),
                    first=next(iter(parameters), "X"),
                )
        random = np.random.default_rng(seed)
        args: list[Any] = []
        for parameter in parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
                continue
            if parameter.name in shapes:
                args.append(random.standard_normal(self._shape(parameter.name, shapes[parameter.name])))
            elif parameter.name in values:
                args.append(self._number(parameter.name, values[parameter.name]))
            elif parameter.default is not parameter.empty:
                args.append(parameter.default)
            else:
                raise self.fail("nothing said", parameter=parameter.name, name=name)
        return args

    def _shape(self, name: str, text: str) -> tuple[int, ...]:
        if not _SHAPE.match(text):
            raise self.fail("shape", name=name, text=text)
        return tuple(int(size) for size in re.findall(r"\d+", text))

    def _number(self, name: str, text: str) -> Any:
        try:
            found = json.loads(text)
            array = np.array(found)
        except ValueError:
            array = np.array(None)
        if array.dtype.kind not in "fiub":
            raise self.fail("number", name=name, text=text)
        return found if array.ndim == 0 else array

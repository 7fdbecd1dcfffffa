"""``boxgrad explain``: a function in a file, or the model of a run, as mathematics, diagram and code.

Knows how functions are found and arguments are made; explaining is known to boxgrad.explain.
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

from boxgrad.cli.messages import fail, reports_errors
from boxgrad.data import digits
from boxgrad.errors import BoxgradError
from boxgrad.explain.explanation import Explanation
from boxgrad.explain.explanation import explain as explanation_of
from boxgrad.explain.refusals import is_part
from boxgrad.train.runs import RunFolder, build

_SHAPE = re.compile(r"^\(?\d+([x×,]\d+)*,?\)?$")
_EXAMPLES = 2
_CHARACTERS = 6


class Language(StrEnum):
    """The languages of the words."""

    en = "en"
    zh = "zh"


@reports_errors
def explain(
    target: Annotated[
        str, typer.Argument(metavar="FILE.py:FUNCTION-or-RUN", help="A function, or a run's folder.")
    ],
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="X=3x3", help="An argument: normal random numbers of this shape."),
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option(metavar="x=1.5", help="An argument: a number, or a list like [0,2,1].")
    ] = None,
    wrt: Annotated[list[str] | None, typer.Option(help="Whose gradients to show; all if not given.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page (.html), or one view (.svg .tex .py .md .dot).")
    ] = None,
    lang: Annotated[Language, typer.Option(help="Language of the words.")] = Language.en,
    unroll: Annotated[
        bool, typer.Option("--unroll", help="Show loops step by step instead of folded.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed gives other numbers.")] = 0,
) -> None:
    """Show a function and its gradient three ways: mathematics, diagram, code.

    Examples:

        boxgrad explain chapter1.py:loss --shape X=3x3 --shape W=3x2

        boxgrad explain chapter1.py:loss --shape X=3x3 --shape W=3x2 --html loss.html --lang zh

        boxgrad explain chapter1.py:chain --value x=1.5

        boxgrad explain runs/digits --html digits.html

        boxgrad explain rnn.py:loss --shape h=4 --shape xs=20x4 --unroll --html rnn.html
    """
    path = Path(target)
    if path.is_dir():
        if shape or value:
            raise fail(
                "--shape and --value do not go with a run\n"
                "  why:     the run knows the shapes of its own data\n"
                f"  instead: boxgrad explain {target}"
            )
        function, args = _run(path, seed)
    else:
        function = function_in(target)
        args = _arguments(
            function, _named(shape, "--shape", "X=3x3"), _named(value, "--value", "x=1.5"), seed
        )
    found = _explained(function, args, wrt, lang.value, html, unroll)
    if html is None:
        typer.echo(str(found))
        return
    saved = found.save(html)
    for note in found.notes():
        typer.echo(note)
    typer.echo(f"{saved} ({saved.stat().st_size / 1000:.0f} kB)")


def _explained(
    function: Callable[..., Any], args: list[Any], wrt: list[str] | None, lang: str, html: Path | None,
    unroll: bool,
) -> Explanation:  # fmt: skip
    try:
        return explanation_of(function, *args, wrt=wrt or None, lang=lang, unroll=unroll)
    except BoxgradError as error:
        # Where nothing of the user's has run yet, the line that asked is not the user's.
        own = (
            Path(inspect.unwrap(function).__code__.co_filename).name if hasattr(function, "__code__") else ""
        )
        text = "\n".join(
            line for line in str(error).splitlines() if not is_part(line, "where") or own in line
        )
        kept = [line for line in text.splitlines() if not is_part(line, "picture")]
        raise fail("\n".join([*kept, *_picture(error, html)])) from error
    except Exception as error:
        text = _raised(error, f"{getattr(function, '__name__', 'the function')}() raised")
        notes = [line for note in getattr(error, "__notes__", []) for line in note.splitlines()]
        kept = [line for line in notes if not is_part(line, "picture")]
        raise fail("\n".join([text, *kept, *_picture(error, html)])) from error


def _picture(error: Exception, html: Path | None) -> list[str]:
    """Where the diagram up to the failure is, or how to get it."""
    partial: Explanation | None = getattr(error, "explanation", None)
    if partial is None:
        return []
    return [
        f"  picture: in {partial.save(html)}"
        if html is not None
        else "  picture: --html page.html draws them"
    ]


# ---- a function in a file
def function_in(target: str) -> Callable[..., Any]:
    file, _, name = target.rpartition(":")
    if not file or not name.isidentifier():
        raise fail(
            f"{target} is neither FILE.py:FUNCTION nor the folder of a run\n"
            "  instead: boxgrad explain file.py:loss --shape X=3x3, or boxgrad explain runs/digits"
        )
    path = Path(file)
    if not path.is_file():
        raise fail(
            f"there is no file {path}\n  instead: the path of a Python file, a colon, a function's name"
        )
    module = _loaded(path)
    found = getattr(module, name, None)
    if callable(found):
        return found
    own = [
        key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")
    ]
    raise fail(
        f"{path} has no function {name}\n"
        f"  why:     it defines {', '.join(own) or 'no functions'}\n"
        f"  instead: boxgrad explain {path}:{own[0] if own else 'loss'}"
    )


def _loaded(path: Path) -> ModuleType:
    """A file as a module, with its own folder importable, as Python runs it."""
    spec = util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise fail(f"{path} is not a Python file\n  instead: a file that ends in .py")
    module = util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise fail(_raised(error, f"{path} raised")) from error
    return module


def _raised(error: Exception, what: str) -> str:
    """An error of the user's own code, with its line."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "boxgrad" not in Path(frame.filename).parts
    ]
    text = f"{what} {type(error).__name__}: {error}"
    own = [frame for frame in frames if not frame.filename.startswith("<")]
    if isinstance(error, SyntaxError):
        return f"{text}\n  where:   line {error.lineno}: {(error.text or '').strip()}"
    if not own:
        return text
    return f"{text}\n  where:   {Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}"


# ---- arguments
def _named(given: list[str] | None, option: str, example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given or []:
        name, equals, rest = text.partition("=")
        if not equals or not name.strip().isidentifier() or not rest.strip():
            raise fail(f"{option} {text} cannot be read\n  instead: {option} {example}")
        found[name.strip()] = rest.strip()
    return found


def _arguments(
    function: Callable[..., Any], shapes: dict[str, str], values: dict[str, str], seed: int
) -> list[Any]:
    """An argument for each parameter: random numbers of a shape, or a value."""
    parameters = inspect.signature(function).parameters
    name = getattr(function, "__name__", "the function")
    for given in (*shapes, *values):
        if given not in parameters:
            raise fail(
                f"{name} has no parameter {given}\n"
                f"  why:     its parameters are {', '.join(parameters) or 'none'}\n"
                f"  instead: --shape {next(iter(parameters), 'X')}=3x3"
            )
    random = np.random.default_rng(seed)
    args: list[Any] = []
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if parameter.name in shapes:
            args.append(random.standard_normal(_shape(parameter.name, shapes[parameter.name])))
        elif parameter.name in values:
            args.append(_number(parameter.name, values[parameter.name]))
        elif parameter.default is not parameter.empty:
            args.append(parameter.default)
        else:
            raise fail(
                f"nothing is said about the parameter {parameter.name} of {name}\n"
                "  why:     the numbers are shown at some arguments\n"
                f"  instead: --shape {parameter.name}=3x2, or --value {parameter.name}=1.5"
            )
    return args


def _shape(name: str, text: str) -> tuple[int, ...]:
    if not _SHAPE.match(text):
        raise fail(
            f"--shape {name}={text} is not a shape\n  instead: --shape {name}=3x2, or {name}=5 for a vector"
        )
    return tuple(int(size) for size in re.findall(r"\d+", text))


def _number(name: str, text: str) -> Any:
    try:
        found = json.loads(text)
        array = np.array(found)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise fail(f"--value {name}={text} is not a number\n  instead: --value {name}=1.5, or {name}=[0,2,1]")
    return found if array.ndim == 0 else array


# ---- the model of a run
def _run(path: Path, seed: int) -> tuple[Callable[..., Any], list[Any]]:
    """The loss of a trained model on a small batch of inputs such as it was trained on."""
    model, config = RunFolder(path).load_model()
    criterion = build(config, "loss")
    details = config["details"]
    random = np.random.default_rng(seed)

    def loss(model: Any, x: Any, y: Any) -> Any:
        return criterion(model(x), y)

    if "vocabulary" in details:
        letters = random.integers(len(details["vocabulary"]), size=(_CHARACTERS + 1, _EXAMPLES))
        return loss, [model, letters[:-1], letters[1:]]
    if "shape" not in details or "classes" not in details:
        raise fail(
            f"{path} does not say what its data look like\n"
            "  why:     it was not made by 'boxgrad train'\n"
            "  instead: in Python, with some of your data: bg.explain(loss, model, x, y)"
        )
    if details.get("settings", {}).get("dataset") == "digits":
        images, labels = digits().test
        return loss, [model, images[:_EXAMPLES], labels[:_EXAMPLES]]
    x = random.random((_EXAMPLES, *details["shape"]), np.float32)
    return loss, [model, x, random.integers(len(details["classes"]), size=_EXAMPLES)]

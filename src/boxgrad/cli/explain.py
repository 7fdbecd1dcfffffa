"""``boxgrad explain``: a function in a file, or the model of a run, as mathematics, diagram and code.

Knows the model of a run and its data; explaining is known to boxgrad.explain.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from boxgrad.cli.functions import Files, Language, Shapes, Values
from boxgrad.cli.messages import fail, reports_errors
from boxgrad.data import digits
from boxgrad.errors import BoxgradError
from boxgrad.explain.explanation import Explanation
from boxgrad.explain.explanation import explain as explanation_of
from boxgrad.explain.refusals import is_part
from boxgrad.train.runs import RunFolder, build

_EXAMPLES = 2
_CHARACTERS = 6


@reports_errors
def explain(
    target: Annotated[
        str, typer.Argument(metavar="FILE.py:FUNCTION-or-RUN", help="A function, or a run's folder.")
    ],
    shape: Shapes = None,
    value: Values = None,
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
    path, files = Path(target), Files("explain", lang.value)
    if path.is_dir():
        if shape or value:
            raise fail(
                "--shape and --value do not go with a run\n"
                "  why:     the run knows the shapes of its own data\n"
                f"  instead: boxgrad explain {target}"
            )
        function, args = _run(path, seed)
    else:
        example = "file.py:loss --shape X=3x3, or boxgrad explain runs/digits"
        function = files.function(target, "a run", example)
        args = files.arguments(function, shape, value, seed)
    found = _explained(files, function, args, wrt, html, unroll)
    if html is None:
        typer.echo(str(found))
        return
    saved = found.save(html)
    for note in found.notes():
        typer.echo(note)
    typer.echo(f"{saved} ({saved.stat().st_size / 1000:.0f} kB)")


def _explained(
    files: Files,
    function: Callable[..., Any],
    args: list[Any],
    wrt: list[str] | None,
    html: Path | None,
    unroll: bool,
) -> Explanation:
    try:
        return explanation_of(function, *args, wrt=wrt or None, lang=files.lang, unroll=unroll)
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
        text = files.raised(error, f"{getattr(function, '__name__', 'the function')}()")
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

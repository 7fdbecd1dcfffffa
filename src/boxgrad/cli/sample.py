"""``boxgrad sample``: text from a trained character model.

Knows the options; how characters are drawn is known to boxgrad.train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from boxgrad.cli.messages import fail, reports_errors
from boxgrad.train import sampling
from boxgrad.train.runs import RunFolder


@reports_errors
def sample(
    run: Annotated[Path, typer.Argument(help="A run's folder, such as runs/text.")],
    length: Annotated[int, typer.Option(min=1, help="Characters to draw.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="0 takes the likeliest; 1 as learnt; above 1 wilder.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(help="Another seed gives another text.")] = 0,
    prompt: Annotated[str, typer.Option(help="What to continue.")] = "\n",
) -> None:
    """Draw text from a character model.

    Examples:

        boxgrad sample runs/text

        boxgrad sample runs/text --prompt "ROMEO:" --temperature 0.7 --length 800
    """
    model, config = RunFolder(run).load_model()
    if "vocabulary" not in config["details"]:
        raise fail(
            f"{run} is not a run on text\n"
            "  why:     only character models can be sampled\n"
            "  instead: boxgrad train text, or boxgrad predict RUN IMAGE for images"
        )
    drawn = continued(model, config["details"], prompt, length, temperature, seed)
    typer.echo((prompt if prompt != "\n" else "") + drawn)


def continued(
    model: Any, details: dict[str, Any], prompt: str, length: int, temperature: float = 0.8, seed: int = 0
) -> str:
    """The continuation of a prompt."""
    return sampling.sample(model, str(details["vocabulary"]), prompt, length, temperature, seed)

"""``boxgrad predict``: what a trained model says of an image, or how it continues a text.

Knows how images are read and made to fit a model; the model is known to boxgrad.train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import boxgrad as bg
from boxgrad.cli.messages import fail, reports_errors
from boxgrad.cli.sample import continued
from boxgrad.train.reports import probabilities
from boxgrad.train.runs import RunFolder

_SHOWN = 10
_BAR = 30


@reports_errors
def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, such as runs/digits.")],
    input: Annotated[
        str, typer.Argument(metavar="IMAGE-OR-TEXT", help="A picture (PNG …), a .npy file, or text.")
    ],
    invert: Annotated[
        bool | None,
        typer.Option(help="Swap dark and light; by default done where the picture's border is light."),
    ] = None,
) -> None:
    """Show how probable each class is for an image; or continue a text.

    Examples:

        boxgrad predict runs/digits my-seven.png

        boxgrad predict runs/mnist images.npy

        boxgrad predict runs/text "To be, or not"
    """
    model, config = RunFolder(run).load_model()
    details = config["details"]
    if "vocabulary" in details:
        typer.echo(input + continued(model, details, input, length=200))
        return
    if "classes" not in details or "shape" not in details:
        raise fail(
            f"{run} does not say what its classes and images are\n"
            "  why:     it was not made by 'boxgrad train'\n"
            "  instead: trainer = bg.Trainer.resume(folder); trainer.predict(x)"
        )
    shape = tuple(int(size) for size in details["shape"])
    images = _images(Path(input), shape, invert)
    # For a single image NumPy is done before an engine is loaded.
    scores = bg.compile(lambda model, x: model(x)) if len(images) > 1 else lambda model, x: model(x)
    for position, image in enumerate(images):
        outputs = np.asarray(scores(model, image[None]))
        if position:
            typer.echo("")
        typer.echo(table(probabilities(outputs)[0], details["classes"]))


def table(shares: Any, classes: list[str]) -> str:
    """Probabilities with names and bars, the greatest first.

    >>> print(table([0.25, 0.75], ["no", "yes"]))
    yes   75.00 %  ██████████████████████▌
    no    25.00 %  ███████▌
    """
    width = max(map(len, classes))
    order = sorted(range(len(classes)), key=lambda number: -shares[number])[:_SHOWN]
    lines = []
    for number in order:
        eighths = round(float(shares[number]) * _BAR * 8)
        bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
        lines.append(f"{classes[number]:{width}}  {100 * shares[number]:6.2f} %  {bar}".rstrip())
    return "\n".join(lines)


def _images(path: Path, shape: tuple[int, ...], invert: bool | None) -> Any:
    """The images in a file as float32 (N, C, H, W) between 0 and 1, light on dark."""
    if not path.is_file():
        raise fail(
            f"there is no file {path}\n"
            "  why:     this run is about images, so a picture is expected\n"
            "  instead: boxgrad predict RUN picture.png"
        )
    if path.suffix == ".npy":
        return _arrays(np.load(path, allow_pickle=False), shape)
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only here

    try:
        with Image.open(path) as picture:
            flat = picture.convert("L" if shape[0] == 1 else "RGB")
            fitted = flat.resize((shape[2], shape[1]), Image.Resampling.BOX)
    except UnidentifiedImageError:
        raise fail(
            f"{path} is not a picture that can be read\n"
            "  why:     PNG, JPEG and the like are, and .npy files with arrays\n"
            "  instead: save it as PNG"
        ) from None
    image = np.asarray(fitted, np.float32).reshape(shape[1], shape[2], shape[0]) / 255
    image = image.transpose(2, 0, 1)
    border = np.concatenate([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], axis=1)
    swap = border.mean() > 0.5 if invert is None else invert
    if swap and invert is None:
        typer.echo("(dark on light: swapped, as the model has learnt light on dark; or --no-invert)")
    return (1 - image if swap else image)[None]


def _arrays(array: Any, shape: tuple[int, ...]) -> Any:
    wanted = [shape, ("N", *shape)] + [shape[1:]] * (shape[0] == 1)
    if array.shape == shape[1:] and shape[0] == 1:
        array = array[None]
    if array.shape == shape:
        array = array[None]
    if array.ndim != 4 or array.shape[1:] != shape or array.dtype.kind not in "fiub":
        raise fail(
            f"the array has shape {array.shape} and dtype {array.dtype}\n"
            f"  why:     the model takes images of shape {' or '.join(map(str, wanted))}\n"
            "  instead: values from 0 to 1 as floats, or from 0 to 255 as integers"
        )
    values = array.astype(np.float32)
    return values / 255 if array.dtype.kind in "iu" else values

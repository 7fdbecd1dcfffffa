"""Whole training runs by the name of their data: what ``boxgrad train`` runs.

Knows which model, sizes and schedule do well on which data; knows nothing of the command line.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from boxgrad import data, nn, optim
from boxgrad.engines import default_engine
from boxgrad.errors import message
from boxgrad.optim import schedules
from boxgrad.train import models
from boxgrad.train.callbacks import ClipNorm, LearningRateSchedule
from boxgrad.train.files import RunError, write_atomically
from boxgrad.train.history import History
from boxgrad.train.progress import Verbosity
from boxgrad.train.runs import RunFolder
from boxgrad.train.sampling import sample
from boxgrad.train.trainer import Trainer


@dataclass(frozen=True)
class Settings:
    """What defines a run, apart from where it is written."""

    dataset: str
    model: str
    epochs: int
    batch_size: int
    lr: float
    seed: int = 0
    engine: str | None = None


# By the NumPy engine the products of these small networks are done before a second thread of BLAS has woken
# up; while it waits it spins, and takes the core from whoever else is on the machine. One thread also means
# the same bits. The native engine has threads of its own.
_BLAS_THREADS = {"digits": 1, "mnist": 1, "fashion": 1}
# Measured by benchmarks/training.py for several seeds.
DEFAULTS = {
    "digits": Settings("digits", "cnn", epochs=20, batch_size=64, lr=5e-3),
    "mnist": Settings("mnist", "cnn", epochs=6, batch_size=128, lr=8e-3),
    "fashion": Settings("fashion", "cnn", epochs=10, batch_size=128, lr=8e-3),
    "text": Settings("text", "lstm", epochs=6, batch_size=64, lr=4e-3),
}
_VALIDATION = {"digits": 0.1, "mnist": 0.05, "fashion": 0.05}
_WINDOW = 64  # characters that a gradient reaches back
_LONGER = 4  # in validation the windows are longer, as each begins without knowing what was before
_CLIP = 1.0
_DECAY = {"digits": 0.5, "mnist": 0.05, "fashion": 0.05, "text": 0.01}  # of AdamW
_SAMPLES = (0.5, 0.8, 1.0)  # temperatures


def settings(dataset: str, **given: Any) -> Settings:
    """The defaults of a data set, with what the user has given (None means not given)."""
    chosen = {"engine": default_engine(), **{name: v for name, v in given.items() if v is not None}}
    found = replace(DEFAULTS[dataset], **chosen)
    for name in ("epochs", "batch_size", "lr"):
        if not getattr(found, name) > 0:
            raise ValueError(
                message(
                    f"{name.replace('_', '-')} is {getattr(found, name)}",
                    "nothing would be learnt",
                    f"--{name.replace('_', '-')} {getattr(DEFAULTS[dataset], name)}",
                )
            )
    return found


@dataclass
class Task:
    """A run that is ready: ``fit`` it."""

    settings: Settings
    trainer: Trainer
    train: Any
    validation: Any
    text: Any = None

    def fit(self, resume: bool = False) -> History:
        """Train, and write samples where the data are text."""
        with threadpool_limits(_BLAS_THREADS.get(self.settings.dataset), user_api="blas"):
            history = self.trainer.fit(self.train, self.validation, self.settings.epochs, resume=resume)
        if self.text is not None and not history.interrupted and self.trainer.folder is not None:
            self._write_samples(self.trainer.folder)
        return history

    def _write_samples(self, folder: RunFolder) -> None:
        samples = [
            f"temperature {temperature}\n{'-' * 40}\n"
            + sample(
                self.trainer.model.eval(),
                self.trainer.details["vocabulary"],
                "\n",
                temperature=temperature,
                seed=self.settings.seed,
                engine=self.settings.engine,
            ).strip()
            + "\n"
            for temperature in _SAMPLES
        ]
        write_atomically(folder.file("samples.txt"), "\n\n".join(samples).encode())


def task(
    settings: Settings,
    path: Path | None = None,
    out: str | Path | None = None,
    verbosity: Verbosity = "auto",
    resume_with: str | None = None,
) -> Task:
    """Make the data, the model, the optimiser and the Trainer of a run.

    Args:
        settings: what to run.
        path: the folder of the data, or the text's file; None for where they are by default.
        out: the run's folder.
        verbosity: see :class:`~boxgrad.train.trainer.Trainer`.
        resume_with: the command that takes the run up again.
    """
    make = _text_task if settings.dataset == "text" else _image_task
    return make(settings, path, {"out": out, "verbosity": verbosity, "resume_with": resume_with})


def _image_task(settings: Settings, path: Path | None, options: dict[str, Any]) -> Task:
    images = _images(settings.dataset, path)
    models.known(settings.model, models.IMAGE_MODELS, "images")
    shape = tuple(int(size) for size in images.train[0].shape[1:])
    model = models.IMAGE_MODELS[settings.model](shape, len(images.classes), seed=settings.seed)
    fraction = _VALIDATION[settings.dataset]
    examples = len(images.train[0]) - round(len(images.train[0]) * fraction)
    details = {
        "settings": asdict(settings),
        "classes": [str(name) for name in images.classes],
        "shape": list(shape),
    }
    trainer = _trainer(settings, model, nn.cross_entropy, examples, [], details, options)
    return Task(settings, trainer, images, fraction)


def _images(dataset: str, path: Path | None) -> data.ImageData:
    if dataset == "digits":
        return data.digits()
    return (data.mnist if dataset == "mnist" else data.fashion)(path)


def _text_task(settings: Settings, path: Path | None, options: dict[str, Any]) -> Task:
    text = data.text(path)
    cell = models.known(settings.model, models.TEXT_MODELS, "text")
    model = models.CharacterModel(len(text.vocabulary), cell, seed=settings.seed)
    train = text.sequences("train", settings.batch_size, _WINDOW, seed=settings.seed)
    streams = max(1, settings.batch_size // _LONGER)
    validation = text.sequences("validation", streams, _LONGER * _WINDOW)
    details = {"settings": asdict(settings), "vocabulary": "".join(text.vocabulary)}
    callbacks = [ClipNorm(_CLIP)]
    loss = models.next_character_loss
    steps = len(train) * settings.batch_size
    trainer = _trainer(settings, model, loss, steps, callbacks, details, options)
    return Task(settings, trainer, train, validation, text)


def _trainer(
    settings: Settings,
    model: Any,
    loss: Any,
    examples: int,
    callbacks: list[Any],
    details: dict[str, Any],
    options: dict[str, Any],
) -> Trainer:
    steps = settings.epochs * -(-examples // settings.batch_size)
    schedule = LearningRateSchedule(schedules.OneCycle(settings.lr, max(steps, 2)))
    return Trainer(
        model,
        loss,
        optim.AdamW(model, lr=settings.lr, weight_decay=_DECAY[settings.dataset]),
        callbacks=[schedule, *callbacks],
        engine=settings.engine,
        seed=settings.seed,
        batch_size=settings.batch_size,
        details=details,
        **options,
    )


def recorded_settings(config: dict[str, Any]) -> Settings:
    """The settings in a run's configuration; what is not plain numbers and words is refused."""
    recorded = config.get("details", {}).get("settings")
    types = {"epochs": int, "batch_size": int, "lr": float, "seed": int, "engine": str | None}
    if (
        not isinstance(recorded, dict)
        or recorded.keys() != {field.name for field in fields(Settings)}
        or recorded["dataset"] not in DEFAULTS
        or not all(isinstance(recorded[name], kind) for name, kind in types.items())
    ):
        raise RunError(
            message(
                "config.json does not hold the settings of a run of 'boxgrad train'",
                "the run was made in Python, or the file was changed",
                "bg.Trainer.resume(folder).fit(), with the data of the run",
            )
        )
    return Settings(**recorded)

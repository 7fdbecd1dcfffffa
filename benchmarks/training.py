"""The recipes of ``boxgrad train``, run by boxgrad and by PyTorch: what is reached, and in what time.

Both get the same initial weights, the same batches in the same order, the same optimiser, schedule and limit
of the gradient, and are measured on the same data after the same number of epochs. Only dropout draws from
other streams. The time is that of the epochs, validation and the compilation of the first step included.

    python benchmarks/training.py digits [--seeds 5]
    python benchmarks/training.py mnist --data FOLDER [--seeds 3] [--against torch]
    python benchmarks/training.py text --data FILE [--against torch] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boxgrad.engines.native.pool import num_threads
from boxgrad.optim.schedules import OneCycle
from boxgrad.train import tasks
from boxgrad.train.callbacks import ClipNorm
from boxgrad.train.sources import evaluation_batches, sources


@dataclass(frozen=True)
class Outcome:
    """What one run reached: the last row of its history, and what its epochs took."""

    library: str
    seed: int
    measured: dict[str, float]
    seconds: float
    seconds_of_epochs: list[float]

    def __str__(self) -> str:
        reached = "  ".join(f"{name} {value:.4f}" for name, value in self.measured.items())
        epochs = " ".join(f"{seconds:.1f}" for seconds in self.seconds_of_epochs)
        return f"{self.library:<8} seed {self.seed}  {reached}  {self.seconds:7.1f} s  (epochs {epochs})"


def by_boxgrad(settings: tasks.Settings, path: Path | None) -> Outcome:
    """The run as ``boxgrad train`` makes it, without a folder."""
    history = tasks.task(settings, path, verbosity="silent").fit()
    measured = history.test or history.row
    kept = {name: v for name, v in measured.items() if name in ("test_accuracy", "test_loss", "val_loss")}
    return Outcome("boxgrad", settings.seed, kept, sum(history["seconds"]), history["seconds"])


def by_torch(settings: tasks.Settings, path: Path | None) -> Outcome:
    """The same recipe as PyTorch's tutorials write it."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(num_threads())
    torch.manual_seed(settings.seed)
    task = tasks.task(settings, path, verbosity="silent")
    ours = task.trainer
    parts = sources(task.train, task.validation, None, settings.batch_size, settings.seed, settings.seed)
    model = _character_model(torch, ours.model) if task.text else _cnn(torch, ours.model)
    state = {name: torch.tensor(np.asarray(value)) for name, value in ours.model.state_dict().items()}
    model.load_state_dict(state, strict=False)
    decay = ours.optimizer.weight_decay
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=decay)
    schedule = OneCycle(settings.lr, settings.epochs * len(parts.train))
    clips = [callback.maximum for callback in ours.callbacks if isinstance(callback, ClipNorm)]

    def loss_of(x: Any, y: Any) -> tuple[Any, Any]:
        scores, targets = model(torch.from_numpy(x)), torch.from_numpy(y)
        flat = scores.reshape(-1, scores.shape[-1]) if task.text else scores
        return torch.nn.functional.cross_entropy(flat, targets.reshape(-1)), (
            flat.argmax(1) == targets.reshape(-1)
        )

    def evaluate(part: Any) -> tuple[float, float]:
        model.eval()
        losses = right = count = 0.0
        with torch.no_grad():
            for x, y in evaluation_batches(part, settings.batch_size):
                loss, hits = loss_of(x, y)
                losses, right = losses + float(loss) * y.size, right + float(hits.sum())
                count += y.size
        model.train()
        return losses / count, right / count

    step, taken, validated = 0, [], (0.0, 0.0)
    for _ in range(settings.epochs):
        begun = time.perf_counter()
        for x, y in parts.train:
            for group in optimizer.param_groups:
                group["lr"] = schedule(step)
            optimizer.zero_grad()
            loss, _ = loss_of(np.ascontiguousarray(x), np.ascontiguousarray(y))
            loss.backward()
            for maximum in clips:
                torch.nn.utils.clip_grad_norm_(model.parameters(), maximum)
            optimizer.step()
            step += 1
        validated = evaluate(parts.validation)
        taken.append(round(time.perf_counter() - begun, 3))
    if task.text:
        measured = {"val_loss": validated[0]}
    else:
        loss, accuracy = evaluate(parts.test)
        measured = {"test_loss": loss, "test_accuracy": accuracy}
    return Outcome("torch", settings.seed, measured, sum(taken), taken)


def _cnn(torch: Any, ours: Any) -> Any:
    """boxgrad's Sequential, layer by layer, of PyTorch's layers with the same names and sizes."""

    def layers() -> Iterator[Any]:
        for layer in ours:
            kind = getattr(torch.nn, type(layer).__name__)
            if kind is torch.nn.Conv2d:
                outputs, inputs, *kernel = layer.weight.shape
                yield kind(inputs, outputs, kernel, padding=layer.padding)
            elif kind is torch.nn.Linear:
                yield kind(*reversed(layer.weight.shape))
            elif kind is torch.nn.BatchNorm2d:
                yield kind(len(layer.weight))
            elif kind is torch.nn.MaxPool2d:
                yield kind(layer.kernel_size)
            elif kind is torch.nn.Dropout:
                yield kind(layer.p)
            else:
                yield kind()

    return torch.nn.Sequential(*layers())


def _character_model(torch: Any, ours: Any) -> Any:
    characters, width = ours.embedding.weight.shape
    hidden = ours.head.weight.shape[1]

    class CharacterModel(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(characters, width)
            self.recurrent = torch.nn.LSTM(width, hidden)
            self.head = torch.nn.Linear(hidden, characters)

        def forward(self, x: Any) -> Any:
            return self.head(self.recurrent(self.embedding(x))[0])

    return CharacterModel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", choices=list(tasks.DEFAULTS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0 on")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--against", choices=["torch"], help="run it by PyTorch too")
    parser.add_argument("--only", action="store_true", help="by PyTorch alone")
    parser.add_argument("--engine")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    runs = [] if given.only else [by_boxgrad]
    runs += [by_torch] if given.against else []
    outcomes: list[Outcome] = []
    for seed in range(given.first, given.first + given.seeds):
        settings = tasks.settings(
            given.dataset, seed=seed, engine=given.engine, epochs=given.epochs,
            batch_size=given.batch_size, lr=given.lr,
        )  # fmt: skip
        for run in runs:
            outcomes.append(run(settings, given.data))
            print(outcomes[-1], flush=True)
    for library in dict.fromkeys(outcome.library for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.library == library]
        for name in own[0].measured:
            values = [outcome.measured[name] for outcome in own]
            worst = min(values) if name.endswith("accuracy") else max(values)
            print(f"{library:<8} {name} mean {np.mean(values):.4f}, worst {worst:.4f} of {len(values)} seeds")
        seconds = [outcome.seconds for outcome in own]
        print(f"{library:<8} seconds median {np.median(seconds):.1f}, worst {max(seconds):.1f}")
    if given.json:
        given.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")


if __name__ == "__main__":
    main()

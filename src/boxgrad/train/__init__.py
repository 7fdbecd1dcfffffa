"""Training: the Trainer, callbacks, metrics, checkpoints and run folders.

Knows models only as things that are called and differentiated; the core does the work.
"""

from boxgrad.train.callbacks import (
    Checkpoint,
    ClipNorm,
    ClipValue,
    EarlyStopping,
    Freeze,
    LearningRateSchedule,
    Logger,
)
from boxgrad.train.checkpoint import DamagedCheckpoint
from boxgrad.train.files import RunError
from boxgrad.train.history import History
from boxgrad.train.metrics import accuracy, binary_accuracy, mean_absolute_error
from boxgrad.train.sampling import sample
from boxgrad.train.trainer import Trainer

__all__ = [
    "Checkpoint",
    "ClipNorm",
    "ClipValue",
    "DamagedCheckpoint",
    "EarlyStopping",
    "Freeze",
    "History",
    "LearningRateSchedule",
    "Logger",
    "RunError",
    "Trainer",
    "accuracy",
    "binary_accuracy",
    "mean_absolute_error",
    "sample",
]

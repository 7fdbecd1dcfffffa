"""A run that the tests of interruption start, stop and take up again: ``long_run.py FOLDER``."""

import sys
import time

import numpy as np
from problems import clouds

from boxgrad import nn, optim
from boxgrad.optim import schedules
from boxgrad.train import Checkpoint, ClipNorm, EarlyStopping, LearningRateSchedule, Trainer


class Say:
    """Tells the parent that steps are being taken, and takes its time over them."""

    def on_fit_start(self, trainer):
        print("started", flush=True)

    def on_step_end(self, trainer):
        time.sleep(float(sys.argv[2]))


def main():
    layers = (nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    model = nn.Sequential(*layers).initialise(0)
    trainer = Trainer(
        model,
        nn.cross_entropy,
        optim.Adam(model, lr=0.01),
        callbacks=[
            LearningRateSchedule(schedules.OneCycle(0.02, steps=100)),
            ClipNorm(1.0),
            EarlyStopping(patience=50),
            Checkpoint(steps=2, seconds=None),
            Say(),
        ],
        out=sys.argv[1],
        batch_size=8,
        verbosity="lines",
    )
    history = trainer.fit(clouds(100), 0.2, epochs=10, test=clouds(50, seed=1), resume=True)
    assert history.interrupted or np.isfinite(history["val_loss"]).all()


if __name__ == "__main__":
    main()

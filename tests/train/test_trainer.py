import json

import numpy as np
import pytest
from problems import clouds, trainer, weights, without_seconds
from safetensors import safe_open

import boxgrad as bg
from boxgrad import nn, optim
from boxgrad.errors import ShapeError
from boxgrad.optim import schedules
from boxgrad.train import (
    Checkpoint,
    ClipNorm,
    ClipValue,
    DamagedCheckpoint,
    EarlyStopping,
    Freeze,
    LearningRateSchedule,
    Logger,
    RunError,
    Trainer,
)


def test_it_learns_and_records():
    run = trainer(metrics=["accuracy", "perplexity"])
    history = run.fit(clouds(), validation=0.2, epochs=8)
    assert history.columns == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "train_perplexity",
        "val_loss",
        "val_accuracy",
        "val_perplexity",
        "learning_rate",
        "seconds",
    ]
    assert history["epoch"] == list(range(1, 9))
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history["val_accuracy"][-1] > 0.8
    assert history["val_perplexity"][-1] == pytest.approx(np.exp(history["val_loss"][-1]))
    assert run.step == 8 * 3  # 72 examples in batches of 32: the last is smaller


def test_a_step_is_the_step_of_the_textbook():
    x, y = clouds(32)
    run = trainer(kind=optim.SGD, lr=0.5, metrics=())
    before = {name: array.copy() for name, array in run.model.state_dict().items()}
    loss = run.fit((x, y), epochs=1)["train_loss"][0]
    scores = x.astype(np.float64) @ before["weight"].T + before["bias"]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.mean(np.log(shares[np.arange(32), y])), rel=1e-5)
    error = (shares - np.eye(3)[y]) / 32
    np.testing.assert_allclose(run.model.weight, before["weight"] - 0.5 * error.T @ x, rtol=1e-4)
    np.testing.assert_allclose(run.model.bias, before["bias"] - 0.5 * error.sum(axis=0), rtol=1e-4)


def test_the_same_seed_gives_the_same_bits():
    first, second, other = trainer(seed=3), trainer(seed=3), trainer(seed=4)
    rows = [run.fit(clouds(), 0.2, epochs=3).rows for run in (first, second, other)]
    assert without_seconds(rows[0]) == without_seconds(rows[1])
    assert weights(first.model) == weights(second.model)
    assert weights(first.model) != weights(other.model)


def test_evaluation_and_prediction_are_in_evaluation_mode_and_leave_it():
    model = nn.Sequential(nn.Linear(2, 3, seed=0), nn.Dropout(0.9, seed=0))
    run = trainer(model=model)
    model.train()
    x, y = clouds()
    assert run.evaluate((x, y)) == run.evaluate((x, y))
    outputs = run.predict(x)
    np.testing.assert_allclose(outputs, model.eval()(x), rtol=1e-5, atol=1e-6)
    assert run.evaluate((x, y))["accuracy"] == pytest.approx(np.mean(outputs.argmax(1) == y))
    model.train()
    model[1].eval()
    run.predict(x)
    assert (model[0].training, model[1].training) == (True, False)


def test_a_second_fit_goes_on():
    run = trainer()
    run.fit(clouds(), epochs=2)
    history = run.fit(clouds(), epochs=3)
    assert history["epoch"] == [1, 2, 3, 4, 5]
    assert run.step == 15


def test_functions_are_metrics_and_losses():
    def mean_margin(outputs, targets):
        return np.mean(np.max(outputs, axis=1) - np.min(outputs, axis=1))

    model = nn.Linear(2, 3, seed=0)
    run = Trainer(
        model,
        lambda outputs, targets: nn.cross_entropy(outputs, targets, label_smoothing=0.1),
        optim.SGD(model, lr=0.1),
        metrics=[mean_margin],
        verbosity="silent",
    )
    assert run.fit(clouds())["train_mean_margin"][0] > 0


def test_data_that_do_not_fit_are_refused():
    x, y = clouds()
    with pytest.raises(ShapeError, match="90 inputs and 80 targets"):
        trainer().fit((x, y[:80]))
    with pytest.raises(ShapeError, match="0 inputs"):
        trainer().fit((x[:0], y[:0]))
    with pytest.raises(ValueError, match=r"validation=0\.1"):
        trainer().fit((x, y), validation=1.5)
    with pytest.raises(Exception, match="without training data"):
        trainer().fit()


def test_data_of_other_kinds():
    x, y = clouds()
    expected = trainer().fit((x, y), epochs=2)["train_loss"]
    assert trainer().fit((x.tolist(), y.tolist()), epochs=2)["train_loss"] == pytest.approx(expected)
    assert trainer().fit(bg.data.batches((x, y), 32, seed=0), epochs=2)["train_loss"] == expected
    pairs = list(zip(x, y, strict=True))
    assert trainer().fit(pairs, validation=(x, y), epochs=2)["train_loss"] == expected
    with pytest.raises(TypeError, match="generator"):
        trainer().fit(batch for batch in [(x, y)])
    with pytest.raises(TypeError, match="only arrays"):
        trainer().fit(pairs, validation=0.1)


def test_digits_by_name_and_the_program_of_the_design(tmp_path):
    images = bg.data.digits()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10, seed=0))
    optimizer = optim.Adam(model, lr=1e-2)
    options = {"metrics": ["accuracy"], "out": tmp_path / "runs" / "digits", "verbosity": "silent"}
    run = bg.Trainer(model, loss=nn.cross_entropy, optimizer=optimizer, **options)
    history = run.fit(images.train, validation=0.1, epochs=2)
    assert run.evaluate(images.test)["accuracy"] > 0.8
    assert bg.Trainer.resume(run.out).fit().rows == history.rows  # it had been finished
    model.initialise(0)
    named = bg.Trainer(model, loss=nn.cross_entropy, optimizer=optim.Adam(model), **options)
    assert named.fit(images).test["test_accuracy"] > 0.1
    assert len(bg.Trainer.resume(named.out, verbosity="silent").fit(epochs=2)) == 2


# Callbacks -----------------------------------------------------------------------------------------


def test_a_schedule_sets_the_rate_of_every_step():
    seen = []

    class Watch:
        def on_step_end(self, run):
            seen.append(run.optimizer.lr)

    schedule = schedules.Step(0.1, size=2, factor=0.5)
    run = trainer(callbacks=[Watch(), LearningRateSchedule(schedule)])
    run.fit(clouds(), epochs=2)
    assert seen == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]


def test_early_stopping_restores_the_best_epoch():
    run = trainer(kind=optim.SGD, lr=30.0, callbacks=[EarlyStopping(patience=2)])
    kept = {}

    class Keep:
        def on_epoch_end(self, run):
            kept[run.row["epoch"]] = weights(run.model)

    run.callbacks = (Keep(), *run.callbacks)
    history = run.fit(clouds(), validation=0.3, epochs=50)
    assert "val_loss has not improved" in history.stopped
    best = history.best("val_loss")["epoch"]
    assert len(history) == best + 2
    assert weights(run.model) == kept[best]


def test_early_stopping_on_what_is_not_measured_says_what_is():
    run = trainer(callbacks=[EarlyStopping()])
    with pytest.raises(ValueError, match="train_loss"):
        run.fit(clouds())


@pytest.mark.parametrize("kind", [optim.SGD, optim.AdamW])
def test_frozen_parameters_do_not_move_until_they_thaw(kind):
    model = nn.Sequential(nn.Linear(2, 4, seed=0), nn.Tanh(), nn.Linear(4, 3, seed=1))
    before, seen = weights(model), []

    class Watch:
        def on_epoch_end(self, run):
            seen.append({n for n, b in weights(run.model).items() if b != before[n]})

    run = trainer(model=model, kind=kind, callbacks=[Freeze("0", epochs=2), Watch()])
    run.fit(clouds(), epochs=3)
    assert seen[0] == seen[1] == {"2.weight", "2.bias"}
    assert seen[2] == set(before)


def test_freezing_nothing_is_an_error():
    with pytest.raises(ValueError, match="the model has: weight, bias"):
        trainer(callbacks=[Freeze("head.*")]).fit(clouds())


def test_clipping_bounds_the_step():
    def change(*callbacks):
        run = trainer(kind=optim.SGD, lr=1.0, callbacks=callbacks)
        before = run.model.state_dict()
        run.fit(clouds(32), epochs=1)
        return [run.model.state_dict()[name] - before[name] for name in before]

    free = np.sqrt(sum(np.sum(np.square(part)) for part in change()))
    clipped = np.sqrt(sum(np.sum(np.square(part)) for part in change(ClipNorm(0.01))))
    assert free > 0.1
    assert clipped == pytest.approx(0.01, rel=1e-3)
    largest = max(np.abs(part).max() for part in change(ClipValue(0.001)))
    assert largest == pytest.approx(0.001, rel=1e-3)


def test_loggers_write_csv_and_json(tmp_path):
    callbacks = [Logger(tmp_path / "log" / "a.csv"), Logger(tmp_path / "a.jsonl")]
    history = trainer(callbacks=callbacks).fit(clouds(), epochs=2, test=clouds(30, seed=1))
    lines = (tmp_path / "log" / "a.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,train_loss,train_accuracy,learning_rate,seconds")
    assert len(lines) == 3
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows == history.rows


def test_hooks_are_called_in_order_and_typing_errors_are_found():
    calls = []

    class Watch:
        def on_fit_start(self, run):
            calls.append("fit")

        def on_epoch_start(self, run):
            calls.append("epoch")

        def on_step_end(self, run):
            assert np.isfinite(run.loss_value)
            calls.append("step")

        def on_epoch_end(self, run):
            run.row["extra"] = 1
            calls.append("end")

        def on_fit_end(self, run):
            calls.append("done")

    history = trainer(callbacks=[Watch()]).fit(clouds(), epochs=2)
    assert calls == ["fit", *["epoch", "step", "step", "step", "end"] * 2, "done"]
    assert history["extra"] == [1, 1]

    class Typo:
        def on_epoch_ends(self, run):
            raise AssertionError

    with pytest.raises(ValueError, match="on_epoch_ends is not a hook"):
        trainer(callbacks=[Typo()])
    with pytest.raises(TypeError, match=r"Logger\(\.\.\.\)"):
        trainer(callbacks=[Logger])


# The run folder ------------------------------------------------------------------------------------


def test_the_files_of_a_run(tmp_path):
    out = tmp_path / "runs" / "clouds"
    run = trainer(out)
    history = run.fit(clouds(), validation=0.2, epochs=2, test=clouds(40, seed=1))
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoints",
        "config.json",
        "confusion.png",
        "curves.png",
        "metrics.jsonl",
        "model.safetensors",
    ]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows == history.to_rows()
    assert {"epoch", "train_loss", "val_loss", "val_accuracy", "seconds"} <= rows[0].keys()
    assert rows[-1]["test_accuracy"] == run.evaluate(clouds(40, seed=1))["accuracy"]
    config = json.loads((out / "config.json").read_text())
    assert config["training"]["validation"] == 0.2
    assert config["training"]["parameters"] == 9
    with safe_open(out / "model.safetensors", framework="np") as file:
        assert sorted(file.keys()) == ["bias", "weight"]
        np.testing.assert_array_equal(file.get_tensor("weight"), run.model.weight)
        assert json.loads(file.metadata()["config"]) == config


def test_images_give_a_sheet_of_misclassified_ones(tmp_path):
    x, y = clouds(60)
    images = np.repeat(x, 32, axis=1).reshape(60, 1, 8, 8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, seed=0))
    trainer(tmp_path / "run", model=model).fit((images, y), validation=0.5)
    assert (tmp_path / "run" / "misclassified.png").exists()


def test_a_folder_with_a_run_is_not_written_over(tmp_path):
    first = trainer(tmp_path / "run")
    first.fit(clouds())
    content = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    second = trainer(tmp_path / "run")
    second.fit(clouds(), epochs=2)
    assert second.out == tmp_path / "run-2"
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == content
    first.fit(clouds())  # its own run goes on where it is
    assert first.out == tmp_path / "run"
    assert len(first.history) == 2


def test_resume_builds_everything_from_the_folder(tmp_path):
    callbacks = [LearningRateSchedule(schedules.Cosine(0.05, steps=20)), ClipNorm(1.0)]

    def model():
        layers = (nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        return nn.Sequential(*layers).initialise(5)

    whole = trainer(model=model(), callbacks=callbacks)
    whole.fit(clouds(), 0.2, epochs=6)
    trainer(tmp_path, model=model(), callbacks=callbacks).fit(clouds(), 0.2, epochs=3)
    again = Trainer.resume(tmp_path, verbosity="silent")
    assert again.epoch == 3
    history = again.fit(clouds(), epochs=6)  # the share for validation is known from the folder
    assert without_seconds(history.rows) == without_seconds(whole.history.rows)
    assert weights(again.model) == weights(whole.model)


def test_a_finished_run_has_nothing_to_do(tmp_path):
    trainer(tmp_path).fit(clouds(), epochs=2)
    history = Trainer.resume(tmp_path, verbosity="silent").fit()
    assert len(history) == 2


def test_resume_refuses_other_data_and_other_models(tmp_path):
    trainer(tmp_path).fit(clouds(), epochs=1)
    with pytest.raises(RunError, match="are not those that the run began with"):
        Trainer.resume(tmp_path).fit(clouds(seed=9), epochs=2)
    other = trainer(tmp_path, model=nn.Sequential(nn.Linear(2, 3)))
    with pytest.raises(RunError, match="the model is not the one"):
        other.fit(clouds(), epochs=2, resume=True)
    with pytest.raises(RunError, match="1 callbacks, now there are 2"):
        trainer(tmp_path, callbacks=[ClipNorm(1.0)]).fit(clouds(), epochs=2, resume=True)


class Own(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(2, 3, seed=0)

    def __call__(self, x):
        return self.inner(x)


def test_a_model_of_ones_own_is_resumed_with_the_same_object(tmp_path):
    trainer(tmp_path, model=Own()).fit(clouds(), epochs=1)
    with pytest.raises(RunError, match=r"the model of this run cannot be built .*\n.*\n.*Own"):
        Trainer.resume(tmp_path)
    assert Trainer.resume(tmp_path, model=Own(), verbosity="silent").epoch == 1
    run = trainer(tmp_path, model=Own())
    run.fit(clouds(), epochs=2, resume=True)
    whole = trainer(model=Own())
    whole.fit(clouds(), epochs=2)
    assert weights(run.model) == weights(whole.model)


def test_resume_of_nothing(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        Trainer.resume(tmp_path / "absent")
    run = trainer(tmp_path / "new")
    assert len(run.fit(clouds(), resume=True)) == 1  # nothing there yet: it begins


def test_checkpoints_in_the_midst_of_an_epoch(tmp_path):
    saved = []

    class Watch:
        def on_step_end(self, run):
            saved.append(run.folder.checkpoints.numbers()[-1])

    run = trainer(tmp_path, callbacks=[Checkpoint(steps=2, seconds=None, keep=3), Watch()])
    run.fit(clouds(), epochs=2)
    assert saved == [1, 1, 2, 3, 4, 4]  # hooks that save come after the others
    assert len(run.folder.checkpoints.numbers()) == 3


def test_a_damaged_checkpoint_falls_back_and_ends_with_the_same_bits(tmp_path):
    whole, run = trainer(), trainer(tmp_path)
    whole.fit(clouds(), epochs=4)
    run.fit(clouds(), epochs=2)
    newest = sorted((tmp_path / "checkpoints").glob("*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.warns(DamagedCheckpoint, match="falling back to the one before it"):
        again = Trainer.resume(tmp_path, verbosity="silent")
    again.fit(clouds(), epochs=4)
    assert weights(again.model) == weights(whole.model)


def test_it_is_quiet_when_it_should_be(tmp_path, capsys):
    trainer(tmp_path, verbosity="silent").fit(clouds(), epochs=2)
    assert capsys.readouterr() == ("", "")
    trainer(verbosity="auto").fit(clouds(), epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]

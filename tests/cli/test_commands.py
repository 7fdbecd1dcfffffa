"""The commands from outside: their help, their output, their errors and exit codes."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from boxgrad import data
from boxgrad.cli import app

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 400


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "digits"
    result = call("train", "digits", "--model", "mlp", "--epochs", "12", "--out", out)
    assert result.exit_code == 0, result.output
    return out, result.output


@pytest.fixture(scope="module")
def text_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "fox.txt").write_text(TEXT)
    options = ("--model", "rnn", "--epochs", "6", "--batch-size", "8", "--lr", "0.01")
    result = call("train", "text", "--data", folder / "fox.txt", *options, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", result.output


def test_version_and_help():
    assert call("--version").output == "boxgrad 0.1.0\n"
    text = call("--help").output
    assert all(name in text for name in ("train", "predict", "sample"))
    for command, example in (
        ("train", "boxgrad train mnist --data"),
        ("predict", "boxgrad predict runs/digits my-seven.png"),
        ("sample", "boxgrad sample runs/text --prompt"),
    ):
        result = call(command, "--help")
        assert result.exit_code == 0
        assert example in " ".join(result.output.split())


def test_train_on_digits(digits_run):
    out, output = digits_run
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoints",
        "config.json",
        "confusion.png",
        "curves.png",
        "metrics.jsonl",
        "misclassified.png",
        "model.safetensors",
    ]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 13
    assert rows[-1]["test_accuracy"] > 0.93
    lines = output.splitlines()
    assert [line[:5] for line in lines[:12]] == ["epoch"] * 12
    assert "\x1b" not in output
    assert f"test accuracy {100 * rows[-1]['test_accuracy']:.2f} %" in output
    assert f"boxgrad predict {out}" in output


def test_a_second_run_takes_a_fresh_name_and_says_so(digits_run):
    out, _ = digits_run
    result = call("train", "digits", "--model", "mlp", "--epochs", 1, "--out", out)
    assert result.exit_code == 0
    assert f"{out} already holds a run; this one goes to {out}-2" in result.output
    assert (out.with_name("digits-2") / "model.safetensors").exists()


def test_resume_for_more_epochs(tmp_path):
    options = ("train", "digits", "--model", "mlp", "--out", tmp_path / "run")
    assert call(*options, "--epochs", 2, "--verbosity", "silent").output == ""
    result = call(*options, "--epochs", 3, "--resume")
    assert result.exit_code == 0, result.output
    assert "epoch 3/3" in result.output
    assert "epoch 2/3" not in result.output
    again = call("train", "digits", "--resume", "--out", tmp_path / "run")
    assert again.exit_code == 0
    assert "epochs  3" in again.output


def test_resume_refuses_what_would_change_the_run(digits_run):
    out, _ = digits_run
    result = call("train", "digits", "--resume", "--out", out, "--lr", "0.5")
    assert result.exit_code == 2
    assert "instead: leave --lr away" in result.output
    result = call("train", "mnist", "--resume", "--out", out)
    assert result.exit_code == 2
    assert "holds a run on digits, not on mnist" in result.output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_and_resumed_by_command(tmp_path, digits_run, number):
    out = tmp_path / "run"
    arguments = ("train", "digits", "--model", "mlp", "--epochs", "12", "--out", str(out))
    command = [sys.executable, "-c", "from boxgrad.cli import main; main()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(number)
        rest = process.stdout.read()
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 130
        assert f"go on with: boxgrad train digits --resume --out {out}" in rest
    assert not (out / "confusion.png").exists()
    assert call("train", "digits", "--resume", "--out", out).exit_code == 0
    weights = [(path / "model.safetensors").read_bytes() for path in (out, digits_run[0])]
    assert weights[0] == weights[1]


def test_predict_a_picture(digits_run, tmp_path):
    out, _ = digits_run
    (images, labels), _ = data.digits().test, None
    image = images[7, 0]
    light_on_dark = Image.fromarray((255 * image).astype(np.uint8)).resize((80, 80), Image.Resampling.NEAREST)
    light_on_dark.save(tmp_path / "light.png")
    dark_on_light = Image.fromarray(255 - np.asarray(light_on_dark)).convert("RGBA")
    dark_on_light.save(tmp_path / "dark.png")
    np.save(tmp_path / "one.npy", image)
    expected = str(labels[7])
    outputs = []
    for name in ("light.png", "dark.png", "one.npy"):
        result = call("predict", out, tmp_path / name)
        assert result.exit_code == 0, result.output
        lines = [line for line in result.output.splitlines() if "%" in line]
        assert len(lines) == 10
        assert lines[0].split()[0] == expected
        outputs.append(lines[0])
    assert outputs[0] == outputs[1]
    np.save(tmp_path / "many.npy", images[:3])
    assert call("predict", out, tmp_path / "many.npy").output.count("\n\n") == 2


def test_predict_says_what_is_wrong_with_the_input(digits_run, tmp_path):
    out, _ = digits_run
    (tmp_path / "note.png").write_text("not a picture")
    np.save(tmp_path / "shape.npy", np.zeros((5, 7)))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for name, words in (
        ("absent.png", "there is no file"),
        ("note.png", "is not a picture that can be read"),
        ("shape.npy", "the array has shape (5, 7)"),
        ("objects.npy", "allow_pickle=False"),
    ):
        result = call("predict", out, tmp_path / name)
        assert result.exit_code == 2
        assert words in " ".join(result.output.split())
        assert "Traceback" not in result.output


def test_train_on_text_and_sample(text_run):
    out, output = text_run
    assert "sample  " in output
    samples = (out / "samples.txt").read_text()
    assert samples.count("temperature") == 3
    assert "fox" in samples
    drawn = call("sample", out, "--prompt", "the quick", "--length", 60, "--temperature", 0).output
    assert drawn.startswith("the quick brown fox")
    assert len(drawn) == len("the quick") + 60 + 1
    wild = [call("sample", out, "--temperature", 9, "--seed", seed).output for seed in (1, 1, 2)]
    assert wild[0] == wild[1] != wild[2]
    assert call("predict", out, "over the").output.startswith("over the lazy dog")


def test_sampling_errors(text_run, digits_run):
    out, _ = text_run
    for arguments, words in (
        ((out, "--prompt", "Ünbekannt"), "has never seen"),
        ((out, "--temperature", "-1"), "temperature -1"),
        ((digits_run[0],), "is not a run on text"),
        ((out / "absent",), "holds no run"),
    ):
        result = call("sample", *arguments)
        assert result.exit_code == 2
        assert words in result.output
        assert "instead:" in result.output
        assert "where:" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cats",), "'cats' is not one of"),
        (("digits", "--model", "lstm"), "there is no model 'lstm' for images"),
        (("digits", "--epochs", "0"), "epochs is 0"),
        (("digits", "--lr", "-1"), "lr is -1"),
        (("digits", "--batch-size", "x"), "integer"),
        (("digits", "--engine", "steam"), "steam"),
        (("mnist", "--data", "no/such/folder"), "does not hold mnist"),
        (("text", "--data", "no/such/file.txt"), "cannot be read"),
    ],
)
def test_wrong_options_give_a_message_and_exit_code_2(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("train", *arguments)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_is_not_trusted(digits_run, tmp_path):
    config = json.loads((digits_run[0] / "config.json").read_text())
    config["model"] = {"structure": {"object": "os.system", "attributes": {}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").symlink_to(digits_run[0] / "model.safetensors")
    result = call("predict", tmp_path, "x.png")
    assert result.exit_code == 2
    assert "'os.system', which is no public" in result.output
    config["details"]["settings"]["seed"] = "../../x"
    (tmp_path / "config.json").write_text(json.dumps(config))
    result = call("train", "digits", "--resume", "--out", tmp_path)
    assert result.exit_code == 2
    assert "does not hold the settings" in result.output

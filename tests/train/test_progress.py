import io

import pytest

from boxgrad.train.progress import Bar, Lines, Silent, progress

ROW = {"epoch": 1, "train_loss": 0.25, "val_accuracy": 0.5, "seconds": 1.25}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drive(shown):
    with shown:
        shown.start(1, 2, 0, 3)
        for _ in range(3):
            shown.advance(32, {"loss": 0.25, "accuracy": 0.5} if shown.due() else None)
        shown.finish(ROW, 2)
        shown.say("stopped")


def test_pipes_get_a_line_an_epoch_and_nothing_else():
    stream = io.StringIO()
    drive(progress("auto", stream))
    assert stream.getvalue() == ("epoch 1/2  train loss 0.2500  val accuracy 50.00 %  1.2 s\nstopped\n")


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    drive(progress("auto", stream))
    text = stream.getvalue()
    assert "epoch 1/2" in text
    assert "1/3" in text
    assert "accuracy 50.00 %" in text
    assert "left" in text
    assert "/s" in text
    assert "stopped\n" in text
    assert "train loss 0.2500" in text
    assert "\x1b[?25h" in text  # the cursor is shown again


def test_verbosities():
    assert isinstance(progress("silent"), Silent)
    assert isinstance(progress("lines"), Lines)
    bar = progress("bar", io.StringIO())
    bar.close()
    assert isinstance(bar, Bar)
    with pytest.raises(ValueError, match="'auto', 'bar', 'lines' or 'silent'"):
        progress("loud")


def test_silence(capsys):
    drive(Silent())
    assert capsys.readouterr() == ("", "")

import pytest

from boxgrad.train.history import History, show


def rows():
    return [
        {"epoch": 1, "train_loss": 0.5, "val_accuracy": 0.75, "seconds": 1.0},
        {"epoch": 2, "train_loss": None, "val_accuracy": 0.5, "seconds": 2.0},
    ]


def test_columns_and_rows():
    history = History(rows(), test={"epoch": 2, "test_accuracy": 0.5})
    assert history["val_accuracy"] == [0.75, 0.5]
    assert history.columns == ["epoch", "train_loss", "val_accuracy", "seconds"]
    assert "train_loss" in history
    assert len(history) == 2
    assert history.to_rows()[-1] == {"epoch": 2, "test_accuracy": 0.5}
    assert [row["epoch"] for row in history] == [1, 2]


def test_best_knows_which_way_is_up():
    assert History(rows()).best("val_accuracy")["epoch"] == 1
    assert History(rows()).best("train_loss")["epoch"] == 1


def test_it_prints_as_a_table():
    assert repr(History(rows())).splitlines() == [
        "epoch  train_loss  val_accuracy  seconds",
        "    1      0.5000       75.00 %    1.0 s",
        "    2  not finite       50.00 %    2.0 s",
    ]
    assert repr(History()) == "History of no epochs"


def test_an_unknown_column_names_the_known_ones():
    with pytest.raises(KeyError, match="train_loss"):
        History(rows())["loss"]


def test_small_and_large_numbers_stay_readable():
    assert [show("loss", value) for value in (0.0, 1e-7, 12345.0)] == ["0.0000", "1.00e-07", "1.23e+04"]

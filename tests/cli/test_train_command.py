"""`splinegraph train`, as a user meets it."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from splinegraph.cli import train_progress, train_work
from splinegraph.cli.train import train
from splinegraph.cli.train_table import render
from splinegraph.errors import SplineGraphError
from splinegraph.training.engine.trainer import Trainer
from splinegraph.training.experiments.findings import Findings, Key, Trial
from tests.cli.conftest import Run

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(36, 3))
    def forward(self, x):
        return self.layers(x)
"""

SHORT = ("--labels", "6", "--steps", "4", "--unlabelled-batch", "8", "--probe", "0", "--no-figures")


@pytest.fixture
def run(splinegraph: Run) -> Run:
    Path("own.py").write_text(NET)
    random = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = random.normal(size=(120, 1, 5, 5)).astype(np.float32) + y[:, None, None, None]
    np.savez("clouds.npz", x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])

    def train(*arguments: object) -> Any:
        return splinegraph("train", *arguments)

    return train


def own(run: Run, *more: object) -> Any:
    return run("--model", "own.py:Net", "--data", "clouds.npz", "--normalisation", "none", *SHORT, *more)


def test_a_model_of_ones_own_and_its_baseline(run: Run) -> None:
    result = own(run, "--draws", 2, "--out", "out")
    assert result.exit_code == 0, result.output
    for text in ("balanced", "supervised", "points beside the labels alone", "2 draws, paired", "90 samples"):
        assert text in " ".join(result.stdout.split())
    assert {path.name for path in Path("out").iterdir()} == {"own", "request.json", "report.json"}
    assert {path.name for path in Path("out/own/6-labels").iterdir()} == {"balanced", "supervised"}
    told = json.loads(Path("out/report.json").read_text())
    assert (told["format"], told["complete"], told["planned"]) == (train_work.FORMAT, True, 4)
    assert [arm["way"] for arm in told["arms"]] == ["balanced", "supervised"]
    means = [arm["accuracy"]["mean"] for arm in told["arms"]]
    assert told["arms"][0]["gain"]["mean"] == pytest.approx(means[0] - means[1])
    trial = json.loads(Path("out/own/6-labels/balanced/1/report.json").read_text())
    assert told["trials"][2]["accuracy"] == trial["accuracy"]
    assert (trial["settings"]["draw"], trial["steps"], trial["data"]["labelled"]) == (1, 4, 6)


def test_weights_and_settings_reach_the_objective(run: Run) -> None:
    result = own(
        run, "--alpha", 0.6, "--beta", 1, "--gamma", 0.5, "--gamma", "conv2d=2", "--objective", "balance=0.3",
        "--objective", "reduction=sum", "--learning-rate", 0.01, "--average", 0.9, "--no-baseline", "--seed", 7,
        "--json", "-",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [arm["way"] for arm in told["arms"]] == ["balanced"]
    assert told["arms"][0]["gain"] is None
    objective = told["request"]
    assert objective["gamma"] == {"input": 0.5, "conv2d": 2.0}
    assert objective["objective"] == {"balance": 0.3, "reduction": "sum"}
    assert (objective["alpha"], objective["seed"]) == (0.6, 7)


def interrupting(trial: int, step: int, number: int = signal.SIGINT) -> Callable[..., Any]:
    """Return what takes the place of `Shown.begun`, and sends Ctrl-C, or another signal, at one step of one trial."""
    begun = train_progress.Shown.begun
    count = 0

    def hear(self: train_progress.Shown, *of: Any) -> Callable[[Any], None]:
        nonlocal count
        count += 1
        mine, inner = count, begun(self, *of)

        def heard(now: Any) -> None:
            inner(now)
            if (mine, now.step) == (trial, step):
                signal.raise_signal(number)
                if number == signal.SIGTERM:  # from torchrun and from the cluster
                    signal.raise_signal(number)

        return heard

    return hear


def test_ctrl_c_keeps_what_is_there_and_resume_ends_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own(run, "--draws", 2, "--out", "whole", "--quiet").exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(train_progress.Shown, "begun", interrupting(3, 2))
        result = own(run, "--draws", 2, "--out", "out")
    assert result.exit_code == 1, result.output
    assert "2 of 4 trials are done" in result.stdout
    assert "interrupted at step 2" in result.stderr
    assert "go on with: --resume out" in result.stderr
    assert json.loads(Path("out/report.json").read_text())["complete"] is False
    result = run("--resume", "out")
    assert result.exit_code == 0, result.output
    whole, parts = (json.loads(Path(name, "report.json").read_text()) for name in ("whole", "out"))
    assert parts["trials"] == whole["trials"]
    curves = [json.loads(Path(name, "own/6-labels/balanced/1/report.json").read_text()) for name in ("whole", "out")]
    assert curves[0]["curve"] == curves[1]["curve"]


def test_sigterm_is_ctrl_c(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_progress.Shown, "begun", interrupting(2, 2, signal.SIGTERM))
    result = own(run, "--out", "out")
    assert (result.exit_code, "interrupted at step 2" in result.stderr) == (1, True), result.output
    assert json.loads(Path("out/report.json").read_text())["complete"] is False
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_trial_that_fails_is_named_and_resume_does_it_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Trainer.fit

    def fit(self: Trainer) -> Any:
        if (self.settings.preset, self.settings.draw) == ("supervised", 0):
            raise SplineGraphError("spoilt", where="step 3", remedy="lower it")
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", fit)
        result = own(run, "--draws", 2, "--out", "out", "--quiet", "--json", "report.json")
    assert result.exit_code == 1, result.output
    assert "error: own, 6 labels, supervised, draw 0 failed: spoilt at step 3; lower it" in result.stderr
    for path in ("out/report.json", "report.json"):
        told = json.loads(Path(path).read_text())
        assert (told["complete"], len(told["trials"]), told["arms"][0]["gain"]["draws"]) == (False, 3, 1)
        assert [(f["way"], f["draw"], f["why"]) for f in told["failures"]] == [
            ("supervised", 0, "spoilt at step 3; lower it")
        ]
    result = run("--resume", "out")
    assert (result.exit_code, "balanced, draw" in result.stderr) == (0, False), result.output


def test_all_settings_have_options_and_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splinegraph.training.experiments.watching.BUDGET", 0.0)  # of no interest here
    result = own(
        run, "--labels", 9, "--validation", 3, "--tune", 0.1, "--clip", "none", "--schedule", "constant",
        "--weight-decay", 0.01, "--no-channels-last", "--evaluate-every", 2, "--checkpoint-every", 3, "--track", 2,
        "--baseline-learning-rate", 0.001, "--out", "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "learning rate of the labels alone: 0.001, in place of 0.005" in result.stdout
    request = json.loads(Path("out/request.json").read_text())["request"]
    wanted = {
        "tune": 0.1, "clip": None, "schedule": "constant", "weight_decay": 0.01, "channels_last": False,
        "evaluate_every": 2, "checkpoint_every": 3,
    }  # fmt: skip
    assert wanted.items() <= request.items()
    assert (request["track"], request["baseline_learning_rate"]) == (2, 0.001)
    ours, alone = (
        json.loads(Path(f"out/own/9-labels/{way}/0/report.json").read_text()) for way in ("balanced", "supervised")
    )
    assert wanted.items() <= ours["settings"].items()
    assert (ours["settings"]["learning_rate"], alone["settings"]["learning_rate"]) == (0.005, 0.001)
    assert alone["settings"]["tune"] is None
    assert [point["step"] for point in ours["curve"]] == [2, 4]
    learned, regions = ours["callbacks"]
    assert sum(learned["weights"].values()) == pytest.approx(1, abs=0.31)  # class balance has a weight of its own
    assert [row["step"] for row in regions["history"]] == [0, 2, 4]
    assert regions["history"][1]["churn"] is not None
    changed = run("--resume", "out", "--clip", 2)
    assert (changed.exit_code, "--clip differs" in changed.stderr) == (2, True)


def test_convex_networks_reconstruct_directions_unless_told_otherwise(run: Run) -> None:
    short = ("--data", "digits", *SHORT[2:], "--labels", 10, "--steps", 1, "--no-baseline", "--out")
    for folder, more, form in (("a", (), "cosine"), ("b", ("--objective", "form=squared"), "squared")):
        warned = pytest.warns(UserWarning, match="may vanish") if more else contextlib.nullcontext()
        with warned:
            result = run("--topology", "small-cnn-mean-convex", *more, *short, folder)
        assert result.exit_code == 0, result.output
        (report,) = Path(folder).glob("small-cnn-mean-convex/*/*/0/report.json")
        assert json.loads(report.read_text())["settings"]["objective"]["form"] == form


@pytest.mark.parametrize("columns", ["80", "120"])
def test_tables_fit_the_terminal(columns: str) -> None:
    def trial(way: str, draw: int, accuracy: float) -> Trial:
        side = {"units": 39264, "dead": 1234, "patterns": 200, "lipschitz_lower": 12.345, "lipschitz_upper": 1234.5}
        report = {"before": side, "after": side, "reconstruction_error": 0.0123}
        return Trial(Key("resnet2-32-strided", 50, way), draw, accuracy, complete=True, report=report)

    ways = ("balanced", "supervised")
    found = Findings(tuple(trial(way, draw, 0.9 + draw / 10) for draw in range(2) for way in ways), 4)
    stream = io.StringIO()
    request = {"table4": True}
    render(train_work.Trained(found, (), request, {}), Console(file=stream, width=int(columns)))
    lines = stream.getvalue().splitlines()
    for whole in (
        "resnet2-32-strided      50  supervised",
        "1234  ",
        "12.3 to 1.23e+03",
        "95.00 ± 7.07",
        "Lipschitz, l2",
    ):
        assert any(whole in line for line in lines), "\n".join(lines)


def test_help_has_every_option_in_a_section(run: Run) -> None:
    text = run("--help").stdout
    names = {word.rstrip(",") for line in text.splitlines() for word in line.split()[:2]}
    assert {param.opts[0] for param in train.params} <= names
    titles = ("Network and data:", "Objective:", "Steps:", "Machine:", "Files and report:")
    assert [line for line in text.splitlines() if line in titles] == list(titles)


def test_more_draws_go_on_from_those_there_are(run: Run) -> None:
    assert own(run, "--out", "out", "--no-baseline", "--quiet").exit_code == 0
    result = run("--resume", "out", "--draws", 2, "--figures")
    assert result.exit_code == 0, result.output
    assert json.loads(Path("out/report.json").read_text())["arms"][0]["accuracy"]["draws"] == 2
    assert {path.name for path in Path("out/own/6-labels").iterdir()} == {"balanced", "accuracy.svg", "accuracy.png"}
    assert Path("out/own/6-labels/balanced/1/confusion.png").exists()
    assert not Path("out/own/6-labels/balanced/0/confusion.png").exists()
    assert "draw 0" not in result.stderr


def test_the_table_of_the_paper(run: Run) -> None:
    result = run(
        "--table4", "--topology", "small-cnn-mean", "--data", "digits", "--labels", "20", "--steps", 1, "--draws", 1,
        "--probe", 0, "--no-figures", "--out", "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for text in ("(SmallCNNmean)", "99.07", "94.9", "ours", "Sup1000", "Improved GAN 97.79"):
        assert text in result.stdout
    told = json.loads(Path("out/report.json").read_text())
    assert [(arm["labels"], arm["way"]) for arm in told["arms"]] == [(20, "paper"), (1000, "supervised")]
    trial = json.loads(Path("out/small-cnn-mean/20-labels/paper/0/report.json").read_text())
    assert trial["settings"]["objective"] == {"alpha": 0.7, "beta": 0.2}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to train: give --topology NAME"),
        (["--topology", "small-cnn-mean"], "nothing to train on: give --data digits"),
        (["--topology", "small-cnn-meen", "--data", "digits"], "did you mean small-cnn-mean"),
        (["--topology", "small-cnn-mean", "--data", "nothing.npz"], "nothing.npz"),
        (["--topology", "small-cnn-mean", "--data", "clouds.npz"], "5x5"),
        (["--model", "own.py:Net", "--topology", "small-cnn-mean", "--data", "digits"], "leave out --topology"),
        (["--model", "own.py:Net", "--data", "digits"], "8"),
        (["--model", "own.py:Nat", "--data", "clouds.npz"], "Net"),
        (["--table4", "--topology", "small-cnn-mean-convex", "--data", "digits"], "Table 4 has no"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--labels", "5"], "has no labelled example"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--labels", "100000"], "100000 labels are asked for"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--labels", "50,100000"], "100000 labels are asked for"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--labels", "some"], "no number of labels"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--alpha", "1.5"], "alpha=1.5"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--beta", "nan"], "beta=nan"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--gamma", "x=y"], "no weight of a layer"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--gamma", "nolayer=1"], "nolayer"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--objective", "balence=1"], "balance"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--preset", "balansed"], "balanced"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--device", "cuda:9"], "no device 'cuda:9'"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--epochs", "1", "--steps", "1"], "give one"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--device", "meta"], "no training on 'meta'"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--alpha", "nan", "--out", "out"], "infinite or not a"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--clip", "some"], "no norm, such as 1"),
        (["--topology", "small-cnn-mean", "--data", "digits", "--tune", "0.1"], "without validation labels"),
        (["--resume", "nowhere"], "cannot go on in nowhere"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: list[str], says: str) -> None:
    result = (
        run(*arguments, "--probe", "0", "--steps", "1")
        if not {"--steps", "--resume"} & set(arguments)
        else run(*arguments)
    )
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    last = [line for line in result.stderr.splitlines() if line]
    assert "rror" in last[-1]


def test_a_training_that_fails_at_once_leaves_its_folder_free(run: Run) -> None:
    assert own(run, "--out", "out", "--learning-rate", "1e30", "--no-baseline").exit_code == 2
    result = own(run, "--out", "out", "--no-baseline")
    assert result.exit_code == 0, result.output


def test_a_folder_holds_one_training(run: Run) -> None:
    assert own(run, "--out", "out", "--alpha", 2).exit_code == 2  # which is no training: the folder is still free
    assert own(run, "--out", "out", "--no-baseline", "--quiet").exit_code == 0
    again = own(run, "--out", "out")
    assert (again.exit_code, "go on with --resume out" in again.stderr) == (2, True)
    other = run("--resume", "out", "--alpha", 0.1)
    assert (other.exit_code, "--alpha differs" in other.stderr) == (2, True)
    Path("out/request.json").write_text("{")
    assert "is damaged" in run("--resume", "out").stderr


def test_a_warning_is_one_line_without_our_code(run: Run) -> None:
    run("--help")
    assert warnings.formatwarning("odd\nweights", UserWarning, "x.py", 1) == "splinegraph: warning: odd weights\n"
    assert "(RuntimeWarning): odd" in warnings.formatwarning("odd", RuntimeWarning, "x.py", 1)

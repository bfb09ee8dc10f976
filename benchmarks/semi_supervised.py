"""What samples without labels are worth, term by term.

    python -m benchmarks.semi_supervised [mnist] [ablation] [convex] [--draws N] [--steps N] [--device cuda] [--out DIR]
    python -m benchmarks.semi_supervised --quick

mnist       SmallCNNmean, 50 labels, preset balanced, beside the labels alone at several learning rates; full test set.
            SPLINEGRAPH_MNIST names an .npz with x_train, y_train, x_test, y_test.
ablation    digits: the preset without each of its terms, and the labels alone, with the differences paired over draws
convex      digits: the network with nonnegative inner weights beside the unconstrained one

Every arm of a draw has the same labelled samples, the same initial weights and as many steps. Each part writes
DIR/semi_supervised_PART.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.lipschitz_nets import MNIST
from benchmarks.regions import machine
from splinegraph.core.files import make_folder, write_json
from splinegraph.training.datasets import TrainingData, load_data
from splinegraph.training.engine.settings import Settings
from splinegraph.training.experiments.findings import SUPERVISED, Findings, Key
from splinegraph.training.experiments.running import Arm, study
from splinegraph.training.experiments.statistics import Estimate, paired
from splinegraph.training.topologies import topology

__all__ = ["PARTS", "main"]

NETWORK = "small-cnn-mean"
LABELS = 50
RESULTS = Path(__file__).parent / "results"

TERMS: dict[str, dict[str, Any]] = {
    "balanced": {},
    "without R": {"gamma": {"input": 0.0}},
    "without E": {"ramp": 0.0},
    "without class balance": {"balance": 0.0},
    "with consistency": {"consistency": 0.7},
}
"""Ways to train: what each changes of the preset. All other weights stay as they are."""


RATES = (5e-3, 2e-3, 1e-3, 5e-4)
"""Learning rates of the labels alone on MNIST: the gain is told beside the best of them."""


def arms(network: str, data: TrainingData, settings: Settings, ways: Mapping[str, Mapping[str, Any]]) -> list[Arm]:
    """Return an arm per way, and the labels alone."""
    channels, *size = data.shape
    make = functools.partial(topology, network, size=tuple(size), channels=channels, classes=data.classes)
    given = {way: dataclasses.replace(settings, objective=objective) for way, objective in ways.items()}
    given[SUPERVISED] = dataclasses.replace(settings, preset=SUPERVISED)
    return [Arm(network, way, chosen, make) for way, chosen in given.items()]


def settings_of(options: argparse.Namespace, **given: Any) -> Settings:
    """Return the settings of a part, with what the command line says in their place."""
    asked = {name: getattr(options, name) for name in ("steps", "device") if getattr(options, name) is not None}
    return Settings(**{"labels": LABELS, "probe": 0, "preset": "balanced", **given, **asked})


def mnist(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The network of the paper on MNIST, three minutes per draw.

    The preset has its default learning rate; the labels alone have the one that is best for them on the test set, which
    can only make the gain smaller.
    """
    path = os.environ.get(MNIST)
    if not path:
        raise FileNotFoundError(f"no MNIST: set {MNIST} to an .npz with x_train, y_train, x_test, y_test")
    data = load_data(path)
    settings = settings_of(options, steps=600, evaluate_every=300)
    ours, first = arms(NETWORK, data, settings, {"balanced": {}})
    alone = [
        dataclasses.replace(
            first, way=f"{SUPERVISED}, rate {rate:g}", settings=dataclasses.replace(first.settings, learning_rate=rate)
        )
        for rate in RATES
    ]
    found = run([ours, *alone], data, options, 3, console)
    best = max((arm.key for arm in alone), key=lambda key: found.accuracy(key).mean)
    gain = found.gain(ours.key, over=best.way)
    assert gain is not None
    show("MNIST", found, console)
    console.print(f"balanced beside {best.way}: {100 * gain.mean:+.2f} points, 95 % interval {interval(gain)}")
    beside = {"best of the labels alone": best.way, "gain on it": gain.to_dict()}
    return {**told(found, settings, data), **beside}


def ablation(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Every term of the preset taken away by itself, the others as they are."""
    data = load_data("digits")
    settings = settings_of(options, steps=250, labelled_batch=20, unlabelled_batch=50)
    found = run(arms(NETWORK, data, settings, TERMS), data, options, 6, console)
    show("digits, term by term", found, console)
    full = Key(NETWORK, settings.labels, "balanced")
    worth = {way: gain for way in TERMS if (gain := found.gain(full, over=way)) is not None}
    table = Table(title="the preset beside each variant of it, points")
    for column in ("beside", "difference", "95 % interval", "significant"):
        table.add_column(column, justify="left" if column == "beside" else "right")
    for way, gain in worth.items():
        table.add_row(way, f"{100 * gain.mean:+.2f}", interval(gain), "yes" if gain.significant else "no")
    console.print(table)
    return {**told(found, settings, data), "differences": {way: gain.to_dict() for way, gain in worth.items()}}


def convex(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The convex network beside the unconstrained one, with the squared and with the cosine reconstruction error."""
    data = load_data("digits")
    settings = settings_of(options, steps=250, labelled_batch=20, unlabelled_batch=50)
    ways = {**{way: TERMS[way] for way in ("balanced", "without R")}, "balanced, cosine": {"form": "cosine"}}
    pairs = [arms(name, data, settings, ways) for name in (NETWORK, f"{NETWORK}-convex")]
    found = run([arm for both in pairs for arm in both], data, options, 5, console)
    show("digits, convex", found, console)
    return {
        **told(found, settings, data),
        "convex beside unconstrained": _beside(found, settings.labels, [*ways, SUPERVISED]),
    }


def _beside(found: Findings, labels: int, ways: Sequence[str]) -> dict[str, Any]:
    """Return what the convex network gains on the other, way by way."""
    gains = {}
    for way in ways:
        first, second = (found.of(Key(name, labels, way)) for name in (f"{NETWORK}-convex", NETWORK))
        gains[way] = paired([t.accuracy for t in first.values()], [t.accuracy for t in second.values()]).to_dict()
    return gains


PARTS: dict[str, Callable[[argparse.Namespace, Console], dict[str, Any]]] = {
    "mnist": mnist,
    "ablation": ablation,
    "convex": convex,
}


class Lines:
    """Prints a line for each trial that is over."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def begun(self, key: Key, draw: int) -> Callable[[object], None]:
        return lambda _: None

    def ended(self, trial: Any) -> None:
        seconds = trial.report["seconds"]
        self.console.print(f"  {trial.key}, draw {trial.draw}: {100 * trial.accuracy:.2f} %, {seconds:.0f} s")

    def failed(self, failure: Any) -> None:
        raise RuntimeError(f"{failure.key}, draw {failure.draw}: {failure.why}")


def run(ways: Sequence[Arm], data: TrainingData, options: argparse.Namespace, draws: int, console: Console) -> Findings:
    """Train all arms; a study that is interrupted has no result."""
    found = study(ways, data, options.draws or draws, listener=Lines(console))
    if not found.complete:
        raise KeyboardInterrupt
    return found


def show(title: str, found: Findings, console: Console) -> None:
    """Print accuracies and gains on the labels alone."""
    table = Table(title=f"{title}: test accuracy, %")
    for column in ("network", "trained", "mean", "deviation", "gain on the labels alone", "95 % interval"):
        table.add_column(column, justify="left" if column in ("network", "trained") else "right")
    for key in found.keys:
        mean, gain = found.accuracy(key), found.gain(key)
        more = ["", ""] if gain is None else [f"{100 * gain.mean:+.2f}", interval(gain)]
        table.add_row(key.network, key.way, f"{100 * mean.mean:.2f}", f"{100 * mean.deviation:.2f}", *more)
    console.print(table)


def interval(gain: Estimate) -> str:
    return "one draw" if gain.draws < 2 else f"{100 * gain.low:+.2f} to {100 * gain.high:+.2f}"


def told(found: Findings, settings: Settings, data: TrainingData) -> dict[str, Any]:
    """Return everything as plain values, with what the numbers belong to."""
    device = torch.device(settings.device)
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {
        "command": shlex.join(["python", "-m", "benchmarks.semi_supervised", *sys.argv[1:]]),
        "machine": {**machine(), **gpu, "threads": torch.get_num_threads()},
        "settings": settings.to_dict(),
        "data": {"name": data.name, "checksum": data.checksum, "train": len(data.x_train), "test": len(data.x_test)},
        **found.to_dict(),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"default: {' '.join(PARTS)}")
    parser.add_argument("--draws", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="digits only, two draws of 30 steps, nothing written")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {min(unknown)}: there are {', '.join(PARTS)}")
    console = Console()
    if options.quick:
        options.draws, options.steps = options.draws or 2, options.steps or 30
    for part in options.parts or (["ablation", "convex"] if options.quick else list(PARTS)):
        started = time.process_time()
        found = PARTS[part](options, console)
        found["cpu_seconds"] = round(time.process_time() - started, 1)
        if not options.quick:
            path = make_folder(options.out) / f"semi_supervised_{part}.json"
            print("wrote", write_json(found, path))


if __name__ == "__main__":
    main()

"""Whether templates of untrained networks foretell the accuracy after training.

    python -m benchmarks.rank_topologies [--data digits|mnist14] [--seeds 3] [--steps 150] [--labels 200] [--out DIR]
    python -m benchmarks.rank_topologies --quick

Every network is scored at its start by `splinegraph.template_scores`, then trained from those weights on the labels
alone, and measured on the test set. Kendall's tau between the mean score and the mean accuracy is over networks, with
a bootstrap interval. The number of parameters and of operators stand beside it: what needs no templates.

mnist14 is MNIST averaged over 2x2 pixels, the first 10 000 images to train on and 2000 to test on; SPLINEGRAPH_MNIST
names an .npz with x_train, y_train, x_test, y_test.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import splinegraph as sg
from benchmarks.regions import machine
from splinegraph.analyses.templates.ranking import RankAgreement, rank_agreement
from splinegraph.analyses.templates.scores import SCORES
from splinegraph.core.files import make_folder, write_json
from splinegraph.training import TOPOLOGIES, Settings, Trainer, TrainingData, load_data, topology
from splinegraph.training.engine.randomness import seed_all

SAMPLES = 100
"""Training samples on which templates are looked at."""

Make = Callable[[], nn.Module]


def samples_of(name: str) -> TrainingData:
    """Return the samples of a name."""
    if name != "mnist14":
        return load_data(name)
    data = load_data(os.environ["SPLINEGRAPH_MNIST"])
    x_train, x_test = (nn.functional.avg_pool2d(x, 2) for x in (data.x_train[:10_000], data.x_test[:2000]))
    return dataclasses.replace(
        data, x_train=x_train, y_train=data.y_train[:10_000], x_test=x_test, y_test=data.y_test[:2000], name=name
    )


def networks(data: TrainingData) -> dict[str, Make]:
    """Return the paper's topologies that take the images, MLPs, and other starts of three of them."""
    channels, height, width = data.shape
    shape = {"size": (height, width), "channels": channels, "classes": data.classes}
    found: dict[str, Make] = {}
    for name in TOPOLOGIES:
        if not name.startswith("large-"):  # digits are too small for it, and it takes longer than all others
            found[name] = functools.partial(topology, name, **shape)
    size = channels * height * width
    for depth, wide in ((0, 0), (1, 16), (1, 128), (2, 64), (4, 64), (8, 32), (16, 32)):
        found[f"mlp-{depth}x{wide}"] = functools.partial(mlp, size, depth, wide, data.classes)
    for base in ("small-cnn-mean", "resnet3-16-max"):
        for gain in (0.3, 3.0):
            found[f"{base} weights x{gain:g}"] = functools.partial(scaled, found[base], gain)
    return found


def mlp(size: int, depth: int, wide: int, classes: int) -> nn.Module:
    """Return a network of linear layers and rectifiers, with torch's own start."""
    layers: list[nn.Module] = [nn.Flatten()]
    for _ in range(depth):
        layers += [nn.Linear(size, wide), nn.ReLU()]
        size = wide
    return nn.Sequential(*layers, nn.Linear(size, classes))


def scaled(make: Make, gain: float) -> nn.Module:
    """Return a network with all its weights scaled."""
    net = make()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(gain)
    return net


def trial(make: Make, data: TrainingData, settings: Settings, samples: int = SAMPLES) -> dict[str, Any]:
    """Score one network at its start, then train it."""
    seed_all(settings.seed)
    net = make()
    begun = time.process_time()
    graph = sg.trace(copy.deepcopy(net).eval(), data.x_train[:2])
    scores = sg.template_scores(graph, data.x_train[:samples], data.y_train[:samples])
    scored = time.process_time()
    result = Trainer(net, data, settings).fit()
    return {
        "seed": settings.seed, "scores": scores.values, "accuracy": result.accuracy,
        "parameters": sum(p.numel() for p in net.parameters()), "operators": len(graph.operators),
        "seconds": {"score": round(scored - begun, 2), "train": round(time.process_time() - scored, 2)},
    }  # fmt: skip


def agreements(trials: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, RankAgreement]:
    """Return for each score, and for two numbers that need no templates, how its order agrees with the accuracies."""
    accuracy = {name: _mean([t["accuracy"] for t in of]) for name, of in trials.items()}
    found = {}
    for score in SCORES:
        means = {name: _mean([t["scores"][score] for t in of]) for name, of in trials.items()}
        known = [name for name, mean in means.items() if mean is not None]
        found[score] = rank_agreement([means[n] or 0.0 for n in known], [accuracy[n] or 0.0 for n in known])
    for what in ("parameters", "operators"):
        sizes = [float(of[0][what]) for of in trials.values()]
        found[what] = rank_agreement(sizes, [accuracy[n] or 0.0 for n in trials])
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def groups(trials: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all networks, those without sign constraints, and of these those with an ordinary start."""
    free = {name: of for name, of in trials.items() if not name.endswith("-convex")}
    ordinary = {name: of for name, of in free.items() if " weights x" not in name}
    return {"all": dict(trials), "unconstrained": free, "ordinary": ordinary}


def show(trials: Mapping[str, Any], console: Console) -> None:
    """Print tau per score, over each group of networks."""
    for group, members in groups(trials).items():
        table = Table(title=f"Kendall's tau with the accuracy: {group}, {len(members)} networks")
        for column in ("score", "tau", "95 % interval", "p", "networks"):
            table.add_column(column, justify="left" if column == "score" else "right")
        for name, found in agreements(members).items():
            if found.tau is None:
                table.add_row(name, "", "", "", str(found.networks))
                continue
            interval = "" if found.low is None else f"{found.low:+.2f} to {found.high:+.2f}"
            table.add_row(name, f"{found.tau:+.2f}", interval, f"{found.p_value:.1g}", str(found.networks))
        console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--quick", action="store_true", help="4 networks, 1 seed, 5 steps")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.steps = 1, 5
    torch.set_num_threads(1)
    data = samples_of(options.data)
    chosen = dict(list(networks(data).items())[:4] if options.quick else networks(data).items())
    settings = {
        "preset": "supervised", "labels": options.labels, "steps": options.steps, "probe": 0, "figures": False,
        "facts_budget": 0.0,
    }  # fmt: skip
    console, trials = Console(), {name: [] for name in chosen}  # type: dict[str, list[dict[str, Any]]]
    for seed in range(options.seeds):
        for name, make in chosen.items():
            trials[name].append(found := trial(make, data, Settings(**settings, seed=seed, draw=seed)))
            console.print(f"{name}, seed {seed}: {100 * found['accuracy']:.1f} %", highlight=False)
        if options.out is not None:  # after each seed: an interrupted run leaves what it has
            save(options, settings, trials)
    show(trials, console)


def save(options: argparse.Namespace, settings: Mapping[str, Any], trials: Mapping[str, Any]) -> None:
    """Write all trials, and tau per score."""
    taus = {
        group: {name: found.to_dict() for name, found in agreements(members).items()}
        for group, members in groups(trials).items()
    }
    asked = f"--data {options.data} --seeds {options.seeds} --steps {options.steps} --labels {options.labels}"
    result = {
        "command": f"python -m benchmarks.rank_topologies {asked}", "machine": machine(), "data": options.data,
        "settings": dict(settings), "samples": SAMPLES, "agreement": taus, "trials": trials,
    }  # fmt: skip
    write_json(result, make_folder(options.out) / f"rank_topologies_{Path(options.data).stem}.json")


if __name__ == "__main__":
    main()

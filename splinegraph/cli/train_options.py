"""Options of `splinegraph train`."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from splinegraph.cli.options import add_options

__all__ = ["TrainCommand", "train_options"]

C = TypeVar("C", bound=Callable[..., Any])


def _labels(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    items = [item.strip() for item in given.split(",")]
    if not all(item.isdecimal() and int(item) for item in items):
        raise click.BadParameter(f"{given!r} is no number of labels, such as 50 or 50,100")
    return tuple(dict.fromkeys(map(int, items)))


def _gamma(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, float]:
    """Read LAYER=WEIGHT; a weight alone is that of the input."""
    found: dict[str, float] = {}
    for text in given:
        layer, _, weight = text.rpartition("=")
        try:
            value = float(weight)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise click.BadParameter(f"{text!r} is no weight of a layer, such as block1=0.1")
        found[layer or "input"] = value
    return found


def _fields(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Read NAME=VALUE, the value as JSON if it is."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r} is no option of the objective, such as balance=0.3 or reduction=sum")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _clip(ctx: click.Context, param: click.Parameter, given: str) -> float | None:
    """Read a norm; 0 and `none` are none."""
    try:
        norm = 0.0 if given.strip().lower() == "none" else float(given)
    except ValueError:
        norm = math.nan
    if not (math.isfinite(norm) and norm >= 0):
        raise click.BadParameter(f"{given!r} is no norm, such as 1, and not none")
    return norm or None


_POSITIVE = click.FloatRange(min=0, min_open=True)

_WHAT = (
    click.option(
        "--topology", "topologies", multiple=True, metavar="NAME",
        help="Network of the paper, such as small-cnn-mean, large-cnn-max, resnet2-32-max, small-cnn-mean-convex; may "
        "be repeated.",
    ),
    click.option(
        "--model", metavar="TARGET",
        help="In its place a network of yours: file.py:attribute or package.module:attribute, a torch.nn.Module or "
        "what makes one. It is EXECUTED.",
    ),
    click.option(
        "--data", metavar="NAME|PATH",
        help="mnist, fashion-mnist, cifar10, digits, or a .npz file, a folder of images, file.py:attribute.",
    ),
    click.option(
        "--root", type=click.Path(path_type=Path), metavar="DIR", help="Where the files of a named data set are."
    ),
    click.option("--download", is_flag=True, help="Download a named data set that is not found."),
    click.option(
        "--normalisation", default="paper", show_default=True, metavar="NAME",
        help="Of the images: paper (each has mean zero and largest entry 1), standard, unit or none.",
    ),
    click.option(
        "--labels", callback=_labels, metavar="N,...",
        help="Labelled samples, the same number of each class; several numbers are trained one after the other. "
        "Default: 50.",
    ),
    click.option(
        "--validation", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
        help="How many of the labels are kept to choose the weights by.",
    ),
    click.option(
        "--draws", type=click.IntRange(min=1), metavar="N",
        help="Draws of the labelled samples, each with weights of its own. Default: 1, with --table4 5.",
    ),
    click.option(
        "--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, metavar="N", help="Of the first draw."
    ),
)  # fmt: skip

_OBJECTIVE = (
    click.option(
        "--preset", metavar="NAME",
        help="paper, balanced, strong, unsupervised, clustering. Default: balanced, with --table4 paper.",
    ),
    click.option("--alpha", type=float, metavar="WEIGHT", help="Of cross entropy, in [0, 1]; replaces the preset's."),
    click.option(
        "--beta", type=float, metavar="SHARE",
        help="Of reconstruction in the rest, in [0, 1]; what is left is entropy's.",
    ),
    click.option(
        "--gamma", callback=_gamma, multiple=True, metavar="[LAYER=]WEIGHT",
        help="Of the reconstruction of a layer, `input` or a node or module that all paths run through; may be "
        "repeated.",
    ),
    click.option(
        "--objective", callback=_fields, multiple=True, metavar="NAME=VALUE",
        help="Any other option, such as balance=0.3, consistency=1 or reduction=sum. May be repeated.",
    ),
    click.option(
        "--tune", type=_POSITIVE, metavar="RATE",
        help="Learn the weights of the terms from the --validation labels, at this rate (Eq 86-87).",
    ),
    click.option(
        "--baseline/--no-baseline", default=True, show_default=True,
        help="Train on the labelled samples alone, too, for as many steps, to show what the others are worth.",
    ),
    click.option(
        "--table4", is_flag=True,
        help="The paper's table: its networks, or those of --topology, with 50 and 100 labels and its weights, and "
        "with 1000 labels alone, beside its figures. Default data: mnist.",
    ),
)  # fmt: skip

_STEPS = (
    click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Over the unlabelled samples. Default: 20."),
    click.option("--steps", type=click.IntRange(min=1), metavar="N", help="In place of --epochs."),
    click.option(
        "--labelled-batch", type=click.IntRange(min=1), default=50, show_default=True, metavar="N",
        help="Labelled rows of a step.",
    ),
    click.option(
        "--unlabelled-batch", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
        help="Unlabelled rows of a step.",
    ),
    click.option(
        "--learning-rate", type=_POSITIVE, metavar="RATE",
        help="Of Adam. Default: 0.005, and 0.0005 for the paper's large networks, as it has them.",
    ),
    click.option(
        "--baseline-learning-rate", type=_POSITIVE, metavar="RATE",
        help="Of the training on the labels alone, which often prefers a smaller one. Default: the same.",
    ),
    click.option(
        "--schedule", type=click.Choice(["cosine", "constant"]), default="cosine", show_default=True,
        help="Of the learning rate; cosine ends at a thousandth.",
    ),
    click.option(
        "--clip", callback=_clip, default="1", show_default=True, metavar="NORM",
        help="Largest l2 norm of the gradient; 0 or none does not clip.",
    ),
    click.option(
        "--weight-decay", type=click.FloatRange(min=0), default=0.0, show_default=True, metavar="RATE",
        help="Decoupled, as AdamW has it.",
    ),
    click.option(
        "--average", type=click.FloatRange(0, 1, max_open=True), metavar="DECAY",
        help="Measure and keep a moving average of the weights.",
    ),
    click.option(
        "--select", type=click.Choice(["last", "validation", "unlabelled"]), default="last", show_default=True,
        help="Which weights are the result; never by the test set.",
    ),
)  # fmt: skip

_MACHINE = (
    click.option("--device", default="cpu", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1, ..."),
    click.option(
        "--precision", type=click.Choice(["float32", "bfloat16", "float64"]), default="float32", show_default=True,
        help="bfloat16 is automatic mixed precision.",
    ),
    click.option("--compile", "compiled", is_flag=True, help="Compile the network with torch.compile."),
    click.option(
        "--channels-last/--no-channels-last", default=True, show_default=True, help="Memory layout of images."
    ),
)  # fmt: skip

_WHERE = (
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write the files to DIR."),
    click.option(
        "--resume", type=click.Path(path_type=Path), metavar="DIR",
        help="Go on from what is in DIR, with all that was asked for there. Beside it only --draws, --device, "
        "--checkpoint-every, --probe, --figures, --json and --quiet.",
    ),
    click.option(
        "--probe", type=click.IntRange(min=0), default=200, show_default=True, metavar="N",
        help="Test samples on which each network's spline is looked at before and after: codes, dead units, "
        "reconstructions, and its Lipschitz constant; 0 looks at nothing.",
    ),
    click.option(
        "--track", type=click.IntRange(min=1), metavar="N",
        help="Look at the regions every N steps: codes that change, dead units, cells on a slice, Lipschitz constant; "
        "draws them over the steps, and the slice as an animation.",
    ),
    click.option(
        "--evaluate-every", type=click.IntRange(min=1), metavar="N",
        help="Steps between measurements. Default: an epoch.",
    ),
    click.option(
        "--checkpoint-every", type=click.IntRange(min=1), metavar="N",
        help="Steps between checkpoints. Default: an epoch.",
    ),
    click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures into DIR."),
    click.option(
        "--json", "json_to", metavar="FILE",
        help="Write the report as JSON to a file; `-` is stdout, and then nothing else is printed there.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Print no summary and no progress."),
)  # fmt: skip


_GROUPS = {
    "Network and data": _WHAT,
    "Objective": _OBJECTIVE,
    "Steps": _STEPS,
    "Machine": _MACHINE,
    "Files and report": _WHERE,
}
"""Options by what they are about, in the order of --help."""


class TrainCommand(click.Command):
    """A command whose --help has a section per group of options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections; options of every command, such as --help, are in the last one."""
        records = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx)) is not None]
        for title, group in _GROUPS.items():
            count = len(records) if title == next(reversed(_GROUPS)) else len(group)
            with formatter.section(title):
                formatter.write_dl(records[:count], col_max=26)
            del records[:count]


def train_options(command: C) -> C:
    """Add what is trained on what, how, and where the result goes."""
    return add_options(tuple(itertools.chain(*_GROUPS.values())), command)

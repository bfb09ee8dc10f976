"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["CODE", "TARGET", "add_options", "model_options", "output_options", "result_options", "sample_options"]

C = TypeVar("C", bound=Callable[..., Any])


def _integers(text: str, lowest: int, example: str) -> tuple[int, ...]:
    """Read integers with commas between them."""
    items = text.strip().strip("()[]").rstrip(",").split(",")
    if not all(item.strip().isdecimal() and int(item) >= lowest for item in items):
        raise click.BadParameter(f"{text!r} is no list of integers from {lowest} on, such as {example}")
    return tuple(map(int, items))


def _shapes(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(_integers(text, 1, "1,28,28") for text in given)


def _samples(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[int, ...] | None:
    return None if given is None else _integers(given, 0, "0,1,2")


def _size(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[int, ...] | None:
    found = None if given is None else _integers(given, 1, "224 or 192,256")
    if found is not None and len(found) > 2:
        raise click.BadParameter(f"{given!r} is no size, such as 224 or 192,256")
    return found


def _numbers(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[float, ...]:
    try:
        found = () if given is None else tuple(float(item) for item in given.strip("()[]").split(","))
    except ValueError:
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise click.BadParameter(f"{given!r} is no list of numbers, such as 0.485,0.456,0.406")
    return found


_MODEL = (
    click.argument("target"),
    click.option(
        "--weights", metavar="FILE",
        help="State dict for the model: .safetensors, or .pt / .pth / .bin / .ckpt, read without executing anything.",
    ),
    click.option("--trust", is_flag=True, help="Load a .pt2 file, which can execute code of its author."),
    click.option(
        "--input-shape", "shapes", callback=_shapes, multiple=True, metavar="N,N,...",
        help="Shape of one input without the batch, such as 1,28,28; once per input of the model. "
        "Default: what --input, --data, the file or the model tells.",
    ),
    click.option(
        "--input", "inputs", multiple=True, metavar="FILE",
        help="Example input, .npy, .npz or .pt, batch first; once per input of the model. It is what the model is "
        "traced with; --data is what it is looked at on.",
    ),
    click.option(
        "--data", metavar="DATA",
        help="Samples: a .npz (x and, if known, classes y) or .npy file, a folder of images (sub-folders are "
        "classes), or file.py:attribute that is a Dataset, a DataLoader or a tensor. Default: random inputs.",
    ),
    click.option(
        "--image-size", callback=_size, metavar="N|H,W",
        help="Scale the images of a folder to N×N or H×W. Default: they must have one size.",
    ),
    click.option(
        "--mean", callback=_numbers, metavar="A,B,...",
        help="Subtract this from the inputs in front of the model: one number, or one per channel.",
    ),
    click.option(
        "--std", callback=_numbers, metavar="A,B,...", help="Then divide by this: one number, or one per channel."
    ),
    click.option(
        "--output", type=click.Choice(["logits", "probabilities"]), default="logits", show_default=True,
        help="What to look at where the model ends in a softmax: what goes into it, or what comes out.",
    ),
    click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N",
        help="Of random inputs and weights.",
    ),
)  # fmt: skip

_SAMPLES = (
    click.option(
        "--at", callback=_samples, metavar="I,I,...",
        help="Samples whose local affine maps are shown. Default: the first five.",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), default=10_000, show_default=True, metavar="N",
        help="Look at the first N samples of the data.",
    ),
    click.option(
        "--dtype", type=click.Choice(["float32", "float64"]), default="float64", show_default=True,
        help="Arithmetic of the analysis.",
    ),
)  # fmt: skip

_OUTPUT = (
    click.option(
        "--out", type=click.Path(path_type=Path), metavar="DIR",
        help="Write report.json, the page report.html and figures (SVG and PNG) to DIR.",
    ),
    click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures into DIR/figures."),
    click.option(
        "--json", "json_to", metavar="FILE",
        help="Write the result as JSON to a file; `-` is stdout, and then nothing else is printed there.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Print no report and no progress."),
)  # fmt: skip

CODE = """A .py file or a package is EXECUTED, and so is a .pt2 file in effect: open only what you trust. An .onnx file,
weights and data are read without executing anything."""

TARGET = (
    """\b
TARGET is one of
  file.py, file.py:attr  a torch.nn.Module, or a class or function that makes
                         one; without attr `model`, `net`, get_model(),
                         build_model(), or the only module in it
  package.module:attr    the same in an installed package
  model.onnx             read with the onnx package
  model.pt2              a torch.export program; needs --trust

"""
    + CODE
)
"""What stands below the options of a command that opens a model."""


_RESULT = (
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write the files below to DIR."),
    click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures into DIR."),
    click.option(
        "--json", "json_to", metavar="FILE",
        help="Write the result as JSON to a file; `-` is stdout, and then nothing else is printed there.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Print no summary and no progress."),
)  # fmt: skip


def add_options(options: tuple[Any, ...], command: C) -> C:
    """Add options to a command, in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def model_options(command: C) -> C:
    """Add the target and all that says how to open it."""
    return add_options(_MODEL, command)


def sample_options(command: C) -> C:
    """Add what says which samples are looked at, and in which arithmetic."""
    return add_options(_SAMPLES, command)


def output_options(command: C) -> C:
    """Add what says where the result goes."""
    return add_options(_OUTPUT, command)


def result_options(command: C) -> C:
    """Add where the files, figures and JSON of one analysis go."""
    return add_options(_RESULT, command)

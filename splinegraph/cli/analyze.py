"""`splinegraph analyze`: a report on the network in a Python file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import Tensor, nn

    from splinegraph.analyses.report.report import Report
    from splinegraph.cli.data import Data

# torch is imported inside the functions: `splinegraph --help` should not wait for it

__all__ = ["analyze"]


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


@click.command(short_help="Report on the network in a Python file.")
@click.argument("target")
@click.option(
    "--input-shape", "shapes", callback=_shapes, multiple=True, metavar="N,N,...",
    help="Shape of one input without the batch, such as 1,28,28; once per input of the model. "
    "Default: that of the data, else `input_shape` in the file.",
)  # fmt: skip
@click.option(
    "--data", "data_path", type=click.Path(path_type=Path), metavar="FILE.npz",
    help="Inputs x (or X, inputs, x_test, else the first array) and, if there are any, classes y (or labels, "
    "y_test). Default: random inputs.",
)  # fmt: skip
@click.option(
    "--at", callback=_samples, metavar="I,I,...",
    help="Samples whose local affine maps are shown. Default: the first five.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write DIR/report.json.")
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float64", show_default=True,
    help="Arithmetic of the analysis.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=1), default=10_000, show_default=True, metavar="N",
    help="Look at the first N samples of the data.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of random inputs.")
@click.pass_context
def analyze(
    ctx: click.Context, target: str, shapes: tuple[tuple[int, ...], ...], data_path: Path | None,
    at: tuple[int, ...] | None, out: Path | None, dtype: str, limit: int, seed: int,
) -> None:  # fmt: skip
    """Report on the network in a Python file.

    TARGET is `file.py` or `file.py:attribute`; the attribute is a torch.nn.Module, or a class or function
    that makes one. Without it `model` is taken, else `net`.

    The file is EXECUTED: analyze only code that you trust.

    Shows the operators and whether the network is exactly piecewise affine, units that are dead or never
    switch, activation patterns, points on a boundary between cells, and local affine maps.
    """
    from splinegraph.cli.data import load_data
    from splinegraph.cli.render import render
    from splinegraph.export.files import make_folder, save_report

    if out is not None:
        make_folder(out)  # learn that it cannot be written before the work, not after
    data = None if data_path is None else load_data(data_path, limit=limit)
    report = _run(target, shapes, data, at, dtype, seed, ctx.command_path)
    render(report, saved=out is not None)
    if out is not None:
        click.echo(f"wrote {save_report(report, out)}")
    ctx.exit(0 if report.complete else 1)


def _run(
    target: str, shapes: tuple[tuple[int, ...], ...], data: Data | None, at: tuple[int, ...] | None,
    dtype: str, seed: int, command: str,
) -> Report:  # fmt: skip
    """Load, run once, trace and analyze."""
    import torch

    from splinegraph.analyses.report.report import analyze as summarize
    from splinegraph.tracers.loading import load_model
    from splinegraph.tracers.tracing import trace

    notes: list[str] = []
    with _warnings_as(notes):
        loaded = load_model(target, command=command)
        if loaded.was_training:
            notes.append("the model was in training mode and was put in eval mode")
        model = loaded.model.eval()
        graph = trace(model, _example(model, shapes, loaded.input_shape, data, seed))
    if data is not None:
        notes.extend(data.notes)
    return summarize(
        graph, data=None if data is None else data.x, labels=None if data is None else data.y, at=at,
        dtype=getattr(torch, dtype), seed=seed, notes=[f"model: {loaded.path}:{loaded.attribute}", *notes],
    )  # fmt: skip


@contextmanager
def _warnings_as(notes: list[str]) -> Iterator[None]:
    """Keep warnings meant for users as notes of the report."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    notes.extend(f"warning: {w.message}" for w in caught if issubclass(w.category, UserWarning))


def _example(
    model: nn.Module, shapes: tuple[tuple[int, ...], ...], in_file: tuple[int, ...] | None, data: Data | None,
    seed: int,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Return one sample per input, in the model's dtype: the first of the data, else a random one."""
    import torch

    from splinegraph.errors import DataError, TargetError

    wanted = shapes or ((in_file,) if in_file is not None else ())
    if not wanted and data is None:
        raise TargetError(
            "the input shape is not known", remedy="give --input-shape, such as 1,28,28, or --data, or set "
            "`input_shape` in the file",
        )  # fmt: skip
    if data is not None and wanted and wanted != (tuple(data.x.shape[1:]),):
        source = "--input-shape" if shapes else "`input_shape` in the file"
        raise DataError(
            f"samples of {data.key!r} in {data.path} have shape {tuple(data.x.shape[1:])}",
            why=f"{source} is {' and '.join(map(str, wanted))}", remedy="give data of that shape",
        )  # fmt: skip
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    if data is not None:
        return (data.x[:1].to(dtype),)
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(1, *shape, generator=generator).to(dtype) for shape in wanted)

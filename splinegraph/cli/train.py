"""`splinegraph train`: train with few labels, and show what the samples without labels are worth."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from splinegraph.cli.train_options import TrainCommand, train_options

__all__ = ["train"]


@click.command(cls=TrainCommand, short_help="Train a network with few labels and many samples without.")
@train_options
@click.pass_context
def train(
    ctx: click.Context, /, out: Path | None, resume: Path | None, json_to: str | None, quiet: bool,
    **asked: Any,
) -> None:  # fmt: skip
    """Train a classifier with a few labels and many samples without any.

    The objective is cross entropy on the labelled rows, the error of the reconstruction A[x]^T f(x) of the input by
    the network itself, and entropy of its predictions. The same network is trained on the labels alone, from the same
    weights and for as many steps, so that the report shows the gain. --out writes report.json, a folder per run with
    metrics, checkpoints and a report of its own, and figures. Ctrl-C and SIGTERM keep what is there, and where
    a trial fails the others go on; --resume does what is missing.

    Exit codes: 0 complete, 1 partial, 2 bad input.

    \b
    Examples:
      splinegraph train --topology small-cnn-mean --data digits --out runs/
      splinegraph train --model net.py:Net --data photos/ --labels 100 --out runs/
      splinegraph train --topology resnet2-32-max --data mnist \\
          --preset strong --epochs 100 --device cuda --out runs/
      splinegraph train --table4 --device cuda --out table4/
      splinegraph train --resume runs/
    """
    from splinegraph.cli.output import results_on_stdout, wrote
    from splinegraph.cli.train_files import begin, write_results
    from splinegraph.cli.train_progress import failure_line
    from splinegraph.cli.train_table import render
    from splinegraph.cli.train_work import terminated, work
    from splinegraph.training.engine.processes import rank

    folder, asked = begin(ctx, asked, out, resume, json_to)
    with terminated(), results_on_stdout(only=json_to == "-") as write:
        found = work(ctx.command_path, asked, folder, resume=resume is not None, quiet=quiet)
        told = [f"splinegraph: error: {failure_line(failure)}" for failure in found.findings.failures]
        if rank():  # of several processes the one that failed says why
            click.echo("\n".join(told), err=True, nl=bool(told))
            ctx.exit(0 if found.findings.complete else 1)
        files = write_results(found, folder, json_to, write, figures=asked["figures"])
    if not quiet and json_to != "-":
        render(found)
    for path in files:
        click.echo(wrote(path), err=json_to == "-")
    if not found.findings.complete and not quiet:
        told.append(f"go on with: --resume {shlex.quote(str(folder))}" if folder else "to go on later: --out DIR")
    for line in told:
        click.echo(line, err=True)
    ctx.exit(0 if found.findings.complete else 1)

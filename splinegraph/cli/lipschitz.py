"""`splinegraph lipschitz`: how far the output of a network can move."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from splinegraph.cli.domains import BOUNDED, bounded_options
from splinegraph.cli.options import TARGET, add_options, model_options, result_options

__all__ = ["lipschitz"]

_WORK = (
    click.option("--global", "everywhere", is_flag=True, help="On all of space; the default."),
    click.option(
        "--norm", type=click.Choice(["1", "2", "inf"]), default="2", show_default=True,
        help="Of inputs and outputs alike.",
    ),
    click.option(
        "--tol", type=click.FloatRange(min=0), default=1e-6, show_default=True, metavar="T",
        help="Stop when both ends are as close as this, relative to them.",
    ),
    click.option(
        "--budget", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
        help="Stop after so many seconds; both ends hold whenever it stops. 0: the product of norms alone.",
    ),
    click.option("--certify", is_flag=True, help="Check what proves the upper end, by other code, and say so."),
    click.option(
        "--verify", "verified", type=click.Path(path_type=Path), metavar="FILE",
        help="Bound nothing: check a certificate.npz of an earlier --out against the model.",
    ),
)  # fmt: skip


def _work_options(command: Any) -> Any:
    return add_options(_WORK, command)


@click.command(short_help="Bound how far the output of a network can move.", epilog=TARGET)
@model_options
@bounded_options
@_work_options
@result_options
@click.pass_context
def lipschitz(
    ctx: click.Context, /, everywhere: bool, certify: bool, verified: Path | None, out: Path | None, figures: bool,
    json_to: str | None, quiet: bool, trust: bool, **asked: Any,
) -> None:  # fmt: skip
    """Give lower and upper bounds of a network's Lipschitz constant, on a box, in a ball or on all of space.

    Samples of --data are where the search for the lower end starts. --out writes lipschitz.json, certificate.npz
    (what proves the upper end, for --verify), nodes.csv (the constants of all operators) and lipschitz.svg, .png.
    Ctrl-C keeps both ends found so far.

    Exit codes: 0 both ends found, or verified; 1 the upper end is infinite, a check failed, or interrupted; 2 bad
    input.

    \b
    Examples:
      splinegraph lipschitz net.py
      splinegraph lipschitz model.onnx --norm inf --box -1 1 --certify
      splinegraph lipschitz net.py --box-around x.npy 0.1 --budget 60 --out bound/
      splinegraph lipschitz net.py --verify bound/certificate.npz
    """
    from splinegraph.cli.lipschitz_files import write_results
    from splinegraph.cli.lipschitz_table import render
    from splinegraph.cli.lipschitz_work import Work
    from splinegraph.cli.output import prepare_folder, results_on_stdout, wrote

    _check_domains(asked, everywhere, verified)
    prepare_folder(out, json_to)
    with results_on_stdout(only=json_to == "-") as write:
        work = Work(ctx.command_path, asked, quiet=quiet, trust=trust)
        found = work.bound(certify=certify) if verified is None else work.verify(verified)
        files = write_results(found, out, json_to, write, figures=figures)
    if not quiet and json_to != "-":
        render(found)
    for path in files:
        click.echo(wrote(path), err=json_to == "-")
    ctx.exit(0 if found.ok else 1)


def _check_domains(asked: Mapping[str, Any], everywhere: bool, verified: Path | None) -> None:
    """Refuse two domains, or one beside a certificate that holds its own."""
    given = ["--" + name.replace("_", "-") for name in BOUNDED if asked[name]] + ["--global"] * everywhere
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} are more than one domain; give one")
    if verified is not None and given:
        raise click.UsageError(f"a certificate holds its domain; leave out {given[0]}")

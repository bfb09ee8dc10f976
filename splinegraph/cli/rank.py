"""`splinegraph rank`: untrained networks in the order of a score of their templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from splinegraph.cli.options import CODE, add_options

__all__ = ["rank"]

DEFAULT = "scale"
"""The score that networks are ranked by."""

SHOWN = ("alignment", "reconstruction", "rank", "diversity", "covariance", "scale", "separation", "matching")

_WORK = (
    click.argument("networks", nargs=-1, required=True, metavar="NETWORK..."),
    click.option(
        "--data", default="digits", show_default=True, metavar="NAME|PATH",
        help="mnist, fashion-mnist, cifar10, digits, or a .npz file, a folder of images, file.py:attribute.",
    ),
    click.option(
        "--root", type=click.Path(path_type=Path), metavar="DIR", help="Where the files of a named data set are."
    ),
    click.option(
        "--seeds", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
        help="Draws of each network's weights.",
    ),
    click.option(
        "--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, metavar="N", help="Of the first draw."
    ),
    click.option(
        "--samples", type=click.IntRange(min=2), default=100, show_default=True, metavar="N",
        help="Training samples on which templates are looked at.",
    ),
    click.option(
        "--by", type=click.Choice(SHOWN), default=DEFAULT, show_default=True, metavar="NAME",
        help=f"The score: {', '.join(SHOWN[:-1])} or {SHOWN[-1]}.",
    ),
    click.option(
        "--normalisation", default="paper", show_default=True, metavar="NAME", help="Of the images, as in `train`."
    ),
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write rank.json, rank.svg, .png."),
    click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures into DIR."),
    click.option(
        "--json", "json_to", metavar="FILE",
        help="Write the result as JSON to a file; `-` is stdout, and then nothing else is printed there.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Print no table and no progress."),
)  # fmt: skip


def _work_options(command: Any) -> Any:
    return add_options(_WORK, command)


@click.command(short_help="Rank untrained networks by their templates.", epilog=CODE)
@_work_options
@click.pass_context
def rank(
    ctx: click.Context, /, out: Path | None, figures: bool, json_to: str | None, quiet: bool, **asked: Any
) -> None:
    """Rank networks, before any training, by a score of their templates on data.

    A NETWORK is a topology of the paper, such as small-cnn-mean or resnet2-32-max, or file.py:attribute. The weights
    are drawn anew for each seed. The score is a guess at the accuracy after training; docs/templates.md has how good a
    guess each of the scores is.

    Exit codes: 0 complete, 1 some network has no score, 2 bad input.

    \b
    Examples:
      splinegraph rank small-cnn-mean small-cnn-max resnet3-16-max --seeds 5
      splinegraph rank mine.py:net small-cnn-max --by separation --out rank/
    """
    from splinegraph.cli.output import prepare_folder, results_on_stdout, wrote
    from splinegraph.cli.rank_work import ranked, render, write_results

    prepare_folder(out, json_to)
    with results_on_stdout(only=json_to == "-") as write:
        found = ranked(asked, command=ctx.command_path, quiet=quiet)
        files = write_results(found, out, json_to, write, figures=figures)
    if not quiet and json_to != "-":
        render(found)
    for path in files:
        click.echo(wrote(path), err=json_to == "-")
    ctx.exit(1 if any(network.mean is None for network in found.ranking.networks) else 0)

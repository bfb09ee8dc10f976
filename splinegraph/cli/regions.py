"""`splinegraph regions`: the regions into which a network cuts a domain, exactly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinegraph.cli.domains import DOMAINS, domain_options
from splinegraph.cli.options import TARGET, add_options, model_options

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.scale.session import Sharing
    from splinegraph.analyses.regions.summary import Summary
    from splinegraph.core.graph import SplineGraph

__all__ = ["regions"]

OWN = (*DOMAINS, "margin", "zoom", "cells", "budget", "workers", "engine", "method", "verify")
"""Options of this command alone, as a summary keeps them."""

_WORK = (
    click.option(
        "--limit", "cells", type=click.IntRange(min=1), default=1_000_000, show_default=True, metavar="N",
        help="Stop after N cells.",
    ),
    click.option(
        "--budget", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Stop after so many seconds."
    ),
    click.option(
        "--workers", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
        help="Processes that share a search; a mesh in two dimensions takes one.",
    ),
    click.option(
        "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
        help="Where the workers are: on this machine, or on a Ray cluster.",
    ),
    click.option(
        "--method", type=click.Choice(["auto", "mesh", "search", "stream"]), default="auto", show_default=True,
        help="In two dimensions: a mesh of shared vertices, the search by linear programs, or a stream of faces.",
    ),
    click.option(
        "--verify", type=click.Choice(["cheap", "full", "none"]), default="cheap", show_default=True,
        help="Checks of the result by itself.",
    ),
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write the files below to DIR."),
    click.option(
        "--resume", type=click.Path(path_type=Path), metavar="DIR",
        help="Go on from what is in DIR, which was begun with the same model and domain.",
    ),
    click.option(
        "--graph/--no-graph", default=None,
        help="Write the dual graph, and count maximal linear regions. Default: up to 50 000 cells.",
    ),
    click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures."),
    click.option(
        "--json", "json_to", metavar="FILE",
        help="Write the summary as JSON to a file; `-` is stdout, and then nothing else is printed there.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Print no summary and no progress."),
)  # fmt: skip


def _work_options(command: Any) -> Any:
    return add_options(_WORK, command)


@click.command(short_help="Enumerate the regions into which a network cuts a domain.", epilog=TARGET)
@model_options
@domain_options
@_work_options
@click.pass_context
def regions(
    ctx: click.Context, /, out: Path | None, resume: Path | None, json_to: str | None, quiet: bool, trust: bool,
    graph: bool | None, figures: bool, **asked: Any,
) -> None:  # fmt: skip
    """Enumerate the regions into which a piecewise affine network cuts a domain, exactly.

    --out writes regions.parquet (a row per cell), regions.json (a summary), the dual graph (dual.gexf,
    dual.graphml, dual.json) and figures (.svg and .png). Ctrl-C, --limit and --budget keep everything found so
    far; --resume goes on. A mesh and a segment are there as a whole, after seconds, or not at all.

    Exit codes: 0 complete, 1 partial result or failed check, 2 bad input.

    \b
    Examples:
      splinegraph regions net.py --box -1 1 --out regions/
      splinegraph regions model.py --data digits.npz --through 0,1,2 --out slice/
      splinegraph regions model.onnx --box -1 1 --workers 4 --out cells/
      splinegraph regions model.onnx --box -1 1 --workers 4 --resume cells/
    """
    from splinegraph.cli.output import results_on_stdout, wrote
    from splinegraph.cli.regions_files import prepare_folder, write_summary
    from splinegraph.cli.regions_table import render_regions

    folder = _folder(out, resume)
    prepare_folder(folder, json_to, resume=resume is not None)
    with results_on_stdout(only=json_to == "-") as write:
        work = _Work(ctx.command_path, folder, resume is not None, graph, figures, quiet, trust, asked)
        summary, written = work.run()
        files = write_summary(summary, folder, json_to, write, request=work.request, written=written)
    if not quiet and json_to != "-":
        render_regions(summary)
    for path in files:
        click.echo(wrote(path), err=json_to == "-")
    if summary.partition.left and not quiet:
        click.echo("go on with: --resume " + str(folder) if folder else "to go on later: --out DIR", err=True)
    ctx.exit(0 if summary.ok else 1)


def _folder(out: Path | None, resume: Path | None) -> Path | None:
    if out is not None and resume is not None and out.absolute() != resume.absolute():
        raise click.UsageError(f"--resume {resume} writes there, not to --out {out}; leave out --out")
    return resume if out is None else out


class _Work:
    """One run of the command."""

    def __init__(
        self, command: str, folder: Path | None, resume: bool, graph: bool | None, figures: bool, quiet: bool,
        trust: bool, asked: dict[str, Any],
    ) -> None:  # fmt: skip
        from splinegraph.cli.request import REQUESTED, Request

        self.command, self.folder, self.resume, self.asked = command, folder, resume, asked
        self.graph, self.figures, self.quiet, self.trust = graph, figures, quiet, trust
        self.model = Request(**{name: value for name, value in asked.items() if name in REQUESTED})
        self.request = {**self.model.to_dict(), **{name: asked[name] for name in OWN}}

    def run(self) -> tuple[Summary, dict[str, Path]]:
        """Enumerate, and write what takes the partition itself."""
        from splinegraph.analyses.regions.scale.session import Sharing
        from splinegraph.analyses.regions.scale.starting import prepare
        from splinegraph.cli.domains import domain_of
        from splinegraph.cli.opening import open_graph
        from splinegraph.cli.progress import stages
        from splinegraph.cli.regions_files import summary_of, write_files
        from splinegraph.cli.regions_progress import Shown

        asked = self.asked
        if asked["workers"] > 1 and asked["engine"] == "local":
            prepare()
        with stages(shown=not self.quiet) as progress:
            opened = open_graph(self.model, trust=self.trust, command=self.command, progress=progress)
            domain = domain_of(asked, opened.graph, opened.samples)
            progress("enumerating")
            sharing = Sharing(asked["workers"], asked["engine"], self.folder, self.resume, Shown(progress))
            partition = self._enumerate(opened.graph, domain.on, sharing)
            progress("summing up")
            summary = summary_of(partition, domain, sharing, opened.notes, self.graph)
            if self.folder is None:
                return summary, {}
            return summary, write_files(
                summary, domain, sharing, self.folder, graph=self.graph, figures=self.figures, progress=progress
            )

    def _enumerate(self, graph: SplineGraph, on: Any, sharing: Sharing) -> Partition:
        from splinegraph.analyses.regions.enumerate import enumerate_regions
        from splinegraph.analyses.regions.scale.session import begun_with

        asked = self.asked
        verify = False if asked["verify"] == "none" else asked["verify"]
        method = begun_with(sharing) if self.resume else asked["method"]
        try:
            return enumerate_regions(
                graph, on, limit=asked["cells"], budget=asked["budget"], workers=asked["workers"], method=method,
                verify=verify, seed=self.model.seed, sharing=sharing,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise Stopped(_interrupted(sharing)) from None


def _interrupted(sharing: Sharing) -> str:
    """Return what to say of an interrupt that left no partition."""
    if sharing.harvest is None and sharing.store is not None and sharing.store.snapshot.exists():
        return f"interrupted; what was found until the last snapshot is kept: --resume {sharing.folder}"
    if sharing.harvest is None or not sharing.harvest.count:
        return "interrupted before any cell was kept; --method search or stream keeps cells while they are found"
    if sharing.folder is None:
        return "interrupted while the cells were checked; --out DIR keeps them, --verify none checks nothing"
    return f"interrupted while the cells were checked; they are kept: --resume {sharing.folder}"


class Stopped(click.ClickException):
    """There is nothing to show."""

    exit_code = 1

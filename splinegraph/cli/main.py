"""The command `splinegraph`: its group, and how errors are shown.

Exit codes: 0 complete, 1 partial result or failed check, 2 bad input.
"""

from __future__ import annotations

import io
import sys
import warnings
from importlib import metadata
from typing import IO, Any

import click

from splinegraph.cli.analyze import analyze
from splinegraph.cli.convexity import convexity
from splinegraph.cli.doctor import doctor
from splinegraph.cli.export import export
from splinegraph.cli.lipschitz import lipschitz
from splinegraph.cli.rank import rank
from splinegraph.cli.regions import regions
from splinegraph.cli.report import report
from splinegraph.cli.rerun import rerun
from splinegraph.cli.templates import templates
from splinegraph.cli.trace import trace
from splinegraph.cli.train import train
from splinegraph.errors import EquivalenceError, SplineGraphError, one_line

__all__ = ["main"]


class _BadInput(click.ClickException):
    """An error of ours as one line on stderr."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"splinegraph: error: {self.message}", file=file, err=True)


class _FailedCheck(_BadInput):
    exit_code = 1


PURPOSES = {
    "All about a network": ("analyze", "report", "rerun"),
    "One question": ("trace", "regions", "lipschitz", "convexity", "templates", "export"),
    "Training": ("train", "rank"),
    "This installation": ("doctor",),
}
"""The commands as the help lists them."""


class _Group(click.Group):
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by purpose."""
        named = {name for names in PURPOSES.values() for name in names}
        others = {"Other commands": tuple(sorted(set(self.commands) - named))}
        width = max(map(len, self.commands))
        for purpose, names in (PURPOSES | others).items():
            rows = [(name.ljust(width), self.commands[name].get_short_help_str(100)) for name in names]
            if rows:
                with formatter.section(purpose):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SplineGraphError as error:
            failure = _FailedCheck if isinstance(error, EquivalenceError) else _BadInput
            raise failure(str(error)) from error
        except BrokenPipeError:
            raise  # click ends quietly: nobody reads on
        except OSError as error:  # of the terminal, since files are opened with errors of our own
            what = f"cannot open {error.filename}" if error.filename else "cannot print"
            raise _BadInput(f"{what}: {error.strerror or error}") from error


def _warning(message: Warning | str, category: type[Warning], *place: object, **more: object) -> str:
    """Return a warning as one line, as errors are shown: a line of our code tells a user nothing."""
    told = "warning" if category is UserWarning else f"warning ({category.__name__})"
    return f"splinegraph: {told}: {one_line(str(message))}\n"


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(metadata.version("splinegraph"), prog_name="splinegraph")
def main() -> None:
    """Open a PyTorch network as a composition of linear spline operators.

    \b
    To begin with:
      splinegraph analyze model.py --input-shape 1,28,28 --out report/
      splinegraph report report/

    `splinegraph COMMAND --help` has the options of a command, and more examples.

    Exit codes: 0 complete, 1 partial result or failed check, 2 bad input.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal shows ? in place of ×, and nothing fails
            stream.reconfigure(errors="replace")
    warnings.formatwarning = _warning


for command in (analyze, report, regions, lipschitz, convexity, templates, train, rank, trace, export, rerun, doctor):
    main.add_command(command)

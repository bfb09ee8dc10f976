"""`splinegraph doctor`: what is installed, what the machine has, and whether it all works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from splinegraph.cli.doctor_work import Finding

__all__ = ["doctor"]

STYLES = {"ok": "", "missing": "dim", "warning": "yellow", "broken": "bold red"}


@click.command(short_help="Tell what is installed, and whether it works.")
@click.option(
    "--json",
    "json_to",
    metavar="FILE",
    help="Write the result as JSON to a file; `-` is stdout, and then nothing else is printed there.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print only what is broken.")
@click.pass_context
def doctor(ctx: click.Context, json_to: str | None, quiet: bool) -> None:
    """Tell versions, devices, caches and the terminal, and try the library on a tiny network.

    Optional packages that are not installed are listed with the command that installs them. Send the result along
    with a question or a report of an error; it names no file of yours but the folders of the caches.

    Exit codes: 0 all that is needed works, 1 something that is needed does not, 2 bad input.

    \b
    Examples:
      splinegraph doctor
      splinegraph doctor --json doctor.json
      splinegraph doctor --quiet
    """
    from splinegraph.cli.doctor_work import examine, to_dict
    from splinegraph.cli.output import deliver_json, prepare, results_on_stdout, wrote

    prepare(None, json_to)
    with results_on_stdout(only=json_to == "-") as write:
        findings = examine()
        files = deliver_json(to_dict(findings), json_to, write)
    broken = [finding for finding in findings if finding.status == "broken" and finding.needed]
    if json_to != "-":
        _render([f for f in findings if not quiet or f.status == "broken"], quiet=quiet, broken=len(broken))
        for path in files:
            click.echo(wrote(path))
    ctx.exit(1 if broken else 0)


def _render(findings: list[Finding], *, quiet: bool, broken: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    width = max((len(finding.name) for finding in findings), default=0)
    for part in dict.fromkeys(finding.part for finding in findings):
        console.print(Text(f"{part}", style="bold"))
        table = Table.grid(padding=(0, 2), pad_edge=True)
        table.add_column(no_wrap=True, min_width=width)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in findings:
            if finding.part == part:
                style = STYLES[finding.status]
                remedy = f"; {finding.remedy}" if finding.remedy else ""
                told = Text(f"{finding.value}{remedy}", style=style)
                table.add_row(Text(finding.name), Text(finding.status, style=style), told)
        console.print(table)
    if broken:
        console.print(Text(f"{broken} of what is needed does not work", style="bold red"))
    elif not quiet:
        console.print(Text("all that is needed works", style="green"))

"""Where results go: a folder, a JSON file, stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from splinegraph.analyses.report.report import Report

__all__ = ["deliver", "prepare"]


def prepare(out: Path | None, json_to: str | None) -> None:
    """Learn that something cannot be written before the work, not after."""
    from splinegraph.export.files import check_writable, make_folder

    if out is not None:
        check_writable(make_folder(out) / "report.json")
    if json_to not in (None, "-"):
        check_writable(Path(str(json_to)))


def deliver(report: Report, result: dict[str, Any], out: Path | None, json_to: str | None) -> None:
    """Write the report to its folder, and a result as JSON to where the user wants it.

    With ``--json -`` stdout holds the JSON and nothing else.
    """
    from splinegraph.export.files import save_report, write_json

    if out is not None:
        click.echo(f"wrote {save_report(report, out)}", err=json_to == "-")
    if json_to == "-":
        click.echo(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    elif json_to is not None:
        click.echo(f"wrote {write_json(result, json_to)}")

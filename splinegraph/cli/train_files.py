"""The files that `splinegraph train` writes, and the folder that it goes on in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from splinegraph.cli.output import deliver_files, prepare_folder
from splinegraph.core.files import make_folder, write_json
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from splinegraph.cli.train_work import Trained

__all__ = ["REQUEST", "begin", "keep_request", "write_results"]

REQUEST = "request.json"
"""What a folder was begun with."""

REPORT = "report.json"

FORMAT = "splinegraph train request 1"

MAY_CHANGE = frozenset({"checkpoint_every", "device", "draws", "figures", "probe"})
"""What may be given beside --resume."""


def begin(
    ctx: click.Context, asked: Mapping[str, Any], out: Path | None, resume: Path | None, json_to: str | None
) -> tuple[Path | None, dict[str, Any]]:
    """Return the folder to write to, and what is asked for there; with --resume, by whoever began it.

    Nothing is made yet.

    Raises
    ------
    DataError
        If there is nothing to go on with, or another training in the folder.
    """
    if resume is not None and out is not None and out.absolute() != resume.absolute():
        raise click.UsageError(f"--resume {resume} writes there, not to --out {out}; leave out --out")
    folder = out if resume is None else resume
    prepare_folder(folder, json_to)
    given = {name for name in asked if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if resume is None:
        from splinegraph.cli.train_plan import defaults
        from splinegraph.training.engine.processes import rank
        from splinegraph.training.engine.trainer import CHECKPOINT

        # a training that stopped before its first checkpoint has nothing to lose
        kept = {CHECKPOINT, REPORT}
        if folder is not None and not rank() and any(p.name in kept for p in folder.glob("*/*-labels/*/*/*")):
            raise DataError(
                f"{folder} holds a training", remedy=f"go on with --resume {folder}, or name another folder"
            )
        return folder, defaults(asked)
    held = _read(resume / REQUEST)
    changed = sorted(name for name in given - MAY_CHANGE if _plain(asked[name]) != held.get(name))
    if changed:
        option = next(param.opts[0] for param in ctx.command.params if param.name == changed[0])
        raise click.UsageError(f"{option} differs from what {resume} was begun with; leave it out, or begin anew")
    return folder, {**asked, **held, **{name: asked[name] for name in given & MAY_CHANGE}}


def keep_request(asked: Mapping[str, Any], folder: Path) -> None:
    """Write what was asked for, so that --resume can go on."""
    make_folder(folder)
    try:
        write_json({"format": FORMAT, "request": _plain(asked)}, folder / REQUEST)
    except ValueError as error:  # JSON has no word for them
        raise DataError("an option is infinite or not a number", remedy="give finite numbers") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why, remedy = error.strerror or str(error), "give a folder that --out began"
        raise DataError(f"cannot go on in {path.parent}", why=why, remedy=remedy) from error
    except ValueError as error:
        raise DataError(f"{path} is damaged", why="it is no JSON", remedy="begin anew in another folder") from error
    if not isinstance(held, dict) or held.get("format") != FORMAT or not isinstance(held.get("request"), dict):
        raise DataError(f"{path} is of no training of this version", remedy="begin anew in another folder")
    return dict(held["request"])


def _plain(value: Any) -> Any:
    """Return what JSON gives back."""
    return json.loads(json.dumps(value, default=str))


def write_results(
    result: Trained, folder: Path | None, json_to: str | None, write: Callable[[str], None], *, figures: bool
) -> list[Path]:
    """Write a result where the user wants it; returns the files."""

    def fill(into: Path) -> list[Path]:
        if not (figures and result.findings.keys):
            return []
        from splinegraph.cli.train_figures import draw

        return draw(result.findings, into)

    return deliver_files(result.to_dict(), REPORT, fill, folder, json_to, write)

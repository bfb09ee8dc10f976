"""Programs written by `torch.export.save`. Opening one can execute code."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from splinegraph.errors import TargetError
from splinegraph.tracers.exporting import quiet
from splinegraph.tracers.loading.naming import Place, reason

__all__ = ["program_inputs", "read_program", "refuse_untrusted"]


def refuse_untrusted(place: Place) -> TargetError:
    """Return why a program is not opened without the user's word."""
    return TargetError(
        f"{place.name} is an exported program", why="opening it can execute code that its author put there",
        remedy=f"if you trust its author: {place.retype(options='--trust')}" if place.command
        else "if you trust its author: trust=True",
    )  # fmt: skip


def read_program(path: Path) -> ExportedProgram:
    """Open a program. Only for files that the user trusts.

    Raises
    ------
    TargetError
        If the file is damaged or no program.

    Notes
    -----
    `torch.export.load` (2.13) runs code from the file in four places: weights and constants whose entry says
    ``use_pickle`` go through ``torch.load(weights_only=False)``; custom objects through ``pickle.loads``;
    sample inputs are tried with ``weights_only=True`` and, where that fails, loaded again without; and
    symbolic sizes are read by ``sympy.sympify``, which evaluates its text.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            compiled = any("/aotinductor/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        why = (
            reason(error) if isinstance(error, OSError) else "it is no archive of torch.export.save, or it is cut short"
        )
        raise TargetError(f"cannot read {path}", why=why) from error
    if compiled:
        raise TargetError(
            f"{path} holds compiled code", why="AOTInductor made it, and it cannot be traced",
            remedy="give the program that was compiled, written with torch.export.save",
        )  # fmt: skip
    try:
        with quiet(), _no_logging():
            return torch.export.load(path)
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"cannot read {path}", why="it is damaged, or from another version of torch",
            remedy="write it anew with torch.export.save",
        ) from error  # fmt: skip


@contextmanager
def _no_logging() -> Iterator[None]:
    """Silence the warnings that torch logs when it fails: the error says it."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def program_inputs(program: ExportedProgram) -> tuple[tuple[tuple[int | None, ...], ...], tuple[torch.dtype, ...]]:
    """Return shape (without the batch; None where it is free) and dtype of the inputs that are tensors."""
    found = {n.name: n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder"}
    specs = program.graph_signature.input_specs
    values: list[Any] = [found.get(spec.arg.name) for spec in specs if spec.kind == InputKind.USER_INPUT]
    tensors = [v for v in values if isinstance(v, Tensor) and v.dim() > 0]
    shapes = tuple(tuple(n if isinstance(n, int) else None for n in v.shape[1:]) for v in tensors)
    return shapes, tuple(v.dtype for v in tensors)

"""Checkpoints: written whole or not at all, and refused where they belong to another run."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from splinegraph.core.files import writing
from splinegraph.errors import DataError, SplineGraphError
from splinegraph.training.engine.settings import Settings

__all__ = ["FORMAT", "architecture", "check_belongs", "load_checkpoint", "save_checkpoint"]

FORMAT = "splinegraph checkpoint 1"

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Of objects without a repr of their own: another one in each process."""


def architecture(model: nn.Module) -> str:
    """Return what a model is, without its values: its modules, and its tensors with their shapes and types.

    Two poolings, say, have the same tensors, so the modules count too.
    """
    tensors = [f"{name}: {tuple(v.shape)}, {v.dtype}" for name, v in model.state_dict().items()]
    return "\n".join([*tensors, ADDRESS.sub("", repr(model))])


def save_checkpoint(state: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a state, made of tensors and plain values, atomically.

    Raises
    ------
    DataError
        If the disk is full or the folder cannot be written to; the checkpoint before is untouched.
    """
    buffer = io.BytesIO()  # torch hides the reason where it fails to write to a file
    torch.save({"format": FORMAT, **state}, buffer)
    with writing(path) as file:
        file.write(buffer.getbuffer())
    return Path(path)


def load_checkpoint(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Raises
    ------
    DataError
        If there is none, or it is no checkpoint of this package.
    """
    if not os.path.exists(path):
        raise DataError(f"no checkpoint {path}", remedy="start the run without resume")
    try:
        if not zipfile.is_zipfile(path):
            raise EOFError("it is cut off, or not what torch.save writes")
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = f"remove {Path(path).parent}, and that run is done again from its beginning"
        raise DataError(f"cannot read the checkpoint {path}", why=why, remedy=remedy) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        why, remedy = f"it says {found!r}, not {FORMAT!r}", f"remove {Path(path).parent}, and that run is done again"
        raise DataError(f"{path} is no checkpoint of this version", why=why, remedy=remedy)
    return state


def check_belongs(
    state: Mapping[str, Any], path: str | os.PathLike[str], *, model: nn.Module, settings: Settings, data: str
) -> None:
    """Refuse a checkpoint of another model, other settings or other data.

    Parameters
    ----------
    data : str
        What identifies the data: name and checksum.

    Raises
    ------
    SplineGraphError
        With the first things that differ.
    """
    what = f"the checkpoint {path} is of another"
    then, now = state["architecture"].splitlines(), architecture(model).splitlines()
    if then != now:
        odd = next(((a, b) for a, b in itertools.zip_longest(then, now, fillvalue="nothing") if a != b))
        why = f"{odd[0].strip()!r} there and {odd[1].strip()!r} here"
        raise SplineGraphError(f"{what} model", why=why, remedy="resume with the same model, or start anew")
    differ = settings.differences(state["settings"])
    if differ:
        remedy = "resume with the same settings, or start anew in another folder"
        raise SplineGraphError(f"{what} run", why="; ".join(differ[:3]), remedy=remedy)
    if state["data"] != data:
        why = f"{state['data']} there and {data} here"
        raise SplineGraphError(f"{what} data set", why=why, remedy="resume with the same data, or start anew")

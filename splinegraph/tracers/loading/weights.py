"""Files of weights: read without executing anything, and matched with a module name by name."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint

from splinegraph.errors import MissingDependencyError, TargetError
from splinegraph.tracers.exporting import quiet
from splinegraph.tracers.loading.naming import a_few, files_near, reason

__all__ = ["PICKLES", "SUFFIXES", "read_plain", "read_state"]

PICKLES = (".pt", ".pth", ".bin", ".ckpt")
"""Files of `torch.save`, which are opened with ``weights_only=True`` and in no other way."""

SUFFIXES = (".safetensors", *PICKLES)

NESTED = ("state_dict", "model_state_dict", "model")
"""Names under which checkpoints keep the weights."""

State = dict[str, Any]


def read_state(path: Path) -> tuple[State, tuple[str, ...]]:
    """Return the state dict in a file, and notes on where it was.

    Raises
    ------
    TargetError
        If the file is missing, damaged, code, or holds no weights.
    MissingDependencyError
        If it is a .safetensors file and the `safetensors` package is not installed.
    """
    if not path.is_file():
        close = files_near(path, SUFFIXES)
        remedy = f"did you mean {close[0]}?" if close else f"give the path of a {', '.join(SUFFIXES)} file"
        what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise TargetError(what, remedy=remedy)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise TargetError(f"{path} is no file of weights", remedy=f"give one that ends in {', '.join(SUFFIXES)}")
    if suffix == ".safetensors":
        return _read_safetensors(path), ()
    return _unnest(read_plain(path), path)


def _read_safetensors(path: Path) -> State:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingDependencyError(
            f"cannot read {path}", why="the package safetensors is not installed", remedy="pip install safetensors"
        ) from error
    try:
        state: State = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise TargetError(f"cannot read {path}", why=reason(error), remedy="it may be damaged: get it anew") from error
    return state


def read_plain(path: Path) -> Any:
    """Return what `torch.save` wrote into a file: tensors and plain values, never any other object.

    Raises
    ------
    TargetError
        If the file is damaged, or holds code or objects that only code could rebuild.
    """
    _refuse_archives(path)
    try:
        with quiet():
            return torch.load(path, map_location="cpu", weights_only=True)
    except (Exception, SystemExit) as error:
        raise _refused(path, error) from error


def _refuse_archives(path: Path) -> None:
    """Raise for TorchScript and exported programs, which use the same suffixes."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {name.partition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return
    if "constants.pkl" in inside:
        raise TargetError(
            f"{path} is a TorchScript archive", why="it is compiled code, which cannot be traced",
            remedy="give the Python file that builds the module, and its weights as a state dict",
        )  # fmt: skip
    if "archive_format" in inside:
        raise TargetError(f"{path} is an exported program", remedy=f"rename it to {path.with_suffix('.pt2').name}")


def _refused(path: Path, error: BaseException) -> TargetError:
    if isinstance(error, OSError):
        return TargetError(f"cannot read {path}", why=error.strerror or str(error))
    try:
        with quiet():
            found: list[str] = get_unsafe_globals_in_checkpoint(path)  # reads the names, loads nothing
    except Exception:  # noqa: BLE001  # no pickle at all, or one that uses more than names
        found = []
    if any(name.startswith("torch.nn.modules.") for name in found):
        return TargetError(
            f"{path} holds a whole module", why="loading it would execute code",
            remedy="save its weights, torch.save(model.state_dict(), ...), and give the Python file that builds it",
        )  # fmt: skip
    if found:
        return TargetError(
            f"{path} holds more than tensors ({a_few(found)})", why="loading it would execute code",
            remedy="save the weights alone: torch.save(model.state_dict(), ...)",
        )  # fmt: skip
    weights_only = "weights_only" in str(error).lower()
    why = "it is no plain file of torch.save" if weights_only else reason(error)
    return TargetError(f"cannot read {path}", why=why, remedy="it may be damaged: save it anew with torch.save")


def _unnest(held: Any, path: Path) -> tuple[State, tuple[str, ...]]:
    if not isinstance(held, Mapping):
        raise TargetError(
            f"{path} holds a {type(held).__name__}, no weights",
            remedy="save a dictionary of them: torch.save(model.state_dict(), ...)",
        )
    if _is_state(held):
        return dict(held), ()
    for name in NESTED:
        if _is_state(held.get(name)):
            return dict(held[name]), (f"weights: {name!r} in {path}",)
    keys = a_few(map(repr, held))
    raise TargetError(
        f"{path} holds no weights", why=f"it has {keys}" if keys else "it is empty",
        remedy="save them alone: torch.save(model.state_dict(), ...)",
    )  # fmt: skip


def _is_state(held: Any) -> bool:
    return (
        isinstance(held, Mapping)
        and all(isinstance(name, str) for name in held)
        and any(isinstance(value, Tensor) for value in held.values())
        and all(isinstance(v, Tensor) or k.endswith("_extra_state") for k, v in held.items())
    )

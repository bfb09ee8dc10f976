"""From what a user typed to a model: which kind of target it is, and what opens it."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from splinegraph.errors import TargetError, one_line
from splinegraph.tracers.loading.choosing import call, choose, find, make
from splinegraph.tracers.loading.declared import declared
from splinegraph.tracers.loading.matching import fill
from splinegraph.tracers.loading.naming import Place, a_few, files_near
from splinegraph.tracers.loading.program import program_inputs, read_program, refuse_untrusted
from splinegraph.tracers.loading.python import as_program, execute, import_module, no_module, not_found
from splinegraph.tracers.loading.weights import PICKLES, SUFFIXES, read_plain, read_state

__all__ = ["Loaded", "load", "load_object"]

OPENED = (".py", ".onnx", ".pt2")
"""Files that hold a model."""

Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model and where it came from.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram
        As it was left: a module may be in training mode.
    kind : str
        ``"python"``, ``"package"``, ``"onnx"`` or ``"pt2"``.
    path : Path or None
        The file; None for a package.
    attribute : str
        Name of the model in Python code, '' elsewhere.
    input_shapes : tuple of tuple of (int or None), or None
        What the file or the module says of one sample of each input; None stands for a size that is free.
    dtypes : tuple of torch.dtype or None
        The same of the types.
    has_batch : tuple of bool or None
        Which inputs have a batch axis; None stands for all.
    example : tuple or None
        Example arguments that the file or the module holds.
    was_training : bool
        Whether a part of the model is in training mode.
    notes : tuple of str
        What was chosen, dropped or cast.
    """

    model: nn.Module | ExportedProgram
    kind: str
    path: Path | None = None
    attribute: str = ""
    input_shapes: tuple[Shape, ...] | None = None
    dtypes: tuple[torch.dtype, ...] | None = None
    has_batch: tuple[bool, ...] | None = None
    example: tuple[Any, ...] | None = None
    was_training: bool = False
    notes: tuple[str, ...] = ()


def load(target: str, *, trust: bool = False, weights: str | Path | None = None, command: str = "") -> Loaded:
    """Open the model that a target names.

    Parameters
    ----------
    target : str
        One of

        - ``file.py`` or ``file.py:attribute`` (dotted: ``file.py:net.backbone``), which is executed;
        - ``package.module:attribute``, which is imported, the current folder first;
        - ``model.onnx``, which is read without executing anything;
        - ``model.pt2``, which can execute code when it is opened and so needs `trust`.

        In Python code an attribute is a module, or a class or function that makes one without arguments.
        Without it `model`, `net`, `get_model()` and `build_model()` are tried, then the only module, then
        the only class of modules that is defined there and takes no arguments.
    trust : bool, default False
        Open a .pt2 file, though it can execute code.
    weights : path, optional
        State dict for a model from Python code: .safetensors, or .pt, .pth, .bin, .ckpt as `torch.save`
        wrote it. Never executes code. Every name and shape has to fit.
    command : str, optional
        What stands before the target where the user typed it; for messages.

    Returns
    -------
    Loaded

    Raises
    ------
    TargetError
        If there is no such model, it cannot be opened, or its weights do not fit.
    MissingDependencyError
        If a package that the kind of file needs is not installed.
    """
    head, attribute = _split(target)
    place = Place(head, command, "" if weights is None else str(weights), attribute)
    suffix = os.path.splitext(head)[1].lower()
    if not os.path.exists(head) and _DOTTED.fullmatch(head) and suffix not in (*OPENED, *SUFFIXES):
        return _from_module(attribute, place)
    _check_file(head, place)
    if suffix == ".py":
        return _from_file(attribute, place)
    if attribute:
        raise TargetError(f"{head} has no attributes: it is no Python file", remedy=f"retype: {place.retype()}")
    if suffix in SUFFIXES:
        raise _weights_alone(place)
    if suffix not in OPENED:
        raise TargetError(f"{head} is no file that holds a model", remedy=f"give one that ends in {', '.join(OPENED)}")
    if weights is not None:
        raise TargetError(f"{head} has weights of its own", why="others fit Python code only", remedy="leave them out")
    return _from_onnx(place) if suffix == ".onnx" else _from_program(place, trust)


def load_object(target: str, *, command: str = "") -> Any:
    """Return any object of Python code: ``file.py:attribute`` or ``package.module:attribute``. It is executed.

    A class or function is called without arguments. A file that was executed already, as it is now, is not
    executed again.

    Raises
    ------
    TargetError
        If there is none, or it needs arguments or fails.
    """
    head, attribute = _split(target)
    place = Place(head, command, attribute=attribute)
    if not attribute:
        raise TargetError(f"{target} names no attribute", remedy=f"retype: {place.retype('NAME')}")
    if head.lower().endswith(".py") or os.path.exists(head) or not _DOTTED.fullmatch(head):
        _check_file(head, place)
        if not head.lower().endswith(".py"):
            raise TargetError(f"{head} has no attributes: it is no Python file")
        with as_program(head, Path(head).resolve().parent):
            return _made(execute(Path(head), again=False), attribute, place)
    with as_program(head, Path.cwd()):
        return _made(_imported(place), attribute, place)


def _made(module: ModuleType, attribute: str, place: Place) -> Any:
    """Return an object, or what it makes if it is a class or function."""
    value = find(module, attribute, place, models=False)
    if isinstance(value, (type, functools.partial)) or inspect.isroutine(value):
        remedy = "name an object, or a class or function that makes one without arguments"
        return call(value, attribute, place, "data", remedy)
    return value


_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_ATTRIBUTE = re.compile(r"[^\W\d]\w*(\.\w+)*")


def _split(target: str) -> tuple[str, str]:
    """Cut 'file.py:attribute' at its last colon, unless that is part of the file's own name."""
    head, colon, tail = target.rpartition(":")
    if colon and head and not os.path.exists(target) and _ATTRIBUTE.fullmatch(tail):
        return head, tail
    return target, ""


def _check_file(name: str, place: Place) -> None:
    path = Path(name)
    if not name.strip():
        raise TargetError("the target is empty", remedy="give a .py, .onnx or .pt2 file, or package.module:attribute")
    if os.path.isdir(name):
        raise _folder(path, place)
    if os.path.isfile(name):
        return
    if os.path.exists(name):
        raise TargetError(f"{name} is no regular file", remedy=f"give one that ends in {', '.join(OPENED)}")
    close = files_near(path, (*OPENED, *SUFFIXES))
    remedy = f"did you mean {close[0]}?" if close else "give the path of a .py, .onnx or .pt2 file"
    shown = name if len(name) <= 200 else f"{name[:200]}... ({len(name)} characters)"
    raise TargetError(f"there is no file {shown}", remedy=remedy)


def _folder(path: Path, place: Place) -> TargetError:
    try:
        names = sorted(n for n in os.listdir(path) if n.lower().endswith(OPENED) and not n.startswith("_"))
    except OSError as error:
        return TargetError(f"{path} is a folder", why=error.strerror or str(error))
    if not names:
        return TargetError(f"{path} is a folder", why=f"no file in it ends in {', '.join(OPENED)}")
    chosen = next((n for n in ("model.py", "net.py") if n in names), names[0])
    return TargetError(
        f"{path} is a folder", why=f"it has {a_few(names)}", remedy=f"name one: {place.retype(name=str(path / chosen))}"
    )


def _weights_alone(place: Place) -> TargetError:
    """Say what a file of weights lacks; first whether it is one."""
    path = Path(place.name)
    if path.suffix.lower() in PICKLES:
        held = read_plain(path)  # raises for TorchScript, whole modules, code and damage
        if not isinstance(held, Mapping):
            return TargetError(f"{path} holds a {type(held).__name__}, no model")
    else:
        read_state(path)
    chosen = replace(place, weights=str(path)).retype(name="net.py:Net")
    return TargetError(
        f"{path} holds weights alone, without an architecture",
        remedy=f"name the Python file that builds it, as in {chosen}",
    )


# the kinds


def _from_file(attribute: str, place: Place) -> Loaded:
    path = Path(place.name)
    with as_program(str(path), path.resolve().parent):
        return _from_code(execute(path), attribute, place, kind="python", path=path)


def _from_module(attribute: str, place: Place) -> Loaded:
    with as_program(place.name, Path.cwd()):
        return _from_code(_imported(place), attribute, place, kind="package", path=None)


def _imported(place: Place) -> ModuleType:
    """Import a module, unless the name is rather that of a file with a typing error: then nothing runs."""
    missing, folders = not_found(place.name)
    if missing and "." in place.name and files_near(Path(place.name), (*OPENED, *SUFFIXES)):
        _check_file(place.name, place)
    if missing and not place.attribute:
        raise no_module(missing, folders, place)
    return import_module(place.name, place)


def _from_code(
    module: ModuleType, attribute: str, place: Place, *, kind: str, path: Path | None
) -> Loaded:  # fmt: skip
    note = ""
    if not attribute:
        attribute, note = choose(vars(module), place)
    model = make(find(module, attribute, place), attribute, place)
    notes: tuple[str, ...] = (note,) if note else ()
    if place.weights:
        if isinstance(model, ExportedProgram):
            raise TargetError(f"{attribute!r} in {place.name} has weights of its own", remedy="leave the others out")
        state, found = read_state(Path(place.weights))
        notes = (*notes, *found, *fill(model, state, Path(place.weights)))
    notes = tuple(map(one_line, notes))
    if isinstance(model, ExportedProgram):
        return _program(Loaded(model, kind, path, attribute, notes=notes))
    shapes, example = declared(model, vars(module), place.name)
    return Loaded(
        model, kind, path, attribute, shapes, None, None, example, any(part.training for part in model.modules()), notes
    )


def _from_onnx(place: Place) -> Loaded:
    from splinegraph.tracers.onnx import read_onnx

    path = Path(place.name)
    model = read_onnx(path)
    mixed = len(set(model.has_batch)) > 1  # where no input has one, one sample may be given with a batch axis
    return Loaded(
        model, "onnx", path, input_shapes=model.input_shapes or None, dtypes=model.input_dtypes or None,
        has_batch=model.has_batch if mixed else None, notes=model.notes,
    )  # fmt: skip


def _from_program(place: Place, trust: bool) -> Loaded:
    if not trust:
        raise refuse_untrusted(place)
    path = Path(place.name)
    return _program(Loaded(read_program(path), "pt2", path))


def _program(loaded: Loaded) -> Loaded:
    """Add what a program says of its inputs."""
    assert isinstance(loaded.model, ExportedProgram)
    shapes, dtypes = program_inputs(loaded.model)
    match loaded.model.example_inputs:
        case (tuple() | list() as args, dict() as kwargs):
            pass
        case _:  # none, or a file that holds something else
            args, kwargs = (), {}
    if kwargs:
        raise TargetError(
            f"the program takes the keyword arguments {a_few(kwargs)}", remedy="export it with positional arguments"
        )
    return replace(loaded, input_shapes=shapes or None, dtypes=dtypes or None, example=tuple(args) or None)

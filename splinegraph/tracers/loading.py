"""The model that a user's Python file holds. The file is executed."""

from __future__ import annotations

import difflib
import importlib.util
import itertools
import re
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from torch import nn

from splinegraph.errors import TargetError
from splinegraph.tracers.exporting import user_line

__all__ = ["Loaded", "load_model"]

DEFAULTS = ("model", "net")
"""Attributes that are looked for, in this order, where the target names none."""

_serial = itertools.count()


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model and where it came from.

    Parameters
    ----------
    model : torch.nn.Module
        As the file left it: it may be in training mode.
    path : Path
    attribute : str
    input_shape : tuple of int or None
        The file's `input_shape`, without the batch.
    was_training : bool
        Whether a part of the model is in training mode.
    """

    model: nn.Module
    path: Path
    attribute: str
    input_shape: tuple[int, ...] | None
    was_training: bool


def load_model(target: str, *, command: str = "") -> Loaded:
    """Execute a Python file and return the model in it.

    Parameters
    ----------
    target : str
        ``file.py`` or ``file.py:attribute``. The attribute is a module, or a class or function that
        makes one without arguments; without it `model` is taken, else `net`.
    command : str, optional
        What stands before the target where the user typed it; for messages.

    Returns
    -------
    Loaded

    Raises
    ------
    TargetError
        If the file is missing, does not parse, fails, or holds no such model.
    """
    path, wanted = _split(target)
    _check_path(path)
    namespace = vars(_execute(path))
    attribute = wanted or next((name for name in DEFAULTS if callable(namespace.get(name))), "")
    if not attribute:
        raise _no_model(path, namespace, command)
    model = _make(_find(path, namespace, attribute, command), attribute, path)
    training = any(part.training for part in model.modules())
    return Loaded(model, path, attribute, _input_shape(path, namespace), training)


def _split(target: str) -> tuple[Path, str]:
    """Cut 'file.py:attribute' at its last colon, unless that is part of the file's own name."""
    head, colon, tail = target.rpartition(":")
    if colon and head and not Path(target).exists() and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", tail):
        return Path(head), tail
    return Path(target), ""


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise TargetError(f"{path} is a folder", remedy=f"name a Python file in it, such as {path / 'model.py'}")
    if not path.is_file():
        near = _near(path.name, (p.name for p in path.parent.glob("*.py"))) if path.parent.is_dir() else []
        remedy = f"did you mean {path.parent / near[0]}?" if near else "give the path of a Python file"
        raise TargetError(f"there is no file {path}", remedy=remedy)
    if path.suffix != ".py":
        raise TargetError(f"{path} is no Python file", remedy="give a .py file that holds the model")


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that look like `name`, the nearest first, whatever their case."""
    known = {n.lower(): n for n in names}
    return [known[n] for n in difflib.get_close_matches(name.lower(), known, n=3)]


# executing the file


def _parse(path: Path) -> CodeType:
    try:
        return compile(path.read_bytes(), str(path.resolve()), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f"{path.name}:{error.lineno}" if error.lineno else path.name
        raise TargetError("the file does not parse", where=line, why=error.msg, remedy="correct it") from error
    except ValueError as error:  # null bytes, in some versions of Python
        raise TargetError("the file does not parse", where=path.name, why=str(error)) from error
    except OSError as error:
        raise TargetError(f"cannot read {path}", why=error.strerror or str(error)) from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbors, as it could if it were run."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _execute(path: Path) -> ModuleType:
    code = _parse(path)
    stem = re.sub(r"\W", "_", path.stem)
    name = f"splinegraph_target_{stem}_{next(_serial)}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their classes' module up
    try:
        with _importable(path.resolve().parent):
            exec(code, vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise TargetError(
            f"{path.name} fails when it is executed", where=_line(error), why=_reason(error),
            remedy=f"make it run on its own: python {path}",
        ) from error  # fmt: skip
    return module


def _line(error: BaseException) -> str:
    """Return the user's own 'file.py:line' where an exception was raised."""
    return user_line([(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)])


def _reason(error: BaseException) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


# finding the model


def _candidates(namespace: dict[str, Any]) -> dict[str, str]:
    """Return the models that a file holds or can make: name to 'module' or 'class'."""
    found = {name: "module" for name, value in namespace.items() if isinstance(value, nn.Module)}
    for name, value in namespace.items():
        own = isinstance(value, type) and value.__module__ == namespace["__name__"]
        if own and issubclass(value, nn.Module):
            found[name] = "class"
    return found


def _retype(command: str, path: Path, attribute: str) -> str:
    return f"{command} {shlex.quote(f'{path}:{attribute}')}".strip()


def _no_model(path: Path, namespace: dict[str, Any], command: str) -> TargetError:
    found = _candidates(namespace)
    what = f"{path} holds no `model` and no `net`"
    if not found:
        return TargetError(what, why="it makes no torch.nn.Module", remedy="set `model = ...` in it")
    listed = ", ".join(f"{name} ({kind})" for name, kind in found.items())
    return TargetError(what, why=f"it has {listed}", remedy=f"name one: {_retype(command, path, next(iter(found)))}")


def _find(path: Path, namespace: dict[str, Any], attribute: str, command: str) -> Any:
    first, *rest = attribute.split(".")
    if first not in namespace:
        found = list(_candidates(namespace))
        makers = (name for name, value in namespace.items() if callable(value) and not name.startswith("_"))
        near = (_near(first, found) or _near(first, makers))[:1]
        why = f"it has {', '.join(found)}" if found else "it makes no torch.nn.Module"
        if near:
            remedy = f"did you mean: {_retype(command, path, near[0])}"
        else:
            remedy = f"name one: {_retype(command, path, found[0])}" if found else "set `model = ...` in it"
        raise TargetError(f"{path} has no attribute {first!r}", why=why, remedy=remedy)
    value = namespace[first]
    for name in rest:
        if not hasattr(value, name):
            raise TargetError(f"{first!r} in {path} has no attribute {name!r}")
        value = getattr(value, name)
    return value


def _make(value: Any, attribute: str, path: Path) -> nn.Module:
    """Return the module that an attribute is, or that it makes when it is called."""
    if isinstance(value, nn.Module):
        return value
    made, name = value, f"{attribute!r} in {path}"
    if callable(value):
        name = f"{attribute}() in {path}"
        try:
            made = value()
        except Exception as error:
            raise TargetError(
                f"{name} fails", where=_line(error), why=_reason(error),
                remedy="name a module, or a class or function that makes one without arguments",
            ) from error  # fmt: skip
    if not isinstance(made, nn.Module):
        weights = isinstance(made, dict) and "a dictionary of weights has no architecture"
        raise TargetError(
            f"{name} is a {type(made).__name__}", why=weights or "no torch.nn.Module",
            remedy="name a module, or a class or function that makes one without arguments",
        )  # fmt: skip
    return made


def _input_shape(path: Path, namespace: dict[str, Any]) -> tuple[int, ...] | None:
    given = namespace.get("input_shape")
    if given is None:
        return None
    sizes = (given,) if isinstance(given, int) else given
    good = isinstance(sizes, (tuple, list)) and all(
        isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sizes
    )
    if not good:
        raise TargetError(
            f"`input_shape` in {path} is {given!r}",
            remedy="set it to the shape of one input, such as (1, 28, 28)",
        )
    return tuple(sizes)

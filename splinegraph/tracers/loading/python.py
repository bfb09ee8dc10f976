"""Python code that holds a model: a file or an importable module. Both are executed."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType

from splinegraph.errors import TargetError
from splinegraph.tracers.loading.naming import Place, line_of, near, reason

__all__ = ["execute", "import_module", "importable"]

_serial = itertools.count()


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let code import what lies in a folder, as it could if it were run there."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def execute(path: Path) -> ModuleType:
    """Run a file and return it as a module under a name of its own.

    Raises
    ------
    TargetError
        If it cannot be read, does not parse or fails.
    """
    code = _parse(path)
    stem = re.sub(r"\W", "_", path.stem)
    name = f"splinegraph_target_{stem}_{next(_serial)}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their classes' module up
    try:
        exec(code, vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise TargetError(
            f"{path.name} fails when it is executed", where=line_of(error), why=reason(error),
            remedy=_remedy(path, error),
        ) from error  # fmt: skip
    except BaseException:  # an interrupt
        del sys.modules[name]
        raise
    return module


def _parse(path: Path) -> CodeType:
    try:
        return compile(path.read_bytes(), str(path.resolve()), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f"{path.name}:{error.lineno}" if error.lineno else path.name
        raise TargetError("the file does not parse", where=line, why=error.msg, remedy="correct it") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or nested too deep
        raise TargetError("the file does not parse", where=path.name, why=reason(error)) from error
    except OSError as error:
        raise TargetError(f"cannot read {path}", why=error.strerror or str(error)) from error


def _remedy(path: Path, error: BaseException) -> str:
    """Say what to do; a part of a package has to be named through the package."""
    if not (isinstance(error, ImportError) and "relative import" in str(error)):
        return f"make it run on its own: python {path}"
    parts, folder = [path.stem], path.resolve().parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1:
        return "import its neighbors by name, without a leading dot"
    return f"it is part of a package: in {folder}, name it as {'.'.join(parts)}:ATTRIBUTE"


def import_module(name: str, place: Place) -> ModuleType:
    """Import a module by its dotted name; the current folder comes first, as for ``python -m``.

    Raises
    ------
    TargetError
        If there is no such module, or it fails.
    """
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (name == missing or name.startswith(missing + ".")):
            raise _no_module(name, missing, place) from error
        raise TargetError(
            f"{name} fails when it is imported", where=line_of(error), why=reason(error),
            remedy=f"make it run on its own: python -c 'import {name}'",
        ) from error  # fmt: skip


def _no_module(name: str, missing: str, place: Place) -> TargetError:
    parent, _, last = missing.rpartition(".")
    paths = getattr(sys.modules.get(parent), "__path__", []) if parent else None
    known = [m.name for m in pkgutil.iter_modules(paths)] if (parent and paths) or not parent else []
    found = near(last, known)[:1]
    if not found:
        return TargetError(
            f"there is no module {missing!r}" + (f" in {parent}" if parent else " and no such file"),
            remedy="give a .py, .onnx or .pt2 file, or an importable module: package.module:attribute",
        )
    meant = ".".join([*parent.split(".")] * bool(parent) + found) + name[len(missing) :]
    return TargetError(
        f"there is no module {missing!r}", remedy=f"did you mean: {place.retype(place.attribute, name=meant)}"
    )

"""Python code that holds a model: a file or an importable module. Both are executed."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from splinegraph.errors import TARGET, TargetError
from splinegraph.tracers.loading.naming import Place, line_of, near, reason

__all__ = ["as_program", "execute", "import_module", "no_module", "not_found"]

_serial = itertools.count()

_executed: dict[Path, tuple[bytes, ModuleType]] = {}
"""What each file held when it was run last, and the module that it made."""


@contextmanager
def as_program(name: str, folder: Path) -> Iterator[None]:
    """Let code import what lies in a folder, and see its name alone in `sys.argv`, as if it were run there.

    The folder stays importable afterwards, behind all others: a model may import when it is called. Only if
    the code fails nothing is left.
    """
    where, arguments, kept = str(folder), sys.argv, False
    sys.path.insert(0, where)
    sys.argv = [name]
    try:
        yield
        kept = True
    finally:
        sys.argv = arguments
        if where in sys.path:
            sys.path.remove(where)
        if kept and where not in sys.path:
            sys.path.append(where)


def execute(path: Path, *, again: bool = True) -> ModuleType:
    """Run a file and return it as a module under a name of its own.

    Parameters
    ----------
    path : Path
    again : bool, default True
        Run it anew. Else the module of the last run is returned, unless the file was changed since.

    Raises
    ------
    TargetError
        If it cannot be read, does not parse or fails.
    """
    where, text = path.resolve(), _read(path)
    before, module = _executed.get(where, (None, None))
    if not again and module is not None and before == text:
        return module
    code = _parse(path, text)
    stem = re.sub(r"\W", "_", path.stem)
    name = f"{TARGET}{stem}_{next(_serial)}"
    spec = importlib.util.spec_from_file_location(name, where, loader=SourceFileLoader(name, str(where)))
    assert spec is not None  # there is a loader
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
    _executed[where] = text, module
    return module


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TargetError(f"cannot read {path}", why=error.strerror or str(error)) from error


def _parse(path: Path, text: bytes) -> CodeType:
    try:
        return compile(text, str(path.resolve()), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f"{path.name}:{error.lineno}" if error.lineno else path.name
        raise TargetError("the file does not parse", where=line, why=error.msg, remedy="correct it") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or nested too deep
        raise TargetError("the file does not parse", where=path.name, why=reason(error)) from error


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
            parent = sys.modules.get(missing.rpartition(".")[0])
            raise no_module(missing, getattr(parent, "__path__", ()), place) from error
        raise TargetError(
            f"{name} fails when it is imported", where=line_of(error), why=reason(error),
            remedy=f"make it run on its own: python -c 'import {name}'",
        ) from error  # fmt: skip


def not_found(name: str) -> tuple[str, Sequence[str]]:
    """Return the first part of a dotted name that is no module, or '', and the folders where it should lie.

    Executes nothing.
    """
    importlib.invalidate_caches()
    parts, paths = name.split("."), None
    for i in range(len(parts)):
        head = ".".join(parts[: i + 1])
        loaded = sys.modules.get(head)
        if loaded is not None:  # perhaps one that no search finds, such as os.path
            paths = getattr(loaded, "__path__", None)
            continue
        if i and paths is None:
            return head, ()
        try:
            spec = PathFinder.find_spec(head, paths) if i else importlib.util.find_spec(head)
        except (ImportError, AttributeError, ValueError):  # of a finder: importing it says more
            return "", ()
        if spec is None:
            return head, list(paths or ())
        paths = spec.submodule_search_locations
    return "", ()


def no_module(missing: str, paths: Iterable[str], place: Place) -> TargetError:
    """Return that a part of a dotted name is missing, with a close one among those in `paths`."""
    name = place.name
    parent, _, last = missing.rpartition(".")
    paths = list(paths)
    known = [m.name for m in pkgutil.iter_modules(paths if parent else None)] if paths or not parent else []
    found = near(last, known)[:1]
    if not found:
        return TargetError(
            f"there is no module {missing!r}" + (f" in {parent}" if parent else "") + " and no such file",
            remedy="give a .py, .onnx or .pt2 file, or an importable module: package.module:attribute",
        )
    meant = ".".join([*parent.split(".")] * bool(parent) + found) + name[len(missing) :]
    return TargetError(
        f"there is no module {missing!r}", remedy=f"did you mean: {place.retype(place.attribute, name=meant)}"
    )

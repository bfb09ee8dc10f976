"""Imports point one way, heavy packages load lazily, files and functions stay small."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "splinegraph"
FILES = sorted(PACKAGE.rglob("*.py"))
ALL_FILES = [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]

HEAVY = {"click", "cvxpy", "matplotlib", "networkx", "numba", "onnx"} | {
    "pandas", "pyarrow", "ray", "rich", "scipy", "sympy"
}  # fmt: skip

LAYERS = {
    "errors": set(),
    "data": {"errors"},
    "core": {"errors"},
    "operators": {"errors", "core"},
    "tracers": {"errors", "core", "operators", "data"},
    "analyses": {"errors", "core", "operators.base", "data"},
    "splines": {"errors"},
    "nn": {"errors"},
    "transforms": {"errors", "core", "operators", "data", "splines", "nn", "analyses"},
    "testing": {"errors", "core", "operators.base"},
    "training": {"errors", "core", "operators", "tracers", "data", "nn", "analyses"},
}
"""What each part may import, besides itself; parts not named here are on top and may import all but cli."""

MAX_LINES, MAX_FUNCTION = 400, 60


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function, its docstring apart."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    doc = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _imports(node: ast.AST, *, lazy: bool = True) -> Iterator[tuple[str, ast.stmt]]:
    """Yield (dotted name, statement) of the imports that run; those inside functions only if `lazy`."""
    for child in ast.iter_child_nodes(node):
        if _is_type_checking(child) or (
            not lazy and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, child) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            # `from splinegraph.operators import base` names a module by its last part
            yield from ((f"{child.module}.{alias.name}", child) for alias in child.names)
        else:
            yield from _imports(child, lazy=lazy)


def _inside(path: Path, *, lazy: bool = True) -> set[str]:
    """Return what a file imports from this package, without the package's own name."""
    names = (name for name, _ in _imports(_parse(path), lazy=lazy))
    return {name.removeprefix("splinegraph.") for name in names if name.split(".")[0] == "splinegraph"}


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _compiled(path: Path) -> bool:
    return "kernels" in path.relative_to(PACKAGE).parts


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_imports_point_one_way(path: Path) -> None:
    part = _part(path)
    allowed = {part, *LAYERS[part]} if part in LAYERS else None
    for name in _inside(path):
        assert not _within(name, "cli") or part == "cli", f"{_id(path)} imports {name}"
        if allowed is not None:
            assert any(_within(name, a) for a in allowed), f"{_id(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in FILES if _part(p) in ("operators", "analyses")], ids=_id)
def test_torch_fx_stays_in_tracers(path: Path) -> None:
    assert not any(_within(name, "torch.fx") for name, _ in _imports(_parse(path)))


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_heavy_packages_load_lazily(path: Path) -> None:
    usual = {"click", "rich"} if _part(path) == "cli" else {"numba"} if _compiled(path) else set()
    names = [name for name, _ in _imports(_parse(path), lazy=False)]
    assert sorted({name.split(".")[0] for name in names} & HEAVY - usual) == []
    if not _compiled(path):  # which may import numba, and so have to be imported late themselves
        assert [name for name in names if name.startswith("splinegraph.") and ".kernels." in name] == []


@pytest.mark.parametrize("path", ALL_FILES, ids=_id)
def test_no_star_and_no_relative_imports(path: Path) -> None:
    for name, statement in _imports(_parse(path)):
        assert not name.endswith(".*"), f"{_id(path)}: {ast.unparse(statement)}"
        relative = isinstance(statement, ast.ImportFrom) and statement.level
        assert not relative, f"{_id(path)}: {ast.unparse(statement)}"


@pytest.mark.parametrize("path", ALL_FILES, ids=_id)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert _length(node) <= MAX_FUNCTION, f"{_id(path)}: {node.name}"


def test_the_checks_see_through_functions_and_type_checking() -> None:
    source = "import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    import c\nfrom .d import e\n"
    names = [name for name, _ in _imports(ast.parse(source))]
    assert names == ["a", "c", "d.e"]
    assert [name for name, _ in _imports(ast.parse(source), lazy=False)] == ["a", "d.e"]


def test_import_splinegraph_is_light() -> None:
    """Import the package in a fresh interpreter and see what came along that torch itself does not need."""
    code = (
        "import sys, torch; before = set(sys.modules); import splinegraph; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    assert sorted(set(result.stdout.split()) & HEAVY) == []

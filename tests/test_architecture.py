"""Imports point one way, heavy packages load lazily, files and functions stay small."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "splinegraph"
FILES = sorted(PACKAGE.rglob("*.py"))
ALL_FILES = [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]

HEAVY = {"click", "cvxpy", "matplotlib", "networkx", "numba", "onnx"} | {
    "jinja2", "markupsafe", "pandas", "pyarrow", "ray", "rich", "scipy", "sympy"
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


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function, its docstring apart."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    doc = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _statements(node: ast.AST, *, lazy: bool = True) -> Iterator[ast.stmt]:
    """Yield the statements that run, those inside functions only if `lazy`. Expressions, most nodes, hold none."""
    for field in ("body", "handlers", "cases", "orelse", "finalbody"):
        for child in getattr(node, field, ()):
            if _is_type_checking(child):
                continue
            if isinstance(child, ast.stmt):  # else it is a handler or a case
                yield child
            if lazy or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _statements(child, lazy=lazy)


def _imports(node: ast.AST, *, lazy: bool = True) -> Iterator[tuple[str, ast.stmt]]:
    """Yield (dotted name, statement) of the imports that run; those inside functions only if `lazy`."""
    for statement in _statements(node, lazy=lazy):
        if isinstance(statement, ast.Import):
            yield from ((alias.name, statement) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            # `from splinegraph.operators import base` names a module by its last part
            yield from ((f"{statement.module}.{alias.name}", statement) for alias in statement.names)


@dataclass(frozen=True)
class Facts:
    """What the checks ask of a file. No syntax trees are kept: a million nodes slow every later collection of garbage.

    Parameters
    ----------
    imports, early : tuple of str
        Dotted names: of all imports that run, and of those outside functions.
    odd : tuple of str
        Imports of everything, or from a relative place, as they are written.
    long : tuple of str
        Names of functions that are too long.
    """

    lines: int
    imports: tuple[str, ...]
    early: tuple[str, ...]
    odd: tuple[str, ...]
    long: tuple[str, ...]


@functools.cache
def _facts(path: Path) -> Facts:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    found = list(_imports(tree))
    functions = (node for node in _statements(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return Facts(
        len(text.splitlines()),
        tuple(name for name, _ in found),
        tuple(name for name, _ in _imports(tree, lazy=False)),
        tuple(ast.unparse(statement) for name, statement in found if _is_odd(name, statement)),
        tuple(node.name for node in functions if _length(node) > MAX_FUNCTION),
    )


def _is_odd(name: str, statement: ast.stmt) -> bool:
    return name.endswith(".*") or (isinstance(statement, ast.ImportFrom) and statement.level > 0)


def _inside(path: Path) -> set[str]:
    """Return what a file imports from this package, without the package's own name."""
    names = _facts(path).imports
    return {name.removeprefix("splinegraph.") for name in names if name.split(".")[0] == "splinegraph"}


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _compiled(path: Path) -> bool:
    return "kernels" in path.relative_to(PACKAGE).parts


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def _crosses(path: Path, name: str) -> bool:
    """Say whether a file may not import `name` of this package."""
    part = _part(path)
    allowed = {part, *LAYERS[part]} if part in LAYERS else None
    if _within(name, "cli") and part != "cli":
        return True
    return allowed is not None and not any(_within(name, a) for a in allowed)


def test_imports_point_one_way() -> None:
    assert [(_id(path), name) for path in FILES for name in _inside(path) if _crosses(path, name)] == []


def test_torch_fx_stays_in_tracers() -> None:
    files = [path for path in FILES if _part(path) in ("operators", "analyses")]
    assert files
    assert [_id(path) for path in files if any(_within(name, "torch.fx") for name in _facts(path).imports)] == []


def _too_early(path: Path) -> list[str]:
    """Return what a file imports outside its functions and may not."""
    usual = {"click", "rich"} if _part(path) == "cli" else {"numba"} if _compiled(path) else set()
    names = _facts(path).early
    found = [name for name in names if name.split(".")[0] in HEAVY - usual]
    if not _compiled(path):  # which may import numba, and so have to be imported late themselves
        found += [name for name in names if name.startswith("splinegraph.") and ".kernels." in name]
    return found


def test_heavy_packages_load_lazily() -> None:
    assert {_id(path): found for path in FILES if (found := _too_early(path))} == {}


def test_no_star_and_no_relative_imports() -> None:
    assert {_id(path): odd for path in ALL_FILES if (odd := _facts(path).odd)} == {}


def test_files_and_functions_are_small() -> None:
    facts = {_id(path): _facts(path) for path in ALL_FILES}
    assert len(facts) > 500
    assert {name: found.lines for name, found in facts.items() if found.lines > MAX_LINES} == {}
    assert {name: found.long for name, found in facts.items() if found.long} == {}


def test_the_checks_see_through_functions_and_type_checking() -> None:
    source = "import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    import c\nfrom .d import e\n"
    names = [name for name, _ in _imports(ast.parse(source))]
    assert names == ["a", "c", "d.e"]
    assert [name for name, _ in _imports(ast.parse(source), lazy=False)] == ["a", "d.e"]


def test_the_checks_see_into_every_compound_statement() -> None:
    source = (
        "try:\n import a\nexcept E:\n import b\nelse:\n import c\nfinally:\n import d\n"
        "match x:\n case 1:\n  import e\n"
        "with y:\n for i in z:\n  import f\n else:\n  import g\n"
        "if u: pass\nelif v:\n while w:\n  import h\n"
        "class C:\n import i\n async def m(self):\n  import j\n"
    )
    assert [name for name, _ in _imports(ast.parse(source))] == list("abcdefghij")
    assert [name for name, _ in _imports(ast.parse(source), lazy=False)] == list("abcdefghi")


def test_import_splinegraph_is_light() -> None:
    """Import the package in a fresh interpreter and see what came along that torch itself does not need."""
    code = (
        "import sys, torch; before = set(sys.modules); import splinegraph; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    assert sorted(set(result.stdout.split()) & HEAVY) == []

"""The operators of a network, nested by module."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from splinegraph.analyses.report.graph import GraphSection, NodeRow
from splinegraph.cli.render import render_heading

__all__ = ["render_tree"]


def render_tree(console: Console, section: GraphSection) -> None:
    """Print the heading, then one branch per module in the order in which they are first used."""
    render_heading(console, section)
    console.print()
    console.print(_tree(section))


@dataclass
class _Module:
    """A module, and in the order in which they first run: its operators, and the modules in it."""

    inside: dict[str, _Module | NodeRow] = field(default_factory=dict)

    def find(self, path: str) -> _Module:
        """Return the module at a path below this one, made if need be."""
        found = self
        for name in filter(None, path.split(".")):
            inner = found.inside.setdefault(f"{name}.", _Module())  # no operator's name ends in a dot
            assert isinstance(inner, _Module)
            found = inner
        return found


def _tree(section: GraphSection) -> Tree:
    root = _Module()
    for row in section.nodes:
        root.find(row.module).inside[row.name] = row
    tree = Tree(Text(section.name, style="bold"), guide_style="dim")
    _grow(tree, root)
    return tree


def _grow(tree: Tree, module: _Module) -> None:
    """Add what is in a module; one that holds a single thing shares a line with it."""
    for key, held in module.inside.items():
        label = Text()
        while isinstance(held, _Module):
            label.append(key.removesuffix("."), style="bold")
            if len(held.inside) != 1:
                break
            ((key, held),) = held.inside.items()
            label.append("." if isinstance(held, _Module) else "  ", style="bold")
        if isinstance(held, _Module):
            _grow(tree.add(label), held)
        else:
            tree.add(label.append_text(_operator(held)))


def _operator(row: NodeRow) -> Text:
    step = "" if row.step is None else f"  t={row.step}"
    kind = "" if row.kind in ("exact", "") else f"  {row.kind}"
    return Text.assemble(row.operator, (f"  {row.shape}  {row.name}{step}", "dim"), (kind, "yellow"))

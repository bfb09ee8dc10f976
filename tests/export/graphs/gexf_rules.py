"""The rules of GEXF 1.3, written down from its schema (gexf.xsd, dynamics.xsd, viz.xsd) and its primer.

The schema has the elements of `viz` in the format's own namespace, the primer and every reader in one of
their own; the latter is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["check_gexf"]

GEXF, VIZ, XSI = "{http://gexf.net/1.3}", "{http://gexf.net/1.3/viz}", "{http://www.w3.org/2001/XMLSchema-instance}"

_INTEGER = re.compile(r"[+-]?\d+")
_DOUBLE = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def _number(low: float, high: float) -> Callable[[str], bool]:
    return lambda value: bool(_DOUBLE.fullmatch(value)) and low <= float(value) <= high


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


def _any(_: str) -> bool:
    return True


_EVERY = float("inf")
_CHANNEL = re.compile("0|[1-9][0-9]{0,2}")
_EDGE_KINDS = _one_of("directed", "undirected", "mutual")


def _channel(value: str) -> bool:
    return bool(_CHANNEL.fullmatch(value)) and int(value) <= 255


Attributes = dict[str, Callable[[str], bool]]

# element: (attributes it must have, attributes it may have, elements it may hold)
RULES: dict[str, tuple[Attributes, Attributes, set[str]]] = {
    GEXF + "gexf": ({"version": _one_of("1.3")}, {"variant": _any, XSI + "schemaLocation": _any}, {"meta", "graph"}),
    GEXF + "meta": ({}, {"lastmodifieddate": _any}, {"creator", "keywords", "description"}),
    GEXF + "creator": ({}, {}, set()),
    GEXF + "description": ({}, {}, set()),
    GEXF + "graph": ({}, {"mode": _one_of("static"), "defaultedgetype": _EDGE_KINDS}, {"attributes", "nodes", "edges"}),
    GEXF + "attributes": ({"class": _one_of("node", "edge")}, {"mode": _one_of("static")}, {"attribute"}),
    GEXF + "attribute": (
        {"id": _any, "title": _any, "type": _one_of("long", "double", "boolean", "string")}, {}, set(),
    ),
    GEXF + "nodes": ({}, {"count": _any}, {"node"}),
    GEXF + "edges": ({}, {"count": _any}, {"edge"}),
    GEXF + "node": ({"id": bool, "label": _any}, {}, {"color", "position", "size", "shape", "attvalues"}),
    GEXF + "edge": (
        {"source": _any, "target": _any},
        {"id": _any, "type": _EDGE_KINDS, "label": _any, "weight": _number(-_EVERY, _EVERY), "kind": _any},
        {"color", "thickness", "shape", "attvalues"},
    ),
    GEXF + "attvalues": ({}, {}, {"attvalue"}),
    GEXF + "attvalue": ({"for": _any, "value": _any}, {}, set()),
    VIZ + "color": (dict.fromkeys("rgb", _channel), {"a": _number(0, 1)}, set()),
    VIZ + "position": (dict.fromkeys("xy", _number(-3e38, 3e38)), {"z": _number(-3e38, 3e38)}, set()),
    VIZ + "size": ({"value": _number(0, 3e38)}, {}, set()),
    VIZ + "thickness": ({"value": _number(0, 3e38)}, {}, set()),
    VIZ + "shape": ({"value": _one_of("disc", "square", "triangle", "diamond")}, {}, set()),
}  # fmt: skip

_VALUES: dict[str, Callable[[str], bool]] = {
    "long": lambda v: bool(_INTEGER.fullmatch(v)) and -(2**63) <= int(v) < 2**63,
    "double": _number(-_EVERY, _EVERY),
    "boolean": _one_of("true", "false"),
    "string": _any,
}


def check_gexf(path: Path) -> None:
    """Raise AssertionError if a file breaks a rule."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == GEXF + "gexf"
    for element in root.iter():
        _check_element(element)
    assert [_name(child) for child in root] == ["meta", "graph"]
    graph = root[1]
    order = [_name(child) for child in graph]
    assert order[-2:] == ["nodes", "edges"]
    assert set(order[:-2]) <= {"attributes"}
    tables = {part.get("class"): {a.get("id"): a.get("type") for a in part} for part in graph[:-2]}
    assert len(tables) == len(order) - 2, "one table of attributes per class"
    for part in graph[:-2]:
        assert len({a.get("id") for a in part}) == len(part), "identifiers are unique"
        assert len({a.get("title") for a in part}) == len(part), "titles are unique"
    names = [node.get("id") for node in graph[-2]]
    assert len(set(names)) == len(names), "node ids are unique"
    assert all(edge.get(end) in set(names) for edge in graph[-1] for end in ("source", "target"))
    for kind, items in (("node", graph[-2]), ("edge", graph[-1])):
        for item in items:
            values = item.findall(f"{GEXF}attvalues/{GEXF}attvalue")
            used = [value.get("for") for value in values]
            assert len(set(used)) == len(used), "one value per attribute"
            for value in values:
                assert _VALUES[tables[kind][value.get("for")] or ""](value.get("value") or "")


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _check_element(element: ElementTree.Element) -> None:
    assert element.tag in RULES, f"unknown element {element.tag}"
    must, may, inside = RULES[element.tag]
    assert set(must) <= set(element.attrib), f"{element.tag} lacks {set(must) - set(element.attrib)}"
    for name, value in element.attrib.items():
        assert name in must or name in may, f"{element.tag} has no attribute {name}"
        assert (must.get(name) or may[name])(value), f"{element.tag} {name}={value!r}"
    children = [_name(child) for child in element]
    assert set(children) <= inside, f"{element.tag} holds {set(children) - inside}"
    repeated = {"creator", "attributes", "attribute", "node", "edge", "attvalue"}
    assert all(children.count(child) == 1 for child in set(children) - repeated)

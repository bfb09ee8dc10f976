"""Random graphs, friendly and nasty."""

from __future__ import annotations

import datetime
import enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
from hypothesis import strategies as st

__all__ = ["KINDS", "friendly_graphs", "nasty_graphs"]

KINDS = (nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph)


class Size(enum.Enum):
    SMALL = 1


TEXTS = st.one_of(
    st.text(max_size=6), st.sampled_from(["", " ", "a\r\nb", "\x00\x1b", "\ud800", "<&\">'", "]]>", "\u2028", "\ufffe"])
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(), TEXTS,
    st.sampled_from([2**63, 2**53 + 1, 10**30, -0.0, 1e-320, float("inf"), Size.SMALL, Fraction(1, 3)]),
    st.just(Path("a") / "b"),
    st.sampled_from([np.int8(3), np.float32(0.1), np.bool_(True), np.str_("s"), np.float64("nan")]),
    st.just(np.uint64(2**64 - 1)),
    st.sampled_from([torch.tensor(2), torch.ones(2, 2), np.zeros((9, 9)), torch.tensor(float("nan"))]),
    st.sampled_from([object(), len, datetime.date(2020, 1, 2), b"\xff\x00", 1 + 2j, range(3)]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner), st.dictionaries(TEXTS, inner, max_size=2), st.sets(st.integers())
    ),
    max_leaves=4,
)
NAMES = st.one_of(
    st.sampled_from(
        "id label start end type weight source target key viz networkx_key x y z size color thickness kind layer pid"
        " family units exact name mode parents spells slices for value r g b d3 id_ label_ weight_".split()
    ),
    st.sampled_from([1, "1", True, (1, 2), None, "Edge Weight"]),
    TEXTS,
)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=4)
NODES = st.one_of(st.sampled_from([1, "1", 1.5, "1.5", (0, 1), "(0, 1)", "[0, 1]", "1_2", frozenset({3}), ""]), TEXTS)


@st.composite
def nasty_graphs(draw: st.DrawFn) -> nx.Graph[Any]:
    """Return a graph of any kind with any names and values."""
    graph = draw(st.sampled_from(KINDS))()
    nodes = draw(st.lists(NODES, max_size=5, unique_by=lambda n: (type(n), n)))
    for node in nodes:
        graph.add_node(node)
        graph.nodes[node].update(draw(ATTRIBUTES))
    for _ in range(draw(st.integers(0, 6)) if nodes else 0):
        u, v = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        key = (draw(st.one_of(st.integers(0, 2), TEXTS)),) if graph.is_multigraph() else ()
        graph.add_edges_from([(u, v, *key, draw(ATTRIBUTES))])
    graph.graph.update(draw(ATTRIBUTES))
    return graph


NICE_TEXT = st.text("abc <>&\"'é\n\t", max_size=5)
NICE = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "text": NICE_TEXT,
    "truth": st.booleans(),
}


@st.composite
def friendly_graphs(draw: st.DrawFn) -> nx.Graph[Any]:
    """Return a graph that every format can hold as it is."""
    graph = draw(st.sampled_from(KINDS))()
    nodes = draw(st.lists(st.text("nop -.é", min_size=1, max_size=4), max_size=6, unique=True))
    some = st.fixed_dictionaries({}, optional=NICE)
    for node in nodes:
        graph.add_node(node, **draw(some), label=draw(NICE_TEXT))
    for _ in range(draw(st.integers(0, 8)) if nodes else 0):
        u, v = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        graph.add_edge(u, v, **draw(some), weight=draw(st.floats(0.5, 9)))
    return graph

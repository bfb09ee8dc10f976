"""torch_geometric: layers on a fixed graph; the features of its vertices are the input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.coverage_models.entry import Built, Entry, table

__all__ = ["ENTRIES"]

_EDGES = [[0, 1, 2, 3, 4, 0, 2, 1, 3, 4], [1, 2, 3, 4, 0, 2, 0, 0, 1, 3]]


class _OnGraph(nn.Module):
    """A layer on the graph above, a ReLU behind it; x has shape (batch, vertices, features)."""

    edges: Tensor

    def __init__(self, layer: nn.Module, *, batches: bool = True, pooled: bool = False) -> None:
        super().__init__()
        self.layer, self.batches, self.pooled = layer, batches, pooled
        self.register_buffer("edges", torch.tensor(_EDGES))

    def forward(self, x: Tensor) -> Tensor:
        # layers that take one sample only are run in a loop, as their users do
        y = self.layer(x, self.edges) if self.batches else torch.stack([self.layer(v, self.edges) for v in x.unbind(0)])
        return y.mean(-2) if self.pooled else torch.relu(y)


def _x() -> tuple[Tensor]:
    return (torch.randn(2, 5, 4),)


def _layer(name: str, settings: dict[str, Any], widths: tuple[Any, ...] = (4, 6)) -> Built:
    import torch_geometric.nn as layers

    return _OnGraph(getattr(layers, name.partition("_")[0])(*widths, **settings)), _x()


def _single(name: str, settings: dict[str, Any], widths: tuple[Any, ...] = (4, 6)) -> Built:
    import torch_geometric.nn as layers

    return _OnGraph(getattr(layers, name)(*widths, **settings), batches=False), _x()


def _inner(name: str, width: int, settings: dict[str, Any]) -> Built:
    """Build a layer around a small ReLU network."""
    import torch_geometric.nn as layers

    body = nn.Sequential(nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 6))
    return _OnGraph(getattr(layers, name)(body, **settings)), _x()


def _model(name: str, batches: bool) -> Built:
    import torch_geometric.nn as models

    return _OnGraph(getattr(models, name.partition("_")[0])(4, 8, 2, 3), batches=batches, pooled=True), _x()


ENTRIES: tuple[Entry, ...] = (
    *table("geometric", _layer, (
        ("GCNConv", True, {}), ("SAGEConv", True, {}), ("SAGEConv_max", True, {"aggr": "max"}),
        ("GraphConv", True, {}), ("ChebConv", True, {"K": 2}), ("TAGConv", True, {}), ("SGConv", True, {"K": 2}),
        ("ARMAConv", True, {}), ("LEConv", True, {}), ("ClusterGCNConv", True, {}), ("MFConv", True, {}),
        ("APPNP", True, {}, (3, 0.1)), ("ResGatedGraphConv", False, {}),
    ), "torch_geometric"),
    *table("geometric", _single, (
        ("GATConv", False, {"heads": 2}), ("GATv2Conv", False, {}), ("TransformerConv", False, {}),
        ("GatedGraphConv", False, {}, (6, 2)), ("AGNNConv", False, {}, (True,)), ("GENConv", False, {}),
        ("SuperGATConv", False, {}), ("FeaStConv", False, {"heads": 2}),
    ), "torch_geometric"),
    *table("geometric", _inner, (("GINConv", True, 4, {}), ("EdgeConv", True, 8, {"aggr": "max"})), "torch_geometric"),
    *table("geometric", _model, (
        ("GCN_pooled", True, True), ("GIN_pooled", True, True), ("GAT_pooled", False, False),
    ), "torch_geometric"),
)  # fmt: skip

"""Recurrent networks: torch.nn's with their options, cells, and those of other packages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]


def _layer(name: str, kind: str, settings: dict[str, Any]) -> Built:
    model = getattr(nn, kind)(3, 5, batch_first=True, **settings)
    return wrapped(model, lambda m, x: m(x)[0]), (torch.randn(2, 4, 3),)


def _cell(name: str, kind: str, settings: dict[str, Any]) -> Built:
    def unrolled(cell: nn.Module, x: Tensor) -> Tensor:
        state: Any = None
        for step in x.unbind(1):
            state = cell(step, state)
        return state[0] if isinstance(state, tuple) else state  # type: ignore[no-any-return]

    return wrapped(getattr(nn, kind)(3, 5, **settings), unrolled), (torch.randn(2, 4, 3),)


class _Tagger(nn.Module):
    """Token ids, an LSTM both ways, a class per token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(20, 6), nn.LSTM(6, 5, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 4)

    def forward(self, ids: Tensor) -> Tensor:
        y: Tensor = self.head(self.lstm(self.embed(ids))[0])
        return y


class _Memory(nn.Module):
    """Starts from a given state and returns the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 5)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y, last = self.gru(x.transpose(0, 1), state[None].contiguous())
        return y.transpose(0, 1), last[0]


def _ncps(name: str) -> Built:
    from ncps.torch import LTC, CfC
    from ncps.wirings import AutoNCP

    model = CfC(3, 6) if name == "CfC" else LTC(3, AutoNCP(6, 2))
    return wrapped(model, lambda m, x: m(x)[0]), (torch.randn(2, 3, 3),)


def _tcn(name: str, causal: bool) -> Built:
    from pytorch_tcn import TCN

    return TCN(3, [4, 4], causal=causal), (torch.randn(2, 3, 12),)


def _mamba(name: str) -> Built:
    from mambapy.mamba import Mamba, MambaConfig

    return Mamba(MambaConfig(d_model=8, n_layers=1, pscan=name == "mamba_pscan")), (torch.randn(2, 4, 8),)


def _minimal(name: str) -> Built:
    import minGRU_pytorch

    return getattr(minGRU_pytorch, name)(8), (torch.randn(2, 4, 8),)


ENTRIES: tuple[Entry, ...] = (
    *table("recurrent", _layer, (
        ("rnn_relu", True, "RNN", {"nonlinearity": "relu"}), ("rnn_tanh", False, "RNN", {}),
        ("rnn_relu_2_layers_both_ways", True, "RNN", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True}),
        ("lstm", False, "LSTM", {}), ("lstm_2_layers", False, "LSTM", {"num_layers": 2, "dropout": 0.1}),
        ("lstm_both_ways", False, "LSTM", {"bidirectional": True}), ("lstm_no_bias", False, "LSTM", {"bias": False}),
        ("lstm_projection", False, "LSTM", {"proj_size": 2}), ("gru", False, "GRU", {}),
        ("gru_2_layers_both_ways", False, "GRU", {"num_layers": 2, "bidirectional": True}),
    )),
    *table("recurrent", _cell, (
        ("rnn_cell_relu", True, "RNNCell", {"nonlinearity": "relu"}), ("lstm_cell", False, "LSTMCell", {}),
        ("gru_cell", False, "GRUCell", {}),
    )),
    Entry("recurrent/tagger", lambda: (_Tagger(), (torch.randint(0, 20, (2, 5)),)), False),
    Entry("recurrent/gru_with_state", lambda: (_Memory(), (torch.randn(2, 4, 3), torch.randn(2, 5))), False),
    *table("recurrent", _ncps, (("CfC", False), ("LTC", False)), "ncps"),
    *table("recurrent", _tcn, (("tcn_causal", True, True), ("tcn", True, False)), "pytorch_tcn"),
    *table("recurrent", _mamba, (("mamba", False), ("mamba_pscan", False)), "mambapy"),
    *table("recurrent", _minimal, (("minGRU", False),), "minGRU_pytorch"),
)  # fmt: skip

"""Token ids as data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report.study import prepare
from splinegraph.errors import DataError, ShapeError


class Words(nn.Module):
    """Scores of five tokens of twenty; `masked` leaves token 0 out of the mean."""

    def __init__(self, *, masked: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.masked = masked
        self.embedding, self.head = nn.Embedding(20, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = torch.relu(self.embedding(ids) + 0.1)
        if self.masked:
            x = x * (ids != 0)[..., None]
        scores: Tensor = self.head(x.mean(1))
        return scores


IDS = torch.randint(1, 20, (12, 5), generator=torch.Generator().manual_seed(1))


def test_ids_are_the_rows_of_the_embedding(tmp_path: Path) -> None:
    model = Words().double().eval()
    graph = sg.trace(model, IDS[:1])
    scores = model(IDS)
    np.savez(tmp_path / "ids.npz", x=IDS.numpy(), y=scores.argmax(1).numpy())
    report = sg.analyze(graph, data=tmp_path / "ids.npz", sections=["inputs", "maps", "codes"])
    assert report["inputs"].accuracy == 1.0
    assert [row.value for row in report["maps"].rows] == pytest.approx(scores.max(1).values[:5].tolist())
    assert any("token ids" in note for note in report.notes)


def test_embedded_samples_are_taken_as_they_are() -> None:
    model = Words().double().eval()
    found = prepare(sg.trace(model, IDS[:1]), model.embedding(IDS).detach(), None, None, None, torch.float64, 0)
    assert torch.equal(found.source.rows([3]).inputs[0][0], model.embedding(IDS[3]).detach())


def test_ids_that_the_network_reads_elsewhere_are_refused() -> None:
    graph = sg.trace(Words(masked=True).eval(), IDS[:1])
    with pytest.raises(DataError, match="depends on the ids of the example"):
        sg.analyze(graph, data=IDS, sections=["inputs"])


def test_ids_out_of_range_and_of_another_length() -> None:
    graph = sg.trace(Words().eval(), IDS[:1])
    with pytest.raises(DataError, match=r"token ids from 1 to 20: .*give ids below the number of rows"):
        sg.analyze(graph, data=torch.cat([IDS, torch.full((1, 5), 20)]), sections=["inputs"])
    with pytest.raises(ShapeError, match="or token ids as many as there"):
        sg.analyze(graph, data=IDS[:, :4], sections=["inputs"])

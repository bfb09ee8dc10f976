"""What a report says of labels, classes, several outputs, and inputs that are embeddings."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report.labels import Labels
from splinegraph.analyses.report.random_inputs import embedded, random_inputs
from splinegraph.analyses.report.report import analyze
from splinegraph.analyses.report.study import prepare
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


class Heads(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"hidden": torch.relu(x), "logits": x - 1}


def _linear(*sizes: int) -> SplineGraph:
    torch.manual_seed(0)
    return sg.trace(nn.Linear(*sizes).eval(), torch.zeros(1, sizes[0]))


@pytest.mark.parametrize(
    ("net", "labels", "why"),
    [
        (Heads(), [0] * 6, "2 outputs"),
        (nn.Linear(3, 1), [0] * 6, "the output has shape 1, not one score per class"),
        (nn.Unflatten(1, (3, 1)), [0] * 6, "the output has shape 3×1, not one score per class"),
        (nn.ReLU(), [1, 2, 3, 1, 2, 3], "the labels go from 1 to 3, the output has 3 entries"),
        (nn.ReLU(), [-1, 0, 2, 1, 2, 0], "the labels go from -1 to 2, the output has 3 entries"),
    ],
)
def test_why_there_is_no_accuracy(net: nn.Module, labels: list[int], why: str) -> None:
    found = analyze(sg.trace(net.eval(), torch.zeros(1, 3)), data=X, labels=torch.tensor(labels))
    assert (found["inputs"].accuracy, found["inputs"].no_accuracy) == (None, why)
    assert found["inputs"].headline.endswith(f"no accuracy: {why}")
    assert not found["maps"].judged
    assert found["maps"].rows[1].label == labels[1]


def test_labels_that_are_classes() -> None:
    graph = _linear(3, 3)
    best = graph(X).argmax(1)
    found = analyze(graph, data=X, labels=best)
    assert (found["inputs"].accuracy, found["inputs"].no_accuracy) == (1.0, None)
    assert found["maps"].judged
    assert not analyze(graph, data=X)["maps"].judged
    assert analyze(graph, data=X)["inputs"].no_accuracy is None


def test_the_output_shown_is_named_where_there_are_several() -> None:
    graph = sg.trace(Heads().eval(), torch.zeros(1, 3))
    maps = analyze(graph, data=X)["maps"]
    assert maps.outputs == 2
    assert maps.headline.endswith(f"; of output {graph.outputs[0]!r}, the first of 2")
    assert "output" not in analyze(_linear(3, 3), data=X)["maps"].headline


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, count in (("cat", 3), ("dog", 2), ("a very long name\nof a bird", 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("L", (2, 2), 40 * i + len(name)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_names_of_classes(photos: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    graph = sg.trace(net, torch.zeros(1, 1, 2, 2))
    found = analyze(graph, data=photos, at=range(6))
    classes = ("a very long name of a bird", "cat", "dog")
    assert found["inputs"].classes == classes
    assert [row.label_name for row in found["maps"].rows] == [classes[i] for i in (0, 1, 1, 1, 2, 2)]
    assert all(row.output_name == classes[row.output] for row in found["maps"].rows)
    assert not any("of 3 classes" in note for note in found.notes)
    assert analyze(graph, data=torch.zeros(2, 1, 2, 2))["inputs"].classes is None


def test_classes_of_other_data_are_no_classes_of_the_output(photos: Path) -> None:
    graph = sg.trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 9)).eval(), torch.zeros(1, 1, 2, 2))
    found = analyze(graph, data=photos)
    assert found["inputs"].no_accuracy == "the data have 3 classes, the output has 9 entries"
    assert found["maps"].rows[0].label_name
    assert {row.output_name for row in found["maps"].rows} == {None}


@pytest.mark.parametrize(("limit", "held"), [(1, 1), (3, 2), (4, 2), (5, 3), (6, 3), (None, 3)])
def test_sorted_data_cut_short_say_how_many_classes_they_hold(photos: Path, limit: int | None, held: int) -> None:
    graph = sg.trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval(), torch.zeros(1, 1, 2, 2))
    notes = analyze(graph, data=photos, limit=limit).notes
    told = [note for note in notes if "hold" in note]
    plural = "s" * (limit != 1)
    assert told == [f"the {limit} sample{plural} looked at hold {held} of 3 classes"] * (held < 3)


def test_parts_do_not_matter_for_labels(photos: Path) -> None:
    graph = sg.trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval(), torch.zeros(1, 1, 2, 2))
    made = prepare(graph, photos, None, None, None, torch.float64, 0)
    found = Labels(made)
    for batch in made.source.batches(1):
        found.add(type(next(made.parts()))(*batch))
    assert found.judged
    assert found.notes == ()


# inputs that come after an embedding


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.words, self.kinds, self.head = nn.Embedding(9, 4), nn.Embedding(3, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor, kinds: Tensor) -> Tensor:
        found: Tensor = self.head(torch.relu(self.words(ids) + self.kinds(kinds)).mean(1))
        return found


IDS, KINDS = torch.tensor([[3, 1, 4]]), torch.tensor([[0, 1, 2]])


def test_random_inputs_after_an_embedding_are_orders_of_the_tokens() -> None:
    model = Tokens().eval()
    graph = sg.trace(model, (IDS, KINDS))
    assert embedded(graph) == graph.inputs
    (words, kinds), ordered = random_inputs(graph, 0)
    assert ordered
    table = model.words.weight.double().detach()
    orders = [torch.tensor(order) for order in itertools.permutations(range(3))]
    assert torch.equal(words[0], table[IDS[0]])
    found = [[i for i, o in enumerate(orders) if torch.equal(row, table[IDS[0]][o])] for row in words]
    assert {i for (i,) in found} == set(range(6))  # each is one order, and all occur
    for row, (i,) in zip(kinds, found, strict=True):  # words keep their kinds
        assert torch.equal(row, model.kinds.weight.double().detach()[KINDS[0]][orders[i]])
    assert torch.equal(random_inputs(graph, 0)[0][0], words)
    assert not torch.equal(random_inputs(graph, 1)[0][0], words)
    report = analyze(graph)
    assert report["inputs"].random
    assert report["inputs"].token_orders
    assert f"{len(words)} random orders of the example's token embeddings, not data" in report["inputs"].headline


def test_an_input_without_orders_keeps_its_tokens() -> None:
    model = Tokens().eval()
    graph = sg.trace(model, (IDS, torch.zeros_like(KINDS)))
    (words, kinds), ordered = random_inputs(graph, 0)
    assert ordered
    assert len(words.unique(dim=0)) == 6
    assert torch.equal(kinds, model.kinds.weight.double().detach()[0].expand_as(kinds))


def test_orders_that_give_nothing_new_are_random_numbers() -> None:
    graph = sg.trace(Tokens().eval(), (torch.ones_like(IDS), torch.zeros_like(KINDS)))
    inputs, ordered = random_inputs(graph, 0)
    assert not ordered
    assert all(abs(float(x.std()) - 1) < 0.2 for x in inputs)
    assert "random standard normal inputs, not data" in analyze(graph)["inputs"].headline


def test_token_ids_as_data_are_told_from_embeddings() -> None:
    graph = sg.trace(Tokens().eval(), (IDS, KINDS))
    said = f"input '{graph.inputs[0]}' is the output of an embedding at the token ids of the example"
    with pytest.raises(ShapeError, match=said) as first:
        analyze(graph, data=(IDS, KINDS))
    assert "(give them by --input)" in str(first.value)
    assert "data are samples of that output" in str(first.value)
    with pytest.raises(ShapeError, match=r"each of 'embedding', .* is the output of an emb"):
        analyze(graph, data=IDS)
    with pytest.raises(ShapeError) as plain:
        analyze(_linear(3, 3), data=IDS[:, :2])
    assert "embedding" not in str(plain.value)

"""Templates: f(x) = <A, x> + b, against automatic differentiation, and what is derived of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.errors import DataError, ShapeError


def net(*, smooth: bool = False, out: int = 4) -> nn.Module:
    torch.manual_seed(0)
    act: nn.Module = nn.Tanh() if smooth else nn.ReLU()
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), act, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, out)
    ).double().eval()  # fmt: skip


def inputs(count: int = 5) -> Tensor:
    return torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("smooth", [False, True])
def test_matching_values_and_biases_add_up_to_the_scores(smooth: bool) -> None:
    model, x = net(smooth=smooth), inputs()
    found = sg.templates(sg.trace(model, x), x)
    torch.testing.assert_close(found.scores, model(x), rtol=1e-12, atol=1e-12)
    jacobian = torch.stack([torch.autograd.functional.jacobian(model, v[None])[0, :, 0] for v in x])
    torch.testing.assert_close(found.rows, jacobian, rtol=1e-10, atol=1e-12)
    assert found.kind == ("tangent" if smooth else "exact")


def test_chosen_classes_are_rows_of_all() -> None:
    x = inputs()
    graph = sg.trace(net(), x)
    all_of, some = sg.templates(graph, x), sg.templates(graph, x, classes=(2, 0))
    for name in ("rows", "centered", "values", "biases", "cosines", "centered_cosines", "bias_share"):
        torch.testing.assert_close(getattr(some, name), getattr(all_of, name)[:, [2, 0]], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(some.centered_bias_share, all_of.centered_bias_share[:, [2, 0]])
    # the label's template is there whatever is chosen
    torch.testing.assert_close(some.comparison.to_input, all_of.comparison.to_input)


def test_gram_and_centering() -> None:
    x = inputs()
    found = sg.templates(sg.trace(net(), x), x)
    flat = found.rows.flatten(2)
    torch.testing.assert_close(found.gram, torch.einsum("bkd,bld->bkl", flat, flat))
    assert float(found.centered.sum(1).abs().max()) < 1e-12
    assert float(found.centered_gram.sum(2).abs().max()) < 1e-11
    assert bool(((found.bias_share >= 0) & (found.bias_share <= 1)).all())


def test_what_is_common_to_all_classes_changes_nothing_centered() -> None:
    x = inputs()
    one, other = net(), net()
    other[-1].weight.data += torch.randn(1, 27, dtype=torch.float64)  # type: ignore[operator, union-attr]
    before, after = (sg.templates(sg.trace(m, x), x) for m in (one, other))
    torch.testing.assert_close(before.centered, after.centered, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(before.centered_bias_share, after.centered_bias_share, rtol=1e-7, atol=1e-9)
    assert not torch.allclose(before.rows, after.rows)


def test_comparison_at_the_optimum() -> None:
    """A linear network that has the optimal templates of one input, plus what is common."""
    x = torch.randn(1, 6, dtype=torch.float64)
    best = sg.optimal_templates(x, [2], 5, energy=3.0)
    model = nn.Linear(6, 5).double().eval()
    model.weight.data = best.rows[0] + torch.randn(6, dtype=torch.float64)
    found = sg.templates(sg.trace(model, x), x, torch.tensor([2])).comparison.to_dict()
    for name, value in found.items():
        assert value["mean"] == pytest.approx(value["optimum"], abs=1e-9), name


def test_dead_network_has_no_cosines() -> None:
    model = net()
    for p in model.parameters():
        nn.init.zeros_(p)
    x = inputs()
    found = sg.templates(sg.trace(model, x), x, torch.zeros(5, dtype=torch.long))
    assert bool(found.cosines.isnan().all())
    assert bool(found.bias_share.isnan().all())
    told = found.to_dict()
    assert told["cosines"][0][0] is None
    assert told["comparison"]["to_input"]["mean"] is None
    json.dumps(told, allow_nan=False)
    memory = sg.memorization(sg.trace(model, x), x, [0] * 5)
    assert memory.excess is None
    assert not memory.plot().lines


def test_one_class_and_no_label_of_another() -> None:
    x = inputs()
    found = sg.templates(sg.trace(net(out=1), x), x)
    assert found.comparison.to_dict()["to_wrong"]["mean"] is None
    assert found.comparison.to_dict()["norm_ratio"]["mean"] is None


def test_bad_input() -> None:
    x = inputs()
    graph = sg.trace(net(), x)
    with pytest.raises(ShapeError, match="no class 4"):
        sg.templates(graph, x, classes=[4])
    with pytest.raises(ShapeError, match="each once"):
        sg.templates(graph, x, classes=[1, 1])
    with pytest.raises(DataError, match="one integer per sample"):
        sg.templates(graph, x, [0, 1])
    with pytest.raises(DataError, match="no classes of the network"):
        sg.templates(graph, x, [0, 1, 2, 3, 4])
    with pytest.raises(ShapeError, match="one score per class"):
        sg.templates(sg.trace(nn.ReLU().eval(), x), x)


def test_saved_arrays_and_index(tmp_path: Path) -> None:
    x = inputs()
    found = sg.templates(sg.trace(net(), x), x, [0, 1, 2, 3, 0])
    folder = found.save(tmp_path / "out")
    index = json.loads((folder / "index.json").read_text())
    for name, said in index["files"].items():
        assert list(np.load(folder / name).shape) == said["shape"]
    read = np.load(folder / "templates.npy")
    again = (read * np.load(folder / "inputs.npy")[:, None]).sum((2, 3, 4)) + np.load(folder / "biases.npy")
    np.testing.assert_allclose(again, found.scores.detach().numpy(), rtol=1e-10, atol=1e-12)
    with pytest.raises(DataError, match="overwrite"):
        found.save(folder)
    found.save(folder, overwrite=True)


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 4, 3), (36,)])
def test_gallery(shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    model = nn.Sequential(nn.Flatten(), nn.Linear(size, 3)).eval()
    x = torch.randn(2, *shape)
    found = sg.templates(sg.trace(model, x), x, [0, 1])
    ax = found.plot(centered=True)
    assert len(ax.images) == 2 * (3 + 2)
    assert "class 1" in {text.get_text().removeprefix("x, ") for text in ax.texts}
    if shape == (36,):
        assert len(found.plot(image=(6, 6)).images) == 10
        with pytest.raises(ShapeError, match="as many entries"):
            found.plot(image=(5, 5))


def test_memorization_of_a_network_that_is_its_inputs() -> None:
    x = torch.eye(6, dtype=torch.float64)[:4]
    model = nn.Linear(6, 4).double().eval()
    model.weight.data = torch.cat([torch.eye(4), torch.zeros(4, 2)], 1).double()
    found = sg.memorization(sg.trace(model, x), x, [0, 1, 2, 3], held_out=(x.flip(0), [0, 1, 2, 3]))
    # centred: (3/4, -1/4, -1/4, -1/4)
    cos = 0.75 / np.sqrt(0.75**2 + 3 * 0.25**2)
    torch.testing.assert_close(found.own, torch.full((4,), cos, dtype=torch.float64))
    torch.testing.assert_close(found.other, torch.full((4,), -cos / 3, dtype=torch.float64))
    assert bool(found.same.isnan().all())
    assert found.excess is None
    assert found.gap == pytest.approx(cos + cos / 3)
    assert found.plot().get_xlabel()
    json.dumps(found.to_dict(), allow_nan=False)


def test_updates_balance() -> None:
    """Prop 2, corrected: pushes against automatic differentiation, gradients of the softmax sum to zero."""
    x, y = inputs(), torch.tensor([0, 1, 2, 3, 1])
    model = net()
    found = sg.update_balance(sg.trace(model, x), x, y)
    logits = model(x).detach().requires_grad_()
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(logits, y, reduction="sum"), logits)
    torch.testing.assert_close(found.pushes, -slope, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.right, -3 * found.wrong, rtol=1e-12, atol=1e-14)
    assert found.gradient_sum < 1e-13


@pytest.mark.parametrize("classes", [3, 7, 9])
def test_equal_templates_have_no_direction_after_centring(classes: int) -> None:
    """The mean of equal rows differs from them by rounding, which is no template."""
    garbage = 0
    for seed in range(8):
        torch.manual_seed(seed)
        last = nn.Linear(4, classes).double()
        last.weight.data[:] = torch.randn(4)
        x = torch.randn(3, 4, dtype=torch.float64)
        graph = sg.trace(nn.Sequential(nn.Linear(4, 4).double(), nn.ReLU(), last).eval(), x)
        found, labels = sg.templates(graph, x), [0, 1, 0]
        garbage += bool((found.rows - found.rows.mean(1, keepdim=True)).any())
        assert not found.centered.any()
        assert {value["mean"] for value in found.comparison.to_dict().values()} == {None}
        assert sg.memorization(graph, x, labels).own.isnan().all()
        assert sg.template_scores(graph, x, labels).values["alignment"] == 0.0
    assert garbage or classes == 3  # there was something to take for rounding


def test_labels_that_are_names_are_refused() -> None:
    x = inputs()
    with pytest.raises(DataError, match="one integer per sample"):
        sg.templates(sg.trace(net(), x), x, ["a"] * len(x))  # type: ignore[arg-type]

"""Figures of runs: what they show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from splinegraph.errors import ShapeError
from splinegraph.training.engine.figures import plot_accuracies, plot_confusion, plot_losses, plot_reconstructions


def test_reconstructions_have_a_row_per_image_and_a_column_per_network() -> None:
    images = torch.rand(4, 3, 5, 6)
    figure = plot_reconstructions(images, {"mean": 3 * images, "max": images - 1})
    assert len(figure.axes) == 12
    assert [axes.get_title() for axes in figure.axes[:3]] == ["input", "mean", "max"]
    for axes in figure.axes[:3]:  # each on its own scale
        low, high = images[0].min(), images[0].max()
        expected = ((images[0] - low) / (high - low)).permute(1, 2, 0)
        np.testing.assert_allclose(axes.images[0].get_array(), expected, atol=1e-6)
    assert plot_reconstructions(torch.zeros(1, 2, 4, 4), {}).axes[0].images[0].get_array().shape == (4, 4)
    with pytest.raises(ShapeError, match="'max' has shape"):
        plot_reconstructions(images, {"max": images[:2]})
    with pytest.raises(ShapeError, match="no images"):
        plot_reconstructions(images[:0], {})


def test_accuracies_of_draws_have_their_mean() -> None:
    axes = plot_accuracies({"a": [([1, 2], [0.2, 0.4]), ([1, 2], [0.4, 0.8])], "b": [([1], [0.5])]})
    assert any(np.allclose(line.get_ydata(), [30, 60]) for line in axes.lines)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_terms_that_come_later_and_confusions() -> None:
    axes = plot_losses([1, 2], [{"total": 1.0}, {"total": 0.5, "entropy": 0.1}])
    assert [line.get_label() for line in axes.lines] == ["total", "entropy"]
    axes = plot_confusion(torch.tensor([[2, 0], [1, 3]]), ["cat", "dog"], ax=axes)
    assert sorted(text.get_text() for text in axes.texts) == ["1", "2", "3"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]

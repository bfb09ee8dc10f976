"""Contests as tables."""

from __future__ import annotations

import torch

from splinegraph.core.switching import Contest


def test_columns_count_through_the_arguments_and_ranks_through_those_ahead() -> None:
    argument = torch.tensor([[0, 1], [1, 0], [0, 0]])
    position = torch.tensor([[1, 0], [2, -1], [0, 1]])
    contest = Contest(argument, position, largest=True, after=torch.tensor([-1, 0, 1]))
    assert contest.columns([2, 3]).tolist() == [[1, 2], [4, -1], [0, 1]]
    assert contest.ranks.tolist() == [0, 1, 2]

"""A graph of nodes as a module that runs them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.node import OnnxNode
from splinegraph.tracers.onnx.registry import Node, Operator
from splinegraph.tracers.onnx.values import Array, Value

__all__ = ["Body", "Conditional", "Step"]


@dataclass(frozen=True)
class Step:
    """A node to run.

    Parameters
    ----------
    module : str
        Its name among the children.
    inputs, outputs : tuple of str
        The values it takes, and those it makes ('' where nobody wants one).
    release : tuple of str
        Values that nobody needs afterwards.
    """

    module: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    release: tuple[str, ...]


class Body(nn.Module):
    """Nodes in order.

    Parameters
    ----------
    nodes : mapping of str to torch.nn.Module
    steps : sequence of Step
    results : sequence of str
        The values to return.
    constants : mapping
        Values among the results that are stored in the file.
    """

    def __init__(
        self, nodes: Mapping[str, nn.Module], steps: Sequence[Step], results: Sequence[str],
        constants: Mapping[str, Value],
    ) -> None:  # fmt: skip
        super().__init__()
        self._steps, self._results, self._constants = tuple(steps), tuple(results), dict(constants)
        for name, node in nodes.items():
            self.add_module(name, node)
        self.training = False

    def run(self, values: dict[str, Value], owner: nn.Module | None = None) -> list[Value]:
        """Compute the results from the values that come from outside.

        Parameters
        ----------
        values : dict
            By name.
        owner : torch.nn.Module, optional
            The module that has the nodes as its children, if it is not this one.
        """
        owner = self if owner is None else owner
        values = {**self._constants, **values}
        for step in self._steps:
            results = getattr(owner, step.module)(*[values[name] for name in step.inputs])
            values.update(zip(step.outputs, results, strict=False))
            for name in step.release:
                values.pop(name, None)
        return [values[name] for name in self._results]

    def forward(self, *args: Any) -> Any:
        """Return the results; the arguments are the values by name, as one mapping."""
        return self.run(args[0])


class Conditional(OnnxNode):
    """An `If` whose condition is known once the shape of the input is.

    Parameters
    ----------
    spec, operator, constants, live, names
        As of any node; the first input is the condition, the others what the branches read.
    branches : sequence of Body
        For true and for false.
    captured : sequence of str
        The names by which the branches know the other inputs.
    """

    def __init__(
        self, spec: Node, operator: Operator, constants: Sequence[nn.Parameter | Array | None],
        live: Sequence[bool], names: Sequence[str], branches: Sequence[Body], captured: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__(spec, operator, constants, live, names)
        self.then_branch, self.else_branch = branches
        self.captured = tuple(captured)

    def _compute(self, values: list[Value]) -> Any:
        condition = values[0]
        if not isinstance(condition, np.ndarray):
            raise TraceError(
                "the branch that is taken depends on the values of the input",
                remedy="export the model without this If, or one of its branches",
            )
        branch = self.then_branch if bool(condition.reshape(-1)[0]) else self.else_branch
        return tuple(branch(dict(zip(self.captured, values[1:], strict=True))))

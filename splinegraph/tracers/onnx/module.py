"""An ONNX file as a torch module."""

from __future__ import annotations

import inspect
import keyword
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from splinegraph.errors import ShapeError
from splinegraph.tracers.onnx.body import Body
from splinegraph.tracers.onnx.node import clean_name
from splinegraph.tracers.onnx.values import Value, tensor_of

__all__ = ["Declared", "OnnxModule"]


@dataclass(frozen=True)
class Declared:
    """An input as the file declares it.

    Parameters
    ----------
    name : str
    shape : tuple
        Numbers, names, or None; its first entry is the batch if `has_batch`.
    dtype : torch.dtype
    has_batch : bool
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: torch.dtype
    has_batch: bool

    @property
    def sample(self) -> tuple[int | None, ...]:
        """The shape of one sample, None for sizes that the file leaves open."""
        sizes = self.shape[1:] if self.has_batch else self.shape
        return tuple(n if isinstance(n, int) else None for n in sizes)


class OnnxModule(nn.Module):
    """The graph of an ONNX file, one child module per node, in eval mode.

    Made by `read_onnx`. The children are named after the nodes of the file, and hold the weights that
    these use under the names that they have in the file.

    Parameters
    ----------
    body : Body
        The nodes, in order. They become children of this module.
    inputs : sequence of Declared
    output_names : sequence of str
    opset : int

    Attributes
    ----------
    input_names, output_names : tuple of str
    input_shapes : tuple of tuple of int or None
        The shape of one sample of every input: without the batch, None for sizes that the file leaves open.
    input_dtypes : tuple of torch.dtype
    has_batch : tuple of bool
        Which inputs have a batch on axis 0; where the file has none, it is one sample's.
    opset : int
        The version of ONNX's operators that the file uses.
    batching : str
        'any': every batch size works, sample by sample. 'fixed': only the batch size in the file, which is
        then 1. 'none': the file has no batch axis; one sample may be given with a batch axis of size one.
    notes : tuple of str
        What the reader should know of how the file was taken.
    """

    def __init__(
        self, body: Body, inputs: Sequence[Declared], output_names: Sequence[str], opset: int
    ) -> None:  # fmt: skip
        super().__init__()
        self._body = (body,)  # in a tuple: its nodes are children of this module, under their own names
        for name, child in body.named_children():
            self.add_module(name, child)
        self.input_names = tuple(i.name for i in inputs)
        self.input_dtypes = tuple(i.dtype for i in inputs)
        self.output_names, self.opset = tuple(output_names), opset
        self.settle(inputs, "any", ())
        self.training = False
        self.__dict__["forward"] = types.MethodType(_with_names(OnnxModule.forward, self.input_names), self)

    def settle(self, inputs: Sequence[Declared], batching: str, notes: Sequence[str]) -> None:
        """Say how batches are taken."""
        self._inputs, self.batching, self.notes = tuple(inputs), batching, tuple(notes)
        self.input_shapes = tuple(i.sample for i in inputs)
        self.has_batch = tuple(i.has_batch or batching == "none" for i in inputs)

    def forward(self, *inputs: Tensor) -> Any:
        """Return the outputs of the file: a tensor, or a tuple where there are several.

        Parameters
        ----------
        inputs : Tensor
            In the order of `input_names`, with a batch axis where `has_batch`.

        Raises
        ------
        ShapeError
            If their number or shapes are not those of the file.
        """
        if len(inputs) != len(self._inputs):
            names = ", ".join(self.input_names)
            raise ShapeError(f"the file takes {len(self._inputs)} inputs ({names}), {len(inputs)} were given")
        given = list(inputs)
        pairs = zip(given, self._inputs, strict=True)
        single = self.batching == "none" and any(x.dim() == len(i.shape) + 1 for x, i in pairs)
        if single:
            given = [self._without_batch(x, i) for x, i in zip(given, self._inputs, strict=True)]
        elif self.batching == "fixed":
            self._check_batch(given)
        values: dict[str, Value] = dict(zip(self.input_names, given, strict=True))
        results = [self._tensor(r) for r in self._run(values)]
        if single:
            results = [r.unsqueeze(0) if isinstance(r, Tensor) else r for r in results]
        return results[0] if len(results) == 1 else tuple(results)

    def _run(self, values: dict[str, Value]) -> list[Value]:
        """Run the nodes as this module's own children, so that a trace sees their names."""
        return self._body[0].run(values, self)

    @staticmethod
    def _tensor(value: Value) -> Any:
        return value if isinstance(value, Tensor | list) or value is None else tensor_of(value)

    @staticmethod
    def _without_batch(x: Tensor, declared: Declared) -> Tensor:
        if x.dim() != len(declared.shape) + 1:
            return x
        if x.shape[0] != 1:
            raise ShapeError(
                f"the file has no batch axis, input {declared.name!r} has {x.shape[0]} samples",
                remedy="give one sample at a time",
            )
        return x.squeeze(0)

    def _check_batch(self, inputs: Sequence[Tensor]) -> None:
        for x, declared in zip(inputs, self._inputs, strict=True):
            size = declared.shape[0] if declared.shape else None
            size = size if isinstance(size, int) else 1
            if declared.has_batch and x.shape[0] != size:
                raise ShapeError(
                    f"the file works for batches of {size} only, input {declared.name!r} has {x.shape[0]} samples",
                    remedy="give one sample at a time, or export the model with a dynamic batch axis",
                )

    def example_inputs(self, batch: int = 1, *, unknown: Mapping[int, int] | int = 0) -> tuple[Tensor, ...]:
        """Return inputs of zeros in the shapes of the file.

        Parameters
        ----------
        batch : int
            Number of samples.
        unknown : int or mapping of int to int
            What to take for sizes that the file leaves open: one number, or one per rank of the sample.

        Raises
        ------
        ShapeError
            If the file leaves sizes open and `unknown` does not say what to take.
        """
        found = []
        for declared, has_batch in zip(self._inputs, self.has_batch, strict=True):
            sizes = declared.sample
            size = unknown if isinstance(unknown, int) else unknown.get(len(sizes), 0)
            if None in sizes and not size:
                raise ShapeError(
                    f"the file leaves sizes of input {declared.name!r} open: {sizes}",
                    remedy="give an example input, or its shape",
                )
            shape = tuple(size if n is None else n for n in sizes)
            lead = (batch,) if has_batch else ()
            found.append(torch.zeros(lead + shape, dtype=declared.dtype))
        return tuple(found)


def _with_names(forward: Callable[..., Any], input_names: Sequence[str]) -> Callable[..., Any]:
    """Return a method whose arguments have the names of the file's inputs: traces name theirs after them."""
    names = ["self"]
    for name in input_names:
        clean = clean_name(name, names, "input")
        usable = clean.isidentifier() and not keyword.iskeyword(clean)
        names.append(clean if usable else clean_name(f"input_{clean}", names))
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named = types.FunctionType(forward.__code__, forward.__globals__, forward.__name__)
    parameters = [inspect.Parameter(name, kind) for name in names]
    named.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return named

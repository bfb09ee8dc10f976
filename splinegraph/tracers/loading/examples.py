"""Example inputs: what was given, what the file holds, or random ones of a known shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from splinegraph.errors import DataError, TargetError, one_line
from splinegraph.tracers.loading.arrays import read_tensors
from splinegraph.tracers.loading.declared import as_arguments, takes
from splinegraph.tracers.loading.layers import first_layer, first_that_runs, question, told_by, try_shape, vocabulary
from splinegraph.tracers.loading.target import Loaded

__all__ = ["example_inputs"]

Shape = Sequence[int | None]


def example_inputs(
    loaded: Loaded,
    *,
    shapes: Sequence[Sequence[int]] = (),
    given: Sequence[Path | str] = (),
    data: Sequence[Tensor] | None = None,
    seed: int = 0,
) -> tuple[tuple[Any, ...], str]:
    """Return example arguments for one sample, and a line that says where they come from.

    The first of these that there is: files, data, shapes, the example that the model's file holds, the
    shapes that it tells, the features of a first linear layer.

    Parameters
    ----------
    loaded : Loaded
    shapes : sequence of shapes, optional
        Of one sample of each input.
    given : sequence of path, optional
        Files .npy, .npz or .pt with the inputs. Where the model's shapes are known they say whether there
        is a batch axis, else axis 0 is it.
    data : sequence of Tensor, optional
        The first samples of the data, one tensor per input.
    seed : int
        Of random inputs: normal numbers, or token ids for a model that begins with an embedding.

    Returns
    -------
    args : tuple
        Tensors of batch size 1, in the model's own type and on its device; integers stay integers for a model
        that wants them. What is no tensor of the batch stays as it is.
    origin : str

    Raises
    ------
    TargetError
        If nothing tells the shape: with what is known, and the option to give.
    DataError
        If files or data do not fit the shapes that are known.

    Notes
    -----
    Runs the model at most three times, and only where there is something to choose.
    """
    model = _Model(loaded)
    known: Sequence[Shape] | None = tuple(map(tuple, shapes)) or loaded.input_shapes
    source = "--input-shape" if shapes else "the model"
    if given:
        return _from_files(model, given, known, source)
    if data is not None:
        if known is not None:
            for i, (x, shape) in enumerate(_pairs(data, known, "the data", source)):
                if not _fits(x.shape[1:], shape):
                    raise _other_shape("samples of the data" + _th(i, data), x.shape[1:], shape, source)
        return model.fitted(data), "example input: the first sample of the data"
    if shapes:
        return model.random(shapes, seed), f"example input: random, {_listed(shapes)} from --input-shape"
    if loaded.example is not None:
        args = _one_sample(loaded.example, loaded.input_shapes or model.told(loaded.example))
        return model.placed(args), "example input: the one that the model's file holds"
    if loaded.input_shapes is not None:
        closed = tuple(tuple(n for n in shape if n is not None) for shape in loaded.input_shapes)
        if any(None in shape for shape in loaded.input_shapes):
            raise _open_sizes(loaded.input_shapes)
        return model.random(closed, seed), f"example input: random, {_listed(closed)} from the model's file"
    return _inferred(model, seed)


def _th(i: int, items: Sequence[Any]) -> str:
    return f" for input {i}" if len(items) > 1 else ""


def _listed(shapes: Sequence[Shape]) -> str:
    named = ["(" + ", ".join("?" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
             for shape in shapes]  # fmt: skip
    return f"shape{'s' if len(named) > 1 else ''} {' and '.join(named)}"


def _fits(shape: Sequence[int], wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(w is None or n == w for n, w in zip(shape, wanted, strict=True))


def _other_shape(what: str, shape: Sequence[int], wanted: Shape, source: str) -> DataError:
    return DataError(
        f"{what} have shape {tuple(shape)}",
        why=f"{source} says {_listed([wanted])}",
        remedy="give inputs of that shape",
    )


def _pairs(items: Sequence[Tensor], shapes: Sequence[Shape], what: str, source: str) -> list[tuple[Tensor, Shape]]:
    if len(items) != len(shapes):
        raise DataError(f"{what} have {len(items)} input(s)", why=f"{source} has {len(shapes)}", remedy="give one each")
    return list(zip(items, shapes, strict=True))


def _open_sizes(shapes: Sequence[Shape]) -> TargetError:
    options = " ".join("--input-shape " + ",".join(str(n or 28) for n in shape) for shape in shapes)
    return TargetError(
        "the input shape is not known", why=f"the model leaves sizes open: {_listed(shapes)}",
        remedy=f"give it, such as {options}",
    )  # fmt: skip


@dataclass(frozen=True)
class _Model:
    """A model, and the types of tensors that it wants."""

    loaded: Loaded

    @property
    def tensors(self) -> list[Tensor]:
        model = self.loaded.model
        held = [*model.parameters(), *model.buffers()]
        return [t for t in held if t.is_floating_point() and not nn.parameter.is_lazy(t)]

    @property
    def dtype(self) -> torch.dtype:
        return next((t.dtype for t in self.tensors), torch.get_default_dtype())

    def told(self, args: Sequence[Any]) -> tuple[tuple[int, ...]] | None:
        """Return the shape that the first layer tells, if the one argument given is a bare sample of it."""
        first = first_layer(self.loaded.model)
        shape = told_by(first[1]) if first is not None else None
        bare = shape is not None and len(args) == 1 and tuple(getattr(args[0], "shape", ())) == shape
        return (shape,) if shape is not None and bare else None

    def has_batch(self, items: Sequence[Any]) -> tuple[bool, ...]:
        """Return which of the inputs have a batch axis."""
        known = self.loaded.has_batch
        return known if known is not None and len(known) == len(items) else (True,) * len(items)

    def placed(self, args: Sequence[Any]) -> tuple[Any, ...]:
        """Return the arguments on the device of the weights."""
        device = next((t.device for t in self.tensors if not t.is_meta), torch.device("cpu"))
        return tuple(x.to(device) if isinstance(x, Tensor) else x for x in args)

    def random(self, shapes: Sequence[Sequence[int]], seed: int) -> tuple[Any, ...]:
        """Return random numbers, or token ids, of the types that the model says or runs on."""
        generator = torch.Generator().manual_seed(seed)
        count = vocabulary(self.loaded.model)
        sizes = [(1, *s) if batched else tuple(s) for s, batched in zip(shapes, self.has_batch(shapes), strict=True)]
        floats = [torch.randn(size, generator=generator).to(self.dtype) for size in sizes]
        tokens = [torch.randint(max(count, 2), size, generator=generator) for size in sizes]
        known = self.loaded.dtypes
        if known is not None and len(known) == len(shapes):
            triples = zip(floats, tokens, known, strict=True)
            return self.placed([(x if d.is_floating_point else t).to(d) for x, t, d in triples])
        if not count:
            return self.placed(floats)
        mixed = (*tokens[:1], *floats[1:])
        guesses = [tuple(tokens), mixed, tuple(floats)] if len(shapes) > 1 else [tuple(tokens), tuple(floats)]
        return first_that_runs(self.loaded.model, [self.placed(guess) for guess in guesses])

    def fitted(self, args: Sequence[Any]) -> tuple[Any, ...]:
        """Return the first sample in the types of the model: integers stay so if it wants them."""
        tensors = [x for x in args if isinstance(x, Tensor)]
        tensors = [x[:1] if batched else x for x, batched in zip(tensors, self.has_batch(tensors), strict=True)]
        known = self.loaded.dtypes
        if known is not None and len(known) == len(tensors):
            guesses = [[x.to(d) for x, d in zip(tensors, known, strict=True)]]
        else:
            guesses = [[x.to(self.dtype) for x in tensors]]
            if not all(x.is_floating_point() for x in tensors):
                guesses.append([x.to(self.dtype) if x.is_floating_point() else x.long() for x in tensors])
            guesses = guesses[::-1] if _embeds(self.loaded.model) else guesses

        def filled(guess: list[Tensor]) -> tuple[Any, ...]:
            rest = iter(guess)
            return self.placed([next(rest) if isinstance(x, Tensor) else x for x in args])

        return first_that_runs(self.loaded.model, [filled(guess) for guess in guesses])


def _embeds(model: Any) -> bool:
    kinds = nn.Embedding | nn.EmbeddingBag
    return isinstance(model, nn.Module) and any(isinstance(part, kinds) for part in model.modules())


def _one_sample(example: Sequence[Any], shapes: Sequence[Shape] | None) -> tuple[Any, ...]:
    """Cut arguments to one sample. The first tensor tells the batch size, unless it is a bare sample."""
    tensors = [x for x in example if isinstance(x, Tensor)]
    bare = shapes is not None and len(shapes) == len(tensors) and all(map(_fits, (x.shape for x in tensors), shapes))
    if bare and not all(_fits(x.shape[1:], shape) for x, shape in zip(tensors, shapes or (), strict=True)):
        return tuple(x[None] if isinstance(x, Tensor) else x for x in example)
    batch = tensors[0].shape[0] if tensors[0].dim() else 0
    cut = [isinstance(x, Tensor) and x.dim() > 0 and x.shape[0] == batch for x in example]
    return tuple(x[:1] if c else x for x, c in zip(example, cut, strict=True))


def _from_files(
    model: _Model, given: Sequence[Path | str], known: Sequence[Shape] | None, source: str
) -> tuple[tuple[Any, ...], str]:  # fmt: skip
    alone = len(given) == 1
    files = [(Path(n), read_tensors(Path(n), lambda keys: alone and takes(model.loaded.model, keys))) for n in given]
    names = {id(x): f"{key!r} in {path}" if key else str(path) for path, held in files for key, x in held.items()}
    args: list[Any] = [x for _, held in files for x in held.values()]
    if alone and takes(model.loaded.model, files[0][1]):
        args = list(as_arguments(files[0][1], model.loaded.model, str(files[0][0])))
    tensors = [x for x in args if isinstance(x, Tensor)]
    if known is None:
        known, source = model.told(tensors), "its first layer"
    if known is not None:
        rows = _pairs(tensors, known, "the files", source)
        batched = model.has_batch(rows)
        rest = iter([_with_batch(x, s, names[id(x)], source, b) for (x, s), b in zip(rows, batched, strict=True)])
        args = [next(rest) if isinstance(x, Tensor) else x for x in args]
    count = next(len(x) for x in args if isinstance(x, Tensor))
    which = f"the first of {count} in " if count > 1 else ""
    shown = [
        f"{' and '.join(map(repr, held))} in {path}" if path.suffix.lower() == ".npz" else str(path)
        for path, held in files
    ]
    return model.fitted(args), one_line(f"example input: {which}{' and '.join(shown)}")


def _with_batch(x: Tensor, shape: Shape, name: str, source: str, batched: bool) -> Tensor:
    if _fits(x.shape[1:], shape) and batched:
        return x
    if _fits(x.shape, shape):
        return x[None] if batched else x
    raise _other_shape(f"the samples of {name}", x.shape[1:] if batched else x.shape, shape, source)


def _inferred(model: _Model, seed: int) -> tuple[tuple[Any, ...], str]:
    """Guess the shape from the first layer, and run the model to see whether it is right."""
    module = model.loaded.model
    first = first_layer(module)
    answer = "give --input-shape, such as {}, or --input or --data, or set `input_shape` in the file"
    if first is None or not isinstance(module, nn.Module):
        raise TargetError("the input shape is not known", remedy=answer.format("1,28,28"))
    name, layer = first
    shape = told_by(layer)
    if shape is None:
        why, example = question(name, layer)
        raise TargetError("the input shape is not known", why=why, remedy=answer.format(example))
    args = model.random([shape], seed)
    why = try_shape(module, layer, args[0])
    if why:
        raise TargetError("the input shape is not known", why=why, remedy=answer.format("1,28,28"))
    return args, f"example input: random, {_listed([shape])} as its first layer{f' {name!r}' * bool(name)} takes"

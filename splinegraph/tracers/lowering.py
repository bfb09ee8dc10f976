"""From an exported program to nodes: what depends on an input becomes an operator, the rest a constant."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols
from torch.utils._pytree import tree_map

from splinegraph.core.algebra import MoveAxis
from splinegraph.core.graph import Input, Node
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, Expression, depends_on_batch
from splinegraph.errors import TraceError
from splinegraph.operators.complex_numbers import COMPLEX, Complex, assembled
from splinegraph.operators.registry import LOWERINGS, Value
from splinegraph.operators.shape import Reshape
from splinegraph.tracers.call import LoweringCall, functional_call
from splinegraph.tracers.exporting import functional_name, node_line, target_name
from splinegraph.tracers.program import attribute, holes, in_place, module_path, needed
from splinegraph.tracers.sizes import SymbolicSizes, Unbatchable, is_open, size_text
from splinegraph.tracers.steps import Clock
from splinegraph.tracers.unrolling import unroll

__all__ = ["Lowering"]

# calls whose result becomes an input of the graph, where the model takes token ids
_EMBEDDINGS = ("aten.embedding.", "aten.embedding_bag.", "aten._embedding_bag")


class Lowering(SymbolicSizes):
    """Builds the nodes of a graph, one exported call after the other.

    Parameters
    ----------
    batched : bool
        Whether the batch size is symbolic in the exported program.
    dtype : torch.dtype
        Floating type of the model.
    training : bool
        Whether dropout and batch statistics of the model in training mode become operators.
    """

    def __init__(self, *, batched: bool, dtype: torch.dtype, training: bool = False) -> None:
        super().__init__(batched=batched)
        self.dtype, self.training = dtype, training
        self.nodes: dict[str, Node] = {}
        self.values: dict[str, Value] = {}
        self.notes: dict[str, None] = {}
        self.parameter_names: dict[int, str] = {}
        self.clock = Clock()
        self.embed_inputs = False
        self._from_input: set[int] = set()
        self._plain: set[int] = set()
        self._evaluated: dict[tuple[int, bool], tuple[Any, Any]] = {}

    # inputs

    def input(self, name: str, shape: Sequence[Any], dtype: torch.dtype, value: Any = None) -> Value:
        """Add an input node."""
        sizes, layout = self.layout(shape, ())
        node = Node(name, Input(value), (), sizes, layout)
        return self.add(node, dtype)

    def parameter(self, name: str, tensor: Tensor) -> Tensor:
        """Register one of the user's tensors."""
        self.parameter_names[id(tensor)] = name
        return tensor

    def constant(self, tensor: Tensor) -> Tensor:
        """Register a tensor that belongs to the program, not to the user: it may be folded."""
        self._plain.add(id(tensor))
        return tensor

    def frozen(self, value: Any, *, is_input: bool = True) -> Any:
        """Register an input that is kept at its value."""
        if is_input:
            self._from_input.add(id(value))
        return value

    # the walk over the exported graph

    def run(self, module: fx.GraphModule, env: dict[fx.Node, Any]) -> Any:
        """Lower every call of a (sub-)graph; return what its output node holds."""
        used = needed(module.graph)
        for node in module.graph.nodes:
            if node.op == "output":
                return self._read(node.args[0], env)
            if node not in used:
                continue
            if node.op == "get_attr":
                env[node] = attribute(module, node.target)
                if isinstance(env[node], Tensor):
                    self.constant(env[node])
            elif node.op == "call_function":
                try:
                    env[node] = self._call(node, env)
                except Unbatchable as error:
                    raise Unbatchable(error.what, where=error.where or node_line(node), why=error.why) from error
        return None

    def _read(self, tree: Any, env: Mapping[fx.Node, Any]) -> Any:
        return fx.node.map_arg(tree, lambda n: env[n])

    def _call(self, node: fx.Node, env: dict[fx.Node, Any]) -> Any:
        args, kwargs = self._read(node.args, env), self._read(dict(node.kwargs), env)
        symbol = node.meta.get("val")
        if isinstance(symbol, torch.SymInt):
            if not free_unbacked_symbols(symbol):
                return self.size(symbol)
            if (number := self.number(symbol)) is not None:
                return number
        if isinstance(symbol, torch.SymInt | torch.SymBool | torch.SymFloat):
            if _live(args):
                raise TraceError(
                    "a Python value is read out of a tensor", where=node_line(node), why="it depends on the data",
                    remedy="compute with the tensor itself, or with torch.where",
                )  # fmt: skip
            if isinstance(symbol, torch.SymInt) and (number := self._integer(node, args, kwargs)) is not None:
                return number
            # the number in a constant is the constant: it has no axes
            return args[0] if target_name(node.target) == "aten.item.default" else self._fold(node, args, kwargs)
        if node.target is python_operator.getitem:
            return self._getitem(node, args[0], args[1], env)
        if not isinstance(node.target, torch._ops.OpOverload):
            inner = [a for a in args if isinstance(a, fx.GraphModule)]
            if len(inner) == 1:  # no_grad and autocast blocks: the identity around a sub-graph
                open_ = holes(inner[0])
                return self.run(inner[0], dict(zip(open_, args[len(args) - len(open_) :], strict=True)))
        live = _live(args) or _live(kwargs)
        known = functional_name(target_name(node.target)) in LOWERINGS.keys() | COMPLEX.keys()
        if live and not known and (parts := unroll(node)):
            result = self.run(parts[0], dict(zip(holes(parts[0]), (env[n] for n in parts[1]), strict=True)))
        else:
            result = self._operator(node, args, kwargs) if live else self._fold(node, args, kwargs)
        self._learn(symbol, result)
        if in_place(node.target):
            env[node.args[0]] = result  # type: ignore[index]  # an in-place call: later readers see the new value
        return result

    def _getitem(self, node: fx.Node, source: Any, index: Any, env: Mapping[fx.Node, Any]) -> Any:
        if isinstance(source, tuple | list):
            # a result that the lowering leaves out, such as the indices of a pool, is the call's own
            return source[index] if index < len(source) else self._opaque(node.args[0], env)[index]
        return self._fold(node, (source, index), {}, function=python_operator.getitem)

    # constants

    def _fold(self, node: fx.Node, args: Any, kwargs: Any, function: Callable[..., Any] | None = None) -> Any:
        """Return a constant: evaluated if it holds neither parameters nor inputs, else an expression."""
        name = functional_name(target_name(node.target))
        from_input = any(id(a) in self._from_input for a in _flat((args, kwargs)))
        if self.embed_inputs and from_input and name.startswith(_EMBEDDINGS):
            value = node.meta["val"]
            expression = Expression(node.target, args, kwargs)  # type: ignore[arg-type]
            if isinstance(value, Tensor):
                return self.input(node.name, value.shape, value.dtype, expression)
            first = Expression(python_operator.getitem, (expression, 0))
            return (self.input(node.name, value[0].shape, value[0].dtype, first),)
        result = Expression(function or functional_call(node.target), tuple(args), dict(kwargs))
        casts = [a for a in (*args, kwargs.get("dtype")) if isinstance(a, torch.dtype) and a.is_floating_point]
        if casts and name.startswith(("aten.to.", "aten._to_copy.")):
            self.notes[f"constants are cast to {casts[0]}, as the model does"] = None
        operands = list(_flat((args, kwargs)))
        plain = all(not isinstance(a, (Tensor, Expression)) or id(a) in self._plain for a in operands)
        deterministic = "rand" not in name and "bernoulli" not in name
        if plain and deterministic and isinstance(node.meta.get("val"), Tensor):
            return self.plain(result)
        if plain:
            self._plain.add(id(result))
        elif self._invents_floats(node, operands):
            self.notes[f"constants are computed in {node.meta['val'].dtype} and cast"] = None
        if from_input:
            self._from_input.add(id(result))
        self.keep(result)
        return result

    def _invents_floats(self, node: fx.Node, operands: Sequence[Any]) -> bool:
        """Return whether a constant is floating though no parameter that it depends on is: weights of a graph, say."""
        value = node.meta.get("val")
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype == torch.float64:
            return False
        read = [n for n in _flat((list(node.args), dict(node.kwargs))) if not isinstance(n, (tuple, list))]
        pairs = [(n.meta.get("val"), o) for n, o in zip(read, operands, strict=False) if isinstance(n, fx.Node)]
        floating = [o for v, o in pairs if isinstance(v, Tensor) and v.is_floating_point()]
        return bool(pairs) and all(id(o) in self._plain for o in floating)

    def plain(self, expression: Expression) -> Any:
        """Register an expression of neither parameters nor inputs; fold it unless it needs the batch size."""
        if not depends_on_batch(expression):
            with torch.no_grad():
                value = Context().value(expression)
            if _is_rounded(value):  # in float64 the model may compute it in float64, or not
                self.notes[f"constants are computed in {value.dtype} and cast"] = None
            return self.constant(value)
        self._plain.add(id(expression))
        self.keep(expression)
        return expression

    def keep(self, value: Any) -> None:
        """Hold on to an object whose id is used as a key."""
        self._evaluated.setdefault((id(value), True), (value, None))

    def evaluate(self, value: Any) -> Any:
        """Return the value of a constant at batch size 1, as it is."""
        if not isinstance(value, Expression):
            return value
        key = (id(value), False)
        if key not in self._evaluated:
            with torch.no_grad():
                self._evaluated[key] = (value, Context(batch=1).value(value))
        return self._evaluated[key][1]

    def _learn(self, declared: Any, result: Any) -> None:
        """Note the sizes of a result that export left open."""
        if isinstance(declared, Tensor) and any(is_open(n) for n in declared.shape):
            known = result if isinstance(result, Value) or depends_on_batch(result) else self.evaluate(result)
            self.learn(declared.shape, known.shape if isinstance(known, Value | Tensor) else ())

    def _integer(self, node: fx.Node, args: Any, kwargs: Any) -> int | None:
        """Return an integer that is computed from constants alone, None if it depends on the batch size."""
        if depends_on_batch((args, kwargs)):
            return None
        value = self.evaluate(Expression(functional_call(node.target), tuple(args), dict(kwargs)))
        self.learn([node.meta["val"]], [int(value)])
        return int(value)

    # operators

    def _operator(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        call = LoweringCall(self, node, args, kwargs)
        if call.dtype.is_complex or any(isinstance(v, Complex) for v in _flat((args, kwargs))):
            return call.finish(self._complex(call, args, kwargs))
        build = LOWERINGS.get(call.target)
        # operators are over the real numbers
        imaginary = any(isinstance(v, Value) and v.dtype.is_complex for v in _flat(args))
        result = call.opaque() if build is None or imaginary else build(call, *args, **kwargs)
        return call.finish(result)

    def _complex(self, call: LoweringCall, args: Any, kwargs: Any) -> Any:
        """Lower a call with a complex argument or result to real ones, or leave it as it is."""
        whole = any(isinstance(v, Value) and v.dtype.is_complex for v in _flat((args, kwargs)))
        build = None if whole else COMPLEX.get(call.target)
        dtype, call.dtype = call.dtype, call.dtype.to_real() if call.dtype.is_complex else call.dtype
        result = None if build is None else build(call, *args, **kwargs)
        if result is not None:
            return result
        args, kwargs = (tree_map(lambda v: assembled(call, v), tree) for tree in (args, kwargs))
        call.dtype = dtype
        return call.again(args, kwargs).opaque()

    def _opaque(self, node: Any, env: Mapping[fx.Node, Any]) -> Any:
        return LoweringCall(self, node, self._read(node.args, env), self._read(dict(node.kwargs), env)).opaque()

    def emit(
        self, operator: Operator, args: Sequence[Value], shape: Sequence[Any], layout: BatchLayout | None,
        *, node: fx.Node, name: str, dtype: torch.dtype,
    ) -> Value:  # fmt: skip
        """Add an operator node."""
        module, recurrent = module_path(node)
        names = tuple(a.name for a in args)
        step = self._step(operator, names, name, module) if recurrent else None
        return self.add(
            Node(
                name,
                operator,
                names,
                tuple(shape),
                layout,
                module,
                node_line(node),
                step,
                target_name(node.target),
            ),
            dtype,
        )

    def _step(self, operator: Operator, names: tuple[str, ...], name: str, module: str) -> int | None:
        index = getattr(operator, "index", None)
        if operator.label == "Select" and isinstance(index, int) and not self._stepped(names):
            before = self.nodes[names[0]]
            if before.is_input or before.module != module:
                return None  # of an initial state from outside, whose slices are layers
            # torch reverses the sequence for the second direction, so its first slice is the last step
            last = before.shape[getattr(operator, "dim", 0)] - 1
            return self.clock.slice(name, last - index if before.op.label == "Flip" else index)
        weight = self.parameter_names.get(id(getattr(operator, "weight", None)), "")
        recurrent = 0 if "weight_hh" not in weight else -1 if weight.endswith("_reverse") else 1
        return self.clock.tick(name, names, gathers=operator.label == "Concat", recurrent=recurrent)

    def _stepped(self, names: tuple[str, ...]) -> bool:
        return any(self.nodes[n].step is not None for n in names)

    def add(self, node: Node, dtype: torch.dtype) -> Value:
        self.nodes[node.name] = node
        self.values[node.name] = Value(node.name, node.shape, dtype, node.layout)
        return self.values[node.name]

    # shapes

    def layout(self, shape: Sequence[Any], args: Sequence[Value], operator: Operator | None = None) -> tuple[
        tuple[int, ...], BatchLayout | None
    ]:  # fmt: skip
        """Return a symbolic shape at batch size 1, and where its batch axis is."""
        sizes = self.sizes(shape)
        if not self.batched:
            return sizes, None
        axes = [i for i, n in enumerate(shape) if self.factor(n)]
        if len(axes) != 1:
            raise Unbatchable("a value does not carry the batch on one axis", why=f"it has shape {size_text(shape)}")
        return sizes, self.layout_at(sizes, axes[0], args, operator)

    def layout_at(
        self, sizes: tuple[int, ...], axis: int, args: Sequence[Value], operator: Operator | None
    ) -> BatchLayout:
        """Return the layout of a value whose batch axis is known, from those of its arguments."""
        if sizes[axis] == 1:
            return BatchLayout(axis)
        layout: BatchLayout | None = None
        if isinstance(operator, Reshape) and args[0].layout is not None:
            layout = args[0].layout.after_view(args[0].shape, sizes, axis)
        else:
            same = [a.layout for a in args if a.layout is not None and a.layout.factor == sizes[axis]]
            layout = BatchLayout(axis, same[0].outer, same[0].inner) if same else None
        if layout is None:
            raise Unbatchable("another axis is folded into the batch in a way that cannot be followed")
        return layout

    def batch_first(self, value: Value, layout: BatchLayout) -> Value:
        """Return the value with the batch alone on axis 0; `layout` says where it is."""
        name = f"{value.name}_batch_first"
        if layout.axis == 0 and layout.factor == 1:
            return value
        node = self.nodes[value.name]
        if layout.factor == 1:
            operator: Operator = MoveAxis(layout.axis - value.ndim, -value.ndim)
            shape = (value.shape[layout.axis], *value.shape[: layout.axis], *value.shape[layout.axis + 1 :])
        elif layout.axis == 0 and layout.outer == 1:
            operator = Reshape((-1, layout.inner, *value.shape[1:]), value.ndim)
            shape = (1, layout.inner, *value.shape[1:])
        else:
            raise Unbatchable("the batch of an output is folded behind another axis", where=node.where)
        moved = BatchLayout() if self.batched else None
        return self.add(
            replace(node, name=name, operator=operator, args=(value.name,), shape=shape, layout=moved), value.dtype
        )


def _is_rounded(value: Any) -> bool:
    """Return whether a short floating type holds numbers that are no short binary fractions."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype == torch.float64:
        return False
    finite = value[value.isfinite()] * 2.0**12
    return bool((finite != finite.round()).any())


def _live(tree: Any) -> bool:
    return any(isinstance(item, Value | Complex) for item in _flat(tree))


def _flat(tree: Any) -> Sequence[Any]:
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in _flat(item)]
    if isinstance(tree, dict):
        return _flat(list(tree.values()))
    return [tree]

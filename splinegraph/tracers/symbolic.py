"""`torch.fx.symbolic_trace` as a tracer of its own: checks of the data, and calls that torch cannot see through."""

from __future__ import annotations

import contextlib
import dis
import inspect
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental import proxy_tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from splinegraph.errors import TraceError
from splinegraph.tracers.containers import plain
from splinegraph.tracers.exporting import explain, quiet
from splinegraph.tracers.inputs import Example

__all__ = ["Guard", "interpret", "is_whole", "symbolic_trace"]

_FX = (fx.proxy.__file__, fx._symbolic_trace.__file__, __file__)
_NOT_WHOLE = ("torch", "_operator", "builtins", "math")
_READ = "get value out of a tracing tensor"  # what torch says of .item() and the like
_ENDS = ("RAISE_VARARGS", "RETURN", "RERAISE", "YIELD", "FOR_ITER", "SEND")


class _Tracer(fx.Tracer):
    """Keeps the lines of the user's code, and passes by checks that would raise."""

    record_stack_traces = True

    def __init__(self, example: Example, names: list[str]) -> None:
        super().__init__()
        self.example, self.names = example, names
        self.checks = False
        self.refused: Exception | None = None

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """Make a proxy of every tensor among the arguments, wherever it is; the rest keeps its example value."""
        leaves, spec = pytree.tree_flatten((self.example.args, self.example.kwargs))
        holes = [self.create_proxy("placeholder", name, (), {}) for name in self.names]
        filled = [hole if isinstance(x, Tensor) else x for hole, x in zip(holes, leaves, strict=True)]

        def call(root: nn.Module, *flat: Any) -> Any:
            args, kwargs = pytree.tree_unflatten(list(flat), spec)
            return plain(root_fn(root, *args, **kwargs))

        return call, [self.root, *filled]

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Answer a condition whose other answer raises an exception; refuse any other."""
        frame = inspect.currentframe()
        while frame is not None and frame.f_code.co_filename in _FX:
            frame = frame.f_back
        answer = None if frame is None else _not_raising(frame.f_code, frame.f_lasti)
        if answer is None:
            return bool(self._refuse(super().to_bool, obj))
        self.checks = True
        return answer

    def iter(self, obj: fx.Proxy) -> Any:
        """Iterate where the length is known from the code."""
        return self._refuse(super().iter, obj)

    def _refuse(self, method: Any, obj: fx.Proxy) -> Any:
        try:
            return method(obj)
        except Exception as error:
            self.refused = self.refused or error  # for the model may catch it
            raise

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, torch.jit.ScriptModule) or super().is_leaf_module(m, module_qualified_name)


def _not_raising(source: CodeType, offset: int) -> bool | None:
    """Return the answer to the condition at an offset that raises no exception, if the other one does."""
    code = list(dis.get_instructions(source))
    place = next(i for i, step in enumerate(code) if step.offset == offset)
    while code[place].opname in ("CACHE", "TO_BOOL"):
        place += 1
    jump = code[place]
    if "JUMP" not in jump.opname or not jump.opname.endswith(("IF_TRUE", "IF_FALSE")):
        return None
    target = next(i for i, step in enumerate(code) if step.offset == jump.argval)
    caught = [(entry.start, entry.end) for entry in dis.Bytecode(source).exception_entries]  # type: ignore[attr-defined]
    stays, leaves = _raises(code[place + 1 :], caught), _raises(code[target:], caught)
    jumps_if = jump.opname.endswith("TRUE")
    return None if stays == leaves else (jumps_if if stays else not jumps_if)


def _raises(code: list[dis.Instruction], caught: list[tuple[int, int]]) -> bool:
    """Return whether these instructions end in an exception, without a branch before it, that leaves the function."""
    last = next((s for s in code if s.opname.startswith(_ENDS) or "JUMP" in s.opname), None)
    leaves = last is not None and not any(start <= last.offset < end for start, end in caught)
    return last is not None and last.opname == "RAISE_VARARGS" and leaves


def symbolic_trace(model: nn.Module, example: Example) -> tuple[fx.GraphModule, Example]:
    """Return the model as torch.fx sees it, and the example as its arguments; they are flat.

    No value is known during the trace, so control flow that depends on the data cannot pass unnoticed;
    only checks, whose one answer raises an exception, are taken to pass. `meta["checks"]` says if there
    are any. Arguments that are no tensors keep their example value.

    Raises
    ------
    TraceError
        With the user's line and the cause.
    """
    if isinstance(model, fx.GraphModule):
        return model, example
    tracer = _Tracer(example, example.names(model))
    try:
        with quiet():
            graph = tracer.trace(model)
            if tracer.refused is not None:
                raise tracer.refused
            traced = fx.GraphModule(tracer.root, graph)
            _compare(traced, model, example)
    except Exception as error:
        raise explain(error, "torch.fx cannot trace the model") from error
    traced.meta["checks"] = tracer.checks
    return traced.train(model.training), example.flat()


class Guard(TorchFunctionMode):
    """Refuses to hand the values of a traced tensor to code outside of torch, which no trace would follow."""

    READS = frozenset({Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.__dlpack__})

    def __init__(self) -> None:
        super().__init__()
        self.refused: Exception | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            if func in self.READS and _traced(args[0]):
                raise TraceError(
                    "torch.fx cannot trace the model", why=f"tensors leave torch by .{func.__name__}()",
                    remedy="stay in torch inside forward",
                )  # fmt: skip
            return func(*args, **(kwargs or {}))
        except (TraceError, RuntimeError) as error:
            if isinstance(error, TraceError) or _READ in str(error):
                self.refused = self.refused or error  # for the model may catch it
            raise


def _traced(x: Tensor) -> bool:
    """Return whether a tensor depends on the inputs of the trace that runs."""
    mode = proxy_tensor.get_proxy_mode()
    slot = None if mode is None else proxy_tensor.get_proxy_slot(x, mode.tracer, None)
    return slot is not None and getattr(slot, "constant", None) is None


def _compare(traced: fx.GraphModule, model: nn.Module, example: Example) -> None:
    """Raise unless both compute the same, for code may ask whether something is a tensor, which no proxy is."""
    args, kwargs = example.other()
    with torch.no_grad():
        found, expected = traced(*pytree.tree_leaves(example.other())), model(*args, **kwargs)
    pairs = [[x for x in pytree.tree_leaves(y) if isinstance(x, Tensor)] for y in (found, expected)]
    same = len(pairs[0]) == len(pairs[1]) and all(map(_close, *pairs))
    if not same:
        why = "its symbolic trace computes something else: it asks for types, or has hooks of its own"
        raise TraceError("torch.fx cannot trace the model", why=why)


def _close(x: Tensor, y: Tensor) -> bool:
    return x.shape == y.shape and torch.allclose(x, y, rtol=1e-4, atol=1e-5, equal_nan=True)


def interpret(model: fx.GraphModule, args: Any, kwargs: Any, guard: Guard) -> Any:
    """Run a torch.fx graph under a trace; a call of the user's that cannot be traced becomes one node."""
    names = [n.target for n in model.graph.nodes if n.op == "placeholder"]
    bound = inspect.signature(model.forward).bind(*args, **kwargs)
    bound.apply_defaults()
    return _Interpreter(model, guard).run(*(bound.arguments[n] for n in names))


class _Interpreter(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, guard: Guard) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.guard = guard

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if not is_whole(target):
            return super().call_function(target, args, kwargs)
        return _whole_if_opaque(self.guard, target, args, kwargs)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(target)
        if type(module).__module__.split(".")[0] == "torch":
            return super().call_module(target, args, kwargs)
        state = _state(module)
        return _whole_if_opaque(self.guard, _Leaf(module, tuple(state)), (list(state.values()), *args), kwargs)


@dataclass(frozen=True, eq=False)
class _Leaf:
    """A module as a function of its parameters and buffers too."""

    module: nn.Module
    names: tuple[str, ...]

    def __call__(self, state: list[Tensor], *args: Any, **kwargs: Any) -> Any:
        own = dict(zip(self.names, state, strict=True))
        if all(x is y for x, y in zip(state, _state(self.module).values(), strict=True)):
            return self.module(*args, **kwargs)
        return torch.func.functional_call(self.module, own, args, kwargs)

    @property
    def __name__(self) -> str:
        return type(self.module).__name__

    def __str__(self) -> str:
        return type(self.module).__name__


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def is_whole(target: Any) -> bool:
    """Return whether a call is the user's own function or module."""
    module = str(getattr(target, "__module__", None) or "torch")
    return not isinstance(target, torch._ops.OpOverload) and module.split(".")[0] not in _NOT_WHOLE


def _whole_if_opaque(guard: Guard, function: Any, args: Any, kwargs: Any) -> Any:
    """Call a function under the trace or, where that fails, without it, as one node."""
    with contextlib.suppress(Exception):  # it fails alone too if the fault is its own
        result = function(*args, **kwargs)
        if guard.refused is None:
            return result
    guard.refused = None
    mode = proxy_tensor.get_proxy_mode()
    assert mode is not None
    tracer = mode.tracer

    def proxy(x: Any) -> Any:
        slot = proxy_tensor.get_proxy_slot(x, tracer, None) if isinstance(x, Tensor) else None
        return x if slot is None else getattr(slot, "proxy", slot)

    with proxy_tensor.disable_proxy_modes_tracing(), torch._C.DisableTorchFunction():
        result = function(*args, **kwargs)
    node = tracer.create_proxy("call_function", function, *pytree.tree_map(proxy, (args, kwargs)))
    return proxy_tensor.track_tensor_tree(result, node, constant=None, tracer=tracer)

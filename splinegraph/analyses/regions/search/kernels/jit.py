"""How the functions of the search are compiled, and the smaller and the larger of two numbers, for loops on vectors."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["fast", "larger", "outer", "part", "plain", "smaller"]

_jit: Any = njit  # its stubs know not all of its options
_inner = {"cache": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
fast = _jit(fastmath={"nnan", "nsz", "contract", "reassoc"}, **_inner)
plain = _jit(**_inner)
part = _jit(inline="always", error_model="numpy", _nrt=False)
outer = _jit(cache=True, error_model="numpy", _nrt=False)


def _binary(name: str) -> Any:
    """Return an instruction of two float64 as a function of compiled code.

    `min` and `max` compile to comparisons that carry no flags of fast arithmetic: LLVM makes no vector reduction of
    them.
    """

    def typed(typing: Any, a: Any, b: Any) -> tuple[Any, Any]:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            double = ir.DoubleType()
            called = builder.module.declare_intrinsic(name, [double], ir.FunctionType(double, [double, double]))
            return builder.call(called, arguments, fastmath=["nnan", "nsz"])

        return types.float64(types.float64, types.float64), build

    return intrinsic(typed)


smaller, larger = _binary("llvm.minnum"), _binary("llvm.maxnum")

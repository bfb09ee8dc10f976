"""Named tuples of arrays that compiled functions hand on as one address, instead of all members of all arrays.

A call that hands on twenty arrays copies 160 words, and its compilation takes as long as that of a loop.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed, lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model

__all__ = ["reference"]


class Reference(types.Type):
    """The type of the address of a named tuple that lives as long as the function that made it."""

    def __init__(self, target: Any) -> None:
        self.target = target
        super().__init__(f"Reference({target})")


@register_model(Reference)
class ReferenceModel(models.PrimitiveModel):
    """In memory: a pointer."""

    def __init__(self, manager: Any, kind: Reference) -> None:
        super().__init__(manager, kind, manager.lookup(kind.target).get_value_type().as_pointer())  # type: ignore[no-untyped-call]


@infer_getattr
class ReferenceAttribute(AttributeTemplate):
    """A reference has the members of its tuple."""

    key = Reference

    def generic_resolve(self, kind: Reference, attribute: str) -> Any:  # type: ignore[override]
        """Return the type of a member."""
        target = kind.target
        return target.types[target.fields.index(attribute)] if attribute in target.fields else None


@lower_getattr_generic(Reference)  # type: ignore[no-untyped-call]
def _member(context: Any, builder: Any, kind: Reference, value: Any, attribute: str) -> Any:
    index = kind.target.fields.index(attribute)
    member = builder.load(cgutils.gep_inbounds(builder, value, 0, index))  # type: ignore[no-untyped-call]
    return impl_ret_borrowed(context, builder, kind.target.types[index], member)  # type: ignore[no-untyped-call]


def _reference(typing: Any, target: Any) -> Any:
    """Return the address of a named tuple; it holds until the calling function returns."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return cgutils.alloca_once_value(builder, arguments[0])  # type: ignore[no-untyped-call]

    return Reference(target)(target), build


reference: Any = intrinsic(_reference)

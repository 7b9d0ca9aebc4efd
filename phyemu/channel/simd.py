"""Vectors of 16 float32 for numba kernels whose loops LLVM does not vectorise by itself.

LLVM gives up on filters: it cannot prove that eight input streams and two output streams do not
overlap. Here a vector is a value of its own type; on machines with shorter registers LLVM splits
it. Every lane is computed alike, so results do not depend on where a vector begins.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

__all__ = ["LANES", "broadcast", "load", "multiply_add", "ramp", "store"]

F = TypeVar("F", bound=Callable[..., Any])
_intrinsic = cast(Callable[[F], Any], intrinsic)

LANES = 16
_IR = ir.VectorType(ir.FloatType(), LANES)


class _VectorType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Float32x16")


_VECTOR: Any = cast(Any, _VectorType)()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _IR)  # type: ignore[no-untyped-call]


def _pointer(context: Any, builder: Any, signature: Any, array: Any, index: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, array).data
    address = builder.gep(data, [index])
    return builder.bitcast(address, _IR.as_pointer())


@_intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Return array[index : index + 16] of a contiguous float32 array; no bounds are checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, *arguments), align=4)

    return _VECTOR(array, types.intp), generate


@_intrinsic
def store(typing: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write the vector to array[index : index + 16]; no bounds are checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments[0], arguments[1])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _VECTOR), generate


@_intrinsic
def broadcast(typing: Any, value: Any) -> Any:
    """Return 16 times the float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        empty = ir.Constant(_IR, ir.Undefined)
        first = builder.insert_element(empty, arguments[0], cgutils.int32_t(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        return builder.shuffle_vector(first, empty, zeros)

    return _VECTOR(types.float32), generate


@_intrinsic
def ramp(typing: Any, begin: Any, step: Any) -> Any:
    """Return (begin + lane) * step, begin an int32, in float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integers = ir.VectorType(ir.IntType(32), LANES)
        zeros = ir.Constant(integers, None)
        empty = ir.Constant(integers, ir.Undefined)
        first = builder.insert_element(empty, arguments[0], cgutils.int32_t(0))
        begin_vector = builder.shuffle_vector(first, empty, zeros)
        lanes = ir.Constant(integers, list(range(LANES)))
        places = builder.sitofp(builder.add(begin_vector, lanes), _IR)
        blank = ir.Constant(_IR, ir.Undefined)
        scale = builder.insert_element(blank, arguments[1], cgutils.int32_t(0))
        return builder.fmul(places, builder.shuffle_vector(scale, blank, zeros))

    return _VECTOR(types.int32, types.float32), generate


@_intrinsic
def multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c per lane, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name = f"llvm.fma.v{LANES}f32"
        kind = ir.FunctionType(_IR, [_IR, _IR, _IR])
        function = cast(Any, cgutils).get_or_insert_function(builder.module, kind, name)
        return builder.call(function, arguments)

    return _VECTOR(_VECTOR, _VECTOR, _VECTOR), generate

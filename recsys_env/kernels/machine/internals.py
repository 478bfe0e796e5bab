"""Assumptions of the package's own compiler about numba's internals, checked when this file is imported.

That what is imported exists is checked by the files that import it. Here stand the functions that are replaced or
overridden, with their number of parameters, and how an array lies in memory.
"""

from __future__ import annotations

import inspect

from numba.core import types
from numba.core.base import BaseContext
from numba.core.codegen import JITCodeLibrary
from numba.core.datamodel import default_manager
from numba.core.lowering import Lower
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering
from numba.np import arrayobj

_PARAMETERS = {
    arrayobj.fix_integer_index: 5,
    arrayobj.load_item: 4,
    arrayobj.store_item: 5,
    arrayobj.record_getattr: 5,
    arrayobj.record_setattr: 5,
    BaseContext.get_getattr: 3,
    BaseContext.get_setattr: 3,
    CPUDispatcher.get_call_template: 3,
    JITCodeLibrary._optimize_final_module: 1,
    JITCodeLibrary._finalize_final_module: 1,
    Lower.extract_function_arguments: 1,
    NativeLowering.run_pass: 2,
}
_ARRAY = "meminfo", "parent", "nitems", "itemsize", "data", "shape", "strides"  # as `packed._words` writes them

for _function, _count in _PARAMETERS.items():
    if len(inspect.signature(_function).parameters) != _count:
        raise ImportError(f"{_function.__qualname__} takes {inspect.signature(_function)}")
_found = default_manager[types.Array(types.float32, 1, "C")]._fields
if _found != _ARRAY:
    raise ImportError(f"an array holds {', '.join(_found)}")

"""Weights that JAX programs keep as a pickle: nested tables of numpy arrays, and nothing else is let in."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deflicker.core.download import Unusable

if TYPE_CHECKING:
    from torch import Tensor

_ADMITTED = {
    (module, name)
    for module, names in {
        "numpy.core.multiarray": ("_reconstruct", "scalar"),
        "numpy._core.multiarray": ("_reconstruct", "scalar"),
        "numpy": ("ndarray", "dtype"),
    }.items()
    for name in names
}


class _Unpickler(pickle.Unpickler):
    """Builds arrays and tables of them; a pickle that asks for anything else is refused before it is run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise Unusable(f"it asks for {module}.{name}, which a weight file does not need")
        import numpy

        multiarray = getattr(numpy, "_core", None) or numpy.core
        return getattr(numpy if module == "numpy" else multiarray.multiarray, name)


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Tensors by name; the names of nested tables are joined by `/`.

    Raises Unusable where the file is none of this kind, OSError where it cannot be read.
    """
    import numpy
    import torch

    with path.open("rb") as file:
        try:
            table = _Unpickler(file).load()
        except (Unusable, OSError):
            raise
        except Exception as error:  # a damaged or foreign file makes the unpickler raise nearly anything
            raise Unusable(f"damaged, or not a weight file ({type(error).__name__})") from None
    if not isinstance(table, Mapping):
        raise Unusable("it does not contain named tensors")
    return {name: torch.from_numpy(numpy.array(array, numpy.float32)) for name, array in _leaves(table, "")}


def _leaves(table: Mapping[object, object], path: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        name = f"{path}/{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, name)
        elif hasattr(value, "dtype"):
            yield name, value
        else:
            raise Unusable("it does not contain named tensors")

"""A picture on its way through the second pass."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from torch import Tensor

from deflicker.correction.stream import Corrected
from deflicker.correction.texture import Boil
from deflicker.correction.views import Link, View

T = TypeVar("T")


class Picture(Generic[T]):
    """A picture of a shot with the frames that show it, and what is known of it so far."""

    def __init__(self, frame: Corrected[T]) -> None:
        self.frames = [frame]
        self.looked = self.renewed = False
        self.boil: Boil | None = None
        self.view: View | None = None
        self.colours: Tensor | None = None
        """`[1, 3, H, W]` in [0, 1], tone corrected; only where latents are asked for."""
        self.link: Link | None = None
        """From the picture before to this one."""

    def __getstate__(self) -> dict[str, Any]:
        """To be kept for a later run: what is large and can be seen again is left out."""
        return self.__dict__ | {"view": None, "colours": None, "link": None}

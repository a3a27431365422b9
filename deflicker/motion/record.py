"""What motion finds out about a frame: the first half of the record that travels through the stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from torch import Tensor

SkipReason = Literal["excluded", "flash"]
"""Why a frame is left as it is, and is no neighbour of any other."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MotionRecord:
    """A frame's place in the motion. Each stage fills in its own fields; `FrameRecord` has the rest."""

    proxy: Tensor
    """`[3, h, w]` R'G'B' in [0, 1]."""
    motion_proxy: Tensor | None = None
    """`[3, h, w]`: a guide's picture, in which cuts and motion are found instead; None for the proxy itself."""
    skip: SkipReason | None = None
    """Why the frame is left as it is. The flow of the frame after it leads from the frame before it."""

    starts_shot: bool = False
    """Nothing before it has to do with it."""
    is_duplicate: bool = False
    """It shows the picture of the frame before it once more."""
    forward_px: Tensor | None = None
    """`[2, h, w]`, flow from the picture before to this one; None where it starts a shot or is a duplicate."""
    backward_px: Tensor | None = None
    """`[2, h, w]`, flow from this picture to the one before."""
    to_key_px: Tensor | None = None
    """`[2, h, w]`, flow from this picture to the reference picture, given for every so many pictures."""
    from_key_px: Tensor | None = None
    """`[2, h, w]`, flow back from the reference picture."""
    after_gap: bool = False
    """Skipped frames lie between it and the picture before."""

    @property
    def is_picture(self) -> bool:
        """Whether it shows something new that counts."""
        return self.skip is None and not self.is_duplicate


R = TypeVar("R", bound=MotionRecord)

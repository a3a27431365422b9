"""What a command line asks for, of one video and of many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deflicker.core.settings import CompareStyle, Settings


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Settings, and what is wanted besides the output."""

    settings: Settings
    report: Path | None = None
    """The report; for many videos, what follows each output's name in that of its report."""
    compare: Path | None = None
    """The comparison video; the same."""
    compare_style: CompareStyle = "side"
    lpips: bool = True
    dry_run: bool = False

    def extras(self, compare: Path | None) -> dict[str, Any]:
        """Arguments of `deflicker` that ask for a report's measurements and a comparison video."""
        measured = {"measure": True, "lpips": self.lpips} if self.report else {}
        return measured | ({"compare": compare, "compare_style": self.compare_style} if compare else {})

"""The report in a real browser, at the widths of a phone and of a desk: nothing is cut off, and its clip plays."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deflicker.report.gallery_builder import GalleryBuilder
from deflicker.report.html_page import render
from tests.report.made import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WRAPPER = """<!doctype html><meta charset="utf-8"><body><pre id="found"></pre><script>
const page = PAGE, frame = document.createElement("iframe");
frame.width = WIDTH; frame.height = 2000; frame.srcdoc = page; document.body.append(frame);
frame.addEventListener("load", () => setTimeout(() => {
  const inside = frame.contentDocument, video = inside.querySelector("video");
  const time = inside.querySelector(".player input");
  time.value = 0.5; time.dispatchEvent(new Event("input"));
  document.getElementById("found").textContent = JSON.stringify({
    width: inside.documentElement.scrollWidth, video: video && [video.videoWidth, video.videoHeight, video.error],
    player: !video.controls && inside.querySelector(".player button").textContent,
    time: video.currentTime / video.duration,
    cards: inside.querySelectorAll(".card").length, open: inside.querySelectorAll("details.more[open]").length,
  });
}, 500));
</script>"""


def a_page() -> str:
    """A report with pictures and a clip."""
    builder = GalleryBuilder(pair=True)
    for number in range(6):
        before, after = torch.full((3, 90, 160), 0.4 + 0.1 * (number % 2)), torch.full((3, 90, 160), 0.45)
        builder.add(number, before, after, lambda side, b=before, a=after: a if side else b, time_s=number / 25)
    made = replace(report(note="a rather long note " * 20), gallery=builder.build())
    return render(made.to_dict(), made.gallery)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_plays(width: int, dark: bool, tmp_path: Path) -> None:
    page = json.dumps(a_page()).replace("</", "<\\/")
    (tmp_path / "wrapper.html").write_text(WRAPPER.replace("PAGE", page).replace("WIDTH", str(width)), encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2200",
        "--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}",
        "--force-dark-mode" if dark else "--mute-audio",
        "--dump-dom", (tmp_path / "wrapper.html").as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    match = re.search(r'<pre id="found">(\{.*?\})</pre>', dom)
    assert match, dom[-2000:]
    found = json.loads(match[1])
    assert found.pop("time") == pytest.approx(0.5, abs=0.01)
    assert found == {"width": width, "video": [320, 90, None], "player": "Play", "cards": 6, "open": 0}

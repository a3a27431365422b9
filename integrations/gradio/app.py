"""A web page that takes the flicker out of a video: `python app.py`, also as a Hugging Face Space."""

from __future__ import annotations

import tempfile
from pathlib import Path

import gradio as gr

from deflicker import Deflicker, DeflickerError, Settings


def correct(
    video: str,
    preset: str,
    strength: float,
    anchor: float,
    progress: gr.Progress = gr.Progress(),  # noqa: B008  # as Gradio wants it
) -> tuple[str, str]:
    """The corrected video's path, and what happened in words."""
    if not video:
        raise gr.Error("Choose a video first.")
    target = Path(tempfile.mkdtemp()) / f"{Path(video).stem}_steady.mp4"
    settings = Settings(preset=preset, strength=strength, anchor=anchor)
    try:
        report = Deflicker(settings).file(
            video, target, on_progress=lambda step: progress((step.frames_done, step.frames_total), desc=step.stage)
        )
    except DeflickerError as error:
        raise gr.Error(str(error)) from error
    before, after = report.flicker_before, report.flicker_after
    if before is None or after is None or not report.frames_changed:
        return str(target), "Nothing to correct: the video is as it was."
    return str(target), f"Flicker of the whole picture: {before.whole:.2f} → {after.whole:.2f} levels of 255."


page = gr.Interface(
    correct,
    inputs=[
        gr.Video(label="A video that flickers"),
        gr.Radio(["fast", "balanced", "quality"], value="fast", label="Preset"),
        gr.Slider(0, 1, value=1, label="Strength"),
        gr.Slider(0, 1, value=0, label="Anchor: how much slow drift to remove"),
    ],
    outputs=[gr.Video(label="Without flicker"), gr.Textbox(label="Result")],
    title="deflicker",
    description="Takes the flicker out of a video, and changes nothing else.",
    flagging_mode="never",
)

if __name__ == "__main__":
    page.queue().launch()

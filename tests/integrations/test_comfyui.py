"""The node pack, loaded as ComfyUI loads it: from its folder, by the members that the node contract names."""

from __future__ import annotations

import importlib.util
import json
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from deflicker import SettingsError
from tests.assets import drifting

PACK = Path(__file__).parents[2] / "integrations" / "comfyui"


@pytest.fixture(scope="module")
def pack() -> Any:
    """What ComfyUI does with a folder of `custom_nodes`."""
    name = "custom_nodes_deflicker"
    spec = importlib.util.spec_from_file_location(name, PACK / "__init__.py", submodule_search_locations=[str(PACK)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def images(frames: int, flicker: float = 0.08) -> torch.Tensor:
    return torch.stack([torch.from_numpy(picture).float() for picture in drifting(frames, flicker=flicker)])


def shaking(batch: torch.Tensor) -> float:
    return float(batch.mean((1, 2, 3)).diff(n=2).abs().mean())


def defaults(node: Any) -> dict[str, Any]:
    """The values of its widgets as the page sends them at first."""
    return {name: spec[1]["default"] for name, spec in node.INPUT_TYPES()["required"].items() if "default" in spec[1]}


class Comfy:
    """A stand-in for the two hooks that the pack uses, with their documented names."""

    def __init__(self, interrupt_at: int = 10**9) -> None:
        self.shown: list[tuple[int, int]] = []
        self.checks, self.interrupt_at = 0, interrupt_at

    def install(self, monkeypatch: pytest.MonkeyPatch, output: Path) -> None:
        shown = self.shown

        class ProgressBar:
            def __init__(self, total: int) -> None:
                self.total = total

            def update_absolute(self, value: int, total: int | None = None) -> None:
                shown.append((value, self.total))

        management = types.SimpleNamespace(throw_exception_if_processing_interrupted=self._check)
        utils = types.ModuleType("comfy.utils")
        utils.ProgressBar = ProgressBar  # type: ignore[attr-defined]
        comfy = types.ModuleType("comfy")
        comfy.model_management, comfy.utils = management, utils  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "comfy", comfy)
        monkeypatch.setitem(sys.modules, "comfy.utils", utils)
        folders = types.ModuleType("folder_paths")
        folders.get_output_directory = lambda: str(output)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "folder_paths", folders)

    def _check(self) -> None:
        self.checks += 1
        if self.checks >= self.interrupt_at:
            raise InterruptedError("the user pressed Cancel")


def test_the_contract(pack: Any) -> None:
    assert pack.NODE_CLASS_MAPPINGS.keys() == pack.NODE_DISPLAY_NAME_MAPPINGS.keys() == {"Deflicker", "DeflickerReport"}
    for node in pack.NODE_CLASS_MAPPINGS.values():
        assert callable(getattr(node(), node.FUNCTION))
        assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
        assert node.CATEGORY
        assert node.DESCRIPTION
        assert all(spec[1]["tooltip"] for spec in node.INPUT_TYPES()["required"].values())


@pytest.mark.usefixtures("raft")
def test_images_come_out_steady_without_comfyui(pack: Any) -> None:
    node, before = pack.NODE_CLASS_MAPPINGS["Deflicker"](), images(6)
    kept = before.clone()
    after, summary = node.run(before, **defaults(node) | {"preset": "fast", "device": "cpu"})
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert (before == kept).all()
    assert shaking(after) < 0.3 * shaking(before)
    assert summary.splitlines()[0].startswith("frames: 6, corrected: ")
    assert "->" in summary


def test_progress_and_cancel(pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comfy = Comfy()
    comfy.install(monkeypatch, tmp_path)
    node, before = pack.NODE_CLASS_MAPPINGS["Deflicker"](), images(5)
    after, _ = node.run(before, **defaults(node) | {"strength": 0.0})
    assert (after == before).all()
    assert comfy.shown == [(number, 5) for number in range(1, 6)]
    comfy.interrupt_at = comfy.checks + 3
    with pytest.raises(InterruptedError):
        node.run(before, **defaults(node) | {"strength": 0.0})
    assert comfy.shown[5:] == [(1, 5), (2, 5)]


@pytest.mark.usefixtures("raft")
def test_a_report(pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"  # which a fresh ComfyUI does not have yet
    Comfy().install(monkeypatch, output)
    node = pack.NODE_CLASS_MAPPINGS["DeflickerReport"]()
    found = node.run(images(6), images(6, flicker=0), **defaults(node) | {"filename_prefix": "a/b"})
    text = found["result"][0]
    assert found["ui"]["text"] == [text]
    (report,) = output.iterdir()
    assert report.name.startswith("a_b_")
    assert report.suffix == ".html"
    assert text.splitlines()[-1] == f"report: {report}"
    assert "improved" in text
    with pytest.raises(SettingsError, match="not alike"):
        node.run(images(8), images(7), **defaults(node))


def test_the_registry_s_file_says_what_the_pack_needs() -> None:
    """https://docs.comfy.org/registry/specifications: these fields, besides the publisher's own two."""
    text = tomllib.loads((PACK / "pyproject.toml").read_text(encoding="utf-8"))
    project = text["project"]
    assert {"name", "description", "version", "license", "dependencies", "urls"} <= project.keys()
    assert project["dependencies"] == (PACK / "requirements.txt").read_text(encoding="utf-8").split()
    assert f"version: {project['version']}\n" in (PACK.parents[1] / "CITATION.cff").read_text(encoding="utf-8")
    assert {*text["tool"]["comfy"]} == {"PublisherId", "DisplayName"}


def test_the_workflow_fits_the_nodes(pack: Any) -> None:
    workflow = json.loads((PACK / "workflow.json").read_text(encoding="utf-8"))
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, source, out, target, into, kind in workflow["links"]:
        assert number in nodes[source]["outputs"][out]["links"]
        assert nodes[target]["inputs"][into]["link"] == number
        assert nodes[source]["outputs"][out]["type"] == nodes[target]["inputs"][into]["type"] == kind
    ours = [node for node in nodes.values() if node["type"] in pack.NODE_CLASS_MAPPINGS]
    assert len(ours) == 2
    for node in ours:
        kind = pack.NODE_CLASS_MAPPINGS[node["type"]]
        required = kind.INPUT_TYPES()["required"]
        wired = {each["name"]: each["type"] for each in node["inputs"]}
        assert wired == {name: spec[0] for name, spec in required.items() if spec[0] == "IMAGE"}
        assert node["widgets_values"] == list(defaults(kind).values())
        assert [each["type"] for each in node["outputs"]] == list(kind.RETURN_TYPES)

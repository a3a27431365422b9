"""Archives of weights: nothing is opened before its hash is right, and nothing lands outside the folder given."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deflicker.core.download import Hub, Package, Unusable

MEMBER = "toy-1/toy/weights.ckpt"


def tar(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    """An archive with members of any name, and symbolic links."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, goal in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, goal
            archive.addfile(entry)
    return path


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Package]:
    """The source of an archive in the test's folder, which is the only place where packages are."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "deep" / "cache").mkdir(parents=True)
    return lambda archive: Package("toy", archive.name, hashlib.sha256(archive.read_bytes()).hexdigest(), MEMBER)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["toy-1.tar.gz", "toy-1-py3-none-any.whl"])
def test_members_that_want_out_stay_in_the_archive(serve: Callable[[Path], Package], kind: str, tmp_path: Path) -> None:
    evil = {"../../evil": b"x", f"{tmp_path}/absolute": b"x", "toy-1/toy/../../../evil": b"x", MEMBER: b"numbers"}
    archive = wheel(tmp_path / kind, evil) if kind.endswith(".whl") else tar(tmp_path / kind, evil)
    source = serve(archive)
    assert source.fetch(tmp_path / "deep" / "cache").read_bytes() == b"numbers"
    assert everything(tmp_path) == {kind, f"deep/cache/{kind}", "deep/cache/weights.ckpt"}
    assert source.filename == "weights.ckpt"
    assert kind in source.label
    assert kind in source.by_hand


def test_a_member_that_links_to_a_file_outside_is_refused(serve: Callable[[Path], Package], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"private")
    source = serve(tar(tmp_path / "toy-1.tar.gz", {"other": b""}, {MEMBER: str(secret)}))
    with pytest.raises((Unusable, KeyError)):  # weights.load takes both for "this source will not do"
        source.fetch(tmp_path / "deep")
    assert everything(tmp_path / "deep") == {"toy-1.tar.gz"}


@pytest.mark.parametrize("kind", ["toy-1.tar.gz", "toy-1-py3-none-any.whl"])
def test_an_archive_of_another_hash_is_not_even_opened(
    serve: Callable[[Path], Package], kind: str, tmp_path: Path
) -> None:
    (tmp_path / kind).write_bytes(b"not an archive: whoever opens it says so")
    serve(tmp_path / kind)
    with pytest.raises(Unusable, match="altered"):
        Package("toy", kind, "00" * 32, MEMBER).fetch(tmp_path / "deep")


def test_a_package_that_is_nowhere(serve: Callable[[Path], Package], tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Package("toy", "toy-2.tar.gz", "00" * 32, MEMBER).fetch(tmp_path / "deep")


def test_the_hub_s_file_has_the_hash_in_its_name(tmp_path: Path) -> None:
    content = b"the file"
    good = tmp_path / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    bad = tmp_path / "net-00000000.pth"
    for file in (good, bad):
        file.write_bytes(content)
    (tmp_path / "into").mkdir()
    assert Hub(good.as_uri()).fetch(tmp_path / "into").read_bytes() == content
    with pytest.raises(Unusable, match="incomplete or altered"):
        Hub(bad.as_uri()).fetch(tmp_path / "into")
    with pytest.raises(Unusable, match="No such file"):
        Hub((tmp_path / "none-00000000.pth").as_uri()).fetch(tmp_path / "into")


def test_a_silent_hub_is_given_up_soon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = Hub(f"http://127.0.0.1:{silent.getsockname()[1]}/net-00000000.pth", connect_timeout_s=0.1)
        with pytest.raises(Unusable, match=r"no answer within 0\.1 s|timed out"):
            hub.fetch(tmp_path)


def test_every_source_pins_what_it_serves() -> None:
    from deflicker.metrics.i3d import I3D_KINETICS
    from deflicker.metrics.lpips import ALEXNET
    from deflicker.motion.raft.network import FLOW_NETWORKS

    for weights in (*FLOW_NETWORKS.values(), I3D_KINETICS, ALEXNET):
        assert len(weights.fingerprint) == 64
        for source in weights.sources:
            pinned = source.filename.rsplit("-", 1)[1][:8] if isinstance(source, Hub) else source.sha256  # type: ignore[attr-defined]
            assert len(bytes.fromhex(pinned)) in (4, 32)

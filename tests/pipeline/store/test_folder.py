"""The folder beside OUT: one run at a time, and nothing that was found under other circumstances."""

from __future__ import annotations

from pathlib import Path

import pytest

from deflicker.core.errors import OutputError
from deflicker.pipeline.store.folder import Store, folder_of

ABOUT = {"the video": "a", "the preset": "b"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


def filled(out: Path) -> Path:
    store = Store(out)
    assert not store.begin(ABOUT)
    assert store.is_empty()
    store.seal("1.json", {"frames": 10})
    assert not store.is_empty()
    store.close(remove=False)
    return store.path


def test_what_was_sealed_is_found(out: Path) -> None:
    filled(out)
    store = Store(out)
    assert store.begin(ABOUT)
    assert store.unsealed("1.json") == {"frames": 10}
    store.close(remove=True)
    assert not folder_of(out).exists()


def test_other_circumstances_leave_nothing_of_before(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = filled(out)
    store = Store(out)
    assert not store.begin({"the video": "c", "the preset": "b"})
    assert "because the video differs" in caplog.text
    assert sorted(each.name for each in path.iterdir()) == ["about.json", "lock"]
    assert store.begin({"the video": "c", "the preset": "b"})
    store.close(remove=True)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\n{}"])
def test_circumstances_that_cannot_be_read_are_others(out: Path, damage: bytes) -> None:
    (filled(out) / "about.json").write_bytes(damage)
    store = Store(out)
    assert not store.begin(ABOUT)
    assert store.is_empty()
    store.close(remove=True)


def test_a_seal_that_is_broken_is_seen(out: Path) -> None:
    path = filled(out) / "1.json"
    path.write_bytes(path.read_bytes().replace(b"10", b"11"))
    store = Store(out)
    with pytest.raises(ValueError, match=r"1\.json is damaged"):
        store.unsealed("1.json")
    store.close(remove=True)


def test_one_run_at_a_time(out: Path) -> None:
    first = Store(out)
    with pytest.raises(OutputError, match="another run"):
        Store(out)
    Store(out.with_name("other.mp4")).close(remove=True)
    first.close(remove=False)
    Store(out).close(remove=True)
    assert not folder_of(out).exists()


def test_no_folder_to_be_in(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        Store(tmp_path / "nowhere" / "out.mp4")

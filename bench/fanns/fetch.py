"""Fetches a published set from the Hugging Face hub: what is there and whole stays, what was cut goes on."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

from bench.datasets import MissingDataset
from bench.fanns.layout import FILES
from bench.fanns.load import SIZES, home
from bench.fanns.vecs import BadFile

if TYPE_CHECKING:
    from pathlib import Path

OWNER = "SPCL"
BLOCK_BYTES = 1 << 20
INSTEAD = "fetch it where there is a network and copy the folder, or python bench/data.py make"


def fetch(size: str, folder: Path | None = None) -> Path:
    """Bring the set of a size, small, medium or large, into a folder, and check every file by the hub's checksum.

    MissingDataset, with what to do, where the library, the network or room on the disk is missing; BadFile where a
    file does not have the checksum after it was fetched.
    """
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}; expected one of {', '.join(SIZES)}")
    hub = _hub()
    repository = f"{OWNER}/arxiv-for-fanns-{size}"
    folder = folder or home() / f"arxiv-for-fanns-{size}"
    described = _asked(repository, lambda: hub.HfApi().dataset_info(repository, files_metadata=True, timeout=30))
    listed = {file.rfilename: file for file in described.siblings if file.rfilename in FILES}
    if absent := [name for name in FILES if name not in listed]:
        raise MissingDataset(f"{repository} has no {', '.join(absent)}; expected the published layout; {INSTEAD}")
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [name for name in FILES if not is_whole(folder / name, listed[name])]
    needed, free = sum(listed[name].size for name in waiting), shutil.disk_usage(folder).free
    if needed > free:
        raise MissingDataset(f"{repository} takes {needed:,} more bytes, {folder} has {free:,}; name another folder")
    for name in waiting:
        (folder / name).unlink(missing_ok=True)  # what was cut waits under another name
        _asked(
            repository,
            lambda name=name: hub.hf_hub_download(
                repository, name, repo_type="dataset", revision=described.sha, local_dir=folder
            ),
        )
        if not is_whole(folder / name, listed[name]):
            raise BadFile(f"{folder / name}: not the checksum of {repository}; expected {listed[name]}; fetch it again")
    return folder


def is_whole(path: Path, listed: Any) -> bool:
    """Whether a file has the size and checksum that the hub has of it: SHA-256 of large files, git's of small ones."""
    if not path.is_file() or path.stat().st_size != listed.size:
        return False
    if listed.lfs is not None:
        return _digest(path, hashlib.sha256()) == str(listed.lfs["sha256"])
    return _digest(path, hashlib.sha1(f"blob {listed.size}\0".encode(), usedforsecurity=False)) == str(listed.blob_id)


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return str(digest.hexdigest())


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingDataset(f"huggingface_hub is not installed; pip install huggingface_hub, or {INSTEAD}") from error
    return huggingface_hub


def _asked(repository: str, call: Any) -> Any:
    try:
        return call()
    except Exception as error:  # of the library, of its transport or of the system: what to do is the same
        raise MissingDataset(
            f"{repository} could not be fetched: {type(error).__name__}: {str(error).splitlines()[0]:.120}; expected "
            f"huggingface.co within reach; try again, what is there is kept; or {INSTEAD}"
        ) from error

"""The local store of models: pulled once, verified, then there whatever happens to the network."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from skerry.catalog.blobs import Blobs
from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.entry import Entry
from skerry.catalog.files import full_disk, sha256, tree_size
from skerry.catalog.flight import Flights
from skerry.catalog.layout import MANIFEST, Layout, Manifest, fingerprint
from skerry.catalog.locks import locked, locked_now
from skerry.catalog.mirrors.base import Mirror
from skerry.catalog.progress import Progress, Report
from skerry.catalog.pull import Pull
from skerry.errors import HashMismatch
from skerry.types import ModelFiles


class Store:
    """A folder of models, shared by any number of processes of one user (see layout.py)."""

    def __init__(self, root: Path, mirrors: Iterable[Mirror], *, offline: bool = False) -> None:
        """`offline` closes every mirror but the local ones (file:, data:)."""
        self.root = root
        self._layout = Layout(root)
        self._mirrors = {mirror.scheme: mirror for mirror in mirrors}
        self._offline = offline
        self._blobs = Blobs(self._layout)
        self._flights: Flights[ModelFiles] = Flights()

    def ready(self, entry: Entry) -> ModelFiles | None:
        """The model's files if they are all here. Quick: a few stats, no network, no hashing.

        An entry without artifacts is always ready; its folder need not be there.
        """
        folder = self._layout.model(entry)
        if not entry.artifacts and entry.conversion is None:
            return _model_files(entry, folder)  # a server's: nothing to pull
        manifest = _manifest(folder)
        if manifest is None:
            return None
        for name, file in manifest.files.items():
            try:
                if (folder / name).stat().st_size != file.size:
                    return None
            except OSError:
                return None
        return _model_files(entry, folder)

    async def pull(self, entry: Entry, progress: Report | None = None) -> ModelFiles:
        """The model's files, fetched, verified and converted where they are not here yet.

        Callers of the same entry share one pull, within the process and between processes. A
        cancelled pull stops at once, unless others wait for it, and can be continued later.
        Raises HashMismatch, MirrorsFailed, Offline, DiskFull, ConversionFailed.
        """
        ready = await asyncio.to_thread(self.ready, entry)
        if ready is not None:
            return ready
        return await self._flights.join(
            self._key(entry), lambda report: self._pull(entry, report), progress
        )

    async def _pull(self, entry: Entry, report: Report) -> ModelFiles:
        def waiting() -> None:
            report(self._elsewhere(entry))

        with full_disk(entry.name, self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        async with (
            locked(self._layout.lock("store"), shared=True),
            locked(self._layout.lock(f"entry-{self._key(entry)}"), waiting=waiting),
        ):
            ready = await asyncio.to_thread(self.ready, entry)
            if ready is None:
                await Pull(entry, self._layout, self._mirrors, self._offline, report).run()
                ready = await asyncio.to_thread(self.ready, entry)
        assert ready is not None, f"{entry.name} was pulled and is not ready"
        return ready

    def _key(self, entry: Entry) -> str:
        return f"{entry.name} {fingerprint(entry)}"

    def _elsewhere(self, entry: Entry) -> Progress:
        """How far another process is, by the bytes on the disk."""
        sizes = [artifact.size for artifact in entry.artifacts]
        done = 0
        for artifact in entry.artifacts:
            if artifact.sha256 is None:
                continue
            for path in (self._layout.blob(artifact.sha256), self._layout.partial(artifact.sha256)):
                if path.is_file():
                    done += path.stat().st_size
                    break
        total = sum(size or 0 for size in sizes) if all(sizes) else None
        return Progress(model=entry.name, phase="wait", all_done=done, all_total=total)

    def progress(self, entry: Entry) -> Progress | None:
        """The latest report of this process's pull of the entry, if one is under way."""
        return self._flights.last(self._key(entry))

    def manifest(self, entry: Entry) -> Manifest | None:
        """What the model's directory holds and where it came from, if it is here."""
        return _manifest(self._layout.model(entry))

    def list(self) -> list[Manifest]:
        """Everything in the store, old versions of entries included, in name order."""
        return sorted(self._manifests(), key=lambda each: (each.name, each.pulled))

    def _manifests(self) -> Iterator[Manifest]:
        for path in (self.root / "models").glob(f"*/*/{MANIFEST}"):
            manifest = _manifest(path.parent)
            if manifest is not None:
                yield manifest

    def usage(self, entry: Entry) -> int:
        """Bytes of the model's directory, what engines keep beside the files included; 0 if it
        is not here. A file shared with another model counts for both."""
        return tree_size(self._layout.models(entry.name))

    async def remove(self, entry: Entry) -> int:
        """Delete the model, every version of it; the bytes freed. Files that another model uses
        stay; so do loose ones while another process pulls (the next remove takes them)."""
        freed = await asyncio.to_thread(self._detach, entry.name)
        async with locked_now(self._layout.lock("store")) as alone:
            if alone:
                freed += await asyncio.to_thread(self._forget, entry)
                freed += await asyncio.to_thread(self._prune)
        return freed

    def _forget(self, entry: Entry) -> int:
        """Delete what a broken-off pull left."""
        work = self._layout.work(entry)
        freed = tree_size(work)
        shutil.rmtree(work, ignore_errors=True)
        for artifact in entry.artifacts:
            path = self._layout.partial(artifact.sha256 or self._layout.new(entry, artifact))
            freed += path.stat().st_size if path.is_file() else 0
            path.unlink(missing_ok=True)
        return freed

    def _detach(self, name: str) -> int:
        folder = self._layout.models(name)
        if not folder.exists():
            return 0
        trash = self._layout.trash / f"old-{os.urandom(8).hex()}"
        trash.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(trash)
        freed = 0
        for root, _, names in os.walk(trash):
            for each in names:
                status = (Path(root) / each).lstat()
                freed += status.st_size if status.st_nlink == 1 else 0
        shutil.rmtree(trash)
        return freed

    async def prune(self) -> int:
        """Delete what no model needs; the bytes freed. Does nothing while a pull is under way."""
        async with locked_now(self._layout.lock("store")) as alone:
            return await asyncio.to_thread(self._prune) if alone else 0

    def _prune(self) -> int:
        used = {file.sha256 for each in self._manifests() for file in each.files.values()}
        freed = self._blobs.drop_unused(used)
        shutil.rmtree(self._layout.trash, ignore_errors=True)
        return freed

    async def verify(self, entry: Entry) -> None:
        """Hash every file of the model again. Raises HashMismatch naming the file; a wrong file
        is deleted, so that the next pull fetches it anew."""
        folder = self._layout.model(entry)
        manifest = await asyncio.to_thread(_manifest, folder)
        if manifest is not None:
            await run_blocking(lambda stop: self._verify(entry.name, folder, manifest, stop))

    def _verify(self, name: str, folder: Path, manifest: Manifest, stop: Stop) -> None:
        for each, file in manifest.files.items():
            path = folder / each
            found = sha256(path, stop) if path.is_file() else "nothing"
            if found != file.sha256:
                path.unlink(missing_ok=True)
                self._layout.blob(file.sha256).unlink(missing_ok=True)
                raise HashMismatch(
                    f"{name}: {each} in the store has sha256 {found} instead of {file.sha256};"
                    f" it was deleted. Pull it again: skerry models pull {name}"
                )


def _manifest(folder: Path) -> Manifest | None:
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def _model_files(entry: Entry, folder: Path) -> ModelFiles:
    return ModelFiles(
        name=entry.name,
        task=entry.task,
        directory=folder,
        options=entry.options,
        context=entry.context,
    )

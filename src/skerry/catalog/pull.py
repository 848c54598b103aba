"""The pull of one entry: fetch, verify, convert, and the directory appears."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

import msgspec

from skerry.catalog.blobs import Blobs
from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.convert.run import run_recipe
from skerry.catalog.entry import Artifact, Conversion, Entry, Parts
from skerry.catalog.failures import Failure, all_failed, first_error, mirror_name
from skerry.catalog.files import check_room, full_disk, sha256, sync, write_durably
from skerry.catalog.layout import MANIFEST, Layout, Manifest, StoredFile, fingerprint, pin_key
from skerry.catalog.locks import locked
from skerry.catalog.mirrors.base import Fetch, Mirror
from skerry.catalog.mirrors.parts import fetch_parts
from skerry.catalog.pins import Pins
from skerry.catalog.progress import Meter, Report
from skerry.catalog.workspace import Workspace
from skerry.errors import ArtifactError, DiskFull, HashMismatch, Offline

PARALLEL = 4
"""Artifacts fetched at once."""


class Pull:
    """One pull. The caller holds the entry's lock and a share of the store's."""

    def __init__(
        self,
        entry: Entry,
        layout: Layout,
        mirrors: Mapping[str, Mirror],
        offline: bool,
        report: Report,
    ) -> None:
        self._entry = entry
        self._layout = layout
        self._mirrors = mirrors
        self._offline = offline
        self._blobs = Blobs(layout)
        self._pins = Pins(layout.pins)
        sizes = {artifact.name: artifact.size for artifact in entry.artifacts}
        self._meter = Meter(entry.name, sizes, report)
        self._slots = asyncio.Semaphore(PARALLEL)

    async def run(self) -> None:
        """Raises ArtifactError, ConversionFailed."""
        self._meter.tell("download")
        pins = await asyncio.to_thread(self._pins.read)
        await asyncio.to_thread(self._check_room, pins)
        async with Workspace(self._layout.work(self._entry)) as work:
            files = await self._fetch_all(work, pins)
            if self._entry.conversion is not None:
                files |= await self._convert(self._entry.conversion, files, work)
            await run_blocking(lambda stop: self._publish(files, stop))
            await work.finish()
        self._meter.tell("done")

    def _check_room(self, pins: Mapping[str, str]) -> None:
        needed = 0
        for artifact in self._entry.artifacts:
            wanted = artifact.sha256 or pins.get(pin_key(self._entry, artifact))
            if wanted is None or self._blobs.find(wanted, artifact.size) is None:
                partial = self._layout.partial(self._key(artifact, wanted))
                there = partial.stat().st_size if partial.is_file() else 0
                needed += max(0, (artifact.size or 0) - there)
        self._layout.root.mkdir(parents=True, exist_ok=True)
        check_room(self._entry.name, self._layout.root, needed)

    async def _fetch_all(self, work: Workspace, pins: Mapping[str, str]) -> dict[str, StoredFile]:
        # the largest first: where several come out of one package, its name is on the progress
        artifacts = sorted(self._entry.artifacts, key=lambda each: -(each.size or 0))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    artifact.name: group.create_task(self._artifact(artifact, work, pins))
                    for artifact in artifacts
                }
        except* ArtifactError as errors:
            first = first_error(errors)
            raise first from first.__cause__
        return {name: task.result() for name, task in tasks.items()}

    def _key(self, artifact: Artifact, wanted: str | None) -> str:
        return wanted or self._layout.new(self._entry, artifact)

    async def _artifact(
        self, artifact: Artifact, work: Workspace, pins: Mapping[str, str]
    ) -> StoredFile:
        wanted = artifact.sha256 or pins.get(pin_key(self._entry, artifact))
        key = self._key(artifact, wanted)
        async with self._slots, locked(self._layout.lock(f"blob-{key}")):
            if wanted is not None:
                found = await asyncio.to_thread(self._blobs.find, wanted, artifact.size)
                if found is not None:
                    size = (await asyncio.to_thread(found.stat)).st_size
                    self._meter.size(artifact.name, size)
                    self._meter.at(artifact.name, size)
                    return StoredFile(wanted, size)
            stored = await self._from_mirrors(artifact, wanted, key, work)
            if artifact.sha256 is None and wanted is None:
                async with locked(self._layout.lock("pins")):
                    await asyncio.to_thread(
                        self._pins.add, pin_key(self._entry, artifact), stored.sha256
                    )
            return stored

    async def _from_mirrors(
        self, artifact: Artifact, wanted: str | None, key: str, work: Workspace
    ) -> StoredFile:
        failures: list[Failure] = []
        path = self._layout.partial(key)
        await asyncio.to_thread(lambda: path.parent.mkdir(parents=True, exist_ok=True))
        for mirror in artifact.mirrors:
            text = mirror_name(mirror)
            want = Fetch(
                path=path,
                size=artifact.size,
                sha256=wanted,
                work=work,
                at=lambda done, text=text: self._meter.at(  # type: ignore[misc]
                    artifact.name, done, mirror=text
                ),
                sized=lambda total: self._meter.size(artifact.name, total),
            )
            try:
                return await self._from_mirror(mirror, want, artifact)
            except DiskFull:
                raise
            except ArtifactError as error:
                failures.append((text, error))
        raise all_failed(self._entry.name, artifact.name, failures)

    async def _from_mirror(
        self, mirror: str | Parts, want: Fetch, artifact: Artifact
    ) -> StoredFile:
        resumed = await asyncio.to_thread(want.path.is_file)
        await self._fetch(mirror, want)
        try:
            return await self._verify(want, artifact, mirror_name(mirror))
        except HashMismatch:
            if not resumed:
                raise
        # the first bytes may have been another file's: once more from the start
        await self._fetch(mirror, want)
        return await self._verify(want, artifact, mirror_name(mirror))

    async def _fetch(self, mirror: str | Parts, want: Fetch) -> None:
        if isinstance(mirror, Parts):
            await fetch_parts(mirror, want, self._fetch)
            return
        scheme, _, address = mirror.partition(":")
        kind = self._mirrors.get(scheme)
        if kind is None:
            known = ", ".join(sorted(self._mirrors))
            raise ArtifactError(f"no mirror of the kind {scheme!r}; there are {known}")
        if self._offline and not kind.local:
            raise Offline("the network is closed (offline)")
        await kind.fetch(address, want)

    async def _verify(self, want: Fetch, artifact: Artifact, mirror: str) -> StoredFile:
        """Hash what came; wrong bytes are deleted."""
        self._meter.tell("verify", artifact.name, mirror)
        found = await run_blocking(lambda stop: sha256(want.path, stop))
        size = (await asyncio.to_thread(want.path.stat)).st_size
        if want.sha256 is not None and found != want.sha256:
            await asyncio.to_thread(want.path.unlink)
            raise HashMismatch(f"sent sha256 {found} where {want.sha256} is wanted")
        if want.size is not None and size != want.size:
            await asyncio.to_thread(want.path.unlink)
            raise HashMismatch(f"sent {size} bytes where {want.size} are wanted")
        await asyncio.to_thread(self._blobs.keep, want.path, found)
        self._meter.size(artifact.name, size)
        self._meter.at(artifact.name, size, mirror=mirror)
        return StoredFile(found, size, mirror)

    async def _convert(
        self, conversion: Conversion, files: Mapping[str, StoredFile], work: Workspace
    ) -> dict[str, StoredFile]:
        self._meter.tell("convert")
        return await run_recipe(
            self._entry.name, conversion, files, self._layout, self._blobs, work
        )

    def _publish(self, files: Mapping[str, StoredFile], stop: Stop) -> None:
        target = self._layout.model(self._entry)
        temporary = self._layout.trash / f"new-{os.getpid()}-{os.urandom(4).hex()}"
        with full_disk(self._entry.name, self._layout.root):
            temporary.mkdir(parents=True)
            for name, file in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                self._blobs.link(file.sha256, path, stop)
            manifest = Manifest(
                self._entry.name, fingerprint(self._entry), time.time(), dict(files)
            )
            write_durably(temporary / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():  # not whole, or we would not be here
                target.rename(self._layout.trash / f"old-{os.urandom(8).hex()}")
            temporary.rename(target)
            sync(target.parent)

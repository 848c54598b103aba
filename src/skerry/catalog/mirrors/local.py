"""file:/absolute/path, and data:name for what is shipped with Skerry itself."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from skerry.catalog.archives import check_member
from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.files import full_disk, pour
from skerry.catalog.mirrors.base import Fetch, Mirror
from skerry.errors import ArtifactError


class LocalFile(Mirror):
    """A file of this machine."""

    scheme: ClassVar[str] = "file"
    local: ClassVar[bool] = True

    async def fetch(self, address: str, want: Fetch) -> None:
        path = Path(address.removeprefix("//"))
        if not path.is_absolute():
            raise ArtifactError("must be an absolute path")
        await run_blocking(lambda stop: _copy(path, want, stop))


class PackagedData(Mirror):
    """A file inside skerry/catalog/data."""

    scheme: ClassVar[str] = "data"
    local: ClassVar[bool] = True

    async def fetch(self, address: str, want: Fetch) -> None:
        check_member(address)
        source = resources.files("skerry.catalog") / "data" / address
        await run_blocking(lambda stop: _copy(source, want, stop))


def _copy(source: Path | Traversable, want: Fetch, stop: Stop) -> None:
    if not source.is_file():
        raise ArtifactError("no such file")
    temporary = want.path.with_name(want.path.name + ".copy")
    try:
        with full_disk(want.path.name, want.path.parent):
            with source.open("rb") as file, temporary.open("wb") as sink:
                pour(cast("BinaryIO", file), sink, stop, limit=want.size, at=want.at)
            temporary.replace(want.path)
    finally:
        temporary.unlink(missing_ok=True)

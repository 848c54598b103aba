"""The catalog: every model that can be asked for by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from skerry.catalog.entry import NAME, Entry, parse
from skerry.errors import CatalogError, InvalidModelId, NoSuchModel

SUFFIX = ".toml"


def file_name(name: str) -> str:
    """The TOML file of a model: "@cf/meta/llama" -> "cf--meta--llama.toml"."""
    return name.removeprefix("@").replace("/", "--") + SUFFIX


class Catalog:
    """The packaged models and those of extra folders.

    The packaged files are parsed when they are first asked for: their names say which model they
    hold. Files of extra folders are parsed at once, so that a broken one is told at start; a model
    there replaces an earlier one of the same name.
    """

    def __init__(self, folders: Sequence[Path] = (), *, packaged: bool = True) -> None:
        """Raises CatalogError naming the file and field that cannot be used."""
        self._files: dict[str, Traversable] = {}
        self._entries: dict[str, Entry] = {}
        if packaged:
            for file in (resources.files("skerry.catalog") / "models").iterdir():
                if file.name.endswith(SUFFIX):
                    name = "@" + file.name.removesuffix(SUFFIX).replace("--", "/")
                    self._files[name] = file
        for folder in folders:
            self._add_folder(folder)

    def _add_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            return
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                entry = parse(path.read_bytes(), str(path))
            except (OSError, UnicodeDecodeError) as error:
                raise CatalogError(f"{path}: cannot be read: {error}") from error
            self._files.pop(entry.name, None)
            self._entries[entry.name] = entry

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self._files, *self._entries})

    def get(self, name: str) -> Entry:
        """The model of that name.

        Raises InvalidModelId (3042) for what is no model name, NoSuchModel (5007) with the nearest
        name for one that is not here.
        """
        if (entry := self._entries.get(name)) is not None:
            return entry
        file = self._files.get(name)
        if file is not None:
            entry = self._entries[name] = parse(file.read_bytes(), file.name)
            return entry
        if not NAME.fullmatch(name):
            raise InvalidModelId(
                f"{name[:200]!r} is not a model name like @cf/meta/llama-3.2-1b-instruct."
                " List what there is: skerry models list"
            )
        raise NoSuchModel.named(name[:200], self.nearest(name))

    def nearest(self, name: str) -> str | None:
        """The name most like this one, if any is much like it."""
        names = self.names()
        near = difflib.get_close_matches(name[:200], names, n=1, cutoff=0.6)
        if not near:
            last = {each.rsplit("/", 1)[1]: each for each in names}
            found = difflib.get_close_matches(name[:200].rsplit("/", 1)[-1], last, n=1, cutoff=0.6)
            near = [last[each] for each in found]
        return near[0] if near else None

    def entries(self, *, task: str | None = None, text: str | None = None) -> list[Entry]:
        """Models in name order; of one task; with every word of `text` in name or description."""
        words = text.casefold().split() if text else []
        return [entry for entry in self if _matches(entry, task, words)]

    def __iter__(self) -> Iterator[Entry]:
        return (self.get(name) for name in self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._files or name in self._entries


def _matches(entry: Entry, task: str | None, words: Iterable[str]) -> bool:
    if task is not None and entry.task != task:
        return False
    where = f"{entry.name} {entry.task} {entry.author} {entry.description}".casefold()
    return all(word in where for word in words)

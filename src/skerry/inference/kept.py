"""Models that `skerry models pin` keeps resident: a list in the data directory."""

from __future__ import annotations

from pathlib import Path

import msgspec

from skerry.catalog.files import write_durably
from skerry.errors import SettingsError
from skerry.settings import Settings

FILE = "pins.json"


class KeptModels:
    """The names of pinned models, sorted, in one small JSON file. Blocking."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE

    def read(self) -> list[str]:
        """The names; empty where nothing was pinned. Raises SettingsError for a broken file."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[str])
        except FileNotFoundError:
            return []
        except msgspec.DecodeError as error:
            raise SettingsError(
                f"{self._path}: not a JSON list of names ({error}); delete it to pin anew"
            ) from error

    def set(self, name: str, *, kept: bool) -> bool:
        """Pin or unpin; whether that changed anything. Raises OSError."""
        names = set(self.read())
        if (name in names) == kept:
            return False
        names ^= {name}
        write_durably(self._path, msgspec.json.encode(sorted(names)))
        return True


def with_kept(settings: Settings) -> Settings:
    """The settings, with the models that `skerry models pin` keeps added to `pin`."""
    names = KeptModels(settings.data_dir).read()
    return msgspec.structs.replace(settings, pin=sorted({*settings.pin, *names}))

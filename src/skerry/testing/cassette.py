"""A file of recorded answers.

{"skerry_cassette": 1, "recordings": [{"key": "…", "model": "…", "inputs": …, "answer": …}, …]}

`inputs` are for the reader: what is long is cut. `key` decides. The answer is one of
{"value": …, …}, {"pieces": […], …} and {"error": "NoSuchModel", "message": "…"}.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import SettingsError

FORM = 1


class Recorded(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a model answered: `value`, or the `pieces` of a stream, or an error."""

    model: str = ""
    """The model that answered, where it was not the one that was asked."""
    value: Any = None
    pieces: list[Any] | None = None
    content_type: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    message: str = ""


class Recording(msgspec.Struct, kw_only=True):
    """One question and its answer."""

    key: str
    model: str
    """The model that was asked."""
    inputs: Any
    answer: Recorded


class _File(msgspec.Struct, kw_only=True):
    skerry_cassette: int
    recordings: list[Recording]


class Cassette:
    """The recordings of one file, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsError for a file that is no cassette."""
        self.path = path
        self._recordings = {each.key: each for each in self._read()}

    def _read(self) -> list[Recording]:
        try:
            file = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise SettingsError(
                f"{self.path}: not a cassette: {error}. Delete it, and record anew"
            ) from error
        if file.skerry_cassette != FORM:
            raise SettingsError(
                f"{self.path}: a cassette of form {file.skerry_cassette}, this Skerry knows {FORM}."
                " Delete it, and record anew"
            )
        return file.recordings

    def __len__(self) -> int:
        return len(self._recordings)

    def get(self, key: str) -> Recorded | None:
        """What was answered; None where it was not asked yet."""
        found = self._recordings.get(key)
        return None if found is None else found.answer

    def put(self, recording: Recording) -> None:
        """Keep a recording, in place of one with the same key."""
        self._recordings[recording.key] = recording

    def save(self) -> None:
        """Write the file, whole or not at all. Raises OSError."""
        file = _File(skerry_cassette=FORM, recordings=list(self._recordings.values()))
        text = msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

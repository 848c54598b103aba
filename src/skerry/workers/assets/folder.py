"""The files of an assets folder by their paths in a URL: nothing outside it, nothing hidden."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import OrderedDict
from mimetypes import MimeTypes
from pathlib import Path
from threading import Lock

from pathspec import GitIgnoreSpec

SETTINGS_FILES = ("_headers", "_redirects", ".assetsignore")
SECRET = (".dev.vars", ".dev.vars.*", ".env", ".env.*", ".git/", ".wrangler/", "node_modules/")
"""Never served, whatever `.assetsignore` says: an assets folder may be the project itself."""
MOST_ETAGS = 4096

_MORE_TYPES = {
    ".avif": "image/avif",
    ".cjs": "text/javascript",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".yaml": "text/yaml",
    ".yml": "text/yaml",
}


class Folder:
    """Looks files up. Reads the disk: call it from a thread where that matters."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._ignored = GitIgnoreSpec.from_lines(self._ignore_lines())
        self._secret = GitIgnoreSpec.from_lines(SECRET)
        self._types = MimeTypes()  # its own tables, not the system's, so that answers are the same
        for suffix, kind in _MORE_TYPES.items():
            self._types.add_type(kind, suffix)
        self._etags: OrderedDict[tuple[str, int, int, int], str] = OrderedDict()
        self._lock = Lock()

    def _ignore_lines(self) -> list[str]:
        own = self.text(".assetsignore")
        lines = (own or "").splitlines()
        return [*(f"/{name}" for name in SETTINGS_FILES), *filter(_is_pattern, lines)]

    def text(self, name: str) -> str | None:
        """A settings file of the folder; None if there is none."""
        try:
            return (self.root / name).read_text("utf-8-sig", errors="replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def find(self, path: str) -> Path | None:
        """The file at a decoded URL path (`/a/b.html`), links resolved; None if there is none.

        A path that leads out of the folder, by `..` or by a link, is none.
        """
        names = path.split("/")
        if names[0] or len(names) < 2:
            return None
        if any(name in ("", ".", "..") or "\0" in name or "\\" in name for name in names[1:]):
            return None
        inside = path[1:]
        if self._secret.match_file(inside) or self._ignored.match_file(inside):
            return None
        try:
            file = self.root.joinpath(*names[1:]).resolve(strict=True)
            kind = file.lstat().st_mode
        except (OSError, ValueError, RuntimeError):  # not there, or a name that no file can have
            return None
        if not stat.S_ISREG(kind) or not file.is_relative_to(self.root):
            return None
        if self._secret.match_file(str(file.relative_to(self.root))):
            return None
        return file

    def etag(self, file: Path) -> str:
        """A hash of the file's content, without quotes. Raises OSError."""
        with file.open("rb") as source:
            info = os.fstat(source.fileno())
            key = (str(file), info.st_mtime_ns, info.st_size, info.st_ino)
            with self._lock:
                known = self._etags.get(key)
            if known is not None:
                return known
            etag = hashlib.file_digest(source, "blake2b").hexdigest()[:32]
        with self._lock:
            self._etags[key] = etag
            while len(self._etags) > MOST_ETAGS:
                self._etags.popitem(last=False)
        return etag

    def content_type(self, file: Path) -> str | None:
        """By the name's ending; text is UTF-8."""
        kind = self._types.guess_type(file.name, strict=False)[0]
        if kind is not None and kind.startswith("text/"):
            return f"{kind}; charset=utf-8"
        return kind


def _is_pattern(line: str) -> bool:
    """What is none, as a line that ends with a backslash, matches nothing, as in git."""
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True

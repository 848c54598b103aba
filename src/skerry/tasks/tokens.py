"""Texts to token ids for encoders, quickly: the tokenizer of a model's tokenizer.json.

This is the hot path of embeddings, so a batch of requests is one call into the tokenizer and a
batch of rows is three array operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from skerry.errors import ContextTooLong, EngineMissing, SkerryError
from skerry.tasks.base import Feeds, ModelFiles, Row, RowProcessor
from skerry.tasks.shapes import padded_length, padded_rows

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

WIDEST = 16
"""Characters of a text that are read for each token it may have; ordinary text has 3 to 5."""


class Tokens:
    """A model's tokenizer, without padding, cut at the model's longest input.

    options: `tokenizer` (file name, default tokenizer.json), `max_tokens` (default: the model's
    context, else the file's own truncation, else 512), `pad_id` (default: the file's, else 0).
    """

    def __init__(self, files: ModelFiles) -> None:
        tokenizer = _read(files)
        padding, truncation = tokenizer.padding, tokenizer.truncation
        options = files.options
        own = (truncation or {}).get("max_length")
        self.max_tokens = int(options.get("max_tokens") or files.context or own or 512)
        self.pad_id = int(options.get("pad_id", (padding or {}).get("pad_id", 0)))
        # Many published files pad every text to 128 tokens: eight times the work for a short one.
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        self._tokenizer = tokenizer

    def clip(self, text: str) -> str:
        """The text, or of a very long one as many characters as could matter."""
        limit = self.max_tokens * WIDEST
        if len(text) <= limit:
            return text
        return " ".join(text[: limit * 4].split())[:limit]

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """One row per text; `data` holds its ids, `length` their count."""
        clipped = [self.clip(text) for text in texts]
        out = []
        for encoding in self._tokenizer.encode_batch_fast(clipped):
            ids = encoding.ids
            out.append(Row(ids, len(ids)))
        return out

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Row]:
        """One row per pair of texts; `data` holds (ids, type ids)."""
        clipped = [(self.clip(first), self.clip(second)) for first, second in pairs]
        return [
            Row((encoding.ids, encoding.type_ids), len(encoding.ids))
            for encoding in self._tokenizer.encode_batch_fast(clipped)
        ]

    def fits(self, text: str) -> None:
        """Raises ContextTooLong if the text would be cut."""
        if len(self.clip(text)) < len(text) or self._cut(self._tokenizer.encode(text)):
            raise ContextTooLong(
                f"the text is longer than the model's {self.max_tokens} tokens;"
                " shorten it, split it, or send truncate_inputs: true"
            )

    def _cut(self, encoding: Encoding) -> bool:
        return bool(encoding.overflowing)

    def collate(self, rows: Sequence[Row]) -> Feeds:
        """int64 [n, t]: input_ids, attention_mask, token_type_ids.

        n and t are rows and longest, rounded up to one of few shapes. Rows past the last one
        attend to a single padding token; their results are to be dropped.
        """
        count = len(rows)
        lengths = [row.length for row in rows]
        shape = (padded_rows(count), padded_length(max(lengths), self.max_tokens))
        lengths += [1] * (shape[0] - count)
        ids = np.full(shape, self.pad_id, np.int64) if self.pad_id else np.zeros(shape, np.int64)
        types = np.zeros(shape, np.int64)
        for at, row in enumerate(rows):
            if isinstance(row.data, tuple):
                ids[at, : row.length], types[at, : row.length] = row.data
            else:
                ids[at, : row.length] = row.data
        mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


class TokenRows(RowProcessor):
    """A processor whose rows are token ids."""

    max_rows = 8
    """Two streams of batches of 8 answer sooner and, measured, more than with batches of 16: the
    stream that takes 16 leaves the other too little to fill its own."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def padded(self, length: int) -> int:
        return padded_length(length, self._tokens.max_tokens)

    def collate(self, rows: Sequence[Row]) -> Feeds:
        return self._tokens.collate(rows)


def _read(files: ModelFiles) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EngineMissing("text needs tokenizers: pip install skerry[openvino]") from error
    path = files.path(files.options.get("tokenizer", "tokenizer.json"))
    try:
        return Tokenizer.from_buffer(path.read_bytes())
    except OSError as error:
        raise SkerryError(f"{files.name}: {path.name} is missing: {error}") from error
    except Exception as error:  # tokenizers raises bare Exception for what it cannot parse
        raise SkerryError(f"{files.name}: {path.name} is not a tokenizer: {error}") from error

"""Few distinct batch shapes. An engine keeps compiled kernels and scratch for each shape it meets:
with every count and length as it comes, a MiniLM runner on OpenVINO int8 grew from 177 MB to 870 MB
in six seconds and ran at two thirds of its speed (measured; docs/bench.md)."""

from __future__ import annotations

from bisect import bisect_left

_ROWS = (1, 2, 4, 6, 8, 10, 12, 14, 16)


def padded_rows(count: int) -> int:
    """`count` rounded up: 1, even to 16, then multiples of 8."""
    return _ROWS[bisect_left(_ROWS, count)] if count <= _ROWS[-1] else -(-count // 8) * 8


def padded_length(tokens: int, most: int) -> int:
    """`tokens` rounded up to a multiple of 8, past 64 of 16, past 128 of 32; never past `most`."""
    step = 8 if tokens <= 64 else 16 if tokens <= 128 else 32
    return max(tokens, min(-(-tokens // step) * step, most))

"""SQLite's errors in the words of D1."""

from __future__ import annotations

from typing import Any

import apsw

from skerry.storage.d1 import limits
from skerry.storage.d1.base import D1Error

OF_THE_FILE = (
    apsw.FullError,
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.BusyError,
)
"""Not the statement's fault; storage/failures.py has the words."""


def d1_error(error: apsw.Error) -> D1Error:
    """ "no such column: y at offset 7: SQLITE_ERROR", with the extended code where there is one."""
    if isinstance(error, apsw.BindingsError):
        return D1Error(limits.WRONG_COUNT)
    if isinstance(error, apsw.InterruptError):
        return D1Error(limits.TOO_SLOW)
    code = getattr(error, "result", apsw.SQLITE_ERROR)
    extended = getattr(error, "extendedresult", code)
    offset = getattr(error, "error_offset", -1)
    text = f"{error} at offset {offset}" if offset >= 0 else str(error)
    text = f"{text}: {_name(apsw.mapping_result_codes, code)}"
    if extended != code:
        text += f" (extended: {_name(apsw.mapping_extended_result_codes, extended)})"
    return D1Error(text)


def _name(mapping: Any, code: int) -> str:
    return str(mapping.get(code, f"SQLITE_UNKNOWN_ERROR_CODE({code})"))

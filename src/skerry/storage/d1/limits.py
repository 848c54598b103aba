"""D1's limits, and what its SQL may name: the rest is refused before it runs.

Sources: Cloudflare, "D1 limits", "SQL statements" (supported PRAGMAs and functions), and the
behaviour of workerd's SQLite, on which D1 runs.
"""

from __future__ import annotations

import re

import apsw

SECONDS = 30.0
"""That a statement may take."""
RESULT = 128 << 20
"""Bytes that the rows of one request may take, about; D1's isolate has that much memory."""

SQLITE = {
    apsw.SQLITE_LIMIT_LENGTH: 2_000_000,  # a string, a blob, a row
    apsw.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    apsw.SQLITE_LIMIT_COLUMN: 100,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 100,
    apsw.SQLITE_LIMIT_VDBE_OP: 25_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 127,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}

PRAGMAS = {
    # Of the connection: on, off, or asked for.
    "case_sensitive_like": "boolean",
    "defer_foreign_keys": "boolean",
    "foreign_keys": "boolean",
    "ignore_check_constraints": "boolean",
    "legacy_alter_table": "boolean",
    "recursive_triggers": "boolean",
    "reverse_unordered_selects": "boolean",
    # Of the database: a name, a number, or nothing.
    "data_version": "none",
    "foreign_key_check": "any",
    "foreign_key_list": "name",
    "index_info": "name",
    "index_list": "name",
    "index_xinfo": "name",
    "optimize": "any",
    "quick_check": "any",
    "table_info": "name",
    "table_list": "any",
    "table_xinfo": "name",
}
"""PRAGMA -> what it may be given."""

RESET = "; ".join(
    f"PRAGMA {name}=OFF"
    for name, kind in PRAGMAS.items()
    if kind == "boolean" and name != "foreign_keys"
)
"""Brings a connection back after a request that used a PRAGMA: requests share connections."""

BOOLEAN = re.compile(r"""['"]?(?:true|false|yes|no|on|off|1|0)['"]?""", re.IGNORECASE)

_NAMES = """
abs changes char coalesce concat concat_ws format glob hex if ifnull iif instr last_insert_rowid
length like likelihood likely load_extension lower ltrim max min nullif octet_length printf quote
random randomblob replace round rtrim sign soundex substr substring total_changes trim typeof
unhex unicode unlikely upper zeroblob
date time datetime julianday unixepoch strftime timediff current_date current_time
current_timestamp
avg count group_concat string_agg sum total
row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2
mod pi pow power radians sin sinh sqrt tan tanh trunc
json json_array json_array_length json_error_position json_extract -> ->> json_insert json_object
json_patch json_pretty json_remove json_replace json_set json_type json_valid json_quote
json_group_array json_group_object json_each json_tree
jsonb jsonb_array jsonb_extract jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace
jsonb_set jsonb_group_array jsonb_group_object
match highlight bm25 snippet
sqlite_rename_column sqlite_rename_table sqlite_rename_test sqlite_drop_column
sqlite_rename_quotefix sqlite_add_constraint sqlite_drop_constraint sqlite_fail
sqlite_find_constraint
"""
FUNCTIONS = frozenset(_NAMES.split())
"""load_extension is named to be refused by SQLite itself, in its own words. The last lines are
what ALTER TABLE calls."""

MODULES = frozenset({"fts5", "fts5vocab"})

OWN = "_cf_"
"""Names that start so are D1's own."""

TRANSACTION = (
    "To execute a transaction, please use the state.storage.transaction() or"
    " state.storage.transactionSync() APIs instead of the SQL BEGIN TRANSACTION or SAVEPOINT"
    " statements. The JavaScript API is safer because it will automatically roll back on"
    " exceptions, and because it interacts correctly with Durable Objects' automatic atomic write"
    " coalescing."
)
"""D1's own words; in D1 `batch()` is the way."""
FOREIGN_KEY = (
    "FOREIGN KEY constraint failed: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_FOREIGNKEY)"
)
TOO_SLOW = "D1 DB exceeded its CPU time limit and was reset."
TOO_LARGE = "D1 DB's isolate exceeded its memory limit and was reset."
WRONG_COUNT = "Wrong number of parameter bindings for SQL query."
ONLY_LAST = (
    "When executing multiple SQL statements in a single call, only the last statement"
    " can have parameters."
)
NO_STATEMENT = "No SQL statements detected."

"""D1 against SQLite as Python has it: whatever is done, the same rows are there."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skerry.storage.d1.base import D1Database, D1Error, D1Statement
from skerry.storage.open import Stores

KEY = st.integers(1, 6)
VALUE = st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=3) | st.floats(allow_nan=False)
FORMS = [
    ("INSERT INTO t (id, v) VALUES (?, ?)", 2),
    ("INSERT OR REPLACE INTO t (id, v) VALUES (?, ?)", 2),
    ("INSERT INTO t (id, v) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET v = excluded.v", 2),
    ("UPDATE t SET id = ?", 1),
    ("DELETE FROM t WHERE id >= ?", 1),
    ("INSERT INTO u SELECT id FROM t WHERE id <> ?", 1),
    ("DELETE FROM u WHERE t < ?", 1),
    ("SELECT * FROM t WHERE id > ? ORDER BY id", 1),
]
SCHEMA = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE);"
    "CREATE TABLE u (t INTEGER REFERENCES t (id) ON DELETE CASCADE);"
    "CREATE INDEX i ON u (t);"
)


@st.composite
def statements(draw: st.DrawFn) -> list[tuple[str, list[Any]]]:
    made = []
    for sql, count in draw(st.lists(st.sampled_from(FORMS), min_size=1, max_size=4)):
        params: list[Any] = [draw(KEY)] + ([draw(VALUE)] if count == 2 else [])
        made.append((sql, params))
    return made


class AgainstSqlite(RuleBasedStateMachine):
    """Each batch is one transaction there and here."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stores = Stores(Path(self.folder.name))
        self.model = sqlite3.connect(":memory:", isolation_level=None)
        self.model.execute("PRAGMA foreign_keys=ON")
        self.model.executescript(SCHEMA)
        self.runner.run(self.d1.script(SCHEMA))

    @property
    def d1(self) -> D1Database:
        return self.stores.d1("local", "db")

    @rule(batch=statements())
    def run(self, batch: list[tuple[str, list[Any]]]) -> None:
        results: list[Any] = []
        wanted: list[Any] | None = results
        self.model.execute("BEGIN")
        try:
            for sql, params in batch:
                before = self.model.total_changes
                rows = self.model.execute(sql, params).fetchall()
                results.append((list(map(list, rows)), self.model.total_changes - before))
            self.model.execute("COMMIT")
        except sqlite3.IntegrityError:
            self.model.execute("ROLLBACK")
            wanted = None
        asked = [D1Statement(sql, params) for sql, params in batch]
        try:
            answer = self.runner.run(self.d1.query(asked))
        except D1Error as error:
            assert wanted is None, error
            assert "SQLITE_CONSTRAINT" in str(error)
        else:
            assert [(each.rows, each.meta.changes) for each in answer.results] == wanted

    @rule()
    def restart(self) -> None:
        self.runner.run(self.stores.close())
        self.stores = Stores(Path(self.folder.name))

    @invariant()
    def same(self) -> None:
        sql = "SELECT 't', id, v FROM t UNION ALL SELECT 'u', t, NULL FROM u ORDER BY 1, 2, 3"
        answer = self.runner.run(self.d1.script(sql))
        assert answer.results[0].rows == list(map(list, self.model.execute(sql)))

    def teardown(self) -> None:
        self.runner.run(self.stores.close())
        self.runner.close()
        self.model.close()
        self.folder.cleanup()


TestAgainstSqlite = AgainstSqlite.TestCase
TestAgainstSqlite.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

"""What DuckDB's result of `Ledger.sql` and `Ledger.query` hands on to: Arrow, pandas, polars."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import Ledger

NEW = b"--- /dev/null\n+++ b/plan.txt\n@@ -0,0 +1,2 @@\n+first\n+second\n"


@pytest.fixture
def ledger(repo: Path) -> Ledger:
    opened = Ledger.open(repo)
    opened.run("port", name="port").apply(NEW, source="plan.diff")
    return opened


def test_arrow(ledger: Ledger) -> None:
    """A table with DuckDB's types, and batches one after the other."""
    import pyarrow as pa

    table = ledger.sql(
        "select v, recorded_at, path, added from patch_files join events using (run, v)"
    ).to_arrow_table()
    assert table.column_names == ["v", "recorded_at", "path", "added"]
    assert table.to_pylist()[0]["path"] == "plan.txt"
    assert table.schema.field("recorded_at").type == pa.timestamp("us")
    batches = ledger.sql("from events").to_arrow_reader(1)
    assert sum(batch.num_rows for batch in batches) == ledger.select("select count(*) from events").rows[0][0]


def test_pandas(ledger: Ledger) -> None:
    frame = ledger.query("churn", {"run": "port"}).df()
    assert (frame["path"].tolist(), frame["added"].tolist()) == (["plan.txt"], [2])
    assert len(ledger.query("churn", {"run": "other"}).df()) == 0


def test_polars(ledger: Ledger) -> None:
    frame = ledger.sql("select path, added from patch_files where run = $run", {"run": "port"}).pl()
    assert frame.rows() == [("plan.txt", 2)]

"""What happens to sealed segments in tests: the process dies at a step, or somebody who knows the format changes them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

from ledger.store import archive as archive_module
from ledger.store.sealed import Seal, encode_seal, parse_seal


class Crash(BaseException):
    """The process died here."""


EFFECTS = ("publish_durably", "write_durably", "sync_directory", "unlink")


@contextmanager
def crash_at(step: int, *, persisted: bool, module: ModuleType = archive_module) -> Iterator[list[str]]:
    """Let an archive's module die at its ``step``-th change of the disk, before it or just after; count them."""
    done: list[str] = []
    with pytest.MonkeyPatch.context() as patch:

        def dying(name: str, real: Callable[..., None]) -> Callable[..., None]:
            def act(*arguments: object, **options: object) -> None:
                done.append(name)
                if len(done) != step:
                    return real(*arguments, **options)
                if persisted:
                    real(*arguments, **options)
                raise Crash

            return act

        for name in EFFECTS[:-1]:
            patch.setattr(module, name, dying(name, getattr(module, name)))
        patch.setattr(Path, "unlink", dying("unlink", Path.unlink))
        yield done


def crashes(act: Callable[[], object], module: ModuleType = archive_module) -> Iterator[None]:
    """Run ``act`` again and again, dying at every step of it, before and after; yield behind each death."""
    step = 0
    while True:
        step += 1
        for persisted in (False, True):
            with crash_at(step, persisted=persisted, module=module) as done:
                try:
                    act()
                except Crash:
                    died = True
                else:
                    died = False
            if not died:
                assert step > len(done) > 4
                return
            yield


def reseal(root: Path, first: int, change: str) -> Seal:
    """Change rows of a sealed segment as somebody would who knows the format, and seal that."""
    path = root / "sealed" / f"{first:020d}.seal"
    seal = parse_seal(path.read_bytes())
    file = root / "sealed" / seal.parquet
    changed = file.with_suffix(".new")
    duckdb.execute(f"create or replace temp table rows as from read_parquet('{file}')")
    duckdb.execute(f"update rows set {change}")
    duckdb.execute(f"copy (from rows order by position) to '{changed}' (format parquet)")
    changed.rename(file)
    data = file.read_bytes()
    digest = (
        subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout.split()[0].decode()
    )
    names = ("min_id", "max_id", "min_at_ns", "max_at_ns", "retired")
    (facts,) = duckdb.execute(
        "select min(id)::varchar, max(id)::varchar, min(at_ns), max(at_ns), "
        "count(*) filter (frame is null) from rows"
    ).fetchall()
    fields = {name: getattr(seal, name) for name in Seal.__struct_fields__}
    fields |= {"parquet_sha256": digest, "parquet_size_bytes": len(data)}
    fields |= dict(zip(names, facts, strict=True))
    path.write_bytes(encode_seal(Seal(**fields)))
    return Seal(**fields)

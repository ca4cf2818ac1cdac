"""An open run, to write: what `ledger.api.Ledger.run` gives."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.heads import RunHead
from ledger.operations import patching, runs
from ledger.operations.outcome import Applied
from ledger.operations.planning import Offer
from ledger.provenance import Provenance
from ledger.workspace import Workspace


class Run:
    """An open run. As a context manager it is finished at the end, unless an exception left the block."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self.name = name

    def __enter__(self) -> Self:
        """Return the run itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the run; after an exception it stays open, so that one can look and go on."""
        if kind is None:
            self.finish()

    @property
    def head(self) -> RunHead:
        """Where the run stands."""
        return self._workspace.store.heads()[self.name]

    def apply(
        self,
        patch: bytes,
        *,
        source: str = "-",
        note: str = "",
        flags: ApplyFlags = NO_FLAGS,
        allow_secrets: bool = False,
    ) -> Applied:
        """Apply a patch wholly or not at all, and record it. See `patching.apply_all`."""
        offer = Offer(patch, Provenance(source=source, flags=flags))
        (applied,) = self.apply_all([offer], note=note, allow_secrets=allow_secrets)
        return applied

    def apply_all(
        self, offers: Sequence[Offer], *, note: str = "", allow_secrets: bool = False
    ) -> tuple[Applied, ...]:
        """Apply patches in turn, all of them or none. See `patching.apply_all`."""
        return patching.apply_all(
            self._workspace, offers, note=note, run=self.name, allow_secrets=allow_secrets
        )

    def record(self, *, note: str = "", allow_secrets: bool = False) -> Applied:
        """Record edits made past the ledger. See `patching.record`."""
        return patching.record(self._workspace, note=note, run=self.name, allow_secrets=allow_secrets)

    def finish(self) -> Applied:
        """Finish the run."""
        return runs.finish(self._workspace, run=self.name)

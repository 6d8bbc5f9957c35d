"""Core with one part broken on purpose, once for each guard: the model must notice every one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.gap_survey import GapSurvey, survey_gaps
from core.gap_wishes import GapWishes
from core.hours import ExportHour, windows_of
from core.lake.layout import ManifestName, Status
from core.lake.manifest import Manifest
from core.lake.store import Lake
from core.lake.verdict import verdict_of
from core.planning import FIRST_HOUR, PlanRules
from core.survey import Survey, survey
from core.warehouse import statements
from core.warehouse.contents import HourToLoad, LoadedHour, TableHour, is_due, timestamp
from core.warehouse.copying import copy_files
from core.warehouse.loader import Warehouse
from core.warehouse.lock import SchemaLock, check_still_in, transaction_of
from core.warehouse.session import Session
from core.warehouse.transaction import CurrentHours, LoadTransaction, count_rows, read_ledger
from tests.campaigns.model_runs import Craft
from tests.campaigns.model_statements import COPY_WITHOUT_FORCE, TAKE_LOCK_OF_ANYBODY


class Rebuilt(LoadTransaction):
    """The real transaction, cut into pieces that can be replaced; by itself it breaks no law."""

    def run_in(
        self,
        session: Session,
        batch: Sequence[HourToLoad],
        current: CurrentHours,
        *,
        check_rows: bool,
        reject: Collection[ExportHour] = (),
    ) -> list[LoadedHour] | None:
        session.run(statements.BEGIN, attempt="begin")
        generation = self.take(session)
        transaction = transaction_of(session)
        if not self._is_up_to_date(session, generation):
            return None
        due = self.due(session, self.look(batch, current), check_rows=check_rows)
        if not due:
            session.run(statements.ROLLBACK, attempt="leave the lock")
            return []
        self.fill(session, due, generation)
        self.end(session, transaction)
        return [LoadedHour(hour) for hour in due]

    def take(self, session: Session) -> int:
        return self.lock.take(session, "take the lock")

    def look(self, batch: Sequence[HourToLoad], current: CurrentHours) -> Mapping[ExportHour, HourToLoad]:
        return current([hour.hour for hour in batch])

    def due(
        self, session: Session, wanted: Mapping[ExportHour, HourToLoad], *, check_rows: bool
    ) -> list[HourToLoad]:
        ledger = read_ledger(session)
        held = count_rows(session, wanted) if check_rows else {hour: TableHour() for hour in ledger}
        for hour in held:
            held[hour].ledger = ledger.get(hour)
        return [one for hour, one in wanted.items() if is_due(one, held.get(hour), check_rows=check_rows)]

    def fill(self, session: Session, due: Sequence[HourToLoad], generation: int) -> None:
        self.delete(session, due)
        self.copy(session, due)
        self.write_ledger(session, due, generation)

    def delete(self, session: Session, due: Sequence[HourToLoad]) -> None:
        session.run(
            statements.DELETE_HOURS, {"hours": [timestamp(hour.hour) for hour in due]}, attempt="delete"
        )

    def copy(self, session: Session, due: Sequence[HourToLoad]) -> None:
        copy_files(session, statements.COPY_PARTS, due, lake_url=self.lock.lake_url, span="hours")

    def write_ledger(self, session: Session, due: Sequence[HourToLoad], generation: int) -> None:
        self._write_ledger(session, [LoadedHour(hour) for hour in due], generation)

    def end(self, session: Session, transaction: str) -> None:
        check_still_in(session, transaction, "load")
        session.run(statements.COMMIT, attempt="commit")


class InTwo(Rebuilt):
    """Commits between ledger and COPY."""

    def between(self, session: Session) -> None:
        session.run(statements.COMMIT, attempt="commit")
        session.run(statements.BEGIN, attempt="begin")

    def end(self, session: Session, transaction: str) -> None:
        session.run(statements.COMMIT, attempt="commit")


class LedgerBeforeCopy(InTwo):
    def fill(self, session: Session, due: Sequence[HourToLoad], generation: int) -> None:
        self.write_ledger(session, due, generation)
        self.between(session)
        self.delete(session, due)
        self.copy(session, due)


class CopyBeforeLedger(InTwo):
    def fill(self, session: Session, due: Sequence[HourToLoad], generation: int) -> None:
        self.delete(session, due)
        self.copy(session, due)
        self.between(session)
        self.write_ledger(session, due, generation)


class PlainCopy(Rebuilt):
    def copy(self, session: Session, due: Sequence[HourToLoad]) -> None:
        files = [file for hour in due for file in hour.files]
        session.run(COPY_WITHOUT_FORCE, {"files": files}, attempt="copy", reads_files=True)


class NoLock(Rebuilt):
    def take(self, session: Session) -> int:
        return self.lock.check(session, "begin") + 1

    def _is_up_to_date(self, session: Session, generation: int) -> bool:
        return True


class TrustsWhatItRead(Rebuilt):
    def look(self, batch: Sequence[HourToLoad], current: CurrentHours) -> Mapping[ExportHour, HourToLoad]:
        return {hour.hour: hour for hour in batch}


class LedgerAlone(Rebuilt):
    def due(
        self, session: Session, wanted: Mapping[ExportHour, HourToLoad], *, check_rows: bool
    ) -> list[HourToLoad]:
        return super().due(session, wanted, check_rows=False)


class ReadsElsewhere(Rebuilt):
    """Reads in a new session, and deletes in its own, which may not see what the other one did."""

    def _is_up_to_date(self, session: Session, generation: int) -> bool:
        return True

    def due(
        self, session: Session, wanted: Mapping[ExportHour, HourToLoad], *, check_rows: bool
    ) -> list[HourToLoad]:
        with Session(self.connect) as fresh:
            return super().due(fresh, wanted, check_rows=check_rows)


class OpenLock(SchemaLock):
    """Does not ask whose the schema is."""

    def check(self, session: Session, attempt: str) -> int:
        return int(session.run(statements.READ_LOCK, attempt=attempt).rows[0]["generation"])

    def take(self, session: Session, attempt: str) -> int:
        ours = {"lake": self.lake_url, "app_id": self.app_id}
        session.run(TAKE_LOCK_OF_ANYBODY, ours, attempt=attempt)
        return self.check(session, attempt)


def loading_by(transaction: type[LoadTransaction], lock: type[SchemaLock] = SchemaLock) -> Craft:
    """The real core, but for the transaction or the lock."""

    class Broken(Warehouse):
        def __init__(self, connect: Any, *, lake_url: str, app_id: int, run: str) -> None:
            super().__init__(connect, lake_url=lake_url, app_id=app_id, run=run)
            self._lock = lock(lake_url, app_id)
            self._transaction = transaction(connect, self._lock, run)

    return Craft(warehouse=Broken)


class NewestCounts(Lake):
    """Shows readers no export but the newest."""

    def manifest_names(self, first: ExportHour, last: ExportHour) -> list[ManifestName]:
        names = super().manifest_names(first, last)
        newest = {name.hour: name for name in names if name.status.has_content}
        return [name for name in names if not name.status.has_content or newest[name.hour] == name]


class WriterDecides(NewestCounts):
    """Readers take the newest; a writer looks whether the hour holds more, and then writes nothing."""

    def put_manifest(self, manifest: Manifest) -> None:
        held = verdict_of(manifest.hour, Lake.manifest_names(self, manifest.hour, manifest.hour)).content
        accepted = manifest.status is Status.ACCEPTED or not manifest.status.has_content
        if accepted or held is None or manifest.events >= held.events:
            super().put_manifest(manifest)


def ingest_after_newest(
    lake: Lake, now: datetime, *, first: ExportHour | None, last: ExportHour | None, rules: PlanRules
) -> Survey:
    """Everything after the newest key, and nothing before it."""
    found = survey(lake, now, first=first, last=last, rules=rules)
    missing = _after_newest(lake, found.plan.missing, now)
    windows = tuple(windows_of(missing, window_hours=rules.window_hours))
    return replace(found, plan=replace(found.plan, missing=missing, windows=windows))


def gaps_after_newest(lake: Lake, now: datetime, wishes: GapWishes, *, rules: PlanRules) -> GapSurvey:
    """The same of a gap-fill; what is to be settled stays."""
    found = survey_gaps(lake, now, wishes, rules=rules)
    newest = _newest(lake, now)
    why = {hour: why for hour, why in found.plan.why.items() if why != "missing" or hour > newest}
    windows = tuple(windows_of(why, window_hours=rules.window_hours))
    return replace(found, plan=replace(found.plan, why=why, windows=windows))


def _newest(lake: Lake, now: datetime) -> ExportHour:
    names = lake.manifest_names(FIRST_HOUR, ExportHour.newest_complete(now))
    return max((name.hour for name in names), default=FIRST_HOUR - 1)


def _after_newest(lake: Lake, hours: Collection[ExportHour], now: datetime) -> tuple[ExportHour, ...]:
    newest = _newest(lake, now)
    return tuple(hour for hour in hours if hour > newest)


#: Each broken core by the name of what is wrong with it.
CONTROLS: dict[str, Craft] = {
    "ledger before COPY": loading_by(LedgerBeforeCopy),
    "COPY before ledger": loading_by(CopyBeforeLedger),
    "newest-key planning": Craft(survey=ingest_after_newest, survey_gaps=gaps_after_newest),
    "DELETE with plain COPY": loading_by(PlainCopy),
    "FORCE without lock": loading_by(NoLock),
    "newest manifest wins although smaller": Craft(lake=NewestCounts),
    "rule applied by the writer only": Craft(lake=WriterDecides),
    "loader that trusts what it read before the lock": loading_by(TrustsWhatItRead),
    "re-check under the lock by ledger alone": loading_by(LedgerAlone),
    "reading in one session and deleting in another": loading_by(ReadsElsewhere),
    "two lakes in one schema": loading_by(Rebuilt, OpenLock),
}

#: What is not broken, only cut into pieces.
SOUND = loading_by(Rebuilt)

"""The laws, looked at whenever something has become visible to others.

What counts is said here once more, and in other words than in core: the newest of an hour's exports that
holds no fewer events than any before it, back to the last one that somebody accepted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.hours import ExportHour, ExportWindow
from core.lake.layout import MANIFESTS, ManifestName, Status
from tests.campaigns.model_lake import Bucket
from tests.campaigns.model_runs import Run, Site
from tests.campaigns.model_tables import Row, Tables, Transaction


class Violation(AssertionError):
    """A law was broken."""


@dataclass
class HourBook:
    """What the lake has said of one hour.

    Attributes:
        counted: What counted, and from which step on; None before anything did.
        committed_until: When it was committed last, if it is not now.
    """

    names: list[ManifestName] = field(default_factory=list)
    counted: list[tuple[int, ManifestName | None]] = field(default_factory=lambda: [(0, None)])
    shrunk_since: int | None = None
    committed_until: int = -1

    @property
    def content(self) -> ManifestName | None:
        """What counts now."""
        return self.counted[-1][1]

    @property
    def given_up(self) -> bool:
        """Whether somebody said not to ask for it, and nobody has ended that."""
        given_up, content_before = False, False
        bare = False
        for name in sorted(self.names):
            if name.status is Status.GIVEN_UP:
                given_up, bare = True, not content_before
            elif name.status is Status.RETRY:
                given_up = False
            else:
                content_before = True
                given_up = given_up and not bare
        return given_up

    @property
    def committed(self) -> bool:
        """Whether it needs no export."""
        return self.content is not None or self.given_up

    def digests_since(self, step: int) -> set[str]:
        """Digests that have counted at some moment since a step."""
        ends = [begun for begun, _ in self.counted[1:]] + [step + 1]
        return {name.digest for (_, name), end in zip(self.counted, ends, strict=True) if name and end > step}


def counting(names: list[ManifestName]) -> ManifestName | None:
    """Which of the exports of an hour counts."""
    exports = sorted(name for name in names if name.status.has_content)
    accepted = [number for number, name in enumerate(exports) if name.status is Status.ACCEPTED]
    since = exports[accepted[-1] :] if accepted else exports
    most = max((name.events for name in since), default=0)
    return next((name for name in reversed(since) if name.events == most), None)


@dataclass
class Laws:
    """What has happened, and whether it was allowed.

    Attributes:
        step: Of the history, counted by the world.
        violations: In words.
        marred: Hours whose rows or ledger somebody has deleted by hand, and when; until they are loaded.
        good_until: When an hour was last in the table as it counted in the lake, if it is not now.
    """

    bucket: Bucket
    sites: tuple[Site, ...]
    step: int = 0
    violations: list[str] = field(default_factory=list)
    books: dict[tuple[str, str], HourBook] = field(default_factory=dict)
    rows: dict[tuple[str, str, str], set[Row]] = field(default_factory=dict)
    marred: dict[str, int] = field(default_factory=dict)
    marred_once: dict[str, int] = field(default_factory=dict)
    good: set[str] = field(default_factory=set)
    good_until: dict[str, int] = field(default_factory=dict)
    owner: Site | None = None
    tables: Tables = field(default_factory=Tables)

    def book(self, site: Site, hour: object) -> HourBook:
        """What a lake has said of an hour."""
        return self.books.setdefault((site.prefix, str(hour)), HourBook())

    def broken(self, text: str) -> None:
        """Write a violation down; whoever moves the actors raises it."""
        self.violations.append(f"step {self.step}: {text}")

    def on_put(self, key: str) -> None:
        """An object has come into the bucket: if it is a manifest, everything it names is there."""
        site = next(site for site in self.sites if key.startswith(site.prefix))
        relative = key.removeprefix(site.prefix)
        if not relative.startswith(MANIFESTS):
            return
        name = ManifestName.parse(relative)
        book = self.book(site, name.hour)
        was_committed, before = book.committed, book.content
        book.names.append(name)
        if name.status.has_content:
            self._read(site, name, key)
            self._decide(site, name, book, before)
        if was_committed and not book.committed:
            book.committed_until = self.step
        self._look_whether_good()

    def on_commit(self, before: Tables, after: Tables, transaction: Transaction) -> None:
        """Rows and ledger of every hour are whole, and what has changed is what counts."""
        self.tables = after
        for hour in transaction.written:
            if self.marred.get(hour, self.step) < transaction.began:
                del self.marred[hour]
        rows, entries, old = after.rows_of(), after.entries_of(), before.rows_of()
        if self.owner is None and after.rows:
            first = next(iter(after.rows.values())).file
            self.owner = next(site for site in self.sites if first.startswith(site.prefix))
        for hour in sorted(rows.keys() | entries.keys()):
            held = rows.get(hour, [])
            digest = self._whole(hour, held)
            ledger = [entry.digest for entry in entries.get(hour, [])]
            if hour in self.marred and not (held and ledger):
                continue
            if ledger != [digest]:
                self.broken(f"the ledger says {ledger} of {hour}, its rows are {digest}")
            changed = Counter(held) != Counter(old.get(hour, []))
            if changed and self.owner and digest is not None:
                counted = self.book(self.owner, hour).digests_since(transaction.began)
                if digest not in counted:
                    self.broken(
                        f"{hour} was loaded with {digest}; since it was locked {sorted(counted)} counted"
                    )
        self._look_whether_good()

    def on_sabotage(self, hours: set[str], after: Tables) -> None:
        """Somebody has deleted rows of the table or of the ledger."""
        self.tables = after
        for hour in hours:
            self.marred[hour] = self.marred_once[hour] = self.step
        self._look_whether_good()

    def on_plan(self, run: Run, wanted: ExportWindow, hours: Sequence[ExportHour]) -> None:
        """A plan leaves no hour out that was never committed while it was made."""
        for hour in wanted:
            book = self.book(run.site, hour)
            if hour not in hours and not book.committed and book.committed_until < run.began:
                self.broken(f"{run.name} has not planned {hour}, which is missing")

    def events(self, site: Site, hour: ExportHour) -> tuple[str, ...]:
        """What counts in the lake, sorted; the hour has content."""
        content = self.book(site, hour).content
        assert content is not None
        return tuple(sorted(row.event for row in self.rows[site.prefix, str(hour), content.digest]))

    def is_good(self, hour: str) -> bool:
        """Whether the table holds what counts in the lake, and the ledger says so."""
        return hour in self.good

    def was_good(self, hour: str, since: int) -> bool:
        """Whether it was so at some moment since a step."""
        return hour in self.good or self.good_until.get(hour, -1) >= since

    def _look_whether_good(self) -> None:
        good = {str(hour) for (prefix, hour) in self.books if self._agrees(prefix, hour)}
        for hour in self.good - good:
            self.good_until[hour] = self.step
        self.good = good

    def _agrees(self, prefix: str, hour: str) -> bool:
        if prefix != (self.owner or self.sites[0]).prefix:
            return False
        content = self.books[prefix, hour].content
        entries = self.tables.entries_of().get(hour, [])
        if content is None or [entry.digest for entry in entries] != [content.digest]:
            return False
        return Counter(self.tables.rows_of().get(hour, [])) == Counter(
            self.rows[prefix, hour, content.digest]
        )

    def _read(self, site: Site, name: ManifestName, key: str) -> None:
        """What a manifest names is there, and is what the source held at some moment."""
        hour, rows = str(name.hour), set[Row]()
        for part in json.loads(self.bucket.objects[key])["parts"]:
            where = site.prefix + part["key"]
            if where not in self.bucket.objects:
                self.broken(f"{name.key} names {part['key']}, which is not there")
                return
            lines = self.bucket.objects[where].decode().splitlines()
            rows |= {Row(hour, where, line, json.loads(text)["uuid"]) for line, text in enumerate(lines, 1)}
        events = tuple(sorted(row.event for row in rows))
        if events not in site.source.history.get(name.hour, {()}) or len(events) != name.events:
            self.broken(f"{name.key} holds {events}, which the source never held")
        self.rows[site.prefix, hour, name.digest] = rows

    def _decide(self, site: Site, name: ManifestName, book: HourBook, before: ManifestName | None) -> None:
        content = counting(book.names)
        assert content is not None
        if content != before:
            book.counted.append((self.step, content))
        if before and content.events < before.events and name.status is not Status.ACCEPTED:
            self.broken(f"{name.hour} held {before.events} events and holds {content.events}")
        shrunk = any(name > content and name.status.has_content for name in book.names)
        book.shrunk_since = (book.shrunk_since or self.step) if shrunk else None

    def _whole(self, hour: str, held: list[Row]) -> str | None:
        """The digest of the manifest that these rows are, each of them once."""
        owner = self.owner or self.sites[0]
        for (prefix, of, digest), rows in self.rows.items():
            if (prefix, of) == (owner.prefix, hour) and Counter(held) == Counter(rows):
                return digest
        if held:
            self.broken(f"the rows of {hour} are no manifest's: {sorted(row.event for row in held)}")
        return None

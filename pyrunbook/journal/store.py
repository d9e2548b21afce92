"""The journal: writes what a run does as it does it, and reads it back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Connection, Engine, Row, Select, exists, func, insert, or_, select, update

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.journal import database, migrate, schema
from pyrunbook.journal.errors import JournalError
from pyrunbook.journal.outcome import Outcome, StepOutcome
from pyrunbook.journal.records import Attestation, Evidence, Run, RunStart, ServiceRun, StepRun
from pyrunbook.redaction import MASK, environment_secrets, is_secret_name, redact


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """An open journal; a context manager.

    Each method is one transaction, and what it wrote is on the disk when it returns. Several processes may write at
    once. Everything passes through `redact` before it is written, whatever the caller has done.

    Every method raises `JournalError` when the database cannot be used.
    """

    def __init__(self, url: URL, engine: Engine, clock: Callable[[], datetime] = _now) -> None:
        self._url = url
        self._engine = engine
        self._clock = clock
        self._together: ExitStack | None = None
        self._shared: Connection | None = None
        self._secrets = set(environment_secrets(os.environ))
        if url.password:
            self._secrets.add(url.password)

    @classmethod
    def open(cls, url: str | None = None, *, clock: Callable[[], datetime] = _now) -> Journal:
        """Open the journal, creating and migrating it where needed.

        Args:
            url: SQLAlchemy URL; `places.journal_url()` when `None`.
            clock: gives the present, aware.

        Raises:
            BadJournalUrl: the URL is wrong, or the schema is newer than this code.
            JournalError: the database cannot be used.
        """
        parsed = database.parse_url(url or places.journal_url())
        engine = database.engine_for(parsed)
        try:
            with database.in_our_words(parsed):
                migrate.bring_up_to_date(engine, database.shown(parsed))
        except BaseException:
            engine.dispose()
            raise
        return cls(parsed, engine, clock)

    @staticmethod
    def exists(url: str | None = None) -> bool:
        """Whether anything can have been recorded; opening a journal would create it."""
        return database.exists(database.parse_url(url or places.journal_url()))

    @property
    def shown_url(self) -> str:
        """The URL, without its password."""
        return database.shown(self._url)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hide(self, *secrets: str) -> None:
        """Mask these values in everything that is written from now on (see `secret_values`)."""
        self._secrets.update(secrets)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write in one transaction all that is written inside: a disk takes as long for it as for one of them."""
        with ExitStack() as stack:
            self._together = stack
            try:
                yield
            finally:
                self._together = self._shared = None

    # --- writing -------------------------------------------------------------------------------------------------

    def start_run(self, start: RunStart) -> int:
        """Record that a run begins, or that an unfinished one is resumed.

        A run that could not be put back, or was not cleaned up, can be resumed until it is.

        Returns:
            the attempt: 1 for a new run.

        Raises:
            JournalError: the run of this id has ended, or is one of another runbook.
        """
        values = asdict(start)
        for name in ("operator", "machine", "inventory", "project", "inputs", "strategy", "only_steps"):
            values[name] = self._clean(values[name])
        runs = schema.runs
        with self._writing() as connection:
            known = connection.execute(select(runs).where(runs.c.id == start.id).with_for_update()).one_or_none()
            if known is None:
                connection.execute(insert(runs).values(attempt=1, started=self._clock(), **values))
                return 1
            if known.ended is not None and known.outcome not in (Outcome.ROLLBACK_FAILED, Outcome.NOT_CLEANED_UP):
                raise JournalError(
                    f"run {start.id} has already ended ({known.outcome}) and cannot be resumed",
                    next_step=f"pyrunbook report {start.id}",
                )
            if known.runbook != start.runbook:
                raise JournalError(f"run {start.id} is one of {known.runbook}, not of {start.runbook}")
            again = {name: values[name] for name in ("operator", "machine", "pid", "process_started", "mode")}
            attempt = int(known.attempt) + 1
            again |= {"ended": None, "outcome": None, "cause": None}
            connection.execute(update(runs).where(runs.c.id == start.id).values(attempt=attempt, **again))
            return attempt

    def add_service(self, run_id: str, service: str, platform: str) -> None:
        """Record that the run begins to work on a service; when it did so before, the service is open again."""
        table = schema.services
        with self._writing() as connection:
            self._attempt(connection, run_id)
            reopened = connection.execute(
                update(table)
                .where(table.c.run_id == run_id, table.c.service == service)
                .values(platform=self._clean(platform), ended=None, outcome=None, cause=None)
            )
            if not reopened.rowcount:
                position = self._count(connection, table, run_id) + 1
                values = {"platform": self._clean(platform), "position": position, "changed": False}
                connection.execute(insert(table).values(run_id=run_id, service=service, **values))

    def claim(self, run_id: str, services: Sequence[str], rivals: Callable[[str, str | None], bool]) -> Run | None:
        """Add the hosts of a plain playbook's run, unless a rival is unfinished on one of them.

        Of runs that begin at once one gets them all: that is decided in the database.

        Args:
            run_id: the run.
            services: its hosts.
            rivals: whether a run of this runbook, of this project, is one.

        Returns:
            the other run; `None` when the hosts are this one's.
        """
        runs, table = schema.runs, schema.services
        with self._writing() as connection:
            connection.execute(select(runs.c.id).where(_is_open(runs)).order_by(runs.c.id).with_for_update())
            there = select(table.c.run_id).where(table.c.service.in_(services), _is_open(table))
            others = connection.execute(
                select(runs)
                .where(_is_open(runs), runs.c.id != run_id, runs.c.check_mode.is_(False), runs.c.id.in_(there))
                .order_by(runs.c.started)
            )
            for taken in others.all():
                if rivals(taken.runbook, taken.project):
                    return self._load(connection, [taken], whole=False)[0]
            rows = [
                {"run_id": run_id, "service": name, "platform": "", "position": number, "changed": False}
                for number, name in enumerate(services, 1)
            ]
            connection.execute(insert(table), rows)
        return None

    def record_window(
        self, run_id: str, service: str, decision: dict[str, Any], override_reason: str | None = None
    ) -> None:
        """Record what the window decided, and why it was overridden, if it was."""
        self._of_service(run_id, service, window=self._clean(decision), override_reason=self._clean(override_reason))

    def add_attestation(self, run_id: str, service: str, name: str, by: str, at: datetime) -> None:
        """Record an attestation of the prerequisite `name`, given by an operator at an aware instant."""
        if at.tzinfo is None:
            raise ValueError(f"{at} has no time zone")
        with self._writing() as connection:
            self._attempt(connection, run_id)
            values = {"name": self._clean(name), "by": self._clean(by), "at": at}
            connection.execute(insert(schema.attestations).values(run_id=run_id, service=service, **values))

    def start_step(self, run_id: str, service: str, step: str, title: str) -> None:
        """Record that a step begins. When this returns, a crash cannot undo it."""
        table = schema.steps
        with self._writing() as connection:
            values = {
                "step": step,
                "title": self._clean(title),
                "attempt": self._attempt(connection, run_id),
                "position": self._count(connection, table, run_id, service) + 1,
                "started": self._clock(),
                "detail": "",
            }
            connection.execute(insert(table).values(run_id=run_id, service=service, **values))

    def end_step(
        self, run_id: str, service: str, step: str, outcome: str, detail: str = "", error: str | None = None
    ) -> None:
        """Record how a step ended; one whose start was not recorded gets the same instant as its start."""
        values = {
            "ended": self._clock(),
            "outcome": StepOutcome(outcome).value,
            "detail": self._clean(detail),
            "error": self._clean(error),
        }
        table = schema.steps
        with self._writing() as connection:
            attempt = self._attempt(connection, run_id)
            open_step = connection.execute(
                select(func.max(table.c.id)).where(
                    table.c.run_id == run_id,
                    table.c.service == service,
                    table.c.step == step,
                    table.c.attempt == attempt,
                    table.c.ended.is_(None),
                )
            ).scalar()
            if open_step is not None:
                connection.execute(update(table).where(table.c.id == open_step).values(**values))
                return
            position = self._count(connection, table, run_id, service) + 1
            values |= {"title": step, "attempt": attempt, "position": position, "started": values["ended"]}
            connection.execute(insert(table).values(run_id=run_id, service=service, step=step, **values))

    def add_evidence(self, run_id: str, service: str, step: str, name: str, value: Any) -> None:
        """Record what a step measured; `value` is JSON-like."""
        with self._writing() as connection:
            values = {
                "step": step,
                "name": self._clean(name),
                "value": MASK if is_secret_name(name) else self._clean(value),
                "attempt": self._attempt(connection, run_id),
                "at": self._clock(),
            }
            connection.execute(insert(schema.evidence).values(run_id=run_id, service=service, **values))

    def record_plan(self, run_id: str, service: str, plan_id: str, checksum: str) -> None:
        """Record the rollback plan. From now on the service counts as changed."""
        self._of_service(run_id, service, plan_id=plan_id, plan_checksum=checksum, changed=True)

    def record_changed(self, run_id: str, service: str, changed: bool) -> None:
        """Record that from now on changes may have happened, or, once all its tasks have ended, that none has."""
        self._of_service(run_id, service, changed=changed)

    def conclude(self, run_id: str, service: str, outcome: Outcome | str, cause: str | None = None) -> None:
        """Record how the run ended for a service."""
        ended = {"ended": self._clock(), "outcome": Outcome(outcome).value, "cause": self._clean(cause)}
        self._of_service(run_id, service, **ended)

    def end_run(self, run_id: str, outcome: Outcome | str, cause: str | None = None) -> None:
        """Record how the run ended. The first end counts, a later one is an error; except after `rollback_failed`."""
        table = schema.runs
        ended = {"ended": self._clock(), "outcome": Outcome(outcome).value, "cause": self._clean(cause)}
        with self._writing() as connection:
            self._attempt(connection, run_id)
            done = connection.execute(update(table).where(table.c.id == run_id, _is_open(table)).values(**ended))
            if not done.rowcount:
                raise JournalError(f"run {run_id} has already ended", next_step=f"pyrunbook report {run_id}")

    # --- reading -------------------------------------------------------------------------------------------------

    def get(self, wanted: str) -> Run:
        """The run of an id, of the beginning of one, or the `latest`: with services, steps, attestations and evidence.

        Raises:
            BadInput: no run, or several, begin so.
        """
        runs = schema.runs
        newest = select(runs).order_by(runs.c.started.desc(), runs.c.id)
        with self._reading() as connection:
            if wanted == "latest":
                found = connection.execute(newest.limit(1)).all()
            else:
                found = connection.execute(newest.where(runs.c.id == wanted)).all()
                if not found and wanted:
                    found = connection.execute(
                        newest.where(runs.c.id.startswith(wanted, autoescape=True)).limit(6)
                    ).all()
            if len(found) == 1:
                return self._load(connection, found, whole=True)[0]
            recent = connection.execute(newest.limit(5)).all()
        if found:
            raise BadInput(
                f"several runs begin with {wanted!r}: {_listed(found)}",
                next_step="type more digits of the one you mean",
            )
        if not recent:
            raise BadInput(f"no run {wanted!r}: nothing has been recorded in {self.shown_url} yet")
        raise BadInput(
            f"no run {wanted!r} in {self.shown_url}; the last ones are {_listed(recent)}", next_step="pyrunbook history"
        )

    def history(
        self,
        limit: int | None = 20,
        runbook: str | None = None,
        service: str | None = None,
        outcome: Outcome | str | None = None,
    ) -> list[Run]:
        """The last `limit` runs, newest first, with their services but without steps, attestations and evidence.

        All runs when `limit` is `None`; only runs of a runbook, that reached a service, or with an outcome, when given.
        """
        runs = schema.runs
        query = select(runs).order_by(runs.c.started.desc(), runs.c.id)
        if runbook is not None:
            query = query.where(runs.c.runbook == runbook)
        if service is not None:
            query = query.where(_has_service(service))
        if outcome is not None:
            query = query.where(runs.c.outcome == Outcome(outcome).value)
        with self._reading() as connection:
            return self._load(connection, connection.execute(query.limit(limit)).all(), whole=False)

    def practised(self, limit: int | None = None) -> list[Run]:
        """The runs that were no dry run and succeeded, newest first; arguments as of `history`."""
        return [run for run in self.history(limit, outcome=Outcome.SUCCEEDED) if not run.check_mode]

    def unfinished(self, service: str | None = None) -> list[Run]:
        """Unfinished runs, newest first, with all that `get` reads; also those that could not be put back."""
        runs = schema.runs
        query = select(runs).where(_is_open(runs)).order_by(runs.c.started.desc(), runs.c.id)
        if service is not None:
            query = query.where(_has_service(service, _is_open(schema.services)))
        with self._reading() as connection:
            return self._load(connection, connection.execute(query).all(), whole=True)

    # --- inside --------------------------------------------------------------------------------------------------

    def _clean(self, value: Any) -> Any:
        return redact(value, self._secrets)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with ExitStack() as own:
            connection = self._shared
            if connection is None:
                stack = self._together or own
                stack.enter_context(database.in_our_words(self._url))
                connection = stack.enter_context(self._engine.begin())
                self._shared = connection if self._together else None
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with (
            database.in_our_words(self._url),
            self._engine.connect().execution_options(pyrunbook_reads=True) as connection,
            connection.begin(),
        ):
            yield connection

    def _attempt(self, connection: Connection, run_id: str) -> int:
        runs = schema.runs
        attempt = connection.execute(select(runs.c.attempt).where(runs.c.id == run_id)).scalar()
        if attempt is None:
            raise JournalError(f"run {run_id} is not in the journal {self.shown_url}", next_step="pyrunbook history")
        return int(attempt)

    def _of_service(self, run_id: str, service: str, **values: Any) -> None:
        table = schema.services
        with self._writing() as connection:
            done = connection.execute(
                update(table).where(table.c.run_id == run_id, table.c.service == service).values(**values)
            )
            if not done.rowcount:
                raise JournalError(f"run {run_id} has no service {service} in the journal {self.shown_url}")

    @staticmethod
    def _count(connection: Connection, table: Any, run_id: str, service: str | None = None) -> int:
        query = select(func.count()).select_from(table).where(table.c.run_id == run_id)
        if service is not None:
            query = query.where(table.c.service == service)
        return int(connection.execute(query).scalar_one())

    @staticmethod
    def _load(connection: Connection, rows: Sequence[Row[Any]], *, whole: bool) -> list[Run]:
        ids = [row.id for row in rows]

        def of_runs(table: Any, *order: Any) -> dict[tuple[str, str], list[Row[Any]]]:
            query: Select[Any] = select(table).where(table.c.run_id.in_(ids)).order_by(*order)
            found: dict[tuple[str, str], list[Row[Any]]] = {}
            for row in connection.execute(query) if ids else ():
                found.setdefault((row.run_id, row.service), []).append(row)
            return found

        by_service = of_runs(schema.services, schema.services.c.run_id, schema.services.c.position)
        steps = of_runs(schema.steps, schema.steps.c.position, schema.steps.c.id) if whole else {}
        said = of_runs(schema.attestations, schema.attestations.c.id) if whole else {}
        measured = of_runs(schema.evidence, schema.evidence.c.id) if whole else {}
        services: dict[str, list[ServiceRun]] = {}
        for key, (row,) in by_service.items():
            services.setdefault(key[0], []).append(
                _service_run(row, steps.get(key, []), said.get(key, []), measured.get(key, []))
            )
        return [_run(row, services.get(row.id, [])) for row in rows]


def _is_open(table: Any) -> Any:
    """Unfinished rows of `runs` or `services`: they have not ended, or could not be put back."""
    return or_(table.c.ended.is_(None), table.c.outcome == Outcome.ROLLBACK_FAILED.value)


def _has_service(service: str, *conditions: Any) -> Any:
    table = schema.services
    return exists().where(table.c.run_id == schema.runs.c.id, table.c.service == service, *conditions)


def _listed(rows: Sequence[Row[Any]]) -> str:
    return ", ".join(f"{row.id} ({row.runbook}, {row.started:%Y-%m-%d %H:%M}Z)" for row in rows)


def _columns(row: Row[Any], *left_out: str) -> dict[str, Any]:
    values = dict(row._mapping)
    for name in ("id", "run_id", "position", *left_out):
        values.pop(name, None)
    return values


def _service_run(row: Row[Any], steps: list[Row[Any]], said: list[Row[Any]], measured: list[Row[Any]]) -> ServiceRun:
    values = _columns(row)
    values["outcome"] = Outcome(row.outcome) if row.outcome else None
    return ServiceRun(
        **values,
        steps=[_step(step) for step in steps],
        attestations=[Attestation(**_columns(item, "service")) for item in said],
        evidence=[Evidence(**_columns(item, "service")) for item in measured],
    )


def _step(row: Row[Any]) -> StepRun:
    values = _columns(row, "service", "outcome")
    outcome = StepOutcome(row.outcome) if row.outcome else None
    return StepRun(**values, position=row.position, outcome=outcome)


def _run(row: Row[Any], services: list[ServiceRun]) -> Run:
    values = _columns(row, "outcome")
    outcome = Outcome(row.outcome) if row.outcome else None
    return Run(id=row.id, **values, outcome=outcome, services=services)

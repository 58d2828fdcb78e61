"""What a publishing job leaves behind, however far it came: outputs, ledger and job summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from flotilla.errors import FlotillaError
from flotilla.family import binaries_told
from flotilla.github import WorkflowRun
from flotilla.jobs.inputs import PublishInputs
from flotilla.jobs.job import Job
from flotilla.jobs.ledger import Known, write_ledger
from flotilla.jobs.markdown import block, code, link, listed, size, table
from flotilla.jobs.record import Record, packages_output
from flotilla.jobs.workshop import Built


@dataclass(kw_only=True)
class Report:
    """The packages of a job, as they are decided and then done.

    Args:
        title: what they are.
        then: what comes next once all of them are published, as a sentence.
        started: when the job started, seconds since the epoch.
        commit: what is released; None as long as it is not settled.
        ci_run: where the files come from, None for packages that take none.
        checked: what held before the first publish, a sentence each.
        failure: what stopped the job; empty for nothing.
    """

    title: str
    then: str
    started: float
    commit: str | None = None
    ci_run: WorkflowRun | None = None
    planned: list[Built] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def left(self) -> list[Built]:
        """Planned and not done."""
        done = {record.built.package.name for record in self.records}
        return [built for built in self.planned if built.package.name not in done]


def hand_over(job: Job[PublishInputs], report: Report) -> None:
    """Set the outputs, write the ledger, and tell the story in the job summary."""
    job.runner.output("packages", packages_output(report.records))
    known = Known(commit=report.commit, ci_run=report.ci_run, built=report.planned, records=report.records)
    job.runner.output("ledger", write_ledger(job, known))
    seconds = job.policy.clock.now() - report.started
    job.runner.summary(publish_summary(report, registry=job.registry.url, seconds=seconds))


def with_progress(failure: FlotillaError, report: Report) -> FlotillaError:
    """What stopped the job, and, where packages were published before, which are done and which are left."""
    if not report.records:
        return failure
    done = ", ".join(record.built.tarball.name for record in report.records)
    left = ", ".join(built.tarball.name for built in report.left) or "none"
    return type(failure)([*failure.faults, f"done: {done}", f"left: {left}"], advice=failure.advice)


def publish_summary(report: Report, *, registry: str, seconds: float) -> str:
    """The job summary of a publishing job, in Markdown."""
    rows = [_row(record) for record in report.records]
    rows += [(code(built.tarball.name), "not done", size(built.tarball.size), "", "", "") for built in report.left]
    headers = ("package", "status", "size", "dist-tag", "integrity", "")
    parts = [
        f"### {report.title}",
        _source(report),
        " ".join(report.checked),
        table(headers, rows) if rows else "",
        listed(binaries_told(one.package for one in report.planned)),
        _counted(report, seconds),
        _next_steps(report, registry),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def approval_commands(records: Iterable[Record], registry: str) -> str:
    """The commands that approve what was staged, platform packages before the meta packages that need them."""
    staged = sorted((r for r in records if r.status == "staged"), key=lambda r: r.built.package.kind == "meta")
    return "\n".join(
        f"npm stage approve {record.stage_id} --registry {registry}  # {record.built.package.name}"
        if record.stage_id
        else f"npm stage list {record.built.package.name} --registry {registry}  # then approve the id that it lists"
        for record in staged
    )


def _row(record: Record) -> tuple[str, ...]:
    tarball = record.built.tarball
    return (
        code(f"{tarball.name}@{tarball.version}"),
        record.status + (", with provenance" if record.provenance else ""),
        size(tarball.size),
        code(record.dist_tag),
        code(record.integrity),
        code(record.note),
    )


def _source(report: Report) -> str:
    if report.commit is None:
        return ""
    built = f", built by CI run {link(report.ci_run.id, report.ci_run.url)}" if report.ci_run else ""
    return f"Commit {code(report.commit)}{built}."


def _counted(report: Report, seconds: float) -> str:
    counts = Counter(record.status for record in report.records)
    said = [f"{count} {status}" for status, count in counts.items()]
    said += [f"{len(report.left)} not done"] if report.left else []
    total = sum(built.tarball.size for built in report.planned)
    return f"{', '.join(said) or 'Nothing was published'}; {size(total)} packed; {seconds:.0f} s."


def _next_steps(report: Report, registry: str) -> str:
    if report.failure:
        return f"**Stopped.** What is done stays done; a re-run goes on from there.\n\n{block(report.failure)}"
    if any(record.status == "dry-run" for record in report.records):
        return "A dry run: nothing was written."
    if commands := approval_commands(report.records, registry):
        return f"Staged packages wait for approval; approve in this order:\n\n{block(commands, 'sh')}"
    return report.then

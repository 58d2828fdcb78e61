"""A publishing job's outputs, ledger and job summary, however far it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flotilla.errors import CancelledError, DefectError, FlotillaError, MachineError
from flotilla.family import Package, binaries_told
from flotilla.github import Release, WantedAsset, WorkflowRun
from flotilla.jobs.build import Built
from flotilla.jobs.inputs import JobContext, PublishInputs
from flotilla.jobs.ledger import Known, Record, packages_output, write_ledger
from flotilla.text import block, code, link, listed, size, table

# Failures after which it is unknown whether the interrupted npm had succeeded.
CUT_OFF = (CancelledError, MachineError, DefectError)


@dataclass(kw_only=True)
class Report:
    """A job's packages, from the decision to the end.

    Args:
        title: the packages' title.
        then: what comes next once all of them are published, as a sentence.
        packages: all packages that the job should publish.
        started: when the job started, in seconds since the epoch.
        commit: the released commit; None until it is known.
        ci_run: the run that made the files; None if the packages take none.
        same_run: whether that is this job's own run.
        release: the GitHub release that this job created; None for a job that creates none.
        assets: the release's assets.
        checked: what was checked before the first publish, a sentence each.
        artifacts_digest: the digest of all the family's artifacts; None if this job does not know it.
        begun: the names of the packages that npm has started to publish.
        failure: what stopped the job; None if nothing did.
    """

    title: str
    then: str
    packages: Sequence[Package]
    started: float
    commit: str | None = None
    ci_run: WorkflowRun | None = None
    same_run: bool = False
    artifacts_digest: str | None = None
    release: Release | None = None
    assets: Sequence[WantedAsset] = ()
    planned: list[Built] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    failure: FlotillaError | None = None

    @property
    def left(self) -> list[Package]:
        """Return the packages that are not done."""
        done = {record.built.package.name for record in self.records}
        return [package for package in self.packages if package.name not in done]

    def state(self, left: Package) -> str:
        """Return the state of a package that is not done; one whose publish was cut off may be on the registry."""
        cut_off = left.name in self.begun and isinstance(self.failure, CUT_OFF)
        return "started, not confirmed" if cut_off else "not done"


def hand_over(job: JobContext[PublishInputs], report: Report) -> None:
    """Set the outputs, and write the ledger and the job summary."""
    job.runner.output("packages", packages_output(report.records))
    known = Known(
        commit=report.commit,
        ci_run=report.ci_run,
        built=report.planned,
        records=report.records,
        assets=report.assets,
        release=report.release,
        artifacts_digest=report.artifacts_digest,
    )
    job.runner.output("ledger", write_ledger(job, known))
    seconds = job.policy.clock.now() - report.started
    job.runner.summary(publish_summary(report, registry=job.registry.url, seconds=seconds))


def with_progress(failure: FlotillaError, report: Report) -> FlotillaError:
    """Return what stopped the job and, if a publish had started, which packages are done and which are not."""
    if not report.records and not report.begun:
        return failure
    states = [("done", record.built.packed.name) for record in report.records]
    states += [(report.state(package), package.name) for package in report.left]
    named = [
        f"{state}: {', '.join(name for its, name in states if its == state)}"
        for state in dict.fromkeys(state for state, _ in states)
    ]
    return type(failure)([*failure.faults, *named], advice=failure.advice)


def publish_summary(report: Report, *, registry: str, seconds: float) -> str:
    """Return the job summary of a publishing job, in Markdown."""
    rows = [_row(record) for record in report.records]
    sizes = {built.package.name: size(built.packed.size) for built in report.planned}
    rows += [
        (code(f"{left.name}@{left.version}"), report.state(left), sizes.get(left.name, ""), "", "", "")
        for left in report.left
    ]
    headers = ("package", "status", "size", "dist-tag", "integrity", "")
    parts = [
        f"### {report.title}",
        _source(report),
        " ".join(filter(None, [_release(report), *report.checked])),
        table(headers, rows) if rows else "",
        listed(binaries_told(one.package for one in report.planned)),
        _counted(report, seconds),
        _next_steps(report, registry),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def approval_commands(records: Iterable[Record], registry: str) -> str:
    """Return the commands that approve the staged packages, platform packages before the meta packages."""
    staged = sorted((r for r in records if r.status == "staged"), key=lambda r: r.built.package.kind == "meta")
    return "\n".join(
        f"npm stage approve {record.stage_id} --registry {registry}  # {record.built.package.name}"
        if record.stage_id
        else f"npm stage list {record.built.package.name} --registry {registry}  # then approve the listed id"
        for record in staged
    )


def _row(record: Record) -> tuple[str, ...]:
    packed = record.built.packed
    return (
        code(f"{packed.name}@{packed.version}"),
        record.status + (", with provenance" if record.provenance else ""),
        size(packed.size),
        code(record.dist_tag),
        code(record.integrity),
        code(record.note),
    )


def _source(report: Report) -> str:
    if report.commit is None:
        return ""
    run = report.ci_run
    by = "this run" if report.same_run else "CI run"
    built = f", built by {by} {link(run.id, run.url)}" if run else ""
    return f"Commit {code(report.commit)}{built}."


def _release(report: Report) -> str:
    if report.release is None:
        return ""
    kind = "The draft of" if report.release.draft else "Release"
    return f"{kind} {link(report.release.tag, report.release.url)} has {len(report.assets)} assets."


def _counted(report: Report, seconds: float) -> str:
    counts = Counter([record.status for record in report.records] + [report.state(left) for left in report.left])
    said = [", ".join(f"{count} {status}" for status, count in counts.items())]
    said += [f"{size(sum(built.packed.size for built in report.planned))} packed"] if report.planned else []
    return f"{'; '.join(filter(None, [*said, f'{seconds:.0f} s']))}."


def _next_steps(report: Report, registry: str) -> str:
    if report.failure:
        return ""
    if any(record.status == "dry-run" for record in report.records):
        return "A dry run: nothing was written."
    if commands := approval_commands(report.records, registry):
        return f"The staged packages await approval. Approve them in this order:\n\n{block(commands, 'sh')}"
    return report.then

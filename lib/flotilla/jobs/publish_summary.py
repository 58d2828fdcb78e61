"""A publishing job's outputs, ledger and job summary, however far it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flotilla.errors import CancelledError, DefectError, FlotillaError, MachineError
from flotilla.family import Package, binaries_told, last_before
from flotilla.github import Artifact, Release, WantedAsset, WorkflowRun
from flotilla.jobs.build import Built
from flotilla.jobs.inputs import Inputs, JobContext, PublishInputs
from flotilla.jobs.ledger import Known, Record, packages_output, write_ledger
from flotilla.npm import Packument, PublishedVersion, Status
from flotilla.text import block, code, folded, link, listed, size, table

# Failures after which it is unknown whether the interrupted npm had succeeded.
CUT_OFF = (CancelledError, MachineError, DefectError)
# A package's state as the table shows it; a dry run's record says what would be done.
STATES: Mapping[Status, str] = {
    "published": "published",
    "already-published": "already there",
    "staged": "waiting for approval",
}
WAITING = "waiting"
DONE_MARK, FAILED_MARK, PENDING = "✓", "✗", "○"
MARKS = {"published": DONE_MARK, "already there": DONE_MARK, "failed": FAILED_MARK}
NO_BREAK = "\u00a0"
SHORT_INTEGRITY = 19  # sha512- and twelve characters
DETAILS = "Integrity, dist-tag, packed size and artifact of each package"


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
        packuments: of the packages that were looked up, by name, from before the first publish.
        others: packages of the family that other jobs publish and this one looked up.
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
    packuments: dict[str, Packument | None] = field(default_factory=dict)
    others: Sequence[Package] = ()
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

    def state_in_table(self, left: Package) -> str:
        """Return the same in the words of the table: npm refused it, or its turn has not come."""
        state = self.state(left)
        return state if state != "not done" else "failed" if left.name in self.begun else WAITING


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
    job.runner.summary(publish_summary(report, pages_of(job), seconds=seconds))


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


def publish_summary(report: Report, pages: Pages, *, seconds: float) -> str:
    """Return the job summary of a publishing job, in Markdown."""
    rows = _rows(report)
    packed = sum(built.packed.size for built in report.planned)
    counts = Counter(row.state for row in rows if row.package in report.packages)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    parts = [
        f"### {_mark(report, counts)} {report.title}{': ' if told else ''}{told}",
        _source(report, pages),
        " ".join(filter(None, [_release(report), *report.checked])),
        family_table(rows, pages),
        _notes(report),
        listed(binaries_told(one.package for one in report.planned)),
        f"{f'{size(packed)} packed; ' if packed else ''}{seconds:.0f} s.",
        _next_steps(report, pages.registry),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The addresses of what a summary links to.

    Args:
        registry: the registry's URL.
        repository: the repository's page.
    """

    registry: str
    repository: str

    def commit(self, commit: str) -> str:
        """Return a link to a commit, in Markdown."""
        return link(commit[:12], f"{self.repository}/commit/{commit}")

    def artifact(self, artifact: Artifact) -> str:
        """Return a link to an artifact of a workflow run, in Markdown."""
        return link(artifact.name, f"{self.repository}/actions/runs/{artifact.run_id}/artifacts/{artifact.id}")

    def package(self, name: str, version: str) -> str:
        """Return the address of a version's page; empty for a registry of which no pages are known."""
        registry, site = urlsplit(self.registry), urlsplit(self.repository)
        host = registry.hostname or ""
        match host.split("."):
            case ["registry", "npmjs" as owner, _]:
                return f"https://www.{owner}.com/package/{name}/v/{version}"
            case ["npm", "pkg", *rest] if ".".join(rest) == site.hostname:
                return f"{self.repository}/pkgs/npm/{name.rpartition('/')[2]}"
        return ""


def pages_of(job: JobContext[Inputs]) -> Pages:
    """Return the addresses of this job's repository and registry."""
    return Pages(registry=job.registry.url, repository=f"{job.variables.server_url}/{job.variables.repository}")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A package in the table of a family.

    Args:
        unpacked: the bytes of its files; None if nobody counted them.
        last: the version before it on the registry; None if there is none.
        packed: the bytes of its tarball; None if this job did not pack it.
        attested: the registry has provenance for it.
        run: the URL of the workflow run that its provenance names; empty if that was not read.
    """

    package: Package
    state: str
    unpacked: int | None = None
    last: PublishedVersion | None = None
    packed: int | None = None
    integrity: str = ""
    dist_tag: str = ""
    attested: bool = False
    run: str = ""
    artifact: Artifact | None = None


def family_table(rows: Sequence[Row], pages: Pages) -> str:
    """Return the table of these packages and, folded, their whole integrities; empty for no packages."""
    if not rows:
        return ""
    proven = any(row.attested for row in rows)
    versions = {row.last.version for row in rows if row.last and row.last.unpacked_size is not None}
    since = versions.pop() if len(versions) == 1 else ""
    cells = [
        (
            f"{MARKS.get(row.state, PENDING)} {row.state}".replace(" ", NO_BREAK),
            _named(row, pages),
            _size(row, since),
            code(_shortened(row.integrity)),
            *([_provenance(row, pages)] if proven else []),
        )
        for row in rows
    ]
    more = [
        (
            code(row.package.name),
            code(row.integrity),
            code(row.dist_tag),
            size(row.packed) if row.packed else "",
            pages.artifact(row.artifact) if row.artifact else "",
        )
        for row in rows
        if row.integrity
    ]
    sizes = f"size (since {code(since)})" if since else "size"
    headers = ("status", "package", sizes, "integrity", *(["provenance"] if proven else []))
    whole = table(("package", "integrity", "dist-tag", "packed", "artifact"), more)
    return "\n\n".join(filter(None, [table(headers, cells), folded(DETAILS, whole if more else "")]))


def done_row(record: Record, packument: Packument | None) -> Row:
    """Return the row of a package that is done.

    Args:
        packument: from before it was published, or from after.
    """
    built, statement = record.built, record.provenance
    return Row(
        package=built.package,
        state=STATES.get(record.status) or record.note or record.status,
        unpacked=_unpacked(built),
        last=_last(built.package, packument),
        packed=built.tarball.size if built.tarball else None,
        integrity=record.integrity,
        dist_tag=record.dist_tag,
        attested=statement is not None,
        run=statement.run if statement else "",
        artifact=built.source.artifact if built.source else None,
    )


def _rows(report: Report) -> list[Row]:
    """Return the row of each package of the job, then those of the rest of the family that it looked at."""
    planned = {built.package.name: built for built in report.planned}
    rows = [done_row(record, report.packuments.get(record.built.package.name)) for record in report.records]
    for left in report.left:
        state, built = report.state_in_table(left), planned.get(left.name)
        if built is None:
            rows.append(Row(package=left, state=state))
            continue
        last = _last(left, report.packuments.get(left.name))
        rows.append(Row(package=left, state=state, unpacked=_unpacked(built), last=last, packed=built.packed.size))
    return [*rows, *(_found_row(other, report.packuments[other.name]) for other in report.others)]


def _found_row(package: Package, packument: Packument | None) -> Row:
    """Return the row of a package that another job publishes, as the registry has it."""
    found = packument.versions.get(package.version) if packument else None
    if packument is None or found is None:
        return Row(package=package, state=WAITING)
    return Row(
        package=package,
        state=STATES["already-published"],
        unpacked=found.unpacked_size,
        last=_last(package, packument),
        integrity=found.integrity,
        dist_tag=next(iter(packument.tags_of(package.version)), ""),
        attested=found.attestations is not None,
    )


def _unpacked(built: Built) -> int:
    return sum(entry.size for entry in built.contents.values())


def _last(package: Package, packument: Packument | None) -> PublishedVersion | None:
    before = last_before(package.version, packument.versions) if packument else None
    return packument.versions[before] if packument and before else None


def _named(row: Row, pages: Pages) -> str:
    name, version = row.package.name, row.package.version
    there = row.state in {STATES["published"], STATES["already-published"]}
    return link(f"{name}@{version}", pages.package(name, version) if there else "")


def _size(row: Row, since: str) -> str:
    """Return the size and its change.

    Args:
        since: the last version, if it is that of every row and the column's header names it.
    """
    if row.unpacked is None:
        return ""
    there = row.last.unpacked_size if row.last else None
    if row.last is None or there is None:
        return size(row.unpacked).replace(" ", NO_BREAK)
    change = row.unpacked - there
    sign = "+" if change > 0 else "-" if change < 0 else "±"
    told = f"{size(row.unpacked)} ({sign}{size(abs(change))})".replace(" ", NO_BREAK)
    return told if since else f"{told} since {code(row.last.version)}"


def _provenance(row: Row, pages: Pages) -> str:
    if not row.attested:
        return ""
    page = pages.package(row.package.name, row.package.version)
    # The statement is foreign; only a run of this repository is linked.
    run = link(row.run.rpartition("/")[2], row.run) if row.run.startswith(f"{pages.repository}/actions/runs/") else ""
    return " ".join(filter(None, [f"[✓]({page}#provenance)" if page else "✓", run]))


def _shortened(integrity: str) -> str:
    return f"{integrity[:SHORT_INTEGRITY]}…" if len(integrity) > SHORT_INTEGRITY else integrity


def _mark(report: Report, counts: Mapping[str, int]) -> str:
    if report.failure:
        return FAILED_MARK
    return DONE_MARK if all(state in MARKS for state in counts) else PENDING


def _notes(report: Report) -> str:
    told = [(record.built.packed, record.note) for record in report.records if record.status != "dry-run"]
    return "\n".join(f"- {code(f'{packed.name}@{packed.version}')}: {code(note)}" for packed, note in told if note)


def approval_commands(records: Iterable[Record], registry: str) -> str:
    """Return the commands that approve the staged packages, platform packages before the meta packages."""
    staged = sorted((r for r in records if r.status == "staged"), key=lambda r: r.built.package.kind == "meta")
    return "\n".join(
        f"npm stage approve {record.stage_id} --registry {registry}  # {record.built.package.name}"
        if record.stage_id
        else f"npm stage list {record.built.package.name} --registry {registry}  # then approve the listed id"
        for record in staged
    )


def _source(report: Report, pages: Pages) -> str:
    if report.commit is None:
        return ""
    run = report.ci_run
    by = "this run" if report.same_run else "CI run"
    built = f", built by {by} {link(run.id, run.url)}" if run else ""
    tags = {record.dist_tag for record in report.records}
    tagged = f" Dist-tag {code(tags.pop())}." if len(tags) == 1 and tags != {""} else ""
    return f"Commit {pages.commit(report.commit)}{built}.{tagged}"


def _release(report: Report) -> str:
    if report.release is None:
        return ""
    kind = "The draft of" if report.release.draft else "Release"
    return f"{kind} {link(report.release.tag, report.release.url)} has {len(report.assets)} assets."


def _next_steps(report: Report, registry: str) -> str:
    if report.failure:
        return ""
    if any(record.status == "dry-run" for record in report.records):
        return "A dry run: nothing was written."
    if commands := approval_commands(report.records, registry):
        return f"The staged packages await approval. Approve them in this order:\n\n{block(commands, 'sh')}"
    return report.then

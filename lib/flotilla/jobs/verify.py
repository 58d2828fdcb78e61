"""verify: compare a ledger with GitHub and the registry, and report each entry on a line."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flotilla.errors import ArchiveError, RegistryError
from flotilla.family import Limits
from flotilla.github import Asset, GitHub, Trusted, origin_faults, run_faults, the_release
from flotilla.jobs.inputs import variable
from flotilla.jobs.ledger import Ledger, inner_faults, read_ledger, subject_of
from flotilla.npm import (
    ON_REGISTRY,
    Npm,
    PublishedVersion,
    Registry,
    registry_url,
    same_integrity,
    sha512_of,
    stated,
    version_differences,
)
from flotilla.packing import contents_digest, read_contents
from flotilla.retry import RetryPolicy, SystemClock, until
from flotilla.runner import Runner
from flotilla.text import one_line

MINUTES = 15.0
LARGEST_MANIFEST = 2**20

Mark = Literal["same", "note", "differs"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """The result for one entry of the ledger; a note is about something that cannot be checked any more, or yet."""

    mark: Mark
    text: str


def verify(ledger: Path, environment: Mapping[str, str], runner: Runner, *, registry: str = "") -> int:
    """Compare every entry of a ledger with what GitHub and the registry have now.

    The ledger is not trusted. Its repository is only read from this environment's GitHub, its packages only from the
    registry chosen here, which alone gets the npm token.

    Args:
        ledger: the file.
        environment: has GITHUB_API_URL and the tokens (INPUT_GITHUB-TOKEN or GITHUB_TOKEN; INPUT_NPM-TOKEN or
            NPM_TOKEN).
        registry: the registry's URL; empty for the one that npm is configured for.

    Returns:
        0 if everything matches, otherwise 1.

    Raises:
        InputError: the file is not a ledger, or a token or URL is malformed.
        GitHubError: GitHub refuses or does not answer; likewise RegistryError and DeadlineError.
    """
    document = read_ledger(ledger)
    clock = SystemClock()
    policy = RetryPolicy(deadline=until(MINUTES, clock), clock=clock, told=runner.line)
    url = registry_url(registry) if registry else Npm(environment=environment).configured_registry(Path.cwd())
    token = (environment.get(variable("npm-token")) or environment.get("NPM_TOKEN", "")).strip() or None
    with _github(document, environment, policy) as github:
        lines = _told(runner, _everything(document, environment, github, Registry(url, token=token, policy=policy)))
    differs = sum(line.mark == "differs" for line in lines)
    looked = sum(line.mark == "same" for line in lines)
    runner.line(f"ledger: {looked} entries match, {differs} do not")
    return 1 if differs else 0


def _everything(ledger: Ledger, environment: Mapping[str, str], github: GitHub, registry: Registry) -> Iterator[Line]:
    here = environment.get("GITHUB_REPOSITORY", "")
    if here and here.lower() != ledger["repository"].lower():
        yield _differs(f"the ledger is of {ledger['repository']}, but this is {here}")
    yield from map(_differs, inner_faults(ledger))
    yield from _tag(ledger, github)
    yield from _ci(ledger, github)
    yield from _assets(ledger, github)
    yield from _packages(ledger, registry)


def _tag(ledger: Ledger, github: GitHub) -> Iterator[Line]:
    tag = ledger["tag"]
    commit = github.tags.commit(tag) if tag else None
    if ledger["commit"] is None:
        yield _note("the ledger has no commit: its job ended before it was known")
    elif tag is None:
        yield _note(f"the version has no tag to compare with the commit {ledger['commit']}")
    elif commit == ledger["commit"]:
        yield _same(f"tag {tag} is on {commit}")
    else:
        yield _differs(f"tag {tag} is {f'on {commit}' if commit else 'gone'}, but was on {ledger['commit']}")


def _ci(ledger: Ledger, github: GitHub) -> Iterator[Line]:
    told = ledger["ci-run"]
    if told is None:
        return
    run = github.runs.get(told["id"])
    if run is None:
        yield _note(f"CI run {told['id']} and its artifacts are gone")
        return
    wanted = Trusted(
        repository=ledger["repository"],
        workflow=told["workflow"],
        commit=told["commit"],
        pull_requests=told["event"] == "pull_request",
    )
    unfinished = told.get("same-run") is True and run.status != "completed"
    faults = origin_faults(run, wanted) if unfinished else run_faults(run, wanted)
    if not faults and run.event != told["event"]:
        faults = [f"CI run {run.id} was started by {run.event}, but the ledger says {told['event']}"]
    yield from map(_differs, faults)
    if not faults and unfinished:
        yield _note(f"CI run {run.id} of {told['workflow']} made the release itself, and is still running")
    elif not faults:
        yield _same(f"CI run {run.id} of {told['workflow']} succeeded on {run.commit}")
    there = {artifact.id: artifact for artifact in github.artifacts.of(run.id)}
    for one in ledger["artifacts"]:
        found, shown = there.get(one["id"]), f"artifact {one['name']} ({one['id']})"
        if found is None or found.expired:
            yield _note(f"{shown} is {'gone' if found is None else 'expired'}, so its bytes cannot be compared")
        elif found.digest is None:
            yield _note(f"{shown}: GitHub recorded no digest")
        else:
            yield _compared(shown, found.digest, one["digest"])


def _assets(ledger: Ledger, github: GitHub) -> Iterator[Line]:
    if not ledger["assets"]:
        return
    tag = ledger["tag"]
    release = the_release(github.releases.of(tag), tag) if tag else None
    if release is None:
        dry = ledger["release"] is None
        yield (_note if dry else _differs)(f"there is no release of {tag or ledger['version']}")
        return
    there = {asset.name: asset for asset in release.assets}
    for one in ledger["assets"]:
        yield _asset(one, there.get(one["name"]))


def _asset(one: Mapping[str, Any], found: Asset | None) -> Line:
    shown = f"asset {one['name']}"
    if found is None:
        return _differs(f"{shown} is gone from the release")
    if found.size != one["size"]:
        return _differs(f"{shown} has {found.size} bytes, but had {one['size']}")
    if found.digest is None:
        return _note(f"{shown}: GitHub recorded no digest, but the size is right")
    return _compared(shown, found.digest, one["digest"])


def _packages(ledger: Ledger, registry: Registry) -> Iterator[Line]:
    packages = ledger["packages"]
    if packages and registry_url(ledger["registry"]) != registry.url:
        yield _differs(f"the ledger is of the registry {ledger['registry']}, but this command reads {registry.url}")
    for one in packages:
        packument = registry.fresh(one["name"])
        yield from _package(one, packument.versions.get(one["version"]) if packument else None, registry)


def _package(one: Mapping[str, Any], found: PublishedVersion | None, registry: Registry) -> Iterator[Line]:
    shown = f"{one['name']}@{one['version']}"
    wanted = one["registry-integrity"] or one["integrity"] or ""
    if found is None and one["status"] in ON_REGISTRY:
        yield _differs(f"{shown} is gone from the registry")
    elif found is None:
        yield _note(f"{shown} is not on the registry; when the job ended, it was {one['status']}")
    elif not wanted:
        yield from _tarball(shown, found, registry, files=one.get("contents", ""))
    elif same_integrity(found.integrity, wanted):
        yield _same(f"{shown} is {found.integrity}")
        yield from _tarball(shown, found, registry)
    elif one["status"] in ON_REGISTRY:
        yield _differs(f"{shown} is {found.integrity}, but was {wanted}")
    else:
        yield _note(f"{shown} is on the registry as {found.integrity}; when the job ended, it was {one['status']}")
    if found is not None:
        yield from _provenance(shown, one, found, registry)


def _tarball(shown: str, found: PublishedVersion, registry: Registry, *, files: str = "") -> Iterator[Line]:
    """Compare the registry's manifest, which npm installs by, with the tarball's own package.json.

    Args:
        files: the digest that its files must have, for a package that was checked and not packed.
    """
    with tempfile.TemporaryDirectory(prefix="flotilla-verify-") as folder:
        tarball = Path(folder) / "package.tgz"
        try:
            registry.download(found, tarball)
            contents = read_contents(tarball, limits=Limits())
            ours = _manifest_of(tarball, contents["package.json"].sha256)
        except (
            RegistryError,
            ArchiveError,
            KeyError,
            ValueError,
            RecursionError,
            OSError,
            tarfile.TarError,
        ) as failure:
            yield _differs(f"the tarball of {shown} cannot be read: {one_line(str(failure))}")
            return
    if files:
        yield _compared(f"the files of {shown}", contents_digest(contents), files)
    lines = version_differences(ours, "", found, registry=registry.url, files=contents)
    yield from (_differs(f"the manifest of {shown}: {line}") for line in lines)
    if not lines:
        yield _same(f"{shown} has the manifest of its tarball")


def _manifest_of(tarball: Path, sha256: str) -> Mapping[str, object]:
    """Return a tarball's package.json, found by its digest; the tarball has already been checked."""
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            if member.isfile() and member.name.partition("/")[2] == "package.json" and member.size <= LARGEST_MANIFEST:
                file = archive.extractfile(member)
                data = file.read() if file else b""
                if hashlib.sha256(data).hexdigest() == sha256 and isinstance(document := json.loads(data), dict):
                    return document
    raise ValueError("it has no package.json")


def _provenance(shown: str, one: Mapping[str, Any], found: PublishedVersion, registry: Registry) -> Iterator[Line]:
    """Compare the registry's provenance with its tarball, and with what it was when the ledger was written."""
    statement = stated(registry.attestations(found)) if found.attestations else None
    told = one["provenance"]
    if statement is None:
        if told or found.attestations:
            yield _differs(f"the provenance of {shown} is gone or unreadable")
        return
    about = (subject_of(found.name, found.version), sha512_of(found.integrity))
    if (statement.subject, statement.sha512) != about:
        yield _differs(f"the provenance of {shown} is about another package or tarball: {statement.subject}")
    elif told is None:
        yield _note(f"{shown} has provenance from {statement.run}, which is not in the ledger")
    elif (statement.run, statement.commit, statement.repository) != (told["run"], told["commit"], told["repository"]):
        yield _differs(f"the provenance of {shown} names {statement.run}, but named {told['run']}")
    else:
        yield _same(f"{shown} has provenance from {statement.run}")


def _github(ledger: Ledger, environment: Mapping[str, str], policy: RetryPolicy) -> GitHub:
    given = environment.get(variable("github-token"), "").strip() or environment.get("GITHUB_TOKEN", "").strip()
    return GitHub(
        api_url=environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        token=given,
        repository=ledger["repository"],
        policy=policy,
    )


def _told(runner: Runner, lines: Iterable[Line]) -> Sequence[Line]:
    """Print each line as soon as it is known; return all of them."""
    told = []
    for line in lines:
        runner.line(f"{line.mark:<7}  {line.text}")
        told.append(line)
    return told


def _compared(shown: str, there: str, wanted: str) -> Line:
    if there == wanted:
        return _same(f"{shown} is {there}")
    return _differs(f"{shown} is {there}, but was {wanted}")


def _same(text: str) -> Line:
    return Line(mark="same", text=text)


def _note(text: str) -> Line:
    return Line(mark="note", text=text)


def _differs(text: str) -> Line:
    return Line(mark="differs", text=text)

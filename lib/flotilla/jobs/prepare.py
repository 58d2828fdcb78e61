"""prepare: render the manifests, check all that can be checked before the tag exists, and report all faults at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flotilla.errors import ConfigError, ConflictError, Fault, InputError, Place, Refusal, RefusedError, grouped
from flotilla.family import LATEST, ROOT, Family, Manifest, Package, nothing_to_use, render_manifest, same_repository
from flotilla.github import Release
from flotilla.jobs.inputs import Inputs, JobContext, PublishInputs, ReleasingInputs, its_release
from flotilla.jobs.publish_plan import fresh_packuments, registry_refusals, terms
from flotilla.npm import ID_TOKEN_BEARER, ID_TOKEN_URL, NEW_NAME, Packument, is_new, new_names_advice, possible
from flotilla.runner import RunnerVariables
from flotilla.text import one_line


def render_all(
    packages: Iterable[Package], *, root: Path, repository: str, top: Path | None = None
) -> dict[str, Manifest]:
    """Return the manifest of each package, by the package's name.

    Args:
        root: the folder that templates are relative to.
        repository: URL for manifests whose template names none.
        top: the folder that paths in errors are relative to (default: root).

    Raises:
        ConfigError: with the faults of all templates.
    """
    manifests: dict[str, Manifest] = {}
    faults: list[Fault] = []
    for package in packages:
        try:
            name = named_from(top, root, _file(package))
            template, text = read_template(package, root, name)
            manifests[package.name] = render_manifest(package, template, repository=repository, file=name, text=text)
        except ConfigError as failure:
            faults += [fault for fault in failure.faults if fault not in faults]
    if faults:
        raise ConfigError(faults, advice="Correct the templates, then re-run. Nothing was written.")
    return manifests


NOTHING_TO_USE = (
    "users can neither import nor run anything of it: its package.json has no main, exports or bin, and there is no "
    "index.js. Give packages.meta a template that has them, or set packages.meta to false"
)
WHOLE_REPOSITORY = (
    "npm packs the whole repository, files that other steps of a job left there included: its package.json has no "
    "`files`, and there is no .npmignore. List in `files` what users need"
)


def meta_doubts(packages: Iterable[Package], manifests: Mapping[str, Manifest], *, root: Path) -> list[str]:
    """Return what the templates say of the meta packages that is surely not meant, a line each.

    Args:
        root: the folder that templates are relative to.
    """
    doubts = []
    for package in packages:
        folder, manifest = root / package.template if package.template else None, manifests[package.name]
        there = {path.name for path in folder.iterdir()} if folder else set()
        if package.kind == "meta" and package.artifact is None and nothing_to_use(manifest, there):
            doubts.append(f"{package.name}: {NOTHING_TO_USE}")
        if package.template == ROOT and "files" not in manifest and ".npmignore" not in there:
            doubts.append(f"{package.name}: {WHOLE_REPOSITORY}")
    return doubts


def repository_faults(variables: RunnerVariables, manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Return what the registry would refuse in packages with provenance, by the package's name."""
    return {
        name: f"repository in its package.json is {manifest.get('repository')!r}, but provenance names "
        f"{variables.server_url}/{variables.repository}; the registry refuses packages if they differ. "
        "Correct the template, or remove repository from it."
        for name, manifest in manifests.items()
        if not same_repository(manifest.get("repository"), variables.server_url, variables.repository)
    }


def named_from(top: Path | None, root: Path, file: str) -> str:
    """Return a file's path from the repository's top, so that GitHub finds it.

    Args:
        top: the repository's folder.
        root: the folder that the file's name is relative to, in or below top.
    """
    folder = root.relative_to(top) if top and root.is_relative_to(top) else Path()
    return (folder / file).as_posix()


def read_template(package: Package, root: Path, name: str) -> tuple[Manifest | None, str]:
    """Return package.json of a package's template and its text; None if it has no template.

    Args:
        name: the file's name in errors.

    Raises:
        ConfigError: it is missing, outside the repository, or not a JSON object.
    """
    if package.template is None:
        return None, ""
    file = root / _file(package)
    if not file.resolve().is_relative_to(root.resolve()):
        raise ConfigError(Fault(text="the template is outside the repository", place=Place(file=name)))
    try:
        data = file.read_bytes()
        document = json.loads(data)
    except OSError as failure:
        raise ConfigError(
            Fault(
                text=f"{package.name}: its template's package.json cannot be read: {failure.strerror}",
                place=Place(file=name),
            )
        ) from failure
    except json.JSONDecodeError as failure:
        place = Place(file=name, line=failure.lineno, column=failure.colno)
        raise ConfigError(Fault(text=f"is not JSON: {failure.msg}", place=place)) from failure
    except (UnicodeDecodeError, RecursionError) as failure:
        raise ConfigError(Fault(text="is not JSON", place=Place(file=name))) from failure
    if not isinstance(document, dict):
        raise ConfigError(Fault(text="expected a JSON object", place=Place(file=name, line=1, column=1)))
    return document, data.decode(json.detect_encoding(data), errors="replace")


def _file(package: Package) -> str:
    return f"{package.template or '(generated)'}/package.json"


# GitHub's limit in characters: "body is too long (maximum is 125000 characters)".
LONGEST_NOTES = 125_000


def own_notes(family: Family, root: Path, *, top: Path | None = None) -> str | None:
    """Return the text of the file that release.notes names; None if GitHub generates the notes.

    Args:
        root: folder of flotilla.yml.
        top: the folder that paths in errors are relative to (default: root).

    Raises:
        ConfigError: it is missing, not text, too long, or outside the repository.
    """
    if family.notes is None:
        return None
    file, name = root / family.notes, named_from(top, root, family.notes)
    # A link could publish any file of this machine as release notes, even this process's environment.
    if not file.resolve().is_relative_to(root.resolve()):
        raise ConfigError(Fault(text="release.notes is outside the repository", place=Place(file=name)))
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            Fault(text=f"release.notes cannot be read: {why}", place=Place(file=name)),
            advice="Commit the file, or correct release.notes in flotilla.yml (generate: GitHub writes the notes).",
        ) from failure
    if len(text) > LONGEST_NOTES:
        fault = f"release.notes has {len(text)} characters; GitHub accepts at most {LONGEST_NOTES}"
        raise ConfigError(Fault(text=fault, place=Place(file=name)), advice="Shorten it, or link to the full text.")
    return text


def settle_commit(job: JobContext[Inputs], wanted: str = "") -> str:
    """Return the commit to release: the one asked for, or else the tag's, or else the one that triggered this run.

    Raises:
        ConflictError: the tag exists on another commit.
        InputError: no commit is known.
    """
    tag = job.family.tag
    if tag is None:
        return _own_commit(job, wanted)
    tagged = job.github.tags.commit(tag)
    if tagged and wanted and tagged != wanted:
        raise ConflictError(
            f"tag {tag} is on commit {tagged}, but this release is of commit {wanted}",
            advice="flotilla never moves a tag. Release a new version, or leave out `commit` to release the tag's.",
        )
    commit = wanted or tagged or job.variables.commit
    if not commit:
        raise InputError("there is no commit to release; set the input `commit`, or GITHUB_SHA")
    return _told(job, commit)


def _own_commit(job: JobContext[Inputs], wanted: str) -> str:
    """Return the commit of a version without a tag: this run's own, so that all of its jobs release the same.

    Raises:
        ConflictError: another one is asked for.
        InputError: this run has none.
    """
    own = job.variables.commit
    if own and wanted not in {"", own}:
        raise ConflictError(
            f"input commit is {wanted}, but this workflow runs on {own}, and a version without a tag is always of the "
            "run's own commit",
            advice="Leave out the input `commit`, or run the workflow on that commit.",
        )
    if not (own or wanted):
        raise InputError("there is no commit to release; set GITHUB_SHA")
    return own or wanted


def released_commit(job: JobContext[Inputs]) -> str:
    """Return the commit to publish packages from: the tag's or, for a version without a tag, this run's.

    In a dry run before the tag exists, it is this run's, too.

    Raises:
        RefusedError: there is no tag yet.
    """
    if job.family.tag is None:
        return settle_commit(job)
    tagged = job.github.tags.commit(job.family.tag)
    if tagged is None and job.inputs.dry_run:
        return settle_commit(job)
    if tagged is None:
        raise RefusedError(
            f"tag {job.family.tag} does not exist, but packages are only published from a tag's commit",
            advice="Run action-release first, as a job that this one `needs`; if it has `tag: none`, set it here, too.",
        )
    return _told(job, tagged)


def require_tag(job: JobContext[Inputs], commit: str) -> None:
    """Check that the tag is on the released commit, right before its release is published.

    If there is no tag, GitHub would create one on another commit: the newest of the default branch.

    Raises:
        RefusedError: the tag is gone.
        ConflictError: the tag is on another commit.
    """
    tag = job.family.tag
    tagged = job.github.tags.commit(tag) if tag else None
    if tagged is None:
        raise RefusedError(
            f"there is no tag {tag}, so GitHub would tag another commit when the release is published",
            advice="Run action-release with draft: true first. If somebody deleted the tag, put it back on "
            f"{commit}, then re-run this job.",
        )
    if tagged != commit:
        raise ConflictError(
            f"tag {tag} is on commit {tagged}, but this release is of commit {commit}",
            advice="The release was not published. Put the tag back, then re-run this job.",
        )


def _told(job: JobContext[Inputs], commit: str) -> str:
    """Return the commit; warn if it is not this run's, because the templates come from the checkout."""
    here = job.variables.commit
    if here and commit != here:
        job.runner.notice(
            f"the release is of commit {commit}, but this workflow runs on {here}. flotilla.yml and the templates come "
            "from this job's checkout; if they changed in between, check out the released commit "
            "(actions/checkout with ref).",
            title="This workflow runs on another commit",
        )
    return commit


T = TypeVar("T")

IF_GRANTED = ", if the publishing jobs have `permissions: id-token: write`"
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What the later phases use.

    Args:
        packuments: by package name; None if the registry has no such package.
        notes: the family's own release notes; None if GitHub generates them, or already has some.
    """

    commit: str
    dist_tag: str
    manifests: Mapping[str, Manifest]
    packuments: Mapping[str, Packument | None]
    notes: str | None


def prepare(job: JobContext[ReleasingInputs], commit: str = "") -> Prepared:
    """Decide what to release, and refuse what must not be released.

    Args:
        commit: the commit that an earlier call chose; empty for the first call.

    Raises:
        ConfigError: templates or the file with the notes are wrong.
        RefusedError: with everything that GitHub or the registry would refuse later.
    """
    family, found = job.family, list[Refusal]()
    manifests = render_all(
        family.packages, root=job.root, repository=job.variables.repository_url, top=job.variables.workspace
    )
    wanted = commit or job.inputs.commit
    settled = _collected(found, f"tag {family.tag}" if family.tag else "commit", lambda: settle_commit(job, wanted))
    release = _collected(found, f"release {family.tag}", lambda: _release_so_far(job, settled))
    # An existing release already has its notes, and the file may be gone. Without a tag there is no release.
    notes = None if release or family.tag is None else own_notes(family, job.root, top=job.variables.workspace)
    packuments = fresh_packuments(job, (package.name for package in family.packages))
    if fault := job.registry.token_fault():
        found.append(Refusal(of="npm-token", why=fault))
    found += provenance_refusals(job, manifests)
    found += registry_refusals(manifests, packuments, terms(job))
    found += sign_in_refusals(job, packuments)
    if found or settled is None:
        raise RefusedError([str(refusal) for refusal in found], advice="Nothing was written.")
    return Prepared(commit=settled, dist_tag=job.dist_tag.name, manifests=manifests, packuments=packuments, notes=notes)


def warn_of_packages(job: JobContext[ReleasingInputs], prepared: Prepared) -> None:
    """Warn of packages that are surely not what is meant, and of a nightly that would become `latest`."""
    for doubt in meta_doubts(job.family.packages, prepared.manifests, root=job.root):
        job.runner.warning(f"{doubt}.", title="Check the meta package")
    new = [name for name, packument in prepared.packuments.items() if is_new(packument)]
    if new and job.family.tag is None and prepared.dist_tag != LATEST:
        job.runner.warning(
            f"npm makes a package's first version `latest`, whatever its dist-tag. These are new: {', '.join(new)}; "
            "publish a normal release of them first.",
            title="This version will be latest",
        )


def sign_in_refusals(job: JobContext[ReleasingInputs], packuments: Mapping[str, Packument | None]) -> list[Refusal]:
    """Return which packages no publishing job could sign in for, and tell how the others will, as far as that is known.

    Which of them the registry trusts with an id-token shows only in a publishing job: it has the environment and the
    permission that this one lacks.
    """
    new = [name for name, packument in packuments.items() if is_new(packument)]
    if new and not job.inputs.npm_token:
        why = f"{NEW_NAME}. {new_names_advice(new, terms(job))}"
        return grouped((Refusal(of=name, why=why) for name in new), of=len(packuments))
    if isinstance(job.inputs, PublishInputs):
        return []  # this job publishes, and settles it itself
    if not job.inputs.npm_token:
        told = "trusted publishing for every package; there is no npm-token"
    elif len(new) == len(packuments):
        told = "npm-token for every package: all are new to the registry"
    else:
        told = "trusted publishing for each package that a publishing job's id-token is exchanged for, else npm-token"
        told += f"; npm-token for {', '.join(new)} (new to the registry)" if new else ""
    job.runner.line(f"Sign-in to npm: {told}.")
    return []


def tell_unprotected(job: JobContext[ReleasingInputs]) -> None:
    """Say that whoever may push to the branch or tag of this run may publish, which npm does not look at."""
    if ref := job.variables.unprotected:
        job.runner.notice(
            f"no rule protects {one_line(ref)}: whoever may push there can publish, since npm compares a job's "
            "repository, workflow file and environment, but not its branch. Protect it with a ruleset, and let the "
            "environment of the publishing jobs take protected branches only (flotilla's docs/credentials.md).",
            title="This workflow runs on an unprotected ref",
        )


def _release_so_far(job: JobContext[ReleasingInputs], commit: str | None) -> Release | None:
    """Return the release, as far as it is made; not two drafts, and no draft for another commit with that one's notes.

    Args:
        commit: the commit to release; None if that was already refused.
    """
    release, tag = its_release(job), job.family.tag
    if release is None or not release.draft or commit is None or tag is None:
        return release
    if COMMIT.fullmatch(release.target) and release.target != commit and job.github.tags.commit(tag) is None:
        raise ConflictError(
            f"{release.url} is a draft for commit {release.target}, but this release is of {commit}",
            advice="Delete that draft, or release its commit (input `commit`).",
        )
    return release


def provenance_refusals(job: JobContext[ReleasingInputs], manifests: Mapping[str, Manifest]) -> list[Refusal]:
    """Return why the registry would refuse the packages' provenance."""
    variables, publish = job.variables, job.family.config.publish
    private = job.github.runs.repository().private
    # The publishing jobs have `id-token: write`; this job does not need it, so pretend that it has it.
    granted = {**job.environment, ID_TOKEN_URL: "granted", ID_TOKEN_BEARER: "granted"}
    provenance = possible(publish.provenance, environment=granted, private=private, access=publish.access)
    if provenance.refused:
        advice = "Remove that obstacle, or set publish.provenance to auto to publish without provenance here."
        return [Refusal(of="provenance", why=f"{provenance.why} {advice}")]
    if not isinstance(job.inputs, PublishInputs):  # a job that publishes says later what holds for itself
        # A token can publish without an id-token, but then without provenance. Trusted publishing always has one.
        unsure = provenance.on and job.inputs.npm_token
        job.runner.line(f"{provenance.why.rstrip('.')}{IF_GRANTED}." if unsure else provenance.why)
    if private:
        return []
    if publish.provenance == "false":
        return []
    return grouped(
        (Refusal(of=name, why=why) for name, why in repository_faults(variables, manifests).items()), of=len(manifests)
    )


def _collected(found: list[Refusal], of: str, look: Callable[[], T]) -> T | None:
    """Return the result of a check; keep its refusal, so that all refusals are reported at once."""
    try:
        return look()
    except (ConflictError, InputError) as refusal:
        said = [*map(str, refusal.faults), refusal.advice]
        found.append(Refusal(of=of, why=" ".join(f"{sentence.rstrip('.')}." for sentence in said if sentence)))
        return None

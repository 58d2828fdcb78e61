"""What whole jobs print and leave as their job summary, as they go well and as they are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.conftest import (  # noqa: F401 - fixtures
    artifacts,
    at,
    begin,
    npm_variables,
    shared_clock,
    shared_world,
    stages,
)
from tests.jobs.test_release_refusals import draft, put_asset
from tests.messages.conftest import Golden, Messages
from tests.simulator.faults import Kind, PlannedFault
from tests.simulator.world import Saved
from tests.world.ended import Ended
from tests.world.job_world import JobWorld, packed

from flotilla.rehearsal.github import GitObject
from flotilla.rehearsal.registry import TrustedPublisher

OTHER = "f" * 40
PLATFORM = "publish-platform"
NIGHTLY = {"version": "1.4.0-nightly.20261125", "tag": "none"}
LINUX = {"platform": "linux-x64", "run_id": "$RUN"}
Prepare = Callable[[JobWorld], object]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A job to run.

    Args:
        heading: what is the matter.
        action: the job.
        after: the step of a release that is done before it; empty for none.
        prepare: changes the world first.
        inputs: of the job; $RUN stands for CI's run.
        unprotected: whether no rule protects its branch.
    """

    heading: str
    action: str = "release"
    after: str = ""
    prepare: Prepare = lambda _jobs: None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    unprotected: bool = False


def edited(old: str, new: str) -> Prepare:
    return lambda jobs: jobs.edit("flotilla.yml", lambda text: text.replace(old, new))


def without_flotilla_yml(jobs: JobWorld) -> None:
    (jobs.workspace / "flotilla.yml").unlink()


def contents_read_only(jobs: JobWorld) -> None:
    jobs.github.permissions["contents"] = "read"


def without_one_artifact(jobs: JobWorld) -> None:
    jobs.github.artifacts[:] = [one for one in jobs.github.artifacts if one.name != "chroma-linux-x64-free"]


def expired_and_empty_artifacts(jobs: JobWorld) -> None:
    found = {artifact.name: artifact for artifact in jobs.github.artifacts}
    found["chroma-linux-x64-free"].expired = True
    found["chroma-linuxmusl-x64-free"].content = b""


def tampered_artifact(jobs: JobWorld) -> None:
    next(one for one in jobs.github.artifacts if one.name == "chroma-linux-x64-free").digest = f"sha256:{'0' * 64}"


def failed_ci(jobs: JobWorld) -> None:
    jobs.github.runs[0].conclusion = "failure"


def endless_ci(jobs: JobWorld) -> None:
    jobs.github.runs[0].reads_until_done = 10**6


def no_ci(jobs: JobWorld) -> None:
    jobs.github.runs.clear()


def tag_elsewhere(jobs: JobWorld) -> None:
    jobs.github.add_commit(OTHER)
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=OTHER, type="commit")


def two_drafts(jobs: JobWorld) -> None:
    draft(jobs)
    draft(jobs)


def other_asset(jobs: JobWorld) -> None:
    jobs.github.refs["refs/tags/v1.2.3"] = GitObject(sha=jobs.github.commit, type="commit")
    release = draft(jobs, draft=False, immutable=True, published_at="2026-01-01T00:00:00Z")
    put_asset(jobs, release, "SHA256SUMS", b"others")


def newer_versions(jobs: JobWorld) -> None:
    for name in ("@acme/chroma-linux-x64", "@acme/chroma"):
        jobs.put_version(name, "2.0.0")


def other_content(jobs: JobWorld) -> None:
    jobs.put(packed({"package.json": b'{"name": "@acme/chroma-dev", "version": "1.2.3"}', "stray.txt": b"x"}))


def private_with_provenance(jobs: JobWorld) -> None:
    edited("publish:\n", "publish:\n  provenance: true\n")(jobs)
    jobs.github.private = True


def other_repository(jobs: JobWorld) -> None:
    jobs.manifest("npm/platform", repository="github:OWNER/other")


def missing_main(jobs: JobWorld) -> None:
    jobs.manifest("npm/platform", main="lib/missing.js")


def one_trusted(jobs: JobWorld) -> None:
    for name in ("@acme/chroma-linux-x64", "@acme/chroma-linux-x64-non-free"):
        jobs.put_version(name, "1.0.0")
    publisher = TrustedPublisher(repository="acme/chroma", workflow="release.yml")
    jobs.registry.trusted["@acme/chroma-linux-x64"] = publisher


def without_staging(jobs: JobWorld) -> None:
    jobs.registry.staging = False


def broken(kind: Kind, *, times: int = 1, at: int | None = None, label: str | None = None) -> Prepare:
    """Let one request go wrong, that often in a row."""
    fault = PlannedFault(kind=kind, at=at, label=label, times=times, retry_after=40)
    return lambda jobs: jobs.world.plan.start([fault])


GOOD = (
    Scene(heading="a whole release"),
    Scene(heading="the same again", after="released"),
    Scene(heading="a dry run", inputs={"dry_run": "true"}),
    Scene(heading="prepare", inputs={"phase": "prepare"}),
    Scene(heading="prepare, on a branch that no rule protects", inputs={"phase": "prepare"}, unprotected=True),
    Scene(heading="a release kept as a draft", inputs={"draft": "true"}),
    Scene(heading="finish, with nothing on npm", after="released", inputs={"phase": "finish"}),
    Scene(heading="finish", after="everything", inputs={"phase": "finish"}),
    Scene(heading="a version without a tag", after="everything", inputs=NIGHTLY),
    Scene(heading="a version without a tag, finish", inputs={**NIGHTLY, "phase": "finish"}),
)
PUBLISHING = (
    Scene(heading="a platform", action=PLATFORM, after="released", inputs=LINUX),
    Scene(
        heading="a platform again",
        action=PLATFORM,
        after="linux-x64",
        inputs={"platform": "linux-x64", "run_id": "$RUN"},
    ),
    Scene(
        heading="a platform, dry run",
        action=PLATFORM,
        after="released",
        inputs=LINUX | {"dry_run": "true"},
    ),
    Scene(
        heading="a platform, staged",
        action=PLATFORM,
        after="released",
        inputs=LINUX | {"staged": "true"},
    ),
    Scene(
        heading="the registry has no staging",
        action="publish-dev",
        after="released",
        prepare=without_staging,
        inputs={"run_id": "$RUN", "staged": "true"},
    ),
    Scene(heading="the metas, staged", action="publish-meta", after="released", inputs={"staged": "true"}),
    Scene(
        heading="a platform, one package by id-token and one by token",
        action=PLATFORM,
        after="released",
        prepare=one_trusted,
        inputs=LINUX | {"id_token": True, "provenance": "false"},
    ),
    Scene(
        heading="a platform, one package without a way to sign in",
        action=PLATFORM,
        after="released",
        prepare=one_trusted,
        inputs=LINUX | {"id_token": True, "provenance": "false", "npm_token": ""},
    ),
    Scene(heading="no such platform", action=PLATFORM, inputs={"platform": "linux-x46", "run_id": "$RUN"}),
    Scene(
        heading="a list with no such platform, and one twice",
        action=PLATFORM,
        inputs={"platform": '["linux-x46", "linux-x64", "linux-x64"]', "run_id": "$RUN"},
    ),
    Scene(heading="every platform", action=PLATFORM, after="linux-x64", inputs={**LINUX, "platform": "all"}),
    Scene(heading="the headers", action="publish-dev", after="platforms", inputs={"run_id": "$RUN"}),
    Scene(
        heading="the headers are there with other content",
        action="publish-dev",
        after="platforms",
        prepare=other_content,
        inputs={"run_id": "$RUN"},
    ),
    Scene(heading="the metas", action="publish-meta", after="dev"),
    Scene(heading="the metas before the platforms", action="publish-meta", after="linux-x64"),
)
ONE_STEP = "release-family"
WHOLE = (
    Scene(heading="the whole family", action=ONE_STEP),
    Scene(heading="the whole family again", action=ONE_STEP, after="everything", inputs={"draft": "true"}),
    Scene(heading="the whole family, dry run", action=ONE_STEP, inputs={"dry_run": "true"}),
    Scene(heading="the whole family, staged", action=ONE_STEP, inputs={"draft": "true", "staged": "true"}),
    Scene(
        heading="the whole family, stopped at the headers",
        action=ONE_STEP,
        prepare=broken(Kind.TOO_MANY, label="registry PUT /@acme/chroma-dev", times=10**6),
        inputs={"timeout_minutes": "2"},
    ),
    Scene(heading="the whole family, without an artifact", action=ONE_STEP, prepare=without_one_artifact),
)

REFUSED = (
    Scene(heading="a stable version without a tag", inputs={"tag": "none"}),
    Scene(
        heading="a nightly that flotilla.yml would make latest",
        prepare=edited("publish:\n", "publish:\n  dist-tag: latest\n"),
        inputs=NIGHTLY,
    ),
    Scene(heading="a nightly of another commit", inputs={**NIGHTLY, "commit": OTHER}),
    Scene(heading="no flotilla.yml", prepare=without_flotilla_yml),
    Scene(heading="a wrong flotilla.yml", prepare=edited("access: public", "access: publik")),
    Scene(heading="flotilla.yml outside the repository", inputs={"config": "../flotilla.yml"}),
    Scene(heading="a wrong GitHub token", inputs={"github_token": "ghs_wrong"}),
    Scene(heading="a token that cannot write", prepare=contents_read_only),
    Scene(heading="a missing artifact", prepare=without_one_artifact),
    Scene(heading="expired and empty artifacts", prepare=expired_and_empty_artifacts),
    Scene(heading="a tampered artifact", prepare=tampered_artifact),
    Scene(heading="a run that does not exist", inputs={"run_id": "999999"}),
    Scene(heading="CI failed", prepare=failed_ci),
    Scene(heading="CI does not end", prepare=endless_ci, inputs={"timeout_minutes": "2"}),
    Scene(heading="no CI run", prepare=no_ci, inputs={"timeout_minutes": "2"}),
    Scene(heading="the tag is elsewhere", prepare=tag_elsewhere, inputs={"commit": "$COMMIT"}),
    Scene(heading="two drafts", prepare=two_drafts),
    Scene(heading="another asset is published", prepare=other_asset),
    Scene(heading="below latest", prepare=newer_versions),
    Scene(heading="other content on npm", prepare=other_content),
    Scene(heading="new names with trusted publishing", inputs={"npm_token": "", "id_token": True}),
    Scene(heading="trusted publishing without an id-token", inputs={"npm_token": ""}),
    Scene(heading="provenance of a private repository", prepare=private_with_provenance),
    Scene(heading="another repository in the manifest", prepare=other_repository),
    Scene(heading="a package over the budget", prepare=edited("publish:\n", "publish:\n  size-limit-mb: 0.004\n")),
    Scene(heading="main is missing", prepare=missing_main),
)

PREPARE = {"phase": "prepare"}
DEV = {"run_id": "$RUN"}
PUT = "registry PUT /@acme/chroma-dev"
WAITING = (
    Scene(heading="GitHub answers 503 once", prepare=broken(Kind.ERROR_503, at=1), inputs=PREPARE),
    Scene(heading="GitHub limits the rate", prepare=broken(Kind.SECONDARY_LIMIT, at=1), inputs=PREPARE),
    Scene(heading="GitHub answers 502 for good", prepare=broken(Kind.ERROR_502, at=1, times=10**6), inputs=PREPARE),
    Scene(heading="GitHub cuts the connection", prepare=broken(Kind.RESET_BEFORE, at=1), inputs=PREPARE),
    Scene(
        heading="the registry limits the rate",
        action="publish-dev",
        after="platforms",
        prepare=broken(Kind.TOO_MANY, label=PUT),
        inputs=DEV,
    ),
    Scene(
        heading="the registry's answer is lost",
        action="publish-dev",
        after="platforms",
        prepare=broken(Kind.RESET_AFTER, label=PUT),
        inputs=DEV,
    ),
    Scene(
        heading="the registry answers 503 for good",
        action="publish-dev",
        after="platforms",
        prepare=broken(Kind.ERROR_503, label=PUT, times=10**6),
        inputs=DEV | {"timeout_minutes": "0.5"},
    ),
    Scene(
        heading="a platform package is not visible yet",
        action="publish-meta",
        after="dev",
        prepare=lambda jobs: jobs.hide("@acme/chroma-linux-x64", seconds=200),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where scenes are played."""

    begin: Callable[[Path], JobWorld]
    stages: Mapping[str, Saved]
    folder: Path

    def play(self, *scenes: Scene) -> Messages:
        """Yield what each job printed and left."""
        for number, scene in enumerate(scenes):
            jobs = self.begin(self.folder / str(number) / "workspace")
            if scene.after:
                at(self.stages[scene.after], jobs)
            scene.prepare(jobs)
            if scene.unprotected:
                jobs = replace(jobs, variables={**jobs.variables, "GITHUB_REF_PROTECTED": "false"})
            stand_ins = {"$RUN": str(jobs.run_id), "$COMMIT": jobs.github.commit}
            inputs = {name: stand_ins.get(value, value) for name, value in scene.inputs.items()}
            yield f"{scene.action}: {scene.heading}", left(jobs.run(scene.action, **inputs), jobs, self.folder)


def left(done: Ended, jobs: JobWorld, folder: Path) -> str:
    """Return what a job printed and its summary, without what differs from run to run."""
    text = f"{done.log.rstrip()}\n--- exit status {done.status}, job summary\n{done.summary}".replace(
        "\N{NO-BREAK SPACE}", " "
    )
    for found, named in (
        (r"::add-mask::.*\n", ""),
        (r"(?s)(::group::npm's log of [^\n]*\n).*?(?=::endgroup::)", r"\1…\n"),
        (r"(?m)^npm \d+\.\d+\.\d+$", "npm VERSION"),
        (re.escape(jobs.world.registry.url), "https://registry.example/"),
        (r"http://127\.0\.0\.1:\d+", "https://github.example"),
        (re.escape(str(jobs.world.folder)) + r"/[\w./-]*", "TEMPORARY"),
        (re.escape(str(folder)) + r"/\d+", "FOLDER"),
        (r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "STAGE-ID"),
        (r"sha512-[\w+/=]+…?", "sha512-…"),
        (r"\b[0-9a-f]{64}\b", "SHA256"),
        (r"\b[0-9a-f]{40}\b|(?<=\[`)[0-9a-f]{12}(?=`\])", "COMMIT"),
        (r"(?<=runs/)\d+|(?<=[Rr]un )\d+", "RUN"),
        (r"\b[\d.,]+ (bytes|[kM]i?B|B)\b", r"N \1"),
        (r"\b\d+(\.\d+)? (s|ms|seconds)\b", r"N \2"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b", "TIME"),
        (r" {2,}", "  "),
        (r"-{3,}", "---"),
    ):
        text = re.sub(found, named, text)
    # How often something is tried again depends on chance.
    return "\n".join(line for line, _several in groupby(line.rstrip() for line in text.splitlines()))


@pytest.fixture
def stage(
    begin: Callable[[Path], JobWorld],  # noqa: F811 - the fixture
    stages: Mapping[str, Saved],  # noqa: F811
    tmp_path: Path,
) -> Stage:
    return Stage(begin=begin, stages=stages, folder=tmp_path)


@pytest.mark.npm
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scenes"),
    [
        ("jobs-release", GOOD),
        ("jobs-publish", PUBLISHING),
        ("jobs-family", WHOLE),
        ("jobs-refused", REFUSED),
        ("jobs-waiting", WAITING),
    ],
)
def test_what_jobs_print_and_leave(golden: Golden, stage: Stage, name: str, scenes: tuple[Scene, ...]) -> None:
    golden(name, stage.play(*scenes))

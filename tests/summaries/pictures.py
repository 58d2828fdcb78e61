"""Draw job summaries for the documentation, from rehearsed releases of the example: `make pictures`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.artifacts import EXAMPLE, ROOT, example_artifacts
from tests.jobs.conftest import without_other_platforms
from tests.summaries.page import Look, look
from tests.world.npm_packages import installed

from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.job_graph import Graph, JobRun
from flotilla.rehearsal.registry import Grant, TrustedPublisher
from flotilla.rehearsal.world import Rehearsal

PICTURES = ROOT / "docs" / "pictures"
WIDE, NARROW = 960, 400
REPOSITORY, VERSION, FIRST = "acme/chroma", "2.1.0", "2.0.0"


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """The jobs of two releases of the example, the second of which fails once and is re-run.

    Args:
        runs: by what the job did.
    """

    github: GitHubState
    run_id: int
    runs: Mapping[str, JobRun]


def rehearsed(folder: Path) -> Rehearsed:
    """Release the example twice, with the real npm, a real registry and provenance.

    Args:
        folder: an empty one.
    """
    github = GitHubState(repository=REPOSITORY)
    run = github.add_run(workflow="ci.yml")
    for path in sorted(example_artifacts().iterdir()):
        add_artifact(github, run, path)
    workspace = folder / "workspace"
    shutil.copytree(EXAMPLE, workspace)
    config = workspace / "flotilla.yml"
    config.write_text(without_other_platforms(config.read_text(encoding="utf-8")), encoding="utf-8")
    runs: dict[str, JobRun] = {}
    with Rehearsal(folder / "world", github=github, modules=installed()) as world:
        (token,) = world.registry.state.tokens
        world.registry.state.tokens["npm_one"] = Grant(package="@acme/chroma-linux-x64")

        def ran(name: str, job: str, *, fails: bool = False, **inputs: str) -> None:
            given = {"version": VERSION, "npm-token": token, "pause-seconds": "0"}
            given |= {key.replace("_", "-"): value for key, value in inputs.items()}
            graph = Graph(world=world, workspace=workspace, inputs=given, told=lambda _run: None)
            runs[name] = graph.job(job)
            assert runs[name].status == int(fails), runs[name].log

        ran("first", "release-family", version=FIRST)
        readme = workspace / "npm" / "platform" / "README.md"
        readme.write_text(readme.read_text(encoding="utf-8") + "\nThe same on every machine.\n", encoding="utf-8")
        ran("artifacts", "release", phase="check-artifacts")
        ran("release", "release", draft="true")
        made = runs["release"].outputs["run-id"]
        ran("stopped", "publish-platform", fails=True, platform="linux-x64", npm_token="npm_one", run_id=made)  # noqa: S106 - nobody's
        workflow = TrustedPublisher(repository=REPOSITORY, workflow="release.yml")
        world.registry.state.trusts_all = workflow
        ran("family", "release-family", draft="true", run_id=made)
        ran("meta", "publish-meta")
        ran("finish", "release", phase="finish", run_id=made)
    return Rehearsed(github=github, run_id=run.id, runs=runs)


def main() -> int:
    """Draw the pictures; return the exit status."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="flotilla-pictures-") as made:
        folder = Path(made)
        runs = rehearsed(folder).runs
        drawn = [
            Look(markdown=runs[name].summary, width=width, picture=PICTURES / f"{picture}.png")
            for name, width, picture in (
                ("family", WIDE, "summary"),
                ("family", NARROW, "summary-narrow"),
                ("stopped", WIDE, "summary-stopped"),
            )
        ]
        look(drawn, folder)
    for one in drawn:
        sys.stdout.write(f"{one.picture.relative_to(ROOT) if one.picture else ''}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

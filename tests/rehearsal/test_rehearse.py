"""flotilla rehearse: what it takes for artifacts, and what its reader sees of a job that failed."""

from __future__ import annotations

import io
import os
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from flotilla.family import Family, parse_config
from flotilla.rehearsal.github import GitHubState, add_artifact
from flotilla.rehearsal.job_graph import JobRun, errors
from flotilla.rehearsal.rehearse import Plan, copied
from flotilla.rehearsal.show import WIDTH, Show
from flotilla.rehearsal.users import Installed, Machine, by_name, machines

CONFIG = 'schema: 1\nfamily: "@acme/tool"\nplatforms: [wasm32]\nci: {workflow: ci.yml, artifact: "tool-{build}"}\n'


def job(log: str) -> JobRun:
    return JobRun(title="release", status=1, log=log, summary="", outputs={}, seconds=1.0)


def test_an_errors_place_is_no_part_of_its_title() -> None:
    log = (
        "one line\n::error title=Configuration,file=flotilla.yml,line=3,col=1::- a%3Ab 5%25%0A- c\n::error title=npm::d"
    )
    assert errors(job(log)) == ["Configuration:\n- a:b 5%\n- c", "npm:\nd"]


def test_a_zip_of_an_artifacts_whole_name_is_raw(tmp_path: Path) -> None:
    (tmp_path / "tool.zip").write_bytes(b"PK")
    state = GitHubState(repository="acme/tool")
    run = state.add_run(workflow="ci.yml")
    add_artifact(state, run, tmp_path / "tool.zip", raw={"tool.zip"})
    add_artifact(state, run, tmp_path / "tool.zip")
    assert [(artifact.name, artifact.raw) for artifact in state.artifacts] == [("tool.zip", True), ("tool", False)]


def test_a_folder_that_git_does_not_know_is_copied_without_what_others_installed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("npm/meta/index.js", "node_modules/x/y.js", ".git/HEAD", "out/dist/tool-wasm32/tool.wasm"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(name, encoding="utf-8")
    (root / "dangling").symlink_to("nowhere")
    (root / "link.js").symlink_to("npm/meta/index.js")
    family = Family(parse_config(CONFIG), "1.0.0")
    plan = Plan(root=root, config="flotilla.yml", family=family, artifacts=root / "out/dist", repository="acme/tool")
    workspace = copied(plan, tmp_path / "workspace")
    kept = sorted(path.relative_to(workspace).as_posix() for path in workspace.rglob("*") if not path.is_dir())
    assert kept == ["dangling", "link.js", "npm/meta/index.js"]
    assert (workspace / "link.js").is_symlink()


def git(folder: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=acme", "-c", "user.email=acme@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", *who, *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def written(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")


def copy_of(root: Path, workspace: Path, *, artifacts: str = "dist") -> list[str]:
    family = Family(parse_config(CONFIG), "1.0.0")
    made = copied(
        Plan(root=root, config="flotilla.yml", family=family, artifacts=root / artifacts, repository="acme/tool"),
        workspace,
    )
    return sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if not path.is_dir())


def test_only_the_files_that_git_lists_are_copied(tmp_path: Path) -> None:
    root = tmp_path / "root"
    written(
        root, "flotilla.yml", "npm/meta/index.js", "deleted.js", "new.js", "a\nb.js", "target/debug/huge", "clone/x"
    )
    written(root, "dist/tool-wasm32/tool.wasm")
    (root / ".gitignore").write_text("/target/\n", encoding="utf-8")
    (root / "link.js").symlink_to("npm/meta/index.js")
    git(root, "init", "-q")
    git(root, "add", ".gitignore", "flotilla.yml", "npm", "deleted.js", "link.js", "dist")
    git(root, "commit", "-qm", "x")
    (root / "deleted.js").unlink()
    git(root / "clone", "init", "-q")  # another repository that happens to lie here
    expected = [".gitignore", "a\nb.js", "flotilla.yml", "link.js", "new.js", "npm/meta/index.js"]
    assert copy_of(root, tmp_path / "workspace") == expected
    assert (tmp_path / "workspace/link.js").is_symlink()


def test_a_familys_folder_in_a_repository_is_copied_alone(tmp_path: Path) -> None:
    written(tmp_path / "root", "other/x", "tool/flotilla.yml", "tool/npm/meta/index.js", "tool/out/x")
    (tmp_path / "root/.gitignore").write_text("out\n", encoding="utf-8")
    git(tmp_path / "root", "init", "-q")
    assert copy_of(tmp_path / "root/tool", tmp_path / "workspace") == ["flotilla.yml", "npm/meta/index.js"]


def test_a_submodule_is_copied_by_its_own_list(tmp_path: Path) -> None:
    for name, files in {"part": ("a.js", "out/x"), "root": ("flotilla.yml",)}.items():
        written(tmp_path / name, *files)
        git(tmp_path / name, "init", "-q")
    (tmp_path / "part/.gitignore").write_text("out\n", encoding="utf-8")
    git(tmp_path / "part", "add", ".")
    git(tmp_path / "part", "commit", "-qm", "x")
    git(tmp_path / "root", "submodule", "add", "-q", str(tmp_path / "part"), "part")
    written(tmp_path / "root", "part/out/y")
    copy = copy_of(tmp_path / "root", tmp_path / "workspace")
    assert [name for name in copy if name.startswith("part/") and ".git" not in name] == ["part/a.js"]
    git(tmp_path / "root", "add", ".")
    git(tmp_path / "root", "commit", "-qm", "x")
    git(tmp_path / "root", "submodule", "deinit", "--force", "part")
    assert not [name for name in copy_of(tmp_path / "root", tmp_path / "again") if name.startswith("part/")]


def test_a_folder_that_a_repository_ignores_is_copied_as_one_without_git(tmp_path: Path) -> None:
    written(tmp_path / "root", "build/flotilla.yml", "build/index.js")
    (tmp_path / "root/.gitignore").write_text("build\n", encoding="utf-8")
    git(tmp_path / "root", "init", "-q")
    assert copy_of(tmp_path / "root/build", tmp_path / "workspace") == ["flotilla.yml", "index.js"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((), "no ELF, Mach-O or PE file\n"),
        ((("a", "ELF for x64"),), "1 binary: ELF for x64\n"),
        ((("a", "ELF for x64"), ("b", "ELF for x64")), "2 binaries: ELF for x64\n"),
    ],
)
def test_binaries_are_counted_in_words(found: tuple[tuple[str, str], ...], said: str, tmp_path: Path) -> None:
    out = io.StringIO()
    family = Family(parse_config(CONFIG), "1.0.0")
    Show(Console(file=out, width=WIDTH)).installed(
        Installed(
            platform=family.config.platforms[0],
            machine=Machine(os="linux", cpu="wasm32", libc=""),
            meta="@acme/tool",
            folder=tmp_path,
            packages=("@acme/tool",),
            binaries=found,
        )
    )
    assert out.getvalue().endswith(said)


def test_a_package_that_is_installed_by_name_is_shown_as_the_user_types_it(tmp_path: Path) -> None:
    out = io.StringIO()
    family = Family(parse_config(CONFIG), "1.0.0")
    (meta,), (wasm,) = family.metas, family.of_platform("wasm32")
    assert by_name(family, family.config.platforms[0], meta) == [wasm]
    Show(Console(file=out, width=WIDTH)).installed(
        Installed(
            platform=family.config.platforms[0],
            machine=next(machines(family.config.platforms[0])),
            meta=meta.name,
            folder=tmp_path,
            packages=(meta.name, wasm.name),
            binaries=(),
            named=(wasm.name,),
        )
    )
    assert "npm install @acme/tool @acme/tool-wasm32 " in out.getvalue()


def test_webassembly_is_for_every_machine() -> None:
    (wasm,) = parse_config(CONFIG).platforms
    assert Machine(os="darwin", cpu="arm64", libc="").takes(wasm)


def told(out: io.StringIO, *, terminal: bool) -> Show:
    """Tell of a release whose first job is done and whose second one runs."""
    family = Family(parse_config(CONFIG), "1.0.0")
    shown = Show(Console(file=out, width=WIDTH, force_terminal=terminal))
    with shown:
        shown.begin(family, "acme/tool")
        shown.started("release")
        outputs = {"tag": "v1.0.0", "release-url": "https://github.com/acme/tool/releases/tag/v1.0.0"}
        shown.job(JobRun(title="release", status=0, log="", summary="", outputs=outputs, seconds=2))
        shown.started("publish-platform wasm32")
    return shown


def test_a_terminal_shows_what_runs_and_what_waits_and_how_far_the_release_is() -> None:
    out = io.StringIO()
    told(out, terminal=True)
    said = out.getvalue()
    assert re.search(r"▸ publish-platform wasm32 +0 s", said)
    assert re.search(r"… publish-meta .*waiting", said)
    assert "1 of 3 jobs, 0 of 2 packages" in said


def test_without_a_terminal_there_is_a_line_for_each_job_and_nothing_that_moves() -> None:
    out = io.StringIO()
    shown = told(out, terminal=False)
    said = out.getvalue()
    assert [line.split()[1] for line in said.splitlines() if "✓" in line] == ["release"]
    for word in ("waiting", "of 3 jobs", "\x1b"):
        assert word not in said
    (job,) = shown.document()["jobs"]
    assert (job["job"], job["status"], job["seconds"], job["packages"]) == ("release", 0, 2, [])

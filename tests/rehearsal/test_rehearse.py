"""flotilla rehearse: what it takes for artifacts, and what its reader sees of a job that failed."""

from __future__ import annotations

import io
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


def test_the_repository_is_copied_as_a_checkout_would_be(tmp_path: Path) -> None:
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

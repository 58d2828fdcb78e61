"""What init reads in workflows, build tools' files and names; each case is a shape that real repositories have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from flotilla.commands.builds import named
from flotilla.commands.members import members
from flotilla.commands.proposal import propose
from flotilla.commands.repository import Repository, go_template, read_goreleaser, read_repository
from flotilla.commands.workflows import Workflow, combinations, read_workflows


def workflows(**texts: str) -> list[Workflow]:
    files = {f"{name}.yml": (text, yaml.safe_load(text)) for name, text in texts.items()}
    return read_workflows(files, "tool")


def uploading(name: str, path: str = "out", matrix: str = "{}", on: str = "push") -> str:
    return (
        f"on: {on}\njobs:\n  build:\n    strategy: {{matrix: {matrix}}}\n    env: {{APP: tool}}\n    steps:\n"
        f"      - uses: actions/upload-artifact@v4\n        with: {{name: '{name}', path: '{path}'}}\n"
    )


def keys(repository: Repository, answers: Mapping[str, str] | None = None) -> dict[str, object]:
    return {guess.key: guess.value for guess in propose(repository, answers or {}).guesses}


def manifests(*packages: tuple[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    return dict(packages)


@pytest.mark.parametrize(
    ("text", "word", "platform", "libc"),
    [
        ("tool-linux-x64", "linux-x64", "linux-x64", ""),
        ("bindings-x86_64-unknown-linux-gnu", "x86_64-unknown-linux-gnu", "linux-x64", "glibc"),
        ("tool_{version}_Linux_x86_64.tar.gz", "Linux_x86_64", "linux-x64", ""),
        ("tool-macos-13", "macos-13", "darwin-x64", ""),
        ("tool-macos-latest", "macos-latest", "darwin-arm64", ""),
        ("tool-macos-15-intel", "macos-15-intel", "darwin-x64", ""),
        ("tool-ubuntu-24.04-arm", "ubuntu-24.04-arm", "linux-arm64", ""),
        ("tool-windows-11-arm", "windows-11-arm", "win32-arm64", ""),
        ("@acme/vips-linuxmusl-x64", "linuxmusl-x64", "linux-x64-musl", "musl"),
        ("bindings-armv7-linux-androideabi", "armv7-linux-androideabi", "android-arm", ""),
        ("bindings-aarch64-unknown-linux-ohos", "aarch64-unknown-linux-ohos", "openharmony-arm64", ""),
        ("tool_darwin_all", "darwin_all", "darwin-universal", ""),
        ("linux-tool-win-x64", "win-x64", "win32-x64", ""),
        ("wasm32-wasip1-threads", "wasm32-wasip1-threads", "wasm32-wasi", ""),
    ],
)
def test_a_platform_is_found_in_names(text: str, word: str, platform: str, libc: str) -> None:
    found = named(text)
    assert found
    assert (found.word, found.name, found.libc) == (word, platform, libc)


@pytest.mark.parametrize("text", ["loader", "dist", "linux", "test-results", "arm-tool", ""])
def test_no_platform_is_found_in_other_names(text: str) -> None:
    assert named(text) is None


def test_a_matrix_is_expanded_as_github_does() -> None:
    matrix = {
        "os": ["linux", "mac"],
        "cpu": ["x64", "arm64"],
        "exclude": [{"os": "mac", "cpu": "x64"}],
        "include": [{"os": "linux", "ext": ".so"}, {"os": "win", "cpu": "x64"}, {"color": "green"}],
    }
    assert combinations(matrix) == [
        {"os": "linux", "cpu": "x64", "ext": ".so", "color": "green"},
        {"os": "linux", "cpu": "arm64", "ext": ".so", "color": "green"},
        {"os": "mac", "cpu": "arm64", "color": "green"},
        {"os": "win", "cpu": "x64"},
    ]
    assert combinations("${{ fromJSON(needs.plan.outputs.matrix) }}") == [{}]
    assert len(combinations({"a": list(range(100)), "b": list(range(100))})) == 256


@pytest.mark.parametrize(
    ("name", "matrix", "expected"),
    [
        ("${{ env.APP }}-${{ matrix.target }}", "{target: [a, b]}", ["tool-a", "tool-b"]),
        ("t-${{ matrix.s.os }}", "{s: [{os: a}, {os: b}]}", ["t-a", "t-b"]),
        ("t-${{ matrix.name || matrix.os }}", "{include: [{os: a}, {os: b, name: c}]}", ["t-a", "t-c"]),
        ("t-${{ github.ref_name }}", "{}", ["t-{tag}"]),
        ("t-${{ needs.plan.outputs.version }}", "{}", ["t-{version}"]),
        ("t-${{ join(matrix.targets, '_') }}", "${{ fromJSON(needs.a.outputs.b) }}", ["t-*"]),
    ],
)
def test_the_names_of_artifacts_are_filled_in(name: str, matrix: str, expected: list[str]) -> None:
    [found] = workflows(ci=uploading(name.replace("'", "''"), matrix=matrix if "$" not in matrix else f"'{matrix}'"))
    assert [upload.name for upload in found.uploads] == expected
    assert {upload.place for upload in found.uploads} == {".github/workflows/ci.yml:7"}


def test_artifacts_of_a_called_workflow_belong_to_the_runs_of_its_caller() -> None:
    called = uploading("t-${{ inputs.os }}", on="{workflow_call: {inputs: {os: {type: string, default: linux}}}}")
    calls = "{uses: ./.github/workflows/build.yml%s}"
    caller = f"on: push\njobs:\n  a: {calls % ''}\n  b: {calls % ', with: {os: mac}'}\n"
    [found] = workflows(build=called, ci=caller)
    assert (found.file, [upload.name for upload in found.uploads]) == ("ci.yml", ["t-linux", "t-mac"])


def test_workflows_that_call_each_other_in_a_circle_are_read() -> None:
    text = "on: [push, workflow_call]\njobs:\n  a: {uses: ./.github/workflows/%s.yml}\n"
    assert [one.uploads for one in workflows(a=text % "b", b=text % "a")] == [(), ()]


@pytest.mark.parametrize(
    ("step", "command"),
    [
        ("{run: 'npm publish --access public'}", "npm publish"),
        ("{run: 'pnpm -r publish || pnpm publish'}", "pnpm publish"),
        ("{run: 'npx napi prepublish -t npm'}", "napi prepublish"),
        ("{run: '# npm publish'}", ""),
        ("{uses: softprops/action-gh-release@v2}", "softprops/action-gh-release"),
        ("{uses: goreleaser/goreleaser-action@v6, with: {args: release --clean}}", "goreleaser/goreleaser-action"),
        ("{uses: goreleaser/goreleaser-action@v6, with: {args: release --skip=publish}}", ""),
        ("{uses: goreleaser/goreleaser-action@v6, with: {args: release --snapshot}}", ""),
        ("{uses: actions/checkout@v6}", ""),
    ],
)
def test_steps_that_publish_by_themselves_are_told(step: str, command: str) -> None:
    [found] = workflows(ci=f"on: push\njobs:\n  a:\n    steps:\n      - {step}\n")
    assert [one for _, one in found.publishes] == ([command] if command else [])


@pytest.mark.parametrize(
    ("on", "only_tags"),
    [
        ("{push: {tags: ['v*']}}", True),
        ("{push: {tags: ['v*']}, pull_request: null}", True),
        ("{push: {tags: ['v*'], branches: [main]}}", False),
        ("{push: {tags: ['v*']}, workflow_dispatch: null}", False),
        ("push", False),
        ("{push: {tags-ignore: ['**']}}", False),
    ],
)
def test_a_ci_that_runs_on_tags_alone_makes_the_release_begin_at_a_tag(on: str, *, only_tags: bool) -> None:
    found = workflows(ci=uploading("tool-${{ matrix.os }}", matrix="{os: [linux-x64, darwin-arm64]}", on=on))
    assert propose(Repository(workflows=found), {}).tag_push is only_tags


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{ .ProjectName }}_{{ .Os }}", "tool_darwin"),
        ('{{ title .Os }}_\n  {{- if eq .Arch "amd64" }}x86_64\n  {{- else }}{{ .Arch }}{{ end }}', "Darwin_x86_64"),
        ('{{ if eq .Os "linux" }}a{{ else if eq .Os "darwin" }}b{{ else }}c{{ end }}', "b"),
        ('{{ with .Arm }}v{{ . }}{{ end }}{{ if not (eq .Amd64 "v1") }}x{{ end }}', ""),
        ("{{ .Env.NAME }}", None),
        ("{{ .Os | upper }}", None),
        ('{{ if eq .Os "darwin" }}a', None),
        ("{{ end }}", None),
    ],
)  # fmt: skip
def test_go_templates_are_filled_in_or_given_up(template: str, filled: str | None) -> None:
    values = {"ProjectName": "tool", "Os": "darwin", "Arch": "amd64", "Arm": "", "Amd64": "v1"}
    assert go_template(template, values) == filled


def test_goreleasers_defaults_are_its_own() -> None:
    told = read_goreleaser({}, ".goreleaser.yaml", "tool")
    assert told.names["linux_amd64"] == "tool_{version}_linux_amd64"
    assert "darwin_386" not in told.names
    assert told.extensions == ("tar.gz",)
    assert told.programs == ("tool",)


def test_goreleasers_bare_programs_are_placed_and_no_archive_is_looked_for() -> None:
    told = read_goreleaser({"archives": [{"formats": ["binary"]}]}, ".goreleaser.yaml", "tool")
    found = keys(Repository(goreleaser=told, remote="acme/tool"))
    assert "ci.archive" not in found
    assert found["packages.platform.files"] == [{"from": "tool_{version}_{build}{exe}", "to": "bin/tool{exe}"}]


def test_programs_under_the_platforms_name_are_renamed() -> None:
    text = uploading("cli-${{ matrix.p }}", path="lint-${{ matrix.p }}", matrix="{p: [linux-x64, darwin-arm64]}")
    found = keys(Repository(workflows=workflows(ci=text), remote="acme/lint"))
    assert found["packages.platform.files"] == [{"from": "lint-{build}{exe}", "to": "lint{exe}"}]
    assert found["packages.meta.launcher"] == {"bin": "lint"}


def test_a_glibc_program_is_not_for_musl_and_a_static_one_is_for_both() -> None:
    gnu = uploading("t-${{ matrix.p }}", matrix="{p: [x86_64-unknown-linux-gnu, aarch64-apple-darwin]}")
    musl = uploading("t-${{ matrix.p }}", matrix="{p: [x86_64-unknown-linux-musl, aarch64-apple-darwin]}")
    for text, entry in {
        gnu: {"name": "linux-x64", "libc": "glibc", "build": "x86_64-unknown-linux-gnu"},
        musl: {"name": "linux-x64", "build": "x86_64-unknown-linux-musl"},
    }.items():
        platforms = keys(Repository(workflows=workflows(ci=text)))["platforms"]
        assert platforms == [entry, {"name": "darwin-arm64", "build": "aarch64-apple-darwin"}]


def test_libraries_load_and_programs_run() -> None:
    text = uploading("t-${{ matrix.p }}", path="build/*.node", matrix="{p: [linux-x64, darwin-arm64]}")
    assert keys(Repository(workflows=workflows(ci=text)))["packages.meta.launcher"] == {"library": True}


PLATFORMS = manifests(
    ("npm/linux-x64", {"name": "@acme/tool-linux-x64", "os": ["linux"], "cpu": ["x64"]}),
    ("npm/win32-x64", {"name": "@acme/tool-win32-x64", "os": ["win32"], "cpu": ["x64"]}),
)


def test_committed_platform_packages_without_a_meta_are_a_family_without_one() -> None:
    found = keys(Repository(manifests=PLATFORMS))
    assert (found["family"], found["packages.meta"]) == ("@acme/tool", False)
    assert found["packages.platform.template"] == "npm/{platform}"


def test_of_two_families_one_is_proposed_and_the_other_told() -> None:
    other = {
        f"cli/{name}": {"name": f"@acme/cli-{name}", "os": [name.partition("-")[0]]}
        for name in ("linux-x64", "win32-x64", "darwin-x64")
    }
    repository = Repository(manifests={**PLATFORMS, **other})
    assert keys(repository)["family"] == "@acme/cli"
    assert members(repository, "@acme/tool").names[0] == "@acme/tool"
    assert any("@acme/tool" in step for step in propose(repository, {}).steps)


def test_a_dependency_for_a_platform_of_somebody_else_is_no_platform_package() -> None:
    manifest = {"name": "@acme/tool", "bin": "tool.js", "optionalDependencies": {"@other/core-linux-x64": "1.0.0"}}
    found = members(Repository(manifests={".": manifest}), "")
    assert (found.platforms, [one.name for one in found.metas]) == ((), ["@acme/tool"])


def test_the_old_settings_of_napi_are_read() -> None:
    napi = {"name": "tool", "triples": {"defaults": True, "additional": ["aarch64-unknown-linux-musl"]}}
    manifest = {"name": "tool", "main": "index.js", "napi": napi}
    found = keys(Repository(manifests={".": manifest}, files=frozenset({"package.json", "index.js"})))
    assert found["platforms"] == ["darwin-x64", "win32-x64-msvc", "linux-x64-gnu", "linux-arm64-musl"]
    assert found["packages.platform.files"] == ["tool.{platform}.node"]


def test_javascript_that_the_build_makes_is_taken_from_its_artifact() -> None:
    text = uploading("tool-${{ matrix.p }}", matrix="{p: [linux-x64, win32-x64]}") + (
        "      - uses: actions/upload-artifact@v4\n        with: {name: js, path: 'dist/index.js'}\n"
    )
    meta = {"name": "@acme/tool", "main": "index.js", "optionalDependencies": {"@acme/tool-linux-x64": "1.0.0"}}
    found = keys(Repository(manifests={**PLATFORMS, ".": meta}, workflows=workflows(ci=text)))
    assert (found["packages.meta.artifact"], found["packages.meta.files"]) == ("js", ["index.js"])


def test_a_platform_without_an_artifact_is_told() -> None:
    text = uploading("tool-${{ matrix.p }}", matrix="{p: [linux-x64]}")
    steps = propose(Repository(manifests=PLATFORMS, workflows=workflows(ci=text)), {}).steps
    assert any("no artifact for win32-x64" in step for step in steps)


def test_the_form_of_the_tags_is_that_of_the_familys_newest() -> None:
    for tags, form in {
        ("v1.0.0",): None,
        ("1.2.0", "v1.0.0"): "{version}",
        ("v2.0.0", "tool-v1.0.0"): "tool-v{version}",
        ("@acme/tool@1.0.0",): "{family}@{version}",
        ("nightly",): None,
    }.items():
        assert keys(Repository(manifests=PLATFORMS, tags=tags)).get("release.tag") == form


def test_the_sources_of_all_values_are_told() -> None:
    proposal = propose(Repository(manifests=PLATFORMS), {"family": "@acme/other"})
    assert all(guess.source for guess in proposal.guesses)
    assert proposal.guesses[0].source == "your answer"
    assert json.dumps([guess.value for guess in proposal.guesses])


@pytest.mark.parametrize("way", ["[*a{0}, *a{0}]", "{{<<: [*a{0}, *a{0}]}}"])
def test_a_yaml_bomb_in_a_workflow_is_not_read(way: str, tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: x}", *(f"a{n}: &a{n} {way.format(n - 1)}" for n in range(1, 60))]
    text = "\n".join(
        [*lines, "on: push", "jobs: {a: {steps: [{uses: actions/upload-artifact@v4, with: {path: *a59}}]}}"]
    )
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/ci.yml").write_text(text, encoding="utf-8")
    found = read_repository(tmp_path, "flotilla.yml")
    assert (found.workflows, found.unread) == ([], ("ci.yml: too many aliases",))


def test_what_only_a_run_tells_is_asked() -> None:
    text = uploading("codec-${{ matrix.p }}", path="out/${{ matrix.p }}", matrix="{p: [linux-x64, win32-x64]}")
    repository = Repository(workflows=workflows(ci=text), remote="acme/codec")
    asked = {guess.key for guess in propose(repository, {}).guesses if guess.question}
    assert asked == {"family", "ci.archive", "packages.meta.launcher"}
    assert "ci.archive" not in keys(repository, {"ci.archive": ""})
    found = keys(repository, {"ci.archive": "*.tar.gz", "packages.meta.launcher": "codec"})
    assert found["ci.archive"] == "*.tar.gz"
    assert found["packages.platform.files"] == [{"from": "**/codec{exe}", "to": "bin/codec{exe}"}]

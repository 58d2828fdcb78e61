from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.jobs.conftest import begin, jobs, npm_variables, shared_clock, shared_world  # noqa: F401 - fixtures
from tests.world.job_world import JobWorld

from flotilla.errors import ConfigError, FlotillaError


def test_a_plan_shows_every_package_with_what_npm_installs_it_by(
    repository: Path, flotilla: Callable[..., str]
) -> None:
    assert repository.is_dir()
    shown = flotilla("plan", "--version", "2.0.0-rc.1")
    lines = shown.splitlines()
    assert lines[0] == "@acme/chroma 2.0.0-rc.1: 13 packages (5 platforms, 2 variants)"
    assert lines[1] == "tag v2.0.0-rc.1, dist-tag rc"
    assert lines[2].startswith("sign-in to npm: each package by trusted publishing")
    rows = {line.split()[0]: line.split()[1:] for line in lines[6:19]}
    assert len(rows) == 13
    assert rows["@acme/chroma-linux-x64-musl"] == [
        *("platform", "linux", "x64", "musl"),
        "chroma-linuxmusl-x64-free",
    ]
    assert rows["@acme/chroma-non-free"] == ["meta"]


def test_a_plan_shows_the_dist_tag_of_flotilla_yml(repository: Path, flotilla: Callable[..., str]) -> None:
    config = repository / "flotilla.yml"
    config.write_text(config.read_text().replace("publish:\n", "publish:\n  dist-tag: v1-latest\n"))
    assert "dist-tag v1-latest" in flotilla("plan")
    assert json.loads(flotilla("plan", "--json"))["dist-tag"] == "v1-latest"


def test_a_plan_names_the_packages_that_no_meta_package_pins(repository: Path, flotilla: Callable[..., str]) -> None:
    config = repository / "flotilla.yml"
    config.write_text(config.read_text().replace("  - darwin-x64\n", "  - {name: darwin-x64, pin: false}\n"))
    assert "@acme/chroma-darwin-x64: the meta package does not pin it" in flotilla("plan")
    pinned = {one["name"]: one["pin"] for one in json.loads(flotilla("plan", "--json"))["packages"] if "pin" in one}
    assert [name for name, pin in pinned.items() if not pin] == [
        "@acme/chroma-darwin-x64",
        "@acme/chroma-darwin-x64-non-free",
    ]


def test_a_plan_tells_the_declared_floors(repository: Path, flotilla: Callable[..., str]) -> None:
    config = repository / "flotilla.yml"
    declared = '{name: darwin-x64, macos: "11.0", libraries: [libusb.dylib]}'
    config.write_text(config.read_text().replace("  - darwin-x64\n", f"  - {declared}\n"))
    lines = flotilla("plan").splitlines()
    assert "darwin-x64: binaries may need macOS 11.0, and nothing newer" in lines
    assert "linux-x64: binaries may need glibc 2.28, and nothing newer" in lines
    assert "darwin-x64: users must have libusb.dylib" in lines
    packages = {one["name"]: one for one in json.loads(flotilla("plan", "--json"))["packages"]}
    assert packages["@acme/chroma-darwin-x64"]["floors"] == {"macos": "11.0"}
    assert packages["@acme/chroma-darwin-x64"]["libraries"] == ["libusb.dylib"]
    assert packages["@acme/chroma-linux-x64-musl"]["floors"] == {}
    assert "floors" not in packages["@acme/chroma"]


META = re.compile(r"^  meta:\n(    .*\n)+", re.MULTILINE)


@pytest.mark.parametrize(
    ("meta", "doubt"),
    [
        ("meta: {}", "users can neither import nor run anything of it"),
        ("meta: false", None),
        ("meta: {artifact: javascript}", None),
        ('meta: {template: "."}', "npm packs the whole repository"),
    ],
)
def test_a_plan_doubts_a_meta_package_that_is_surely_not_meant(
    repository: Path, flotilla: Callable[..., str], meta: str, doubt: str | None
) -> None:
    config = repository / "flotilla.yml"
    config.write_text(META.sub(f"  {meta}\n", config.read_text()))
    (repository / "package.json").write_text('{"name": "{family}{suffix}"}')
    (repository / "index.js").write_text("")
    shown = flotilla("plan")
    assert shown.count("Warning: ") == (2 if doubt else 0)
    assert f"Warning: @acme/chroma-non-free: {doubt}" in shown or not doubt
    warnings = json.loads(flotilla("plan", "--json"))["warnings"]
    assert [f"{doubt}" in line for line in warnings] == ([True, True] if doubt else [])
    (repository / ".npmignore").write_text("")
    assert ("Warning" in flotilla("plan")) == (meta == "meta: {}")


def test_a_plan_shows_versions_of_packages_own(repository: Path, flotilla: Callable[..., str]) -> None:
    config = repository / "flotilla.yml"
    config.write_text(config.read_text().replace("    template: npm/dev\n", '    version: "{version}-r.1"\n'))
    assert "@acme/chroma-dev: has the version 2.0.0-r.1\n" in flotilla("plan", "--version", "2.0.0") + "\n"
    versions = {one["name"]: one["version"] for one in json.loads(flotilla("plan", "--json"))["packages"]}
    assert (versions["@acme/chroma-dev"], versions["@acme/chroma"]) == ("1.0.0-r.1", "1.0.0")


def test_a_plan_shows_no_cpu_of_webassembly_because_its_package_has_none(
    repository: Path, flotilla: Callable[..., str]
) -> None:
    config = repository / "flotilla.yml"
    config.write_text(config.read_text().replace("  - darwin-x64\n", "  - wasm32-wasi\n"))
    (row,) = [line for line in flotilla("plan").splitlines() if line.startswith("@acme/chroma-wasm32-wasi ")]
    assert row.split()[1:] == ["platform", "chroma-wasm32-wasi-free"]


def test_a_plan_for_machines_holds_whole_manifests(repository: Path, flotilla: Callable[..., str]) -> None:
    assert repository.is_dir()
    plan = json.loads(flotilla("plan", "--json", "--version", "v1.4.0", "--repository", "OWNER/chroma"))
    assert (plan["family"], plan["version"], plan["tag"], plan["dist-tag"]) == (
        *("@acme/chroma", "1.4.0", "v1.4.0"),
        "latest",
    )
    assert plan["platforms"] == ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "linux-x64-musl"]
    manifests = {package["name"]: package["manifest"] for package in plan["packages"]}
    assert len(manifests) == 13
    assert manifests["@acme/chroma-linux-x64"]["libc"] == ["glibc"]
    assert manifests["@acme/chroma"]["repository"]["url"] == "git+https://github.com/OWNER/chroma.git"
    assert set(manifests["@acme/chroma"]["optionalDependencies"].values()) == {"1.4.0"}


def test_a_plan_of_a_wrong_template_names_its_place(repository: Path, refused: Callable[..., FlotillaError]) -> None:
    (repository / "npm/dev/package.json").write_text('{"name": "@acme/other",\n "version": 1,}')
    error = refused("plan")
    assert error.title == ConfigError.title
    assert str(error).startswith("npm/dev/package.json:2:")


def test_a_plan_shows_where_files_come_from_and_what_they_are_called(
    repository: Path, flotilla: Callable[..., str]
) -> None:
    config = repository / "flotilla.yml"
    text = config.read_text().replace(
        'artifact: "chroma-{build}-{variant}"', 'artifact: dist\n  root: "{build}-{variant}"'
    )
    text = text.replace('archive: "*.tar.gz"', 'archive: "{build}.tar.gz"')
    config.write_text(text.replace('"versions.json"]', '{from: "v-{build}.json", to: "v.json"}]', 1))
    shown = flotilla("plan")
    assert "dist / darwin-arm64.tar.gz / darwin-arm64-free\n" in shown
    assert "@acme/chroma-darwin-arm64: v-darwin-arm64.json → v.json\n" in shown
    first = json.loads(flotilla("plan", "--json"))["packages"][0]
    assert (first["artifact"], first["archive"], first["root"]) == ("dist", "darwin-arm64.tar.gz", "darwin-arm64-free")
    assert first["files"][-1] == {"from": "v-darwin-arm64.json", "to": "v.json"}


@pytest.mark.slow
def test_a_plan_shows_what_the_registry_and_github_have_if_that_is_asked(
    jobs: JobWorld,  # noqa: F811 - the fixture
    flotilla: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(jobs.workspace)
    variables = {name: jobs.environment("release")[0][name] for name in ("GITHUB_API_URL", "GITHUB_SERVER_URL", "PATH")}
    variables |= {"GITHUB_REPOSITORY": "acme/chroma", "GITHUB_TOKEN": jobs.github.token}
    asked = ("plan", "--version", "1.2.3", "--github", "--registry", jobs.world.registry.url)
    assert "GitHub: acme/chroma has no tag v1.2.3" in flotilla(*asked, **variables)
    jobs.put_version("@acme/chroma-dev", "1.0.0")
    jobs.put_version("@acme/chroma-linux-x64", "1.2.3", tag="next")
    shown = flotilla(*asked, **variables)
    rows = {line.split()[0]: line for line in shown.splitlines() if line.startswith("@acme/chroma-")}
    assert rows["@acme/chroma-dev"].endswith("  latest is 1.0.0")
    assert rows["@acme/chroma-linux-x64"].endswith("  has 1.2.3 (latest, next)")
    assert rows["@acme/chroma-linux-x64-musl"].endswith("  new name")
    found = json.loads(flotilla(*asked, "--json", **variables))
    assert {one["name"]: one["on-registry"] for one in found["packages"]}["@acme/chroma-dev"] == "latest is 1.0.0"
    assert found["on-github"][0] == "GitHub: acme/chroma has no tag v1.2.3"


@pytest.mark.slow
def test_a_plan_shows_the_tag_and_the_draft(
    jobs: JobWorld,  # noqa: F811 - the fixture
    flotilla: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert jobs.run("release", draft="true").status == 0
    monkeypatch.chdir(jobs.workspace)
    variables = {"GITHUB_API_URL": jobs.environment("release")[0]["GITHUB_API_URL"]}
    variables |= {"GITHUB_REPOSITORY": "acme/chroma", "GITHUB_TOKEN": jobs.github.token}
    shown = flotilla("plan", "--version", "1.2.3", "--github", **variables)
    told = [line for line in shown.splitlines() if line.startswith("GitHub:")]
    assert told[0] == f"GitHub: acme/chroma has the tag v1.2.3 on {jobs.github.commit}"
    assert told[1].startswith("GitHub: a draft https://github.com/acme/chroma/releases/")
    assert told[1].endswith(" has 10 assets")

"""Six repositories before flotilla, in the shape that build tools and projects give them, and what their CI uploads."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.layouts import artifacts as build
from tests.layouts.binaries import library, program

Files = Mapping[str, str]

CHECKOUT = "      - uses: actions/checkout@v6\n"
TARGETS = {
    "darwin-arm64": "aarch64-apple-darwin",
    "linux-arm64": "aarch64-unknown-linux-gnu",
    "linux-x64": "x86_64-unknown-linux-gnu",
    "win32-x64": "x86_64-pc-windows-msvc",
}


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A repository without flotilla.

    Args:
        files: those that are committed.
        artifacts: fills a folder with what a run of CI has.
        answers: what its maintainer says, by a word of the question.
        remote: what git calls origin.
        tags: the versions that were released.
        inside: the folder in which flotilla is run.
    """

    files: Files
    artifacts: Callable[[Path], None]
    answers: Mapping[str, str] = field(default_factory=dict)
    remote: str = "https://github.com/acme/tool.git"
    tags: tuple[str, ...] = ("v1.1.0", "v1.0.0")
    inside: str = "."


def make(name: str, folder: Path) -> Path:
    """Return the folder of a repository in which flotilla is run; the repository is the sub-folder `repository`."""
    scratch, repository = REPOSITORIES[name], folder / "repository"
    for path, text in scratch.files.items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(text, encoding="utf-8")
    who = ("-c", "user.name=ci", "-c", "user.email=ci@example.com", "-c", "commit.gpgsign=false")
    commands = [
        ("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "Begin"),
        ("remote", "add", "origin", scratch.remote), *(("tag", tag) for tag in scratch.tags),
    ]  # fmt: skip
    for command in commands:
        subprocess.run(["git", "-C", repository, *command], check=True)  # noqa: S607 - any git
    return repository / scratch.inside


def package(**keys: object) -> str:
    """Return a package.json."""
    return json.dumps(keys, indent=2) + "\n"


def napi_rs() -> Scratch:
    """An addon as napi-rs sets it up: the loader is committed, the platform packages are made while publishing."""
    settings = "".join(
        f"          - host: {host}\n            target: {target}\n            build: yarn build --target {target}\n"
        for host, target in (
            ("macos-latest", "aarch64-apple-darwin"),
            ("ubuntu-latest", "aarch64-unknown-linux-gnu"),
            ("ubuntu-latest", "x86_64-unknown-linux-gnu"),
            ("ubuntu-latest", "x86_64-unknown-linux-musl"),
            ("windows-latest", "x86_64-pc-windows-msvc"),
        )
    )
    workflow = f"""\
name: CI
env:
  APP_NAME: yuv
"on":
  push:
    branches: [main]
    tags-ignore: ["**"]
  pull_request: null
jobs:
  build:
    strategy:
      fail-fast: false
      matrix:
        settings:
{settings}\
    name: stable - ${{{{ matrix.settings.target }}}} - node@22
    runs-on: ${{{{ matrix.settings.host }}}}
    steps:
{CHECKOUT}\
      - run: ${{{{ matrix.settings.build }}}}
        shell: bash
      - name: Upload artifact
        uses: actions/upload-artifact@v5
        with:
          name: bindings-${{{{ matrix.settings.target }}}}
          path: |
            ${{{{ env.APP_NAME }}}}.*.node
            ${{{{ env.APP_NAME }}}}.*.wasm
          if-no-files-found: error
  publish:
    runs-on: ubuntu-latest
    needs: build
    steps:
{CHECKOUT}\
      - run: yarn napi create-npm-dirs
      - run: yarn artifacts
      - name: Publish
        run: |
          npm config set provenance true
          npm publish --access public
"""
    manifest = package(
        name="@acme/yuv",
        version="1.1.0",
        description="Conversion between RGB and YUV, written in Rust",
        main="index.js",
        types="index.d.ts",
        license="MIT",
        files=["index.js", "index.d.ts"],
        napi={"binaryName": "yuv", "targets": [*TARGETS.values(), "x86_64-unknown-linux-musl"]},
        engines={"node": ">=18"},
        scripts={"build": "napi build --platform --release", "prepublishOnly": "napi prepublish -t npm"},
        devDependencies={"@napi-rs/cli": "^3.0.0"},
    )
    files = {
        "package.json": manifest,
        "Cargo.toml": '[package]\nname = "yuv"\nversion = "0.0.0"\n\n[lib]\ncrate-type = ["cdylib"]\n',
        "src/lib.rs": "// The addon.\n",
        "index.js": build.LOADER,
        "index.d.ts": "declare const yuv: string;\nexport = yuv;\n",
        ".gitignore": "target\nnode_modules\n*.node\nnpm\nartifacts\n",
        ".github/workflows/CI.yml": workflow,
        ".github/workflows/lint.yml": f"on: push\njobs:\n  lint:\n    runs-on: ubuntu-latest\n    steps:\n{CHECKOUT}",
    }
    return Scratch(files=files, artifacts=build.napi_rs, remote="git@github.com:acme/yuv.git")


def goreleaser() -> Scratch:
    """Return a program in Go that is on GitHub and in no registry; goreleaser makes its release from a pushed tag."""
    config = """\
version: 2
project_name: tool
builds:
  - env: [CGO_ENABLED=0]
    goos: [linux, windows, darwin]
    goarch: [amd64, arm64]
    ignore:
      - {goos: windows, goarch: arm64}
      - {goos: darwin, goarch: amd64}
archives:
  - formats: [tar.gz]
    name_template: >-
      {{ .ProjectName }}_
      {{- .Version }}_
      {{- .Os }}_
      {{- .Arch }}
      {{- if .Arm }}v{{ .Arm }}{{ end }}
    format_overrides:
      - goos: windows
        formats: [zip]
"""
    workflow = f"""\
name: release
on:
  push:
    tags: ["v*"]
permissions:
  contents: write
jobs:
  goreleaser:
    runs-on: ubuntu-latest
    steps:
{CHECKOUT}\
      - uses: actions/setup-go@v6
      - uses: goreleaser/goreleaser-action@v6
        with:
          args: release --clean
        env:
          GITHUB_TOKEN: ${{{{ secrets.GITHUB_TOKEN }}}}
"""
    files = {
        ".goreleaser.yaml": config,
        "go.mod": "module github.com/acme/tool\n\ngo 1.24\n",
        "main.go": "package main\n\nfunc main() {}\n",
        ".gitignore": "dist/\n",
        ".github/workflows/release.yml": workflow,
    }
    return Scratch(files=files, artifacts=build.goreleaser, answers={"npm name": "@acme/tool"})


def cargo_dist() -> Scratch:
    """Return a program in Rust with cargo-dist, whose workflow computes its matrix while it runs."""
    workflow = f"""\
name: Release
permissions:
  contents: write
on:
  pull_request:
  push:
    tags:
      - '**[0-9]+.[0-9]+.[0-9]+*'
jobs:
  plan:
    runs-on: ubuntu-22.04
    outputs:
      val: ${{{{ steps.plan.outputs.manifest }}}}
    steps:
{CHECKOUT}\
      - id: plan
        run: dist host --steps=create --tag=${{{{ github.ref_name }}}} --output-format=json > plan-dist-manifest.json
      - uses: actions/upload-artifact@v4
        with:
          name: artifacts-plan-dist-manifest
          path: plan-dist-manifest.json
  build-local-artifacts:
    needs: plan
    strategy:
      matrix: ${{{{ fromJson(needs.plan.outputs.val).ci.github.artifacts_matrix }}}}
    runs-on: ${{{{ matrix.runner }}}}
    steps:
{CHECKOUT}\
      - run: dist build ${{{{ matrix.dist_args }}}} --output-format=json > dist-manifest.json
      - uses: actions/upload-artifact@v4
        with:
          name: artifacts-build-local-${{{{ join(matrix.targets, '_') }}}}
          path: |
            ${{{{ steps.cargo-dist.outputs.paths }}}}
            ${{{{ env.BUILD_MANIFEST_NAME }}}}
  host:
    needs: [plan, build-local-artifacts]
    runs-on: ubuntu-22.04
    steps:
      - run: gh release create "${{{{ github.ref_name }}}}" --target "$RELEASE_COMMIT" artifacts/*
"""
    targets = ", ".join(f'"{one}"' for one in (*TARGETS.values(), "x86_64-unknown-linux-musl"))
    files = {
        "Cargo.toml": '[package]\nname = "tool"\nversion = "1.1.0"\nlicense = "MIT OR Apache-2.0"\n',
        "dist-workspace.toml": (
            '[workspace]\nmembers = ["cargo:."]\n\n[dist]\ncargo-dist-version = "0.30.0"\nci = "github"\n'
            f'installers = ["shell", "npm"]\nnpm-scope = "@acme"\ntargets = [{targets}]\n'
        ),
        "src/main.rs": "fn main() {}\n",
        ".gitignore": "target\n",
        ".github/workflows/release.yml": workflow,
    }
    return Scratch(files=files, artifacts=build.cargo_dist)


def committed_variants() -> Scratch:
    """Libraries in two variants; every package.json is committed, and a job publishes them one after the other."""
    files: dict[str, str] = {}
    for suffix, license_ in (("", "LGPL-2.1-or-later"), ("-gpl", "GPL-2.0-or-later")):
        pins = {}
        for name, (os, cpu, *libc) in VARIANT_PLATFORMS.items():
            own = f"@acme/codec-{name}{suffix}"
            pins[own] = "1.1.0"
            also = {"libc": libc} if libc else {}
            files[f"npm/{name}{suffix}/package.json"] = package(
                name=own, version="1.1.0", license=license_, os=[os], cpu=[cpu], **also, files=["lib", "versions.json"]
            )
        files[f"npm/codec{suffix}/index.js"] = "module.exports = require('./package.json').optionalDependencies;\n"
        files[f"npm/codec{suffix}/package.json"] = package(
            name=f"@acme/codec{suffix}", version="1.1.0", license=license_, main="index.js", optionalDependencies=pins
        )
    files["npm/dev/package.json"] = package(
        name="@acme/codec-dev", version="1.1.0", license="LGPL-2.1-or-later", files=["include"]
    )
    files["package.json"] = package(name="codec", private=True, workspaces=["npm/*"])
    files[".github/workflows/ci.yml"] = f"""\
name: CI
on: [push, pull_request]
jobs:
  build:
    strategy:
      matrix:
        platform: [darwin-arm64, linux-arm64, linux-x64, linuxmusl-x64]
        variant: [lgpl, gpl]
    runs-on: ubuntu-latest
    steps:
{CHECKOUT}\
      - run: ./build.sh ${{{{ matrix.platform }}}} ${{{{ matrix.variant }}}}
      - uses: actions/upload-artifact@v7
        with:
          name: codec-${{{{ matrix.platform }}}}-${{{{ matrix.variant }}}}
          path: out/*.tar.gz
"""
    files[".github/workflows/publish.yml"] = f"""\
name: Publish
on:
  workflow_dispatch:
jobs:
  publish:
    runs-on: ubuntu-latest
    steps:
{CHECKOUT}\
      - run: |
          for folder in npm/*; do (cd "$folder" && npm publish --access public && sleep 20); done
"""
    return Scratch(
        files=files,
        artifacts=_variant_archives,
        answers={"folders": "1"},
        remote="https://github.com/acme/codec",
    )


VARIANT_PLATFORMS = {
    "darwin-arm64": ("darwin", "arm64"),
    "linux-arm64": ("linux", "arm64", "glibc"),
    "linux-x64": ("linux", "x64", "glibc"),
    "linux-x64-musl": ("linux", "x64", "musl"),
}


def _variant_archives(out: Path) -> None:
    for platform in VARIANT_PLATFORMS:
        word = "linuxmusl-x64" if platform.endswith("musl") else platform
        end = "dylib" if platform.startswith("darwin") else "so"
        for variant in ("lgpl", "gpl"):
            files = {
                f"lib/libcodec.{end}": library(platform),
                "include/codec.h": b"#define CODEC 1\n",
                "versions.json": b'{"codec": "1.2.3", "variant": "%s"}\n' % variant.encode(),
            }
            within = {f"codec-1.2.3/{name}": content for name, content in files.items()}
            archive = gzip.compress(build.tar_of(within), mtime=0)
            build.put(out / f"codec-{word}-{variant}/codec-{word}-{variant}.tar.gz", archive)


def install_script() -> Scratch:
    """Return a program in Rust behind a package.json whose install script downloads it from the GitHub Release."""
    install = """\
const https = require("node:https");
const { version } = require("../package.json");
const target = { "darwin-arm64": "aarch64-apple-darwin", "linux-x64": "x86_64-unknown-linux-gnu" };
const word = target[`${process.platform}-${process.arch}`];
https.get(`https://github.com/acme/tool/releases/download/v${version}/tool-${word}`, (response) => {
  response.pipe(require("node:fs").createWriteStream(`${__dirname}/../vendor/tool`, { mode: 0o755 }));
});
"""
    shim = """\
#!/usr/bin/env node
require("node:child_process").spawnSync(`${__dirname}/../vendor/tool`, process.argv.slice(2), { stdio: "inherit" });
"""
    include = "".join(
        f"          - {{target: {target}, os: {os}{', ext: .exe' if os.startswith('windows') else ''}}}\n"
        for target, os in zip(TARGETS.values(), ("macos-latest", *["ubuntu-latest"] * 2, "windows-latest"), strict=True)
    )
    called = f"""\
name: Build
on:
  workflow_call:
    inputs:
      profile: {{type: string, default: release}}
jobs:
  build:
    strategy:
      matrix:
        include:
{include}\
    runs-on: ${{{{ matrix.os }}}}
    steps:
{CHECKOUT}\
      - run: cargo build --profile ${{{{ inputs.profile }}}} --target ${{{{ matrix.target }}}}
      - uses: actions/upload-artifact@v6
        with:
          name: tool-${{{{ matrix.target }}}}
          path: target/${{{{ matrix.target }}}}/${{{{ inputs.profile }}}}/tool${{{{ matrix.ext }}}}
"""
    ci = """\
name: CI
on:
  push:
    branches: [main]
  workflow_dispatch:
jobs:
  build:
    uses: ./.github/workflows/build.yml
"""
    release = f"""\
name: Release
on:
  release:
    types: [created]
jobs:
  build:
    uses: ./.github/workflows/build.yml
  publish:
    needs: build
    runs-on: ubuntu-latest
    steps:
{CHECKOUT}\
      - uses: softprops/action-gh-release@v2
        with: {{files: "artifacts/*"}}
      - run: npm publish
"""
    manifest = package(
        name="acme-tool",
        version="1.1.0",
        description="Does one thing, written in Rust",
        license="MIT",
        keywords=["tool"],
        bin={"tool": "bin/tool.js"},
        files=["bin", "scripts"],
        scripts={"postinstall": "node scripts/install.js"},
        engines={"node": ">=18"},
    )
    files = {
        "package.json": manifest,
        "bin/tool.js": shim,
        "scripts/install.js": install,
        "Cargo.toml": '[package]\nname = "tool"\nversion = "1.1.0"\n',
        "src/main.rs": "fn main() {}\n",
        ".github/workflows/build.yml": called,
        ".github/workflows/ci.yml": ci,
        ".github/workflows/release.yml": release,
    }
    return Scratch(files=files, artifacts=_bare_programs)


def _bare_programs(out: Path) -> None:
    for platform, target in TARGETS.items():
        name = "tool.exe" if platform.startswith("win32") else "tool"
        build.put(out / f"tool-{target}" / name, program(platform))


def bare_ci() -> Scratch:
    """A program in C in a folder of a larger repository; CI uploads it under the runner's label, and that is all."""
    workflow = f"""\
name: Build
on: push
jobs:
  build:
    strategy:
      matrix:
        os: [ubuntu-latest, ubuntu-24.04-arm, macos-latest, windows-latest]
    runs-on: ${{{{ matrix.os }}}}
    steps:
{CHECKOUT}\
      - run: make -C packages/tool
      - uses: actions/upload-artifact@v7
        with:
          name: tool-${{{{ matrix.os }}}}
          path: packages/tool/build/tool*
"""
    files = {
        "README.md": "# Things\n",
        "packages/tool/Makefile": "build/tool: tool.c\n",
        "packages/tool/tool.c": "int main(void) { return 0; }\n",
        ".github/workflows/build.yml": workflow,
    }
    return Scratch(
        files=files,
        artifacts=_by_runner,
        answers={"npm name": "@acme/tool"},
        remote="https://github.com/acme/things",
        tags=("tool-v0.9.0",),
        inside="packages/tool",
    )


def _by_runner(out: Path) -> None:
    runners = {
        "linux-x64": "ubuntu-latest",
        "linux-arm64": "ubuntu-24.04-arm",
        "darwin-arm64": "macos-latest",
        "win32-x64": "windows-latest",
    }
    for platform, runner in runners.items():
        name = "tool.exe" if platform.startswith("win32") else "tool"
        build.put(out / f"tool-{runner}" / name, program(platform))


REPOSITORIES: Mapping[str, Scratch] = {
    "bare-ci": bare_ci(),
    "cargo-dist": cargo_dist(),
    "committed-variants": committed_variants(),
    "goreleaser": goreleaser(),
    "install-script": install_script(),
    "napi-rs": napi_rs(),
}

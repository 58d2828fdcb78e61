"""What is said of flotilla.yml, of templates, and of names, versions and tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.family.slips import NOT_A_FAMILY, ONE_FAULT, SEVERAL_FAULTS
from tests.messages.conftest import Golden, Messages
from tests.messages.printed import refusal, shown

import flotilla.family.names as rules
from flotilla.family import Family, Package, parse_config, render_manifest
from flotilla.family.version_and_dist_tag import dist_tag_fault, parse_version

EXAMPLE = (Path(__file__).parents[1] / "family" / "example.yml").read_text(encoding="utf-8")
FOREIGN_WORDS = ("plan9-x64", "linux-amd65", "{name: mine, os: macos, cpu: x64}", "{name: mine, os: linux, cpu: amd64}")
VERSIONS = ("", "1", "1.2", "1.2.3beta", "1.2.3+build", "99999999999999999999.0.0", "one", f"1.0.0-{'x' * 300}")
TAGGED = parse_config(EXAMPLE.replace('tag: "v{version}"', 'tag: "tool-v{version}"', 1))
TAGS_GIVEN = ("tool-1.2.3", "tool-v1.2", "main")
DIST_TAGS = ("v1", "1.x", "two words", "-x", "é")
PACKAGE_NAMES = ("", "@acme/", "acme/x", "@acme/.x", "_x", "Tool", "a b", "node_modules", "fs", "x" * 215)
TAGS = ("", "a b", "a..b", "-x", "x.", ".x", "a/.b", "x.lock", "@", "a\tb")
ARTIFACTS = ("", "a/b", "x" * 256)
PATHS = ("", "/etc", "C:x", "../x", "a\\b", ".git/config", "~/x")
MANIFESTS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("platform", {"name": "@acme/other"}),
    ("platform", {"license": "MIT"}),
    ("platform", {"os": ["linux"]}),
    ("platform", {"cpu": "ia32"}),
    ("platform", {"libc": ["musl"]}),
    ("meta", {"optionalDependencies": {"@acme/ffmpeg-win32-x64": "^1.0.0"}}),
    ("meta", {"dependencies": {"{family}-{platform}": "1"}}),
    ("meta", {"dependencies": {"{family}-a": "1", "@acme/ffmpeg-a": "1"}}),
    ("meta", {"dependencies": {"x": "catalog:"}}),
    ("meta", {"dependencies": {"x": "patch:x@1"}}),
    ("meta", {"dependencies": {"x": "file:../x"}}),
    ("meta", {"dependencies": {"x": 1}}),
    ("meta", {"private": True}),
    ("meta", {"tag": "beta"}),
    ("meta", {"repositories": []}),
    ("meta", {"dependencies": {"x": "workspace:*"}}),
    ("meta", {"dependencies": ["x"]}),
    ("platform", {"name": "x", "os": "linux", "private": True}),
)


def files() -> Iterator[tuple[str, str]]:
    for right, wrong, _place in ONE_FAULT:
        yield shown(wrong) or f"without {shown(right)}", EXAMPLE.replace(right, wrong, 1)
    yield from ((shown(text), text) for text, _place in NOT_A_FAMILY)
    yield from ((shown(text), text) for text in SEVERAL_FAULTS)


def test_faults_of_flotilla_yml(golden: Golden) -> None:
    golden("flotilla-yml", ((heading, refusal(partial(parse_config, text))) for heading, text in files()))


def test_warnings_of_flotilla_yml(golden: Golden) -> None:
    def warnings() -> Messages:
        for word in FOREIGN_WORDS:
            config = parse_config(EXAMPLE.replace("  - darwin-x64\n", f"  - {word}\n", 1))
            yield word, "\n".join(str(warning) for warning in config.warnings)

    golden("flotilla-yml-warnings", warnings())


def test_faults_of_names_versions_and_tags(golden: Golden) -> None:
    def faults() -> Messages:
        yield from ((f"version {one[:40]}", refusal(partial(parse_version, one))) for one in VERSIONS)
        yield from ((f"tag {one} of tool-v{{version}}", refusal(partial(Family, TAGGED, one))) for one in TAGS_GIVEN)
        yield from ((f"dist-tag {one}", str(dist_tag_fault(one))) for one in DIST_TAGS)
        yield from ((f"package {one[:40]}", "\n".join(rules.package_name_faults(one))) for one in PACKAGE_NAMES)
        yield from ((f"tag {shown(one)}", "\n".join(rules.tag_faults(one))) for one in TAGS)
        yield from ((f"artifact {one[:40]}", "\n".join(rules.artifact_faults(one))) for one in ARTIFACTS)
        yield from ((f"path {one}", "\n".join(rules.path_faults(one))) for one in PATHS)
        yield "folder .", "\n".join(rules.folder_faults("."))
        family = Family(parse_config(EXAMPLE), "1.0.0")
        yield "platform linux-x46", refusal(partial(family.of_platform, "linux-x46"))
        yield "the registry's latest is x", refusal(partial(family.below, "x"))

    golden("names-and-versions", faults())


def test_faults_of_templates(golden: Golden) -> None:
    packages: dict[str, Package] = {
        package.kind: package for package in reversed(Family(parse_config(EXAMPLE), "1.0.0").packages)
    }
    golden(
        "templates",
        (
            (
                f"{kind}: {manifest}",
                refusal(partial(render_manifest, packages[kind], manifest, repository=None, file="npm/package.json")),
            )
            for kind, manifest in MANIFESTS
        ),
    )

"""What a meta package pins is what was built: by provenance, or by the integrities that other jobs report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from tests.world.job_world import JobWorld

from flotilla.errors import InputError
from flotilla.jobs import publishing_jobs
from flotilla.jobs.inputs import MetaInputs, ReportedPackage, read_inputs
from flotilla.npm import Packument, Registry, Statement

NAMES = [f"@acme/chroma-linux-x64{libc}{variant}" for libc in ("", "-musl") for variant in ("", "-non-free")]
COMMIT = "0123456789abcdef" * 2 + "01234567"
OTHER = "sha512-" + "A" * 86 + "=="


@pytest.fixture
def outputs(platforms: JobWorld) -> list[str]:
    """Return the outputs `packages` of the two platform jobs, run again."""
    return [json.dumps(platforms.platform(name).packages) for name in ("linux-x64", "linux-x64-musl")]


def without_ledger(jobs: JobWorld) -> None:
    """Make the release as before it got a ledger."""
    (release,) = jobs.github.releases
    release.assets[:] = [asset for asset in release.assets if asset.name != "flotilla-ledger.json"]


def ledger_says(jobs: JobWorld, **fields: str) -> None:
    """Change what the release's ledger says of the first platform package."""
    (release,) = jobs.github.releases
    (asset,) = (asset for asset in release.assets if asset.name == "flotilla-ledger.json")
    ledger = json.loads(asset.content)
    next(one for one in ledger["packages"] if one["name"] == NAMES[0]).update(fields)
    asset.content = json.dumps(ledger).encode()


@contextmanager
def changed(**fields: Any) -> Iterator[None]:
    """Yield a registry that shows the first platform package with other fields."""
    fresh = Registry.fresh

    def other(registry: Registry, name: str) -> Packument | None:
        packument = fresh(registry, name)
        if packument is None or name != NAMES[0]:
            return packument
        version = packument.versions["1.2.3"]
        manifest = {**version.manifest, **fields.pop("manifest", {})}
        return replace(packument, versions={"1.2.3": replace(version, manifest=manifest, **fields)})

    with patch.object(Registry, "fresh", other):
        yield


@pytest.mark.npm
def test_integrities_that_the_platform_jobs_report_are_compared_and_told(
    platforms: JobWorld, outputs: list[str]
) -> None:
    done = platforms.run("publish-meta", packages=f"[{', '.join(outputs)}]")
    assert done.status == 0, done.log
    assert "4 of 4 platform packages have the integrity from the input packages." in done.summary
    assert done.annotations("warning") == []


@pytest.mark.npm
def test_another_integrity_than_the_one_reported_is_refused_by_name_before_anything_is_published(
    platforms: JobWorld, outputs: list[str]
) -> None:
    (first, *_) = json.loads(outputs[0])
    error = platforms.refused("publish-meta", packages="\n".join(outputs).replace(first["integrity"], OTHER))
    assert error.text.startswith(f"{first['name']}@1.2.3 is {first['integrity']} on the registry")
    assert sum(name in error.text.replace(f"{first['name']}@", "") for name in NAMES[1:]) == 0


@pytest.mark.npm
def test_a_platform_package_that_the_release_was_not_made_with_is_not_pinned(platforms: JobWorld) -> None:
    """Without provenance and without the input packages, the release's own ledger says what was built."""
    done = platforms.run("publish-meta", dry_run="true")
    assert "4 of 4 platform packages have the files from the release's flotilla-ledger.json." in done.summary
    ledger_says(platforms, contents=f"sha256:{'0' * 64}")
    error = platforms.refused("publish-meta")
    assert f"{NAMES[0]}@1.2.3 has other files on the registry" in error.text
    assert not any(name in error.text.replace(f"{NAMES[0]}@", "") for name in NAMES[1:])


@pytest.mark.npm
def test_the_integrity_in_the_ledger_of_an_earlier_flotilla_is_compared_too(platforms: JobWorld) -> None:
    ledger_says(platforms, integrity=OTHER)
    error = platforms.refused("publish-meta")
    assert f"{OTHER} by the release's flotilla-ledger.json" in error.text


@pytest.mark.npm
def test_a_platform_package_that_no_job_reported_is_held_to_the_ledger(platforms: JobWorld, outputs: list[str]) -> None:
    """A matrix job has the outputs of one of its platforms only."""
    done = platforms.run("publish-meta", packages=outputs[1], dry_run="true")
    assert "2 of 4 platform packages have the integrity from the input packages." in done.summary
    assert "2 of 4 platform packages have the files from the release's flotilla-ledger.json." in done.summary
    ledger_says(platforms, contents=f"sha256:{'0' * 64}")
    error = platforms.refused("publish-meta", packages=outputs[1])
    assert f"{NAMES[0]}@1.2.3 has other files on the registry" in error.text


@pytest.mark.npm
def test_a_digest_that_nothing_confirms_is_warned_of_and_not_recorded(platforms: JobWorld) -> None:
    without_ledger(platforms)
    done = platforms.run("publish-meta", artifacts_digest=f"sha256:{'0' * 64}")
    assert done.status == 0, done.log
    assert "The build was not compared" in {warning.title for warning in done.annotations("warning")}
    ledger = json.loads((platforms.workspace / done.outputs["ledger"]).read_text(encoding="utf-8"))
    assert ledger["artifacts-digest"] is None


@pytest.mark.npm
def test_a_digest_that_the_platform_jobs_compared_is_not_warned_of(platforms: JobWorld, outputs: list[str]) -> None:
    """The release may be a draft, which this job does not see; with one package unreported, it warns."""
    without_ledger(platforms)
    done = platforms.run("publish-meta", artifacts_digest=f"sha256:{'0' * 64}", packages=outputs[1])
    assert "The build was not compared" in {warning.title for warning in done.annotations("warning")}
    done = platforms.run("publish-meta", artifacts_digest=f"sha256:{'0' * 64}", packages=" ".join(outputs))
    assert done.status == 0, done.log
    assert done.annotations("warning") == []


@pytest.mark.npm
def test_a_package_reported_with_two_integrities_is_refused(platforms: JobWorld, outputs: list[str]) -> None:
    (first, *_) = json.loads(outputs[0])
    error = platforms.refused("publish-meta", packages=outputs[0] + outputs[0].replace(first["integrity"], OTHER))
    assert first["name"] in error.text


@pytest.mark.npm
def test_without_provenance_or_a_list_the_summary_says_that_nothing_was_compared(platforms: JobWorld) -> None:
    without_ledger(platforms)
    done = platforms.run("publish-meta")
    assert done.status == 0, done.log
    assert "Neither provenance nor a list of integrities" in done.summary
    (warning,) = done.annotations("warning")
    assert "input packages" in warning.text


@pytest.mark.npm
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"manifest": {"scripts": {"postinstall": "node evil.js"}}}, "scripts.postinstall"),
        ({"manifest": {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True}}, "gypfile"),
        ({"manifest": {"bundleDependencies": ["evil"]}}, "bundleDependencies"),
        ({"tarball": "https://evil.example/chroma-linux-x64-1.2.3.tgz"}, "dist.tarball"),
    ],
)
def test_a_platform_package_whose_manifest_on_the_registry_is_not_ours_is_not_pinned(
    platforms: JobWorld, fields: dict[str, Any], named: str
) -> None:
    with changed(**fields):
        error = platforms.refused("publish-meta")
    assert f"{NAMES[0]}@1.2.3: manifest on the registry: {named} is" in error.text


@pytest.mark.npm
def test_with_provenance_a_platform_package_without_a_statement_is_refused(platforms: JobWorld) -> None:
    error = platforms.refused("publish-meta", id_token=True, provenance="true")
    assert all(f"{name}@1.2.3 has no provenance" in error.text for name in NAMES)


@pytest.mark.npm
def test_with_provenance_each_platform_package_names_this_repository_and_commit(platforms: JobWorld) -> None:
    without_ledger(platforms)
    statement = Statement(
        predicate="",
        subject="",
        sha512="",
        repository="",
        commit="0123456789abcdef" * 2 + "01234567",
        workflow="",
        run="",
    )
    said = {"statement": statement, "faults": list[str]()}
    attested = {"attestations": "https://registry.example/"}
    with (
        patch.object(publishing_jobs, "_attested", lambda _job, found: replace(found, **attested)),
        patch.object(publishing_jobs, "published_provenance", lambda *_, **__: (said["statement"], said["faults"])),
    ):
        done = platforms.run("publish-meta", id_token=True, dry_run="true")
        assert done.status == 0, done.log
        assert "All 4 platform packages have provenance from this repository and commit." in done.summary
        said["statement"] = replace(statement, commit="f" * 40)
        error = platforms.refused("publish-meta", id_token=True)
        assert all(f"{name}@1.2.3: its provenance names the commit {'f' * 40}" in error.text for name in NAMES)
        said["faults"] = ["its provenance names the repository https://github.com/evil/x"]
        assert "evil/x" in platforms.refused("publish-meta", id_token=True).text


@pytest.mark.parametrize("given", ["[{A}, {B}]", "[[{A}], [{B}]]", "[{A}]\n[{B}]", "[{A}], [[{B}]]", "{A}{B}"])
def test_packages_are_arrays_in_any_nesting(given: str) -> None:
    objects = {key: json.dumps({"name": key, "version": "1.0.0", "integrity": "x", "size": 1}) for key in "AB"}
    text = given.replace("{A}", objects["A"]).replace("{B}", objects["B"])
    inputs = read_inputs(MetaInputs, {"INPUT_VERSION": "1.0.0", "INPUT_PACKAGES": text})
    assert inputs.packages == tuple(ReportedPackage(key, "1.0.0", "x") for key in "AB")


@pytest.mark.parametrize(
    "given", ["x", "[1]", '[{"name": "x"}]', '"x"', "[" * 100_000, '[{"name": 1, "version": "1", "integrity": "x"}]']
)
def test_packages_that_are_none_are_refused(given: str) -> None:
    with pytest.raises(InputError, match="input packages"):
        read_inputs(MetaInputs, {"INPUT_VERSION": "1.0.0", "INPUT_PACKAGES": given})

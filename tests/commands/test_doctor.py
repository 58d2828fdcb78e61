"""doctor: families as they are on a registry, sound ones and broken ones."""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.npm.scripted_registry import Reply, ScriptedRegistry

from flotilla.__main__ import run
from flotilla.commands.doctor import KINDS
from flotilla.errors import InputError, RegistryError
from flotilla.runner import Runner

META = "@acme/tool"
VERSION = "1.2.0"
PLATFORMS = {
    "darwin-arm64": {"os": ["darwin"], "cpu": ["arm64"]},
    "linux-x64": {"os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]},
    "linux-x64-musl": {"os": ["linux"], "cpu": ["x64"], "libc": ["musl"]},
    "win32-x64": {"os": ["win32"], "cpu": ["x64"]},
}
MUSL = f"{META}-linux-x64-musl"

Packages = dict[str, dict[str, Any]]


def tarball(name: str, **files: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path, data in {"package.json": json.dumps({"name": name}).encode(), **files}.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def packument(name: str, time: str, **manifest: object) -> dict[str, Any]:
    dist = {"integrity": integrity(tarball(name)), "tarball": f"http://127.0.0.1/{name}.tgz"}
    return {
        "name": name,
        "dist-tags": {"latest": VERSION},
        "versions": {VERSION: {"name": name, "version": VERSION, "dist": dist, **manifest}},
        "time": {"created": time, "modified": time, VERSION: time},
    }


def manifest(packages: Packages, name: str) -> dict[str, Any]:
    found: dict[str, Any] = packages[name]["versions"][VERSION]
    return found


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    """Yield a registry with a sound family of four platforms."""
    with ScriptedRegistry() as server:
        for platform, words in PLATFORMS.items():
            name = f"{META}-{platform}"
            server.packages[name] = packument(name, "2026-03-01T10:00:00.000Z", **words)
        pins = {f"{META}-{platform}": VERSION for platform in PLATFORMS}
        server.packages[META] = packument(META, "2026-03-01T10:05:00.000Z", optionalDependencies=pins)
        yield server


@pytest.fixture
def doctor(registry: ScriptedRegistry) -> Callable[..., tuple[int, str]]:
    """Run the command as a person does; its status and what it printed."""

    def typed(*arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        status = run(["doctor", *arguments, "--registry", registry.url], {}, Runner({}, out))
        return status, out.getvalue()

    return typed


def test_a_sound_family_has_no_finding(doctor: Callable[..., tuple[int, str]]) -> None:
    status, said = doctor(META)
    assert status == 0
    assert said.count("✓") == len(PLATFORMS)
    assert said.rstrip().endswith("0 errors, 0 warnings")


def test_foreign_optional_dependencies_are_no_members(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]]
) -> None:
    manifest(registry.packages, META)["optionalDependencies"]["fsevents"] = "~2.3.2"
    assert doctor(META)[0] == 0


def test_an_alias_is_followed_to_the_package_that_it_names(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]]
) -> None:
    """As families do that keep all their platforms under one name: NAME@npm:NAME@1.2.0-linux-x64."""
    version = f"{VERSION}-win32-x64"
    held = registry.packages[META]
    held["versions"][version] = {**manifest(registry.packages, f"{META}-win32-x64"), "version": version, "name": META}
    held["time"][version] = "2026-03-01T10:00:00.000Z"
    manifest(registry.packages, META)["optionalDependencies"][f"{META}-win32-x64"] = f"npm:{META}@{version}"
    assert doctor(META)[0] == 0


def missing_version(packages: Packages) -> None:
    held = packages[MUSL]
    held["versions"]["1.1.0"] = held["versions"].pop(VERSION)
    held["dist-tags"]["latest"] = "1.1.0"


def missing_package(packages: Packages) -> None:
    del packages[MUSL]


def without_libc(packages: Packages) -> None:
    del manifest(packages, MUSL)["libc"]


def glibc_without_libc(packages: Packages) -> None:
    del manifest(packages, f"{META}-linux-x64")["libc"]


def pinned_wasm(packages: Packages) -> None:
    manifest(packages, MUSL).update(os=[], cpu=["wasm32"])


def for_everybody(packages: Packages) -> None:
    for word in ("os", "cpu", "libc"):
        del manifest(packages, MUSL)[word]


def install_script(packages: Packages) -> None:
    manifest(packages, META)["scripts"] = {"postinstall": "node install.js", "test": "node test.js"}


def meta_first(packages: Packages) -> None:
    packages[MUSL]["time"][VERSION] = "2026-03-01T11:00:00.000+00:00"


def tag_behind(packages: Packages) -> None:
    packages[MUSL]["dist-tags"]["latest"] = "1.1.0"


def pinned_by_range(packages: Packages) -> None:
    manifest(packages, META)["optionalDependencies"][MUSL] = f"^{VERSION}"


def pins_nothing(packages: Packages) -> None:
    del manifest(packages, META)["optionalDependencies"]


@pytest.mark.parametrize(
    ("break_it", "kind", "package", "status"),
    [
        (missing_version, "missing", MUSL, 1),
        (missing_package, "missing", MUSL, 1),
        (without_libc, "libc", MUSL, 1),
        (glibc_without_libc, "libc", f"{META}-linux-x64", 1),
        (pins_nothing, "no-platforms", META, 1),
        (pinned_wasm, "wasm", MUSL, 0),
        (for_everybody, "no-platform", MUSL, 0),
        (install_script, "install-script", META, 0),
        (meta_first, "younger", MUSL, 0),
        (tag_behind, "dist-tag", MUSL, 0),
        (pinned_by_range, "range", MUSL, 0),
    ],
)
def test_a_broken_family_is_told_by_kind_and_package(
    registry: ScriptedRegistry,
    doctor: Callable[..., tuple[int, str]],
    break_it: Callable[[Packages], None],
    kind: str,
    package: str,
    status: int,
) -> None:
    break_it(registry.packages)
    ended, said = doctor(META, "--json")
    assert ended == status
    (found,) = json.loads(said)["findings"]
    assert (found["kind"], found["package"].rpartition("@")[0]) == (kind, package)
    ended, said = doctor(META)
    assert ended == status
    assert KINDS[kind].fix in said


def statement(name: str, *, commit: str, tarball_of: str | None = None) -> dict[str, Any]:
    sha512 = hashlib.sha512(tarball(tarball_of or name)).hexdigest()
    made = {
        "subject": [{"name": f"pkg:npm/{name.replace('@', '%40')}@{VERSION}", "digest": {"sha512": sha512}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "externalParameters": {"workflow": {"repository": "https://github.com/acme/tool"}},
                "resolvedDependencies": [{"digest": {"gitCommit": commit}}],
            }
        },
    }
    envelope = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64.b64encode(json.dumps(made).encode()).decode(),
    }
    return {
        "attestations": [{"predicateType": made["predicateType"], "bundle": {"dsseEnvelope": envelope}}],
    }


def sign(registry: ScriptedRegistry, name: str, **said: Any) -> None:
    manifest(registry.packages, name)["dist"]["attestations"] = {"url": "http://127.0.0.1/attestations"}
    path = f"/-/npm/v1/attestations/{name.replace('/', '%2F')}@{VERSION}"
    registry.script("GET", path, *[Reply(body=statement(name, **said))] * 2)


def test_a_family_built_from_one_commit_has_no_finding(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]]
) -> None:
    for name in [*registry.packages]:
        sign(registry, name, commit="a" * 40)
    assert "0 errors, 0 warnings" in doctor(META)[1]


@pytest.mark.parametrize("wrong", [{"commit": "b" * 40}, {"commit": "a" * 40, "tarball_of": "another"}, None])
def test_provenance_that_does_not_fit_together_is_told(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]], wrong: dict[str, Any] | None
) -> None:
    for name in [*registry.packages]:
        if name != MUSL:
            sign(registry, name, commit="a" * 40)
    if wrong:
        sign(registry, MUSL, **wrong)
    (found,) = json.loads(doctor(META, "--json")[1])["findings"]
    assert (found["kind"], found["package"]) == ("provenance", f"{MUSL}@{VERSION}")


def test_provenance_that_cannot_be_read_is_told(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]]
) -> None:
    for name in [*registry.packages]:
        if name != MUSL:
            sign(registry, name, commit="a" * 40)
    manifest(registry.packages, MUSL)["dist"]["attestations"] = {"url": "http://127.0.0.1/attestations"}
    (found,) = json.loads(doctor(META, "--json")[1])["findings"]
    assert (found["kind"], found["package"]) == ("provenance", f"{MUSL}@{VERSION}")
    assert "cannot be read" in found["text"]


def test_a_package_with_another_platforms_binary_is_an_error(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]]
) -> None:
    """Every package holds the same ELF header for arm64; even the one for macOS."""
    elf = bytes([0x7F, *b"ELF", 2, 1, 1, *bytes(9), 1, 0, 183, 0, 1, *bytes(43)])
    for platform in PLATFORMS:
        name = f"{META}-{platform}"
        data = tarball(name, **{"tool.node": elf})
        path = f"/files/{platform}.tgz"
        manifest(registry.packages, name)["dist"].update(tarball=f"{registry.origin}{path}", integrity=integrity(data))
        registry.script("GET", path, Reply(body=data))
    status, said = doctor(META, "--binaries", "--json")
    found = json.loads(said)["findings"]
    assert status == 1
    assert {one["kind"] for one in found} == {"binary"}
    assert len({one["package"] for one in found}) == len(PLATFORMS)


def test_an_earlier_version_is_examined_by_its_own_pins(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]]
) -> None:
    held = registry.packages[META]
    held["versions"]["1.3.0"] = copy.deepcopy(held["versions"][VERSION]) | {"version": "1.3.0"}
    held["dist-tags"]["latest"] = "1.3.0"
    held["versions"]["1.3.0"]["optionalDependencies"] = {MUSL: "1.3.0"}
    assert doctor(f"{META}@{VERSION}")[0] == 0
    assert doctor(f"{META}@latest")[0] == 1


@pytest.mark.parametrize("package", ["@acme/nothing", f"{META}@9.9.9", f"{META}@next"])
def test_a_package_or_version_that_is_not_there_is_an_input_error(
    doctor: Callable[..., tuple[int, str]], package: str
) -> None:
    with pytest.raises(InputError):
        doctor(package)


@pytest.mark.parametrize("package", ["", "@", "../../etc", "a b"])
def test_what_is_no_name_is_refused_without_a_request(
    registry: ScriptedRegistry, doctor: Callable[..., tuple[int, str]], package: str
) -> None:
    with pytest.raises((InputError, RegistryError)):
        doctor(package)
    assert registry.seen == []


@pytest.mark.slow
@pytest.mark.npm
@pytest.mark.parametrize("package", ["rollup", "lightningcss", "turbo", "@biomejs/biome"])
def test_a_real_sound_family_has_no_error(package: str) -> None:
    """Only its errors are asserted: a mirror of the registry has its own dates, and lags behind in dist-tags."""
    out = io.StringIO()
    assert run(["doctor", package, "--json"], dict(os.environ), Runner({}, out)) == 0
    read = json.loads(out.getvalue())
    assert len(read["members"]) > len(PLATFORMS)
    assert {found["kind"] for found in read["findings"]} <= {"younger", "dist-tag"}

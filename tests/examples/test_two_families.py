"""The example of two families: its page shows its files, and what its CI builds is what its families need."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.layouts.binaries import static_program

from flotilla.__main__ import run
from flotilla.family import Family, parse_config
from flotilla.runner import Runner

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/two-families"
FAMILIES = ("encoder", "decoder")
PINNED = re.compile(r"@[0-9a-f]{40} # (v\d+)\.\S+")


def builds() -> dict[str, Any]:
    """Return the job that builds, as CI's workflow says it."""
    workflow = yaml.safe_load((EXAMPLE / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    job: dict[str, Any] = workflow["jobs"]["build"]
    return job


def family(name: str) -> Family:
    return Family(parse_config((EXAMPLE / name / "flotilla.yml").read_text(encoding="utf-8")), "1.2.3")


def test_the_page_shows_the_files_of_the_example() -> None:
    page = (ROOT / "docs/several-families.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`([^`]+)`:\n\n^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    assert set(shown) == {".github/workflows/release.yml", *(f"{name}/flotilla.yml" for name in FAMILIES)}
    for name, block in shown.items():
        assert PINNED.sub(r"@\1", (EXAMPLE / name).read_text(encoding="utf-8")) == block, name


def test_ci_builds_each_artifact_of_both_families_and_no_other() -> None:
    built = [f"{one['family']}-{one['platform']}" for one in builds()["strategy"]["matrix"]["include"]]
    assert sorted(built) == sorted(need.artifact for name in FAMILIES for need in family(name).artifacts)


def test_the_families_share_neither_a_package_nor_a_form_of_tags() -> None:
    encoder, decoder = map(family, FAMILIES)
    assert not {one.name for one in encoder.packages} & {one.name for one in decoder.packages}
    assert (encoder.tag, decoder.tag) == ("encoder-v1.2.3", "decoder-v1.2.3")


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_decoder_reads_what_the_encoder_writes(tmp_path: Path) -> None:
    said = b"hello\n\xff"
    for name in FAMILIES:
        command = ["cc", "-Wall", "-Wextra", "-Werror", "-o", str(tmp_path / name), str(EXAMPLE / name / "main.c")]
        subprocess.run(command, check=True)
        said = subprocess.run([tmp_path / name], input=said, check=True, stdout=subprocess.PIPE).stdout
    assert said == b"hello\n\xff"


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_planned_and_checked_in_its_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for platform in family(name).config.platforms:
        program = tmp_path / f"{name}-{platform.name}/bin" / name
        program.parent.mkdir(parents=True)
        program.write_bytes(static_program(platform.name.removesuffix("-musl")))
    monkeypatch.chdir(EXAMPLE)
    for command in (["plan"], ["check", "--artifacts", str(tmp_path)]):
        out = io.StringIO()
        assert run([*command, "--config", f"{name}/flotilla.yml"], {}, Runner({}, out)) == 0, out.getvalue()
        assert all(one.name in out.getvalue() for one in family(name).packages)

"""Families in the shape that common build tools and large projects give them: planned, checked, released, installed."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tests.layouts.artifacts import LAYOUTS, make
from tests.layouts.binaries import SAYS

from flotilla.family import Family
from flotilla.jobs.inputs import read_config
from flotilla.rehearsal.rehearse import Plan, rehearse
from flotilla.rehearsal.show import WIDTH, Show
from flotilla.rehearsal.users import host

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs/layouts.md"
each_layout = pytest.mark.parametrize("layout", sorted(LAYOUTS))

# What a user of each does where it is installed.
WASM = 'const { instantiate } = require("acme-bundle-wasm"); console.log(`answer ${instantiate().answer()}`)'
VIPS = """
const fs = require("node:fs");
const own = `@acme/vips-${process.platform}-${process.arch}`;
console.log("vips", require(`${own}/versions`).vips, fs.readdirSync(require(`${own}/lib`)).length);
console.log(fs.readFileSync(`${require("@acme/vips-dev/include")}/vips/vips.h`, "utf8"));
"""
USES = {
    "biome": [["lint", "--version"]],
    "cargo-dist": [["tool", "--version"]],
    "esbuild": [["bundle", "--version"], ["node", "-e", WASM]],
    "goreleaser": [["tool", "--version"]],
    "napi-rs": [["node", "-e", 'console.log(require("@acme/yuv"))']],
    "sharp-libvips": [["node", "-e", VIPS]],
}
SAID = {"esbuild": [SAYS, "answer 42"], "sharp-libvips": ["vips 8.1.0 2", "#define VIPS_MAJOR 8"]}
USE = """
import os, subprocess
path = os.pathsep.join([os.path.abspath("node_modules/.bin"), os.environ["PATH"]])
for command in {commands}:
    print(subprocess.check_output(command, text=True, env={{**os.environ, "PATH": path}}).strip())
"""


@pytest.mark.npm
@pytest.mark.registry
@pytest.mark.slow
@each_layout
def test_each_layout_is_released_and_every_user_gets_the_program_of_the_own_machine(
    layout: str, tmp_path: Path
) -> None:
    repository, artifacts = make(layout, tmp_path)
    family = Family(read_config(repository, "flotilla.yml"), "1.2.3")
    program = tmp_path / "use.py"
    program.write_text(USE.format(commands=json.dumps(USES[layout])), encoding="utf-8")
    plan = Plan(
        root=repository,
        config="flotilla.yml",
        family=family,
        artifacts=artifacts,
        repository="acme/family",
        program=program,
    )
    shown = io.StringIO()
    show = Show(Console(file=shown, width=WIDTH, highlight=False))
    done = rehearse(plan, tmp_path / "rehearsal", show)
    told = json.loads(json.dumps(show.document()))
    assert {one["name"] for job in told["jobs"] for one in job["packages"]} == {each.name for each in family.packages}
    assert {one["platform"] for one in told["installed"]} == {platform.name for platform in family.config.platforms}
    assert (done.packages, done.platforms) == (len(family.packages), len(family.config.platforms))
    assert done.program_ran == any(host().takes(platform) for platform in family.config.platforms)
    if done.program_ran and sys.platform == "linux":
        wanted, lines = SAID.get(layout, [SAYS]), [line.strip() for line in shown.getvalue().splitlines()]
        assert [line for line in lines if line in wanted] == wanted


@each_layout
def test_each_layout_is_described_by_the_flotilla_yml_that_is_tested(layout: str) -> None:
    sections = re.split(r"^## ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = (one for one in sections if f"<!-- tests/layouts/{layout} -->" in one)
    (block,) = re.findall(r"^```yaml\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert block == (HERE / layout / "flotilla.yml").read_text(encoding="utf-8")

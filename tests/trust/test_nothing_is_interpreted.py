"""Whole jobs among hostile names and servers: no value becomes a command, an output, a link or a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.trust.hostile import (
    FORGED,
    HOSTILE,
    ONE_LINE,
    Liar,
    forgeries,
    in_log,
    in_summary,
    loose_lines,
    refusing,
    replacing,
)
from tests.world.ended import Ended
from tests.world.stage import Stage, artifact

from flotilla.text import block, code, link, table

if TYPE_CHECKING:
    from tests.trust.conftest import MakeStage
    from tests.trust.hostile import Rewrite

pytestmark = [pytest.mark.npm]
ROOT = Path(__file__).parents[2]
JOBS = ("release", "publish-platform", "publish-dev", "publish-meta")


def declared(job: str) -> set[str]:
    action = yaml.safe_load((ROOT / f"action-{job}" / "action.yml").read_text(encoding="utf-8"))
    return set(action["outputs"])


def ready(stage: Stage, **inputs: str) -> dict[str, str]:
    """Return the inputs of a publishing job whose tag is there."""
    state = stage.world.github.state
    state.refs["refs/tags/v1.2.3"] = state.refs["refs/heads/main"]
    run = {"run-id": str(state.runs[0].id), "platform": "linux-x64"}
    return {**run, "provenance": "false", "timeout-minutes": "0.02", **inputs}


def nothing_forged(ended: Ended) -> None:
    assert forgeries(ended, outputs=declared(ended.name)) == [], ended.log + ended.summary


GITHUB_LIES = [
    refusing(403, message=HOSTILE, documentation_url=HOSTILE),
    refusing(401, message=HOSTILE),
    refusing(404, message=HOSTILE),
    refusing(
        422, message=HOSTILE, errors=[{"resource": HOSTILE, "field": HOSTILE, "code": HOSTILE, "message": HOSTILE}]
    ),
    refusing(500, message=HOSTILE),
    refusing(200, message=HOSTILE),
    replacing("html_url"),
    replacing("html_url", value=f"https://github.com/x)[{FORGED}](https://{FORGED}.example)|`\n::error::{FORGED}"),
    replacing("event"),
    replacing("conclusion"),
    replacing("status"),
    replacing("path"),
    replacing("full_name"),
    replacing("head_sha"),
    replacing("digest"),
    replacing("name"),
    replacing("name", value=ONE_LINE),
    replacing("created_at"),
    replacing("sha"),
    replacing("body", "name", "tag_name"),
]


@pytest.mark.parametrize("lie", GITHUB_LIES, ids=range(len(GITHUB_LIES)))
def test_nothing_that_github_answers_is_interpreted(make_stage: MakeStage, lie: Rewrite) -> None:
    stage = make_stage()
    with Liar(stage.world.github.origins.api, lie) as liar:
        ended = stage.run_here("release", ready(stage), variables={"GITHUB_API_URL": liar.url})
    nothing_forged(ended)
    assert ended.status in (0, 1), ended.log


REGISTRY_LIES = [
    refusing(403, error=HOSTILE, message=HOSTILE),
    refusing(400, error=HOSTILE),
    refusing(200, name=HOSTILE),
    refusing(200, versions={HOSTILE: {}}),
    refusing(200, versions={"1.2.3": {"dist": {"integrity": HOSTILE, "tarball": HOSTILE}}}),
    refusing(200, versions={}, **{"dist-tags": {HOSTILE: HOSTILE, "latest": HOSTILE}}),
    replacing("latest"),
    replacing("integrity", "tarball", "shasum"),
]


@pytest.mark.parametrize("lie", REGISTRY_LIES, ids=range(len(REGISTRY_LIES)))
def test_nothing_that_the_registry_answers_is_interpreted(make_stage: MakeStage, lie: Rewrite) -> None:
    stage = make_stage()
    with Liar(stage.world.registry.url, lie) as liar:
        ended = stage.run_here("publish-platform", ready(stage, registry=liar.url))
    nothing_forged(ended)
    assert ended.status in (0, 1), ended.log


def only_for(method_status: int, words: Any) -> Rewrite:
    """Refuse what was accepted: the PUT."""
    return lambda status, document: (method_status, words) if status == 201 else (status, document)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500])
def test_nothing_that_the_registry_says_to_npm_is_interpreted(make_stage: MakeStage, status: int) -> None:
    stage = make_stage()
    with Liar(stage.world.registry.url, only_for(status, {"error": HOSTILE, "reason": HOSTILE})) as liar:
        stage.world.registry.state.tokens = {}
        ended = stage.run_here("publish-platform", ready(stage, registry=liar.url))
    assert ended.status == 1
    nothing_forged(ended)


def test_no_name_or_text_of_an_artifact_is_interpreted(make_stage: MakeStage) -> None:
    stage = make_stage()
    for files in (
        {"lib/tool.so": b"x", f"lib/{ONE_LINE[:80].replace('/', '')}": b"\x7fELF"},
        {"lib/a\n::error::forged": b"x"},
        {"::error::forged": b"x"},
        {"lib/[forged](https:forged)|forged": b"!<arch>\n"},
    ):
        state = stage.world.github.state
        state.artifacts.clear()
        state.add_artifact(state.runs[0], "tool-linux-x64", artifact("linux-x64", files))
        ended = stage.run_here("publish-platform", ready(stage))
        assert ended.status == 1
        nothing_forged(ended)


@pytest.mark.parametrize(
    "inner", [{"a\n::error::forged.tar.gz": b"x"}, {"forged|forged.tar.gz": b"x", "b.tar.gz": b""}, {}]
)
def test_no_name_of_an_asset_is_interpreted(make_stage: MakeStage, inner: dict[str, bytes]) -> None:
    stage = make_stage()
    state = stage.world.github.state
    state.artifacts.clear()
    for platform in ("linux-x64", "darwin-x64"):
        state.add_artifact(state.runs[0], f"tool-{platform}", inner)
    ended = stage.run_here("release")
    assert ended.status == 1
    nothing_forged(ended)


@pytest.mark.parametrize(
    "hostile",
    ["version", "config", "platform", "dist-tag", "run-id", "registry", "provenance", "npm-token"],
)
def test_no_input_is_interpreted(make_stage: MakeStage, hostile: str) -> None:
    stage = make_stage()
    ended = stage.run_here("publish-platform", {**ready(stage), hostile: HOSTILE.replace("\0", "")})
    assert ended.status == 1
    nothing_forged(ended)


def test_no_text_of_a_template_is_interpreted(make_stage: MakeStage) -> None:
    described = {"description": HOSTILE, "keywords": [HOSTILE], "author": HOSTILE, "license": "MIT"}
    stage = make_stage(meta=described)
    for name in ("linux-x64", "darwin-x64"):
        assert stage.run_here("publish-platform", {**ready(stage), "platform": name}).status == 0
    ended = stage.run_here("publish-meta", {"provenance": "false"})
    assert ended.status == 0, ended.log
    nothing_forged(ended)
    manifest = stage.world.registry.state.documents["@acme/tool"]["versions"]["1.2.3"]
    assert manifest["description"] == HOSTILE


@pytest.mark.parametrize("key", ["name", "main", "bin", "os", "repository", "publishConfig", "license", "version"])
def test_no_fault_of_a_template_is_interpreted(make_stage: MakeStage, key: str) -> None:
    stage = make_stage(meta={key: {HOSTILE: HOSTILE} if key in ("bin", "publishConfig") else HOSTILE})
    ended = stage.run_here("release")
    assert ended.status in (0, 1)
    nothing_forged(ended)


def test_no_text_of_flotilla_yml_is_interpreted(make_stage: MakeStage) -> None:
    stage = make_stage(
        config=f"schema: 1\nfamily: {json.dumps(HOSTILE)}\n{json.dumps(HOSTILE)}: {json.dumps(HOSTILE)}\n"
    )
    ended = stage.run_here("release")
    assert ended.status == 1
    nothing_forged(ended)


def test_the_reader_sees_what_is_forged() -> None:
    assert list(in_log("::error title=x::forged"))
    assert list(in_log("  ::set-output name=a::b"))
    assert list(in_log("text ##[error]x"))
    assert list(in_log("\x1b[2J"))
    assert list(loose_lines("a<<EOF\n1\nEOF\n"))
    assert list(in_summary("a [b](https://forged.example/x)"))
    assert list(in_summary("| a |\n|---|\n| forged |\n"))
    assert list(in_summary("<img src=x>"))
    assert list(in_summary("a <b>x</b>"))


def test_the_reader_lets_what_we_mean_pass() -> None:
    assert list(in_log("::error title=CI run,file=a%3Ab::Run 1 is of %0A::error::forged")) == []
    cells = [(code(HOSTILE), link(HOSTILE, "https://github.com/x"), link("1", HOSTILE))]
    assert list(in_summary(table(("a", "b", "c"), cells) + "\n\n" + block(HOSTILE))) == []

"""What the documentation says, held against the code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.interface import exit_codes

from flotilla import __main__ as flotilla
from flotilla import family
from flotilla.commands.command_line import COMMANDS, USAGE
from flotilla.family import Family, parse_config
from flotilla.family.names import ALL
from flotilla.family.platforms import CPU, ENDINGS, OS
from flotilla.family.version_and_dist_tag import default_dist_tag
from flotilla.jobs.inputs import variable
from flotilla.npm.errors import TABLE, Kind, Row

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("action-*/*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
    if "node_modules" not in path.parts
)
SCHEMA = json.loads((Path(family.__file__).parent / "flotilla.schema.json").read_text(encoding="utf-8"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def snippets(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(name), re.DOTALL | re.MULTILINE)


def rows(name: str) -> Iterator[list[str]]:
    """Yield the rows of every table of a page, their heads left out."""
    tables = re.findall(r"(?:^\|.*\n)+", text(name), re.MULTILINE)
    for table in tables:
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def schema_keys(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every key of flotilla.yml, its path written as in the docs, and what the schema says of it."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    for branch in {"then", "else"} & schema.keys():
        yield from schema_keys(schema[branch], path)
    # One mapping, or a list of such: its keys are described once.
    if "items" in schema and schema["items"] != {"$ref": "#/$defs/dev"}:
        yield from schema_keys(schema["items"], f"{path}[]")
    for name, inner in schema.get("properties", {}).items():
        key = f"{path}.{name}".removeprefix(".")
        yield key, inner
        yield from schema_keys(inner, key)


KEYS = dict(schema_keys(SCHEMA))


def documented() -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in rows("docs/flotilla-yml.md") if re.fullmatch(r"`[a-z.\[\]-]+`", row[0])}


def test_the_schema_has_the_keys_that_this_test_looks_for() -> None:
    assert {"family", "platforms[].glibc", "packages.dev.from.variant", "publish.dist-tag", "limits.ratio"} <= set(KEYS)


def test_every_key_of_flotilla_yml_is_described_and_no_other() -> None:
    assert set(documented()) == set(KEYS)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_keys_default_is_the_schemas(key: str) -> None:
    said = re.search(r"Default:? (\S+?)\.?(?:$|\s)", KEYS[key].get("description", ""))
    default = documented()[key][1]
    if said and re.fullmatch(r"[0-9]+|true|false|auto|public|generate|\".*\"", said[1]):
        assert default == f"`{said[1]}`"
    assert documented()[key][2], key


def test_every_required_key_is_said_to_be_required() -> None:
    required = {f"platforms[].{name}" for name in SCHEMA["$defs"]["platform"]["required"]}
    required |= {f"variants[].{name}" for name in SCHEMA["$defs"]["variant"]["required"]}
    required |= {f"packages.{kind}.files[].{name}" for kind in ("platform", "dev", "meta") for name in ("from", "to")}
    required |= {f"ci.{name}" for name in SCHEMA["properties"]["ci"]["required"]} | set(SCHEMA["required"])
    assert {key for key, row in documented().items() if row[1] == "required"} == required


def test_the_example_of_flotilla_yml_parses_and_uses_every_key() -> None:
    example, *_ = snippets("docs/flotilla-yml.md", "yaml")
    config = parse_config(example)
    assert len(Family(config, "1.0.0").packages) == len(config.platforms) * 2 + 3

    def used(value: object, path: str = "") -> Iterator[str]:
        for name, inner in value.items() if isinstance(value, dict) else ():
            yield (key := f"{path}.{name}".removeprefix("."))
            yield from used(inner, key)
        for inner in value if isinstance(value, list) else ():
            yield from used(inner, f"{path}[]")

    instead_of_bin = {"packages.meta.launcher.library"}
    assert set(KEYS) - instead_of_bin == set(used(yaml.safe_load(example)))


def test_every_placeholder_and_no_other_is_described() -> None:
    section = text("docs/flotilla-yml.md").split("## Placeholders\n")[1].split("\n## ")[0]
    table = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"\{(\w+)\}", table)) == set(ALL)


def test_every_platform_word_is_listed() -> None:
    (line,) = (line for line in text("docs/flotilla-yml.md").splitlines() if line.startswith("The words for `os`"))
    systems, cpus = line.split("; for `cpu`")
    assert tuple(re.findall(r"`([a-z0-9]+)`", systems)[1:]) == OS
    assert tuple(re.findall(r"`([a-z0-9]+)`", cpus)) == CPU
    assert all(f"`-{ending}`" in text("docs/flotilla-yml.md") for ending in set(ENDINGS) - {"eabi"})


# What a row of npm's answers is looked for by, where it has no code of its own.
BY_WORDS = {
    "npm does not trust the certificate": "a certificate",
    "npm requires a dist-tag": "must specify a tag",
    "npm failed with {code}": "any other code",
    "sigstore refused to sign": "CA_…",
}


def names(row: Row) -> str:
    """Return what the first column of the documentation says for a row of the table."""
    by_words = [said for words, said in BY_WORDS.items() if row.words.startswith(words)]
    return by_words[0] if by_words else row.code.split("|")[0]


@pytest.mark.parametrize("row", [row for row in TABLE if row.kind is Kind.REFUSE], ids=lambda row: row.words[:50])
def test_every_answer_of_npm_that_refuses_is_explained(row: Row) -> None:
    section = text("docs/troubleshooting.md").split("## npm refuses to publish\n")[1].split("\n## ")[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    assert names(row)
    assert any(names(row) in cell for cell in first), names(row)


def test_every_answer_in_the_documentation_is_one_of_npms() -> None:
    section = text("docs/troubleshooting.md").split("## npm refuses to publish\n")[1].split("\n## ")[0]
    codes = {
        code
        for line in section.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([A-Z0-9_]+)`", line.split("|")[1])
    }
    assert codes
    assert not {
        code for code in codes if not any(re.fullmatch(row.code, code) for row in TABLE if row.code not in ("", ".*"))
    }


@each_page
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if heading:
            assert heading in headings(file), target


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


@each_page
def test_a_page_names_no_machine_of_ours(page: Path) -> None:
    said = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(work|root|home)/", said)
    assert "registry.npmjs" not in said


def test_the_readmes_flotilla_yml_parses() -> None:
    (config,) = (one for one in snippets("README.md", "yaml") if one.startswith("schema:"))
    made = Family(parse_config(config), "1.0.0")
    assert (made.config.family, len(made.packages)) == ("@acme/ffmpeg", 9)


def uses() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each step of a page that uses an action of ours: the page, the action, the step."""
    for page in PAGES:
        for snippet in snippets(page.relative_to(ROOT).as_posix(), "yaml"):
            if "uses: OWNER/flotilla" not in snippet:
                continue
            for job in yaml.safe_load(snippet)["jobs"].values():
                for step in (job or {}).get("steps", ()):
                    if used := re.fullmatch(r"OWNER/flotilla(?:/([\w-]+))?@v1", step.get("uses", "")):
                        yield page.name, used[1] or ".", step


DISPATCH = "on: {workflow_dispatch: {inputs: {version: {type: string}}}}\n"


def workflows() -> Iterator[tuple[str, str]]:
    """Yield every workflow that a page shows: where it stands, and its text; a part of one is given what starts it."""
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        for number, snippet in enumerate(snippets(name, "ya?ml"), start=1):
            if re.search(r"^jobs:", snippet, re.MULTILINE):
                whole = re.search(r"^on:", snippet, re.MULTILINE)
                yield f"{name}, block {number}", snippet if whole else DISPATCH + snippet + "".join(other_jobs(snippet))


def other_jobs(part: str) -> Iterator[str]:
    """Yield the jobs that a part of a workflow needs and leaves out, with the outputs that it reads."""
    jobs = yaml.safe_load(part)["jobs"]
    for name in sorted({name for job in jobs.values() for name in as_list((job or {}).get("needs"))} - jobs.keys()):
        outputs = sorted(set(re.findall(rf"needs\.{name}\.outputs\.([\w-]+)", part)))
        job: dict[str, Any] = {"runs-on": "ubuntu-latest", "steps": [{"run": "true"}]}
        if outputs:
            job["outputs"] = dict.fromkeys(outputs, "value")
        yield f"  {name}: {json.dumps(job)}\n"


def as_list(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []


@pytest.mark.parametrize("workflow", [pytest.param(one, id=where) for where, one in workflows()])
def test_every_workflow_in_the_pages_is_one_that_actionlint_accepts(workflow: str, tmp_path: Path) -> None:
    file = tmp_path / "workflow.yml"
    file.write_text(workflow, encoding="utf-8")
    actionlint = shutil.which("actionlint", path=sysconfig.get_path("scripts"))
    assert actionlint, "make sets it up"
    run = subprocess.run([actionlint, "-no-color", file], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_workflows_of_the_pages_name_actions_and_inputs_that_exist() -> None:
    found = list(uses())
    assert {action for _, action, _ in found} == {
        "." if job == "release-family" else f"action-{job}" for job in flotilla.JOBS
    }
    for page, action, step in found:
        document = yaml.safe_load(text(f"{action}/action.yml"))
        required = {name for name, one in document["inputs"].items() if one.get("required")}
        assert required <= set(step["with"]) <= set(document["inputs"]), page


def test_the_readmes_workflow_reads_outputs_that_exist() -> None:
    workflow = "".join(one for one in snippets("README.md", "yaml") if "OWNER/flotilla/" in one)
    outputs = yaml.safe_load(text("action-release/action.yml"))["outputs"]
    read = re.findall(r"steps\.release\.outputs\.([\w-]+)", workflow)
    handed_on = yaml.safe_load(workflow)["jobs"]["release"]["outputs"]
    assert read
    assert set(read) <= set(outputs)
    assert set(re.findall(r"needs\.release\.outputs\.([\w-]+)", workflow)) <= set(handed_on)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of flotilla in the pages' shell blocks: each page and words."""
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        for block in snippets(name, "sh") + snippets(name, "bash"):
            whole = block.replace("\\\n", " ")
            for line in re.findall(r"(?:^|\(|/)flotilla ([a-z][^#|)\n]*)", whole, re.MULTILINE):
                yield name, shlex.split(line)


@pytest.mark.slow
def test_every_command_and_option_of_the_pages_is_one() -> None:
    helps: dict[str, str] = {}
    found = list(commands())
    for page, (command, *words) in found:
        if command not in helps:
            argv = [sys.executable, "-m", "flotilla", command, "--help"]
            helps[command] = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in helps[command], f"{page}: flotilla {command} {option}"
    assert {"plan", "check", "init", "rehearse", "doctor"} <= helps.keys()


@each_page
def test_every_make_target_of_a_page_is_one(page: Path) -> None:
    said = "".join(snippets(page.relative_to(ROOT).as_posix(), "sh"))
    targets = set(re.findall(r"^make ([\w-]+)", said, re.MULTILINE))
    assert targets <= set(re.findall(r"^([\w-]+):", text("Makefile"), re.MULTILINE))


def test_the_index_leads_to_every_page() -> None:
    index = text("docs/README.md")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name}" in index, page.name


def test_the_dist_tags_of_the_page_are_those_that_are_published() -> None:
    said = {row[0].strip("`"): row[1].strip("`") for row in rows("docs/prereleases.md") if " " not in row[0]}
    assert len(said) > 2
    assert said == {version: default_dist_tag(version) for version in said}


def test_the_permissions_of_the_pages_are_those_of_the_examples_workflow() -> None:
    jobs = yaml.safe_load(text("examples/chroma/.github/workflows/release.yml"))["jobs"]
    table = {row[0]: row[1] for row in rows("docs/credentials.md") if len(row) == 3}
    wanted = {
        "prepare": "phase `prepare`",
        "wait-for-ci": "phases `wait-for-ci`, `check-artifacts`",
        "check-artifacts": "phases `wait-for-ci`, `check-artifacts`",
        "release": "phases `release`, `finish`",
        "publish-platform": "`action-publish-platform`, `action-publish-dev`",
        "publish-dev": "`action-publish-platform`, `action-publish-dev`",
        "publish-meta": "`action-publish-meta`",
    }
    for name, row in wanted.items():
        said = dict(part.strip("`").split(": ") for part in table[row].split(", "))
        assert said == jobs[name]["permissions"], name
    phases = {row[0].strip("`"): row[2] for row in rows("action-release/README.md") if len(row) == 3}
    for phase in ("prepare", "wait-for-ci", "check-artifacts", "release"):
        said = dict(re.findall(r"`([a-z]+): ([a-z]+)`", phases[phase]))
        assert said == jobs[phase]["permissions"], phase
    assert re.findall("`.*?`", phases["finish"]) == re.findall("`.*?`", phases["release"])


def test_the_changelog_is_in_the_form_that_keep_a_changelog_asks_for() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', text("pyproject.toml"), re.MULTILINE)
    unreleased, *released = re.findall(r"^## (.*)$", text("CHANGELOG.md"), re.MULTILINE)
    assert unreleased == "[Unreleased]"
    assert all(re.fullmatch(r"\[[0-9.]+\] - [0-9]{4}-[0-9]{2}-[0-9]{2}", one) for one in released)
    assert released[0].startswith(f"[{version}]")
    kinds = set(re.findall(r"^### (.*)$", text("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    links = dict(re.findall(r"^\[(.*)\]: (https://\S+)$", text("CHANGELOG.md"), re.MULTILINE))
    assert list(links) == ["Unreleased", *(one.split("]")[0].strip("[") for one in released)]
    assert links["Unreleased"].endswith(f"/v{version}...HEAD")


def test_no_secret_is_an_option_in_any_page() -> None:
    for page in PAGES:
        assert "--npm-token" not in page.read_text(encoding="utf-8")
        assert "--github-token" not in page.read_text(encoding="utf-8")
    assert variable("npm-token") == "INPUT_NPM-TOKEN"


def test_the_page_of_commands_has_every_command_and_every_exit_code() -> None:
    found = [row[0].strip("`") for row in rows("docs/commands.md")]
    commands = {f"flotilla {name}" for name in (*COMMANDS.commands, *flotilla.JOBS)}
    assert {name for name in found if name.startswith("flotilla")} == commands
    codes = exit_codes(text("lib/flotilla/errors.py")).keys() | {str(USAGE)}
    assert {name for name in found if name.isdigit()} == codes

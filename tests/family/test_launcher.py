"""The generated launcher, run by node in folders laid out as npm would lay them out."""

from __future__ import annotations

import json
import os
import platform as machine
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from flotilla.errors import ConfigError
from flotilla.family import Family, Package, Platform, parse_config, render_manifest
from flotilla.family.entry_points import launcher_fields, launcher_files
from flotilla.family.model import Launcher
from flotilla.rehearsal.node import node

META = "@acme/tool"
CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(machine.machine(), machine.machine())
OTHER_CPU = "riscv64"
LIBC = "glibc" if machine.libc_ver()[0] == "glibc" else "musl"
HERE = f"@acme/tool-linux-{CPU}"
PROGRAM = "#!/bin/sh\n"


def on(os: str, cpu: str, *libc: str) -> Platform:
    return Platform(name=f"{os}-{cpu}", os=(os,), cpu=(cpu,), libc=libc, build="")


FAMILY = {
    "@acme/tool-darwin-arm64": on("darwin", "arm64"),
    f"{HERE}-musl": on("linux", CPU, "musl"),
    HERE: on("linux", CPU, "glibc"),
}


def meta(pins: Mapping[str, Platform], *, program: str | None) -> Package:
    launcher = Launcher(bin=program)
    return Package(
        kind="meta",
        name=META,
        version="1.0.0",
        platform=None,
        variant=None,
        artifact=None,
        template=None,
        pins=pins,
        launcher=launcher,
    )


TOOL = meta(FAMILY, program="tool")
LIBRARY = meta(FAMILY, program=None)


class Project:
    """A user's project with the meta package, and what else is installed."""

    def __init__(self, folder: Path, package: Package) -> None:
        self.folder = folder
        manifest = {"name": META, "version": "1.0.0", **launcher_fields(package, {})}
        self.install(META, {**launcher_files(package, manifest), "package.json": json.dumps(manifest)})

    def install(self, name: str, files: Mapping[str, str], manifest: Mapping[str, object] | None = None) -> Path:
        place = self.folder / "node_modules" / name
        written = {"package.json": json.dumps({"name": name, "version": "1.0.0", **(manifest or {})}), **files}
        for path, text in written.items():
            file = place / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755 if text.startswith("#!") else 0o644)
        return place

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        script = self.folder / "node_modules" / META / "launcher.cjs"
        return subprocess.Popen(
            [node(), str(script), *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, text: str = "") -> tuple[int, str, str]:
        with self.start(*arguments, env=env) as process:
            out, err = process.communicate(text)
        return process.returncode, out, err

    def evaluate(self, code: str, *, module: bool = False, env: Mapping[str, str] | None = None) -> str:
        file = self.folder / f"use.{'mjs' if module else 'cjs'}"
        file.write_text(code, encoding="utf-8")
        done = subprocess.run(
            [node(), str(file)],
            cwd=self.folder,
            env={"PATH": os.defpath, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        return (done.stdout or done.stderr).strip()


@pytest.fixture
def tool(tmp_path: Path) -> Project:
    return Project(tmp_path, TOOL)


@pytest.fixture
def library(tmp_path: Path) -> Project:
    return Project(tmp_path, LIBRARY)


def test_runs_the_program_with_its_arguments_its_streams_and_its_exit_code(tool: Project) -> None:
    tool.install(HERE, {"bin/tool": f'{PROGRAM}read line; echo "$line $1 $2"; echo quietly >&2; exit 7\n'})

    assert tool.run("one", "two words", text="input\n") == (7, "input one two words\n", "quietly\n")


def test_takes_the_program_that_the_platform_package_names_as_its_bin(tool: Project) -> None:
    tool.install(HERE, {"other/it": f"{PROGRAM}echo named\n"}, {"bin": {"tool": "other/it"}})

    assert tool.run() == (0, "named\n", "")


def test_takes_the_package_of_this_machines_libc(tool: Project) -> None:
    for name, libc in ((HERE, "glibc"), (f"{HERE}-musl", "musl")):
        tool.install(name, {"bin/tool": f"{PROGRAM}echo {libc}\n"})

    assert tool.run() == (0, f"{LIBC}\n", "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"])
def test_passes_a_signal_on_and_ends_as_the_program_ends(tool: Project, name: str) -> None:
    trap = f"trap 'echo got {name}; exit 3' {name.removeprefix('SIG')}; echo ready; while :; do sleep 0.01; done"
    tool.install(HERE, {"bin/tool": f"{PROGRAM}{trap}\n"})

    with tool.start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.stdout.read() == f"got {name}\n"
    assert process.returncode == 3


def test_dies_of_the_signal_that_the_program_dies_of(tool: Project) -> None:
    tool.install(HERE, {"bin/tool": f"{PROGRAM}kill -TERM $$\n"})

    assert tool.run()[0] == -signal.SIGTERM


def test_sets_an_executable_bit_that_was_lost(tool: Project) -> None:
    place = tool.install(HERE, {"bin/tool": f"{PROGRAM}echo ran\n"})
    (place / "bin/tool").chmod(0o644)

    assert tool.run() == (0, "ran\n", "")


def test_says_which_file_cannot_be_run(tool: Project) -> None:
    place = tool.install(HERE, {"bin/tool": "#!/no/such/interpreter"})

    status, _, err = tool.run()

    assert status == 127
    assert str(place / "bin/tool") in err


def test_a_package_without_the_program_is_named(tool: Project) -> None:
    tool.install(HERE, {"lib/x": ""})

    status, _, err = tool.run()

    assert status == 1
    assert f"{HERE} in " in err
    assert "no program tool" in err


def test_the_override_runs_another_program(tool: Project, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text(f"{PROGRAM}echo mine\n")
    mine.chmod(0o755)

    assert tool.run(env={"TOOL_BINARY_PATH": str(mine)}) == (0, "mine\n", "")


def test_says_that_node_modules_came_from_another_machine(tool: Project) -> None:
    tool.install("@acme/tool-darwin-arm64", {"bin/tool": PROGRAM})

    status, out, err = tool.run()

    assert (status, out) == (1, "")
    assert err.startswith(f"@acme/tool: {HERE} is not installed")
    assert "@acme/tool-darwin-arm64 is installed instead" in err


@pytest.mark.parametrize("lock", ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"])
def test_says_that_the_lock_file_lacks_the_package(tool: Project, lock: str) -> None:
    before = "node_modules/" if lock.endswith(".json") else ""
    (tool.folder / lock).write_text(f'"{before}{META}": {{}}, "{before}{HERE}-musl": {{}}')

    assert f"{tool.folder / lock} does not list it" in tool.run()[2]


def test_names_left_out_optional_dependencies_and_age_gates_as_causes(tool: Project) -> None:
    (tool.folder / "package-lock.json").write_text(f'"node_modules/{META}": "{HERE}", "node_modules/{HERE}"')

    err = tool.run()[2]

    assert "--omit=optional" in err
    assert "minimumReleaseAge" in err


def test_lists_the_builds_where_there_is_none_for_this_machine(tmp_path: Path) -> None:
    only = {"@acme/tool-darwin-arm64": on("darwin", "arm64"), "@acme/tool-other": on("linux", OTHER_CPU)}
    project = Project(tmp_path, meta(only, program="tool"))

    status, _, err = project.run()

    assert status == 1
    assert f"no build for this machine (linux-{CPU}" in err
    assert "  @acme/tool-other" in err


def test_a_package_for_any_machine_is_taken_if_none_is_made_for_this_one(tmp_path: Path) -> None:
    anywhere = Platform(name="wasm", os=(), cpu=("wasm32",), build="")
    project = Project(tmp_path, meta({"@acme/tool-wasm": anywhere, **FAMILY}, program="tool"))
    project.install("@acme/tool-wasm", {"bin/tool": f"{PROGRAM}echo wasm\n"})

    assert project.run() == (0, "wasm\n", "")

    project.install(HERE if LIBC == "glibc" else f"{HERE}-musl", {"bin/tool": f"{PROGRAM}echo native\n"})

    assert project.run() == (0, "native\n", "")


@pytest.mark.parametrize("module", [False, True], ids=["require", "import"])
def test_tells_a_script_where_the_program_is(tool: Project, *, module: bool) -> None:
    place = tool.install(HERE, {"bin/tool": PROGRAM})
    taken = (
        f'import {{ name, folder, path }} from "{META}";'
        if module
        else f'const {{ name, folder, path }} = require("{META}");'
    )

    told = tool.evaluate(f"{taken} console.log(JSON.stringify([name, folder, path]))", module=module)

    assert json.loads(told) == [HERE, str(place), str(place / "bin/tool")]


@pytest.mark.parametrize("module", [False, True], ids=["require", "import"])
def test_loads_the_addon(library: Project, *, module: bool) -> None:
    library.install(HERE, {"index.js": "module.exports = { answer: () => 42 };"}, {"main": "index.js"})
    taken = f'import library from "{META}";' if module else f'const library = require("{META}");'

    assert library.evaluate(f"{taken} console.log(library.answer())", module=module) == "42"


def test_names_the_folder_of_a_library_that_is_no_addon(library: Project) -> None:
    place = library.install(HERE, {"lib/libtool.so": ""})

    told = library.evaluate(f'console.log(JSON.stringify(require("{META}")))')

    assert json.loads(told) == {"name": HERE, "folder": str(place)}


def test_the_only_addon_in_the_package_needs_no_main(library: Project) -> None:
    place = library.install(HERE, {"tool.node": ""})

    told = library.evaluate(f'console.log(require("{META}/launcher.cjs").library().addon)')
    assert "ERR_PACKAGE_PATH_NOT_EXPORTED" in told

    told = library.evaluate(f'console.log(require("./node_modules/{META}/launcher.cjs").library().addon)')
    assert told == str(place / "tool.node")


def test_the_override_names_another_folder_of_the_library(library: Project, tmp_path: Path) -> None:
    told = library.evaluate(f'console.log(require("{META}").folder)', env={"TOOL_LIBRARY_PATH": str(tmp_path)})

    assert told == str(tmp_path)


CONFIG = """
schema: 1
family: "@acme/tool"
platforms: [linux-x64, wasm32-unknown]
ci: {workflow: ci.yml, artifact: "tool-{build}"}
packages:
  meta:
    launcher: %s
"""


def family_with(launcher: str, platforms: str = "[linux-x64, linux-x64-musl, darwin-arm64]") -> Family:
    text = CONFIG.replace("[linux-x64, wasm32-unknown]", platforms) % launcher
    return Family(parse_config(text), "1.2.3")


@pytest.mark.parametrize(
    "launcher", ["{}", "{bin: tool, library: true}", "{bin: ../tool}", "{library: false}", "{program: tool}", "tool"]
)
def test_a_launcher_is_a_program_or_a_library(launcher: str) -> None:
    with pytest.raises(ConfigError, match=r"packages\.meta\.launcher"):
        family_with(launcher)


def test_the_launcher_knows_the_platforms_that_the_meta_package_pins() -> None:
    meta = family_with("{bin: tool}").metas[0]

    text = launcher_files(meta, {})["launcher.cjs"]

    for name in ("@acme/tool-linux-x64", "@acme/tool-linux-x64-musl", "@acme/tool-darwin-arm64"):
        assert f'"name": "{name}"' in text
    assert '"override": "TOOL_BINARY_PATH"' in text


def test_a_template_that_names_another_program_is_refused() -> None:
    meta = family_with("{bin: tool}").metas[0]

    with pytest.raises(ConfigError, match=r"launcher\.cjs"):
        render_manifest(meta, {"bin": {"tool": "mine.js"}}, repository=None, file="npm/meta/package.json")


def test_yarn_keeps_platform_packages_as_files() -> None:
    package = family_with("{bin: tool}").packages[0]

    assert render_manifest(package, {}, repository=None, file="")["preferUnplugged"] is True
    assert render_manifest(package, {"preferUnplugged": False}, repository=None, file="")["preferUnplugged"] is False


def test_a_family_without_a_launcher_gets_none() -> None:
    config = parse_config(CONFIG.partition("packages:")[0].replace(", wasm32-unknown", ""))

    for package in Family(config, "1.2.3").packages:
        assert launcher_files(package, {}) == launcher_fields(package, {}) == {}


def test_a_template_with_an_entry_of_its_own_gets_the_launcher_alone() -> None:
    template = {"main": "mine.js"}

    fields = launcher_fields(TOOL, template)

    assert fields == {"bin": {"tool": "launcher.cjs"}}
    assert list(launcher_files(TOOL, {**template, **fields})) == ["launcher.cjs"]

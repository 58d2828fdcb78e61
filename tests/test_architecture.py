"""The shape of the library: which part may import which, and what no file names."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import mutants
from tests.picture import PAGE, page
from tests.shape import cycles, edges, modules

import flotilla

PACKAGE = Path(flotilla.__file__).parent
ROOT = PACKAGE.parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each part may know of the others; itself it may always know.
BASE = {"errors", "retry", "text"}
ARROWS = {
    "errors": set[str](),
    "retry": {"errors"},
    "runner": {"errors", "text"},
    "http": {"errors", "retry", "text"},
    "text": set[str](),
    "documents": {"errors"},
    "family": BASE,
    "github": BASE | {"family", "http", "documents"},
    "packing": BASE | {"family"},
    "npm": BASE | {"family", "http", "documents"},
    "jobs": BASE | {"runner", "documents", "family", "github", "packing", "npm"},
    "commands": BASE | {"runner", "family", "github", "packing", "npm", "jobs"},
    "rehearsal": BASE | {"runner", "family", "github", "packing", "npm", "jobs", "commands"},
    "__main__": BASE | {"runner", "jobs", "commands"},
    "__init__": set[str](),
}


def part_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path) -> Iterator[tuple[str, bool]]:
    """Yield each part of flotilla that a module imports, and whether it does so only when a function runs."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    top = set(tree.body)
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            whole = node.module == "flotilla"
            names = [f"flotilla.{alias.name}" for alias in node.names] if whole else [str(node.module)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "flotilla" and len(parts) > 1:
                yield parts[1], node not in top


def test_the_walk_finds_the_house() -> None:
    assert {part_of(module) for module in MODULES} == ARROWS.keys()
    assert ("npm", False) in imported(PACKAGE / "jobs" / "publish_plan.py")


@pytest.mark.parametrize("part", ARROWS)
def test_every_part_knows_only_what_lies_below_it(part: str) -> None:
    wrong = {
        (str(module.relative_to(PACKAGE)), name)
        for module in MODULES
        if part_of(module) == part
        for name, lazy in imported(module)
        if name != part and name not in ARROWS[part] and not (part == "commands" and name == "rehearsal" and lazy)
    }
    assert wrong == set()


def test_the_rehearsal_is_known_to_the_command_line_alone_and_only_when_it_is_asked_for() -> None:
    knows = {
        (part_of(module), lazy)
        for module in MODULES
        for name, lazy in imported(module)
        if name == "rehearsal" and part_of(module) != "rehearsal"
    }
    assert knows == {("commands", True)}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycles(edges(modules())) == []


def test_the_picture_in_the_documentation_is_that_of_the_code() -> None:
    drawn = PAGE.read_text(encoding="utf-8")
    assert page(drawn) == drawn, "draw it again: .venv/bin/python -m tests.picture"


def tracked() -> list[Path]:
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def registries() -> dict[str, str]:
    """Return the hosts of the package registries, put together here so that this file does not hold them."""
    hosts = {
        "npm's registry": ("registry", "npmjs", "org"),
        "PyPI": ("pypi", "org"),
        "PyPI's files": ("files", "pythonhosted", "org"),
        "Debian": ("deb", "debian", "org"),
        "Debian's security updates": ("security", "debian", "org"),
    }
    return {name: ".".join(parts) for name, parts in hosts.items()}


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """Mirrors, proxies and other registries must work, so a host is always what npm, pip or apt is configured for."""
    files = tracked()
    assert len(files) > 100
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name, host in registries().items()
        if host.encode() in file.read_bytes()
    ]
    assert found == []


def test_every_module_that_is_to_be_mutated_is_there_and_so_are_its_tests() -> None:
    assert [name for name in mutants.MODULES if not (PACKAGE / f"{name}.py").is_file()] == []
    tests = {test.partition("::")[0] for each in mutants.MODULES.values() for test in each}
    assert [name for name in sorted(tests) if not (ROOT / name).exists()] == []

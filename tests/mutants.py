"""Changes security modules in small ways, one at a time, and prints the changes that no test notices: `make mutants`.

python -m tests.mutants                    # every module of the list
python -m tests.mutants text npm/oidc      # these

A line of the result is a change to look at: a rule without a test, or one that makes no difference. mutmut expects its
sources in src/, so that it works on a copy of the tree.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("tests", "docs", "examples", "requirements")
# Whose tests take long, or run code of this tree in another process, where no change is.
LEFT_OUT = ("npm", "registry", "docker", "e2e", "faults", "fuzz")
SURVIVED = ("survived", "no tests")

# The modules that hold the rules of security, below lib/flotilla, and the tests that are to notice a change in them.
PACKING = tuple(f"tests/packing/test_{part}.py" for part in ("extract", "paths", "placing", "streams", "tar", "zip"))
TRANSFERS = tuple(f"tests/github/test_{part}.py" for part in ("downloads", "transfers", "uploads", "endpoint"))
MODULES: Mapping[str, Sequence[str]] = {
    "http": ("tests/test_http.py", "tests/npm/test_registry.py", "tests/npm/test_oidc.py", *TRANSFERS),
    "retry": ("tests/test_retry.py", "tests/test_http.py"),
    "text": (
        *(f"tests/test_{part}.py" for part in ("text", "runner", "markdown")),
        "tests/family/test_config_faults.py",
    ),
    "runner": ("tests/test_runner.py",),
    "family/names": ("tests/family",),
    "family/yaml": ("tests/family",),
    "github/artifacts": ("tests/github/test_artifacts.py", "tests/github/test_runs.py"),
    "github/downloads": TRANSFERS,
    "github/api": (*TRANSFERS, "tests/github/test_api.py::test_a_next_page_at_another_host_is_refused"),
    "github/releases": ("tests/github/test_tags.py", "tests/github/test_releases.py"),
    "github/runs": ("tests/github/test_runs.py", "tests/github/test_same_run.py"),
    "github/assets": TRANSFERS,
    "npm/manifest_diff": ("tests/npm/test_manifest_diff.py",),
    "npm/oidc": ("tests/npm/test_oidc.py",),
    "npm/packument": ("tests/npm/test_packument.py", "tests/npm/test_registry.py"),
    "npm/provenance": ("tests/npm/test_provenance.py",),
    "npm/cli": ("tests/npm/test_cli.py", "tests/npm/test_cli_answers.py"),
    "npm/registry": ("tests/npm/test_registry.py",),
    "npm/runner": ("tests/npm/test_runner.py",),
    "packing/extraction": PACKING,
    "packing/floors": ("tests/packing/test_floors.py",),
    "packing/paths": PACKING,
    "packing/choose_files": PACKING,
    "packing/platform_check": ("tests/packing/test_platform_check.py", "tests/packing/test_elf.py"),
    "packing/streams": PACKING,
    "packing/read_tar": PACKING,
    "packing/read_zip": PACKING,
}


def main() -> int:
    """Try every change to the modules of the command line; 1 if mutmut cannot run."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("module", nargs="*", metavar="MODULE", help="a module below lib/flotilla (default: all)")
    chosen: list[str] = parser.parse_args().module or list(MODULES)
    if unknown := sorted(set(chosen) - MODULES.keys()):
        parser.error(f"not in the list of {__file__}: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="flotilla-mutants-") as folder:
        tree = copied(Path(folder), chosen)
        if run(tree, "run", told=True).returncode:
            return 1
        found = dict(survivors(run(tree, "results", "--all", "true").stdout))
        left = [name for name, how in found.items() if how in SURVIVED]
        changes = {name: change(run(tree, "show", name).stdout) for name in left}
    shown = {name: lines for name, lines in changes.items() if not of_words(lines)}
    for name, lines in shown.items():
        say("\n".join([f"\n{name}: {found[name]}", *lines]))
    counts = f"{len(left)} that no test noticed, {len(left) - len(shown)} of them in the words of a message alone"
    say(f"\nmutants: {len(found)} changes to {len(chosen)} modules, {counts}")
    return 0


def copied(folder: Path, modules: Sequence[str]) -> Path:
    """Copy the tree as mutmut wants it, with its configuration for these modules."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(ROOT / "lib", folder / "src", ignore=ignored)
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/flotilla/{module}.py" for module in modules],
        "also_copy": list(COPIED),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-m", " and ".join(f"not {mark}" for mark in LEFT_OUT)],
        "pytest_add_cli_args_test_selection": sorted({test for module in modules for test in MODULES[module]}),
    }
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]), encoding="utf-8")
    return folder


def run(tree: Path, *arguments: str, told: bool = False) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the copy; what it says goes to standard error if it is to be told."""
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=sys.stderr if told else subprocess.PIPE,
        text=True,
        check=False,
    )


def survivors(results: str) -> Iterator[tuple[str, str]]:
    """Yield each change's name and what became of it, as `mutmut results` lists them."""
    for line in results.splitlines():
        name, colon, how = line.strip().partition(": ")
        if colon:
            yield name, how


def change(shown: str) -> list[str]:
    """Return the lines that differ, of the diff that `mutmut show` prints."""
    return [line for line in shown.splitlines() if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))]


def of_words(lines: Sequence[str]) -> bool:
    """Return whether a change is one of how a text is written: such texts are held by golden files."""
    plain = [line[1:].replace("XX", "").lower() for line in lines]
    return len(plain) == 2 and plain[0] == plain[1]


def say(line: str) -> None:
    """Print it at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""No shell, nothing evaluated, nothing unpickled, and nothing printed but at the edge."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flotilla

PACKAGE = Path(flotilla.__file__).parent
EDGE = {"__main__.py", "runner.py"}  # and the rehearsal, which shows itself

# What would interpret a value: as a command, as code, as objects.
SHELLS = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "pty.spawn",
    "commands.getoutput",
}
SPAWNS = ("os.exec", "os.spawn", "os.posix_spawn", "asyncio.create_subprocess_shell")
EVALUATED = {"eval", "exec", "compile", "__import__", "importlib.import_module", "builtins.eval", "builtins.exec"}
UNPICKLED = ("pickle", "cPickle", "dill", "shelve", "marshal", "joblib")
XML = ("xml.", "lxml")
RUNS = {"subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output"}
YAML = {
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.unsafe_load_all",
    "yaml.full_load_all",
}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(node: ast.expr) -> str:
    """Return a.b.c of an attribute or a name; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := name_of(node.value)):
        return f"{inner}.{node.attr}"
    return ""


def full_names(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                alias.asname or alias.name.split(".")[0]: (alias.asname and alias.name) or alias.name.split(".")[0]
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def faults(text: str, *, edge: bool = False) -> Iterator[str]:
    """Yield what a source does that none of ours may do."""
    tree = ast.parse(text)
    known = full_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [f"{node.module}."]
            for name in names:
                if name.split(".")[0] in UNPICKLED or name.startswith(XML):
                    yield f"imports {name}"
        if isinstance(node, ast.Call):
            head, _, rest = name_of(node.func).partition(".")
            name = ".".join(filter(None, (known.get(head, head), rest)))
            yield from call_faults(node, name, edge=edge)


def call_faults(node: ast.Call, name: str, *, edge: bool) -> Iterator[str]:
    first = node.args[0] if node.args else None
    fixed = name == "importlib.import_module" and isinstance(first, ast.Constant) and len(node.args) == 1
    if fixed and isinstance(first, ast.Constant):  # as good as an import, and held to the same rule
        module = str(first.value)
        if module.split(".", maxsplit=1)[0] in UNPICKLED or module.startswith(XML):
            yield f"imports {module}"
    if (name in SHELLS | EVALUATED and not fixed) or name.startswith(SPAWNS):
        yield f"calls {name}"
    for keyword in node.keywords:
        if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            yield "asks for a shell"
    if name in RUNS and (not node.args or isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)):
        yield f"{name} without a list"
    if name in YAML and not any(
        name_of(a).rpartition(".")[2] in SAFE_LOADERS for a in [*node.args, *(k.value for k in node.keywords)]
    ):
        yield f"{name} without a safe loader"
    if not edge and name in {"print", "sys.exit", "exit", "quit", "os._exit", "os.abort"}:
        yield f"calls {name}"
    asks = {"sys.stdout.isatty", "sys.stdout.fileno"}  # about the terminal, and prints nothing
    if not edge and name.startswith(("sys.stdout.", "sys.stderr.")) and name not in asks:
        yield f"calls {name}"


@pytest.mark.parametrize("module", modules(), ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_source_starts_no_shell_evaluates_nothing_and_prints_nothing(module: Path) -> None:
    place = module.relative_to(PACKAGE)
    edge = str(place) in EDGE or place.parts[0] == "rehearsal"
    assert list(faults(module.read_text(encoding="utf-8"), edge=edge)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.system('x')",
        "from os import system\nsystem('x')",
        "import os as o\no.popen('x')",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import subprocess\nsubprocess.run(['x'], shell=flag)",
        "import subprocess\nsubprocess.run('npm publish')",
        "import subprocess\nsubprocess.run(f'npm {x}')",
        "from subprocess import Popen\nPopen('x' + y)",
        "import subprocess as s\ns.getoutput('x')",
        "import os\nos.execvp('sh', args)",
        "eval(text)",
        "exec(text)",
        "import importlib\nimportlib.import_module(name)",
        "import importlib\nimportlib.import_module('pickle')",
        "import pickle",
        "from marshal import loads",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import yaml\nyaml.unsafe_load(text)",
        "import xml.etree.ElementTree",
        "print('x')",
        "import sys\nsys.exit(1)",
        "import sys\nsys.stdout.write('x')",
    ],
)
def test_the_walk_sees_what_none_of_ours_may_do(source: str) -> None:
    assert list(faults(source))


def test_the_walk_lets_the_plain_way_pass() -> None:
    plain = ["import subprocess", "import yaml", "subprocess.run(argv, check=False)", "subprocess.run(['x'])"]
    plain += ["yaml.load(text, Loader=yaml.CSafeLoader)", "import re", "re.compile('x')"]
    assert list(faults("\n".join(plain))) == []

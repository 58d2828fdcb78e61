"""The files that npm packs of a folder, as the real npm says it, for many small folders."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flotilla.errors import PackageError
from flotilla.packing.packlist import packed_files
from flotilla.rehearsal.node import node, npm


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder to pack: its files' texts by path, and what its manifest holds beside name and version."""

    files: Mapping[str, str]
    manifest: Mapping[str, object] = field(default_factory=dict)


def folder(*paths: str, **manifest: object) -> Folder:
    return Folder(files=dict.fromkeys(paths, "x"), manifest=manifest)


def ignoring(ignore_files: Mapping[str, str], *paths: str, **manifest: object) -> Folder:
    return Folder(files={**dict.fromkeys(paths, "x"), **ignore_files}, manifest=manifest)


TREE = (
    *("lib/a.js", "lib/b.test.js", "lib/deep/c.js", "lib/.hidden", "src/lib/d.js", "debug/secret.txt", "index.js"),
    *("README.md", "LICENSE", "docs/README.md", "bin/tool", "x.orig", "bun.lockb", "yarn.lock", "sub/yarn.lock"),
    *("build/config.gypi", "sub/build/config.gypi", "archived-packages/a", "CVS/Root", "node_modules/a/index.js"),
    *("sub/node_modules/a/index.js", ".npmrc", "sub/.npmrc", "._a", "sub/._b/c", ".a.swp", "npm-debug.log"),
    *("License.old", "COPYING", "readme~", "Readme.txt~", "licence$", "LICENSE-MIT", "lib.js", "sub/index.js"),
)
KNOWN = {
    "nothing said": folder(*TREE),
    "a folder": folder(*TREE, files=["lib"]),
    "a folder with a slash": folder(*TREE, files=["lib/"]),
    "a folder from the top": folder(*TREE, files=["/lib"]),
    "a folder with a dot": folder(*TREE, files=["./lib/"]),
    "what a folder holds": folder(*TREE, files=["lib/*"]),
    "by pattern": folder(*TREE, files=["**/*.js"]),
    "by pattern and negation": folder(*TREE, files=["lib", "!lib/b.test.js", "!**/c.js"]),
    "a negation by pattern": folder(*TREE, files=["lib/**", "!**/*.test.js", "!lib/deep"]),
    "a negation first": folder(*TREE, files=["!lib/a.js", "lib/a.js"]),
    "a file": folder(*TREE, files=["debug/secret.txt"]),
    "a file of another case": folder(*TREE, files=["DEBUG/Secret.txt"]),
    "a file that npm drops by default": folder(*TREE, files=["x.orig", "build/config.gypi", "yarn.lock"]),
    "everything": folder(*TREE, files=["*"]),
    "all that is here": folder(*TREE, files=["."]),
    "the folder itself": folder(*TREE, files=["./"]),
    "nothing at all": folder(*TREE, files=[]),
    "braces": folder(*TREE, files=["{lib,bin}/**", "{index,lib}.js"]),
    "extended patterns": folder(*TREE, files=["lib/!(*.test).js", "@(bin|sub)/**"]),
    "classes": folder(*TREE, files=["[il]*.js", "lib/[!a]*"]),
    "main, bin and browser": folder(*TREE, files=["lib"], main="index.js", bin="bin/tool", browser="lib.js"),
    "main with a dot": folder(*TREE, files=["lib"], main="./index.js"),
    "main without an ending": folder(*TREE, files=["lib"], main="index"),
    "bins": folder(*TREE, files=["lib"], bin={"a": "./bin/tool", "b": "../sub/index.js", "c": 7}),
    "a folder of bins": folder(*TREE, files=["lib"], directories={"bin": "./bin"}),
    "bins in a list": folder(*TREE, files=["lib"], bin=["bin/tool"]),
    "an npmignore": ignoring({".npmignore": "lib/\n# docs\n\n!lib/a.js\ndebug\n"}, *TREE),
    "an npmignore from the top": ignoring({".npmignore": "/index.js\r\n/sub\r\n"}, *TREE),
    "an npmignore of everything": ignoring({".npmignore": "*\n!lib\n!lib/**\n"}, *TREE),
    "an npmignore of the readme": ignoring({".npmignore": "README.md\nLICENSE\npackage.json\n"}, *TREE),
    "a gitignore": ignoring({".gitignore": "lib\n*.orig\n"}, *TREE),
    "an npmignore before a gitignore": ignoring({".gitignore": "lib\n", ".npmignore": "bin\n"}, *TREE),
    "an empty npmignore before a gitignore": ignoring({".gitignore": "lib\n", ".npmignore": ""}, *TREE),
    "files before both": ignoring({".gitignore": "lib\n", ".npmignore": "bin\n"}, *TREE, files=["lib", "bin"]),
    "an npmignore in a folder": ignoring({"lib/.npmignore": "a.js\ndeep/\n"}, *TREE),
    "an npmignore in a folder that files names": ignoring({"lib/.npmignore": "a.js\n"}, *TREE, files=["lib"]),
    "an npmignore beside a file that files names": ignoring({"lib/.npmignore": "*.js\n"}, *TREE, files=["lib/a.js"]),
    "an npmignore above a file that files names": ignoring(
        {"lib/.npmignore": "deep\n"}, *TREE, files=["lib/deep/c.js"]
    ),
    "an npmignore that takes back": ignoring({".npmignore": "lib/*.js\n", "lib/.npmignore": "!a.js\n"}, *TREE),
    "a gitignore in a folder": ignoring({"sub/.gitignore": "index.js\n", ".npmignore": "docs\n"}, *TREE),
    "an npmignore of any depth": ignoring({".npmignore": "node_modules/\ndeep/\nsecret.*\n"}, *TREE),
    "two stars": ignoring({".npmignore": "lib/**/c.js\n**/index.js\nsrc/**\n"}, *TREE),
    "names for npm alone": folder("a/node_modules/b.js", "a*b", "@scope/x.js", "caf\u00e9/\u00e4.js", "a b/c d.js"),
}
NAMES = ("lib", "src", "index.js", "a.js", "b.test.js", "README.md", ".hidden", "deep", "secret.txt", "x.orig")
RULES = (
    *("lib", "lib/", "/lib", "lib/*", "lib/**", "**/lib", "**/*.js", "*.js", "/*.js", "src/lib", "src/*/a.js"),
    *("deep/**/a.js", "*", "**", "index.js", "/index.js", "lib/index.js", "./src", "a.*", "{lib,src}/*.js", "src/*"),
    *("lib/deep/", "**/deep/**", "[a-i]*.js", "README.md", "?.js", ".*", "*.{js,txt}", "lib/src/lib", "src/../lib"),
)


def generated(seed: int) -> Folder:
    """Return a small folder, its manifest and ignore files, drawn from few names so that many rules match."""
    draw = random.Random(seed)  # noqa: S311 - to draw the same folders each time

    def rules(most: int) -> list[str]:
        chosen = draw.choices(RULES, k=draw.randint(1, most))
        return [f"!{rule}" if draw.random() < 0.3 else rule for rule in chosen]

    files: dict[str, str] = {"package.json": ""}
    for _ in range(draw.randint(4, 14)):
        path = "/".join(draw.choices(NAMES, k=draw.choice((1, 2, 2, 3, 4))))
        if not any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in files):
            files[path] = "x"
    del files["package.json"]
    above = [""] + [f"{path.rpartition('/')[0]}/" for path in files if "/" in path]
    for name in (".npmignore", ".gitignore"):
        if draw.random() < 0.5:
            files[draw.choice(above) + name] = "\n".join(rules(4))
    manifest: dict[str, object] = {"files": rules(4)} if draw.random() < 0.6 else {}
    if draw.random() < 0.3:
        manifest["main"] = draw.choice(list(files))
    return Folder(files=files, manifest=manifest)


def npm_packs(folders: Sequence[Folder], at: Path) -> list[frozenset[str]]:
    """Return the files of each folder that npm would pack; one process for all."""
    for number, made in enumerate(folders):
        for path, text in made.files.items():
            (at / str(number) / path).parent.mkdir(parents=True, exist_ok=True)
            (at / str(number) / path).write_text(text, newline="")
        (at / str(number) / "package.json").write_text(json.dumps(whole(made, number)))
    argv = [*npm(), "pack", "--dry-run", "--json", "--ignore-scripts", "--offline", "--loglevel=silent"]
    environment = {"HOME": str(at), "PATH": f"{node().parent}:/usr/bin:/bin"}
    done = subprocess.run(
        [*argv, *(f"./{number}" for number in range(len(folders)))],
        cwd=at,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    reports = {report["name"]: report for report in (answer.values() if isinstance(answer, dict) else answer)}
    return [frozenset(file["path"] for file in reports[f"tool-{n}"]["files"]) for n in range(len(folders))]


def whole(made: Folder, number: int) -> dict[str, object]:
    return {"name": f"tool-{number}", "version": "1.0.0", **made.manifest}


def ours(made: Folder, number: int) -> frozenset[str]:
    ignore_files = {path: text for path, text in made.files.items() if path.endswith(("npmignore", "gitignore"))}
    return packed_files({*made.files, "package.json"}, whole(made, number), ignore_files=ignore_files)


def differing(folders: Iterable[Folder], at: Path) -> list[tuple[int, Folder, frozenset[str]]]:
    made = list(folders)
    theirs = npm_packs(made, at)
    return [(n, one, ours(one, n) ^ theirs[n]) for n, one in enumerate(made) if ours(one, n) != theirs[n]]


@pytest.mark.npm
def test_npm_packs_what_the_packlist_says_of_known_folders(tmp_path: Path) -> None:
    names = list(KNOWN)
    assert [(names[n], sorted(paths)) for n, _, paths in differing(KNOWN.values(), tmp_path)] == []


@pytest.mark.npm
def test_npm_packs_what_the_packlist_says_of_generated_folders(tmp_path: Path) -> None:
    assert differing(map(generated, range(150)), tmp_path) == []


def test_files_of_the_manifest_drops_all_else() -> None:
    files = ("package.json", "README.md", "lib/a.js", "debug/secret.txt")
    assert packed_files(files, {"files": ["lib"]}) == {"package.json", "README.md", "lib/a.js"}


def test_a_pattern_of_countless_patterns_is_refused() -> None:
    with pytest.raises(PackageError, match="more than 1000 patterns"):
        packed_files(["a"], {"files": ["{1..9999}"]})


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    path = "/".join(["a"] * 90)
    assert packed_files([path], {"files": ["/".join(["**", "a"] * 40) + "/b"]}) == frozenset()

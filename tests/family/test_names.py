"""What git, GitHub and a repository take for a name or path."""

from __future__ import annotations

import subprocess
from shutil import which

import pytest

from flotilla.family.names import artifact_faults, path_faults, tag_faults

GOOD_TAGS = ["v1.2.3", "@acme/tool@1.2.3", "release/1.2.3", "1.0.0-beta.1", "a@b", "v1.2.3+x", "ä1.0.0", "{v}"]
BAD_TAGS = [
    "", "v 1", "v~1", "v^1", "v:1", "v?1", "v*1", "v[1", "v\\1", "v..1", "v@{1", "/v1", "v1/", "v//1", "v1.", "v1.lock",
    ".v1", "a/.v1", "a.lock/v1", "v\x7f1", "v\t1", "-v1",
]  # fmt: skip


@pytest.mark.parametrize("tag", GOOD_TAGS)
def test_a_tag_that_git_takes_is_fine(tag: str) -> None:
    assert tag_faults(tag) == []


@pytest.mark.parametrize("tag", [*BAD_TAGS, "@"])
def test_a_tag_that_git_refuses_is_a_fault(tag: str) -> None:
    assert tag_faults(tag)


@pytest.mark.skipif(which("git") is None, reason="git judges its own rules")
@pytest.mark.parametrize("tag", [*GOOD_TAGS, *(tag for tag in BAD_TAGS if tag != "-v1")])
def test_git_itself_agrees(tag: str) -> None:
    judged = subprocess.run([str(which("git")), "check-ref-format", f"refs/tags/{tag}"], check=False, timeout=30)
    assert (judged.returncode == 0) == (tag_faults(tag) == [])


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a:b", 'a"b', "a<b", "a>b", "a|b", "a*b", "a?b", "", " ", "x" * 256])
def test_an_artifact_name_that_github_refuses_is_a_fault(name: str) -> None:
    assert artifact_faults(name)


def test_an_artifact_name_may_hold_spaces_and_most_signs() -> None:
    assert artifact_faults("ffmpeg 7.1 (linux-x64) [free] +x.tar.gz") == []


@pytest.mark.parametrize(
    "path", ["npm/meta", "./npm", "npm/..x", "npm/x..", "lib/**", ".github/notes.md", "a/.gitignore"]
)
def test_a_path_inside_the_repository_is_fine(path: str) -> None:
    assert path_faults(path) == []

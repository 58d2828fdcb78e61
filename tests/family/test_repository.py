"""What provenance accepts as the repository of a manifest."""

from __future__ import annotations

import pytest

from flotilla.family import repository_url, same_repository

SERVER = "https://github.com"


@pytest.mark.parametrize(
    "field",
    [
        "acme/ffmpeg",
        "github:acme/ffmpeg",
        "https://github.com/acme/ffmpeg",
        "https://github.com/acme/ffmpeg/",
        "https://github.com/acme/ffmpeg.git",
        "git+https://github.com/acme/ffmpeg.git",
        "git+https://github.com/acme/ffmpeg",
        "https://GitHub.com/acme/ffmpeg",
        "https://www.github.com/acme/ffmpeg",
        {"type": "git", "url": "git+https://github.com/acme/ffmpeg.git", "directory": "npm"},
        {"url": "acme/ffmpeg"},
    ],
)
def test_every_form_that_npm_makes_into_the_repositorys_url_is_the_same(field: object) -> None:
    assert same_repository(field, SERVER, "acme/ffmpeg")


@pytest.mark.parametrize(
    "field",
    [
        None,
        "",
        {},
        {"type": "git"},
        ["https://github.com/acme/ffmpeg"],
        "https://github.com/Acme/ffmpeg",
        "https://github.com/acme/FFmpeg",
        "https://github.com/acme/ffmpeg-builds",
        "https://github.com/acme/ffmpeg/tree/main/npm",
        "https://github.com/acme/ffmpeg#main",
        "https://github.com.acme.example/acme/ffmpeg",
        "https://user:secret@github.com/acme/ffmpeg",
        "http://github.com/acme/ffmpeg",
        "git://github.com/acme/ffmpeg.git",
        "git@github.com:acme/ffmpeg.git",
        "git+ssh://git@github.com/acme/ffmpeg.git",
        "gitlab:acme/ffmpeg",
        "gist:11081aaa281",
        "https://[broken/acme/ffmpeg",
    ],
)
def test_every_other_repository_is_another_one(field: object) -> None:
    assert not same_repository(field, SERVER, "acme/ffmpeg")


@pytest.mark.parametrize("server", [SERVER, "https://github.com/", "http://127.0.0.1:8080", "https://ghe.acme.example"])
def test_the_url_that_flotilla_sets_is_accepted(server: str) -> None:
    assert same_repository({"type": "git", "url": repository_url(server, "acme/ffmpeg")}, server, "acme/ffmpeg")


def test_a_shorthand_means_github_com_whatever_the_server() -> None:
    assert not same_repository("acme/ffmpeg", "https://ghe.acme.example", "acme/ffmpeg")


def test_the_url_is_the_one_that_npm_writes() -> None:
    assert repository_url("https://github.com", "acme/ffmpeg") == "git+https://github.com/acme/ffmpeg.git"

"""Checksums beside files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from flotilla.packing import sidecar_faults

DATA = b"content"
RIGHT = hashlib.sha256(DATA).hexdigest()
WRONG = "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.tar.gz").write_bytes(DATA)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        f"{RIGHT}\n",
        f"{RIGHT.upper()}  a.tar.gz\n",
        f"{RIGHT} *a.tar.gz\r\n",
        f"{RIGHT}  ./dist/a.tar.gz\n",
        f"{RIGHT}  dist\\a.tar.gz\n",
    ],
)
def test_a_right_sidecar_is_no_fault_in_either_form(folder: Path, text: str) -> None:
    (folder / "sub/a.tar.gz.sha256").write_text(text)
    assert sidecar_faults(folder) == []


@pytest.mark.parametrize("text", [WRONG, f"{WRONG}  a.tar.gz\n", f"{RIGHT}  a.tar.gz\n{WRONG}  a.tar.gz\n"])
def test_a_wrong_sidecar_is_a_fault_that_shows_both_hashes(folder: Path, text: str) -> None:
    (folder / "sub/a.tar.gz.sha256").write_text(text)
    assert sidecar_faults(folder) == [
        f"sub/a.tar.gz.sha256 expects the sha256 000000000000… for a.tar.gz, which has {RIGHT[:12]}…"
    ]


def test_a_sidecar_of_a_missing_file_is_a_fault(folder: Path) -> None:
    (folder / "sub/b.zip.sha256").write_text(RIGHT)
    (folder / "sub/a.tar.gz.sha256").write_text(f"{RIGHT}  other.tar.gz")
    assert sidecar_faults(folder) == [
        "sub/a.tar.gz.sha256 names other.tar.gz, but there is no such file beside it",
        "sub/b.zip.sha256 names b.zip, but there is no such file beside it",
    ]


@pytest.mark.parametrize("text", ["", "not a hash", f"{RIGHT[:-1]}  a.tar.gz", "\ufffd\0\ufffd"])
def test_a_sidecar_in_another_format_is_a_fault(folder: Path, text: str) -> None:
    (folder / "sub/a.tar.gz.sha256").write_text(text)
    assert sidecar_faults(folder) == ["sub/a.tar.gz.sha256 is not in sha256sum's format"]


def test_a_sidecar_cannot_ask_for_a_file_outside_the_folder(folder: Path) -> None:
    (folder / "canary").write_bytes(DATA)
    (folder / "sub/a.tar.gz.sha256").write_text(f"{RIGHT}  ../canary")
    assert sidecar_faults(folder / "sub") == ["a.tar.gz.sha256 names canary, but there is no such file beside it"]

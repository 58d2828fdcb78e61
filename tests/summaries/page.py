"""Job summaries as pages, by GitHub's own Markdown, and a browser that looks at them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cmarkgfm  # type: ignore[import-untyped]
import pytest
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]
from tests.world.npm_packages import installed

from flotilla.rehearsal.node import node

HERE = Path(__file__).parent
BROWSER_SECONDS = 120
BROWSERS = ("chromium", "google-chrome")  # Debian's, and that of GitHub's runners


@dataclass(frozen=True, kw_only=True)
class Look:
    """A summary to look at.

    Args:
        width: of the window, in pixels.
        picture: where to draw it; None for no picture.
    """

    markdown: str
    width: int
    picture: Path | None = None


def browser() -> str:
    """Return the browser; skip the test if there is none, but not in CI (GitHub's arm64 runners have none)."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        if os.environ.get("CI") == "true" and platform.machine() == "x86_64":
            raise FileNotFoundError("chromium is not installed")
        pytest.skip("chromium is not installed (Debian's package chromium)")
    return found


def html(markdown: str) -> str:
    """Return the page that shows a summary."""
    # Unsafe: as on GitHub, HTML in the Markdown counts, without the tags that GitHub filters out.
    body = cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return f'<!doctype html><meta charset="utf-8"><style>{style}</style><article>{body}</article>'


def look(looks: Sequence[Look], folder: Path) -> list[dict[str, Any]]:
    """Return what a browser sees of each summary: headings, tables, links, folds, and what is wider than its window.

    Args:
        folder: for the pages.
    """
    wanted = []
    for number, one in enumerate(looks):
        page = folder / f"{number}.html"
        page.write_text(html(one.markdown), encoding="utf-8")
        picture = str(one.picture) if one.picture else None
        wanted.append({"url": page.as_uri(), "width": one.width, "picture": picture})
    done = subprocess.run(
        [str(node()), str(HERE / "browser.mjs"), browser(), json.dumps(wanted)],
        env={"NODE_PATH": str(installed(HERE)), "HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=BROWSER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen

"""What lies in a folder: regular files, and what has no place in a package."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flotilla.text import printable


def files_below(root: Path) -> tuple[dict[str, Path], list[str]]:
    """The regular files below a folder by their posix paths, sorted, and a fault for each link or special file."""
    files: dict[str, Path] = {}
    faults: list[str] = []
    for folder, folders, names in os.walk(root, followlinks=False):
        for name in [*folders, *names]:
            path = Path(folder, name)
            form = path.lstat().st_mode
            shown = path.relative_to(root).as_posix()
            if stat.S_ISREG(form):
                files[shown] = path
            elif not stat.S_ISDIR(form):
                what = "a link, and npm drops links" if stat.S_ISLNK(form) else "a device, fifo or socket"
                faults.append(f"{printable(shown)} is {what}")
    return dict(sorted(files.items())), sorted(faults)

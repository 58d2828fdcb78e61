"""What the checks of flotilla.yml find, before it has a line and column."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong in flotilla.yml.

    Args:
        path: keys and indices from the top of the file.
        text: what is wrong and what to do, without the place.
        on_key: whether the key is at fault, not its value.
        missing: the top-level section that is missing, where that is what is wrong.
        instead: where to point where the file has nothing at that path.
    """

    path: Path
    text: str
    on_key: bool = False
    missing: str | None = None
    instead: Path = ()

    @property
    def section(self) -> str | None:
        """The top-level section that this makes unfit for further checks."""
        return self.missing or (str(self.path[0]) if self.path else None)


def dotted(path: Path) -> str:
    """A path as people write it: platforms[4].os."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"

"""The example, and shorthands over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flotilla.errors import ConfigError
from flotilla.family import Config, Family, parse_config

SMALL = """\
schema: 1
family: "@acme/tool"
platforms: [linux-x64, darwin-arm64]
ci: {workflow: ci.yml, artifact: "tool-{build}"}
"""


@pytest.fixture(scope="session")
def example() -> str:
    """Return the flotilla.yml of the documentation, whole."""
    return (Path(__file__).parent / "example.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def config(example: str) -> Config:
    return parse_config(example)


@pytest.fixture(scope="session")
def family(config: Config) -> Family:
    return Family(config, "1.2.0")


@pytest.fixture(scope="session")
def small() -> str:
    """Return the least that a flotilla.yml can say."""
    return SMALL


@pytest.fixture
def faults() -> Callable[[str], list[str]]:
    """Return what is wrong with a text, a line each; nothing for a sound one."""

    def of(text: str) -> list[str]:
        try:
            parse_config(text)
        except ConfigError as error:
            return [str(fault) for fault in error.faults]
        return []

    return of

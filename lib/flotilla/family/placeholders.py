"""{placeholders}: which there are, what they stand for, and rendering them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from flotilla.family.model import Platform, Variant
from flotilla.family.words import did_you_mean
from flotilla.text import quoted

FAMILY = ("family", "scope", "name")
RELEASE = ("version", "tag")
VARIANT = ("variant", "suffix", "license")
PLATFORM = ("platform", "os", "cpu", "libc", "build")
ALL = (*FAMILY, *PLATFORM, *VARIANT, *RELEASE)

PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_-]*)\}")
BRACE = re.compile(r"[{}]")


def rendered(template: str, values: Mapping[str, str]) -> str:
    """The template with each placeholder that has a value replaced, once; others stay."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)


def placeholder_faults(template: str, available: Collection[str]) -> list[str]:
    """What is wrong with the placeholders of a template in flotilla.yml."""
    faults = [_fault(word, available) for word in PLACEHOLDER.findall(template) if word not in available]
    if BRACE.search(PLACEHOLDER.sub("", template)):
        faults.append("a brace stands alone; placeholders are written {like-this}, without spaces.")
    return faults


def _fault(word: str, available: Collection[str]) -> str:
    if word in ALL:
        return f"the placeholder {{{word}}} has no value here; there are {', '.join(f'{{{w}}}' for w in available)}."
    return f"the placeholder {{{word}}} is unknown; {did_you_mean(word, tuple(available))}"


def placeholders_in_pattern(pattern: str) -> list[str]:
    """What is wrong with a pattern: placeholders mean nothing there, and would match nothing."""
    words = [word for word in PLACEHOLDER.findall(pattern) if word in ALL]
    return [f"placeholders are not read in patterns; write * for {{{word}}} in {quoted(pattern)}." for word in words]


def family_values(family: str) -> dict[str, str]:
    """family, scope and name: @acme/ffmpeg is of scope @acme and has the name ffmpeg."""
    scope, slash, name = family.rpartition("/")
    return {"family": family, "scope": scope if slash else "", "name": name}


def variant_values(variant: Variant) -> dict[str, str]:
    """variant, suffix, and license where it has one."""
    values = {"variant": variant.name, "suffix": variant.suffix}
    return values if variant.license is None else {**values, "license": variant.license}


def platform_values(platform: Platform) -> dict[str, str]:
    """platform, os, cpu, libc and build; several words are joined by hyphens."""
    words = {"os": platform.os, "cpu": platform.cpu, "libc": platform.libc}
    return {"platform": platform.name, "build": platform.build} | {key: "-".join(of) for key, of in words.items()}

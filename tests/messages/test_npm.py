"""What is said of npm's answers, and of what the registry would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from unittest.mock import patch

from tests.messages.conftest import Golden, Messages

from flotilla.family import DistTag
from flotilla.npm import Packument, PublishedVersion, Terms, refusals, trusted_publishing_faults
from flotilla.npm import errors as npm_errors
from flotilla.npm.cli import NpmAnswer
from flotilla.npm.decisions import new_names_advice
from flotilla.npm.errors import TABLE, Context, Row, explain

NAME = "@acme/tool"
REGISTRY = "https://registry.example/"
CONTEXT = Context(
    name=NAME,
    registry=REGISTRY,
    trusted=True,
    claims="repository acme/tool, workflow file release.yml, environment none",
    trust="npm trust github @acme/tool --repo acme/tool --file release.yml --allow-publish",
)
ANSWER = NpmAnswer(exit_status=1, code="E418", text="418 I'm a teapot", oidc=("oidc Failed to exchange the token",))
MANIFEST: dict[str, object] = {"name": NAME, "version": "1.0.0", "os": ["linux"], "license": "MIT"}
TERMS = Terms(
    repository="acme/tool",
    workflow="release.yml",
    staged=False,
    below=lambda latest: latest > "1.0.0",
    registry=REGISTRY,
    dist_tag=DistTag(name="latest", given=False),
)
MANIFESTS: tuple[dict[str, object], ...] = (
    {"private": True},
    {"tag": "beta"},
    {"publishConfig": {"registry": "https://other.example/", "_authToken": "x", "strict-ssl": False}},
    {"publishConfig": {"//other.example/:_authToken": "x", "@other:registry": "https://other.example/"}},
)


def meaning(row: Row) -> str:
    """Return what is said if this row fits, whatever it takes to fit."""
    fits = replace(row, code=".*", text="", when=lambda _answer, _context: True)
    with patch.object(npm_errors, "TABLE", (fits,)):
        cause = explain(ANSWER, CONTEXT)
    return "\n".join(filter(None, (cause.words, cause.step, f"({cause.kind.name.lower()})")))


def conditions(row: Row) -> str:
    code = "" if row.code == ".*" else row.code
    when = "" if row.when.__name__ == "<lambda>" else row.when.__name__.strip("_")
    return " / ".join(filter(None, (code, row.text, when))) or "any other answer"


def test_what_each_answer_of_npm_means(golden: Golden) -> None:
    golden("npm-answers", ((conditions(row), meaning(row)) for row in TABLE))


def packument(
    latest: str = "0.9.0", *, burnt: tuple[str, ...] = (), there: Mapping[str, object] | None = None
) -> Packument:
    manifests: dict[str, Mapping[str, object]] = {"0.9.0": {}} | ({} if there is None else {"1.0.0": there})
    versions = {
        number: PublishedVersion(
            name=NAME,
            version=number,
            integrity="sha512-x",
            tarball=f"{REGISTRY}{NAME}/-/tool-{number}.tgz",
            manifest=manifest,
        )
        for number, manifest in manifests.items()
    }
    return Packument(name=NAME, dist_tags={"latest": latest}, versions=versions, burnt=frozenset(burnt))


def test_what_the_registry_would_refuse(golden: Golden) -> None:
    def said() -> Messages:
        for more in MANIFESTS:
            yield f"package.json has {more}", "\n".join(refusals(MANIFEST | more, packument(), TERMS))
        other = MANIFEST | {"scripts": {"postinstall": "curl x"}, "os": ["darwin"]}
        yield "the version is there with another manifest", "\n".join(refusals(MANIFEST, packument(there=other), TERMS))
        yield "the version is burnt", "\n".join(refusals(MANIFEST, packument(burnt=("1.0.0",)), TERMS))
        yield "the version is below latest", "\n".join(refusals(MANIFEST, packument("2.0.0"), TERMS))
        yield "one new name", new_names_advice([NAME], TERMS)
        yield "several new names, staged", new_names_advice([NAME, "@acme/tool-dev"], replace(TERMS, staged=True))
        on_path = trusted_publishing_faults(
            "https://host.example/npm/", environment={"RUNNER_ENVIRONMENT": "self-hosted"}
        )
        yield "trusted publishing cannot sign in", "\n".join(on_path)

    golden("npm-preflight", said())

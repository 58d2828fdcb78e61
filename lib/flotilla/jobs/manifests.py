"""Render the manifests of a family's packages from the templates in the repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from flotilla.errors import ConfigError, Fault, Place
from flotilla.family import ROOT, Manifest, Package, nothing_to_use, render_manifest, same_repository
from flotilla.runner import RunnerVariables


def render_all(
    packages: Iterable[Package], *, root: Path, repository: str, top: Path | None = None
) -> dict[str, Manifest]:
    """Return the manifest of each package, by the package's name.

    Args:
        root: the folder that templates are named from.
        repository: URL for manifests whose template names none.
        top: the folder that places in errors are named from; root where it is not given.

    Raises:
        ConfigError: with the faults of all templates.
    """
    manifests: dict[str, Manifest] = {}
    faults: list[Fault] = []
    for package in packages:
        try:
            name = named_from(top, root, _file(package))
            template, text = read_template(package, root, name)
            manifests[package.name] = render_manifest(package, template, repository=repository, file=name, text=text)
        except ConfigError as failure:
            faults += [fault for fault in failure.faults if fault not in faults]
    if faults:
        raise ConfigError(faults, advice="Correct the templates, then re-run. Nothing was written.")
    return manifests


NOTHING_TO_USE = (
    "users can neither import nor run anything of it: its package.json has no main, exports or bin, and there is no "
    "index.js. Give packages.meta a template that has them, or set packages.meta to false"
)
WHOLE_REPOSITORY = (
    "npm packs the whole repository, files that other steps of a job left there included: its package.json has no "
    "`files`, and there is no .npmignore. List in `files` what users need"
)


def meta_doubts(packages: Iterable[Package], manifests: Mapping[str, Manifest], *, root: Path) -> list[str]:
    """Return what the templates say of the meta packages that is surely not meant, a line each.

    Args:
        root: the folder that templates are named from.
    """
    doubts = []
    for package in packages:
        folder, manifest = root / package.template if package.template else None, manifests[package.name]
        there = {path.name for path in folder.iterdir()} if folder else set()
        if package.kind == "meta" and package.artifact is None and nothing_to_use(manifest, there):
            doubts.append(f"{package.name}: {NOTHING_TO_USE}")
        if package.template == ROOT and "files" not in manifest and ".npmignore" not in there:
            doubts.append(f"{package.name}: {WHOLE_REPOSITORY}")
    return doubts


def repository_faults(variables: RunnerVariables, manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Return what the registry would refuse in packages with provenance, by the package's name."""
    return {
        name: f"repository in its package.json is {manifest.get('repository')!r}, but provenance names "
        f"{variables.server_url}/{variables.repository}; the registry refuses packages if they differ. "
        "Correct the template, or remove repository from it."
        for name, manifest in manifests.items()
        if not same_repository(manifest.get("repository"), variables.server_url, variables.repository)
    }


def named_from(top: Path | None, root: Path, file: str) -> str:
    """Return a file's path from the repository's top, so that GitHub finds it.

    Args:
        top: the repository's folder.
        root: the folder that the file's name is relative to, in or below top.
    """
    folder = root.relative_to(top) if top and root.is_relative_to(top) else Path()
    return (folder / file).as_posix()


def read_template(package: Package, root: Path, name: str) -> tuple[Manifest | None, str]:
    """Return package.json of a package's template and its text; None if it has no template.

    Args:
        name: the file's name in errors.

    Raises:
        ConfigError: it is missing, outside the repository, or not a JSON object.
    """
    if package.template is None:
        return None, ""
    file = root / _file(package)
    if not file.resolve().is_relative_to(root.resolve()):
        raise ConfigError(Fault(text="the template is outside the repository", place=Place(file=name)))
    try:
        data = file.read_bytes()
        document = json.loads(data)
    except OSError as failure:
        raise ConfigError(
            Fault(
                text=f"{package.name}: its template's package.json cannot be read: {failure.strerror}",
                place=Place(file=name),
            )
        ) from failure
    except json.JSONDecodeError as failure:
        place = Place(file=name, line=failure.lineno, column=failure.colno)
        raise ConfigError(Fault(text=f"is not JSON: {failure.msg}", place=place)) from failure
    except (UnicodeDecodeError, RecursionError) as failure:
        raise ConfigError(Fault(text="is not JSON", place=Place(file=name))) from failure
    if not isinstance(document, dict):
        raise ConfigError(Fault(text="expected a JSON object", place=Place(file=name, line=1, column=1)))
    return document, data.decode(json.detect_encoding(data), errors="replace")


def _file(package: Package) -> str:
    return f"{package.template or '(generated)'}/package.json"

"""The command line of init, plan, check, rehearse, verify and doctor."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from flotilla.commands.check import check
from flotilla.commands.doctor import doctor
from flotilla.commands.init import OWNER, init, terminal
from flotilla.commands.plan import plan, plan_json
from flotilla.errors import ConfigError, InputError
from flotilla.family import Family, repository_url
from flotilla.jobs.inputs import read_config, tell_warnings
from flotilla.jobs.verify import verify
from flotilla.runner import Runner

JOBS = "release, publish-platform, publish-dev, publish-meta, or all of these as release-family"


def run(arguments: Sequence[str], environment: Mapping[str, str], runner: Runner) -> int:
    """Run a command; return its exit status.

    Raises:
        FlotillaError: what a release would refuse.
    """
    options = _parser().parse_args(arguments)
    match options.command:
        case "init":
            told = init(
                (file := Path(options.config)).parent.resolve(),
                answers=_told({"family": options.family, "platforms": " ".join(options.platforms)}),
                ask=terminal(),
                flotilla=options.flotilla,
                config=file.name,
                preview=options.preview,
            )
            runner.line(told)
            return 0
        case "verify":
            return verify(options.ledger, environment, runner, registry=options.registry)
        case "doctor":
            return doctor(
                options.package,
                environment,
                runner,
                registry=options.registry,
                with_binaries=options.binaries,
                json_wanted=options.json,
            )
    family, root = _family(options)
    repository = _repository(options, environment, family)
    url = repository_url(environment.get("GITHUB_SERVER_URL", "https://github.com"), repository)
    if not getattr(options, "json", False):  # the JSON contains them
        tell_warnings(family, runner)
    match options.command:
        case "plan":
            runner.line((plan_json if options.json else plan)(family, root=root, repository_url=url))
        case "check":
            runner.line(check(family, root=root, repository_url=url, artifacts=options.artifacts, listing=options.list))
        case "rehearse":
            return _rehearse(options, family, root, repository)
    return 0


def _told(answers: Mapping[str, str]) -> dict[str, str]:
    return {key: answer for key, answer in answers.items() if answer}


def _rehearse(options: argparse.Namespace, family: Family, root: Path, repository: str) -> int:
    try:
        from flotilla.rehearsal.rehearse import Plan, rehearse  # noqa: PLC0415 - an optional install
        from flotilla.rehearsal.show import Show  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise InputError(
            f"flotilla's rehearsal is not installed (the package {missing.name} is missing)",
            # From its repository: the package of this name on the registry is unrelated.
            advice="Install it: pip install 'flotilla[rehearsal] @ git+https://github.com/OWNER/flotilla'",
        ) from missing
    show = Show()
    config = Path(options.config).name
    made = Plan(
        root=root,
        config=config,
        family=family,
        artifacts=options.artifacts,
        repository=repository,
        program=options.program,
    )
    with tempfile.TemporaryDirectory(prefix="flotilla-rehearsal-") as folder:
        done = rehearse(made, Path(folder), show)
    tried = f", {options.program.name} ran" if done.program_ran else ""
    show.line(f"rehearsal: {done.packages} packages released, {done.platforms} platforms installed{tried}")
    return 0


def _family(options: argparse.Namespace) -> tuple[Family, Path]:
    file = Path(options.config)
    if not file.is_file():
        raise ConfigError(
            f"there is no {file}",
            advice="To create one, run flotilla init; if it has another name, add --config FILE.",
        )
    here, root = Path.cwd(), file.parent.resolve()
    top = here if root.is_relative_to(here) else root
    return Family(read_config(top, (root / file.name).relative_to(top).as_posix()), options.version), root


def _repository(options: argparse.Namespace, environment: Mapping[str, str], family: Family) -> str:
    """Return OWNER/REPO: from the option, or else the runner, or else the family's name."""
    told = options.repository or environment.get("GITHUB_REPOSITORY", "")
    scope, _, name = family.config.family.removeprefix("@").rpartition("/")
    return told or f"{scope or name}/{name}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flotilla",
        description="Release families of npm packages with prebuilt native binaries.",
        epilog=f"The jobs of a release are commands, too. Their inputs are options; tokens come from GITHUB_TOKEN and "
        f"NPM_TOKEN: {JOBS}.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    planned = _command(commands, "plan", "show the packages and artifacts that flotilla.yml describes")
    planned.add_argument("--json", action="store_true", help="print JSON, with complete manifests")
    checked = _command(commands, "check", "check flotilla.yml, the templates and, with artifacts, the packages")
    checked.add_argument(
        "--artifacts", type=Path, help="folder with CI's artifacts, each a sub-folder or zip of its name"
    )
    checked.add_argument("--list", action="store_true", help="show every file of each package, with size and mode")
    rehearsed = _command(
        commands, "rehearse", "rehearse a release on this machine: simulated GitHub, real npm, local registry"
    )
    rehearsed.add_argument(
        "--artifacts", type=Path, required=True, help="folder with CI's artifacts, each a sub-folder or zip of its name"
    )
    rehearsed.add_argument(
        "--program", type=Path, help="Python program to run in the project that installs the packages"
    )
    begun = commands.add_parser(
        "init", help="propose flotilla.yml and a release workflow from what the repository says", allow_abbrev=False
    )
    begun.add_argument("--config", default="flotilla.yml", help="the file to write (default: flotilla.yml)")
    begun.add_argument("--family", default="", help="the npm name that users will install, such as @acme/tool")
    begun.add_argument("--platforms", nargs="+", default=[], help="platforms in npm's words")
    begun.add_argument("--flotilla", default=OWNER, help=f"repository of flotilla's actions (default: {OWNER})")
    shown = begun.add_mutually_exclusive_group()
    shown.add_argument(
        "--dry-run", dest="preview", action="store_const", const="files", help="show the files, and write nothing"
    )
    shown.add_argument(
        "--diff", dest="preview", action="store_const", const="diff", help="show what would change, and write nothing"
    )
    verified = commands.add_parser("verify", help="compare a release's ledger with GitHub and the registry")
    verified.add_argument("ledger", type=Path, help="the ledger file, from a job or the release's assets")
    verified.add_argument("--registry", default="", help="the registry's URL (default: the one npm is configured for)")
    examined = commands.add_parser("doctor", help="examine a published family, by whatever tool it was published")
    examined.add_argument("package", help="the package that users install: NAME, NAME@VERSION or NAME@DIST-TAG")
    examined.add_argument("--registry", default="", help="the registry's URL (default: the one npm is configured for)")
    examined.add_argument("--binaries", action="store_true", help="download each platform package and check it")
    examined.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=text, allow_abbrev=False)
    made.add_argument("--config", default="flotilla.yml", help="the family's file (default: flotilla.yml)")
    made.add_argument("--version", default="1.0.0", help="version to assume (default: 1.0.0)")
    made.add_argument(
        "--repository", default="", help="OWNER/REPO (default: GITHUB_REPOSITORY, or else the family's name)"
    )
    return made

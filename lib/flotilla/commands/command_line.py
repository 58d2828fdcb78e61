"""The command line: every command with its options, and the jobs, whose options are the inputs of their actions."""

from __future__ import annotations

import dataclasses
import json
import select
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.shell_completion import get_completion_class

from flotilla.commands.check import FOLDER, check, check_json, check_text
from flotilla.commands.doctor import doctor
from flotilla.commands.init import OWNER, init, terminal
from flotilla.commands.plan import There, on_github, on_registry, plan, plan_json
from flotilla.errors import ConfigError, FlotillaError, InputError
from flotilla.family import Family, repository_url
from flotilla.github import GitHub
from flotilla.jobs.inputs import Inputs, read_config, tell_warnings, variable
from flotilla.jobs.verify import verify
from flotilla.npm import Npm, Registry, registry_url
from flotilla.retry import RetryPolicy, SystemClock, until
from flotilla.runner import Runner

MINUTES = 5.0
CONFIGURED = "configured"  # the value of --registry without a URL
USAGE = 2  # the exit status for options that are wrong, click's own
COMPLETE = "_FLOTILLA_COMPLETE"  # the variable by which a shell asks for completions
SHELLS = ("bash", "zsh", "fish")
JOB_INPUTS = "inputs.json"  # what the action.yml files say of each input; `make snapshot` renews it

Job = tuple[type[Inputs], Callable[[Mapping[str, str]], int]]
"""A job's inputs, and what runs it with the variables that its options set."""
Preview = Literal["files", "diff"]
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who runs a command."""

    environment: Mapping[str, str]
    runner: Runner


def run(
    arguments: Sequence[str], environment: Mapping[str, str], runner: Runner, *, jobs: Mapping[str, Job] | None = None
) -> int:
    """Run a command or, with options, a job; return its exit status.

    Args:
        jobs: the jobs that are commands, too.

    Raises:
        FlotillaError: what a release would refuse.
    """
    for name, job in (jobs or {}).items():
        COMMANDS.add_command(_job_command(name, job))
    try:
        done = COMMANDS.main(
            list(arguments),
            prog_name="flotilla",
            complete_var=COMPLETE,
            standalone_mode=False,
            obj=Caller(environment=environment, runner=runner),
            max_content_width=110,
        )
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except FlotillaError:
        if _reader_is_gone():  # nobody is there to be told
            return FlotillaError.status
        raise
    except click.Abort as stopped:  # what click makes of Ctrl-C
        raise KeyboardInterrupt from stopped
    return done if isinstance(done, int) else 0


def _reader_is_gone() -> bool:
    """Return whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # no file at all, as in a test
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


class Commands(click.Group):
    """The commands, with the jobs in a list of their own."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both lists."""
        every = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        for title, wanted in (("Commands", False), ("Jobs of a release", True)):
            rows = [(name, one.get_short_help_str(90)) for name, one in every if isinstance(one, _Job) == wanted]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(self.commands)


class _Job(click.Command):
    """A job of a release."""


class _Listing(click.Command):
    """A command whose option --platforms takes several words: --platforms linux-x64 win32-x64."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give each word an option of its own."""
        spread, listing = list[str](), False
        for before, word in zip(["", *args], args, strict=False):
            listing = word == "--platforms" or (listing and not word.startswith("-"))
            again = listing and word != "--platforms" and before != "--platforms"
            spread += ["--platforms", word] if again else [word]
        return super().parse_args(ctx, spread)


def _tell_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's
    """Print the version that is installed, and end."""
    if not asked or ctx.resilient_parsing:
        return
    try:
        version = metadata.version("flotilla")
    except metadata.PackageNotFoundError:  # in the image, where the library is only copied
        version = "(not installed as a package)"
    click.echo(f"flotilla {version}")
    ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The options of a job are the inputs of its action. Tokens are no options: they come from GITHUB_TOKEN and "
    "NPM_TOKEN. For completion in your shell, see flotilla completion --help.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_tell_version,
    help="Show the version and exit.",
)
def COMMANDS() -> None:  # noqa: N802 - the group, a constant of this module
    """Release families of npm packages with prebuilt native binaries."""


def _family_options(command: Decorated) -> Decorated:
    for option in (
        click.option("--repository", default="", help="OWNER/REPO [default: GITHUB_REPOSITORY, or else the family's]"),
        click.option("--version", default="1.0.0", show_default=True, help="Version to assume."),
        click.option("--config", default="flotilla.yml", show_default=True, help="The family's file."),
    ):
        command = option(command)
    return command


def _artifacts(**more: Any) -> Callable[[Decorated], Decorated]:
    return click.option(
        "--artifacts",
        type=click.Path(path_type=Path),
        help="Folder with CI's artifacts, each a sub-folder or zip of its name.",
        **more,
    )


REGISTRY = click.option("--registry", default="", help="The registry's URL [default: the one npm is configured for]")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@COMMANDS.command("init", cls=_Listing)
@click.option("--config", default="flotilla.yml", show_default=True, help="The file to write.")
@click.option("--family", default="", help="The npm name that users will install, such as @acme/tool.")
@click.option("--platforms", multiple=True, help="Platforms in npm's words: --platforms linux-x64 win32-x64")
@click.option("--flotilla", default=OWNER, show_default=True, help="Repository of flotilla's actions.")
@click.option("--dry-run", "preview", flag_value="files", default=None, help="Show the files, and write nothing.")
@click.option("--diff", "preview", flag_value="diff", help="Show what would change, and write nothing.")
@click.pass_obj
def _init(
    caller: Caller, config: str, family: str, platforms: Sequence[str], flotilla: str, preview: Preview | None
) -> None:
    """Propose flotilla.yml and a release workflow from what the repository says."""
    given = {"family": family, "platforms": " ".join(platforms)}
    file = Path(config)
    told = init(
        file.parent.resolve(),
        answers={key: answer for key, answer in given.items() if answer},
        ask=terminal(),
        flotilla=flotilla,
        config=file.name,
        preview=preview,
    )
    caller.runner.line(told)


@COMMANDS.command("plan")
@_family_options
@click.option(
    "--registry",
    is_flag=False,
    flag_value=CONFIGURED,
    metavar="[URL]",
    help="Show what this registry has already; without a URL, the one npm is configured for.",
)
@click.option("--github", is_flag=True, help="Show the tag and the release that GitHub has already.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with complete manifests.")
@click.pass_obj
def _plan(caller: Caller, /, *, registry: str | None, github: bool, as_json: bool, **family: str) -> None:
    """Show the packages and artifacts that flotilla.yml describes."""
    opened = _opened(caller, family, told=not as_json)
    there = There(
        packages=_on_registry(caller, opened, registry) if registry else None,
        github=_on_github(caller, opened) if github else None,
    )
    shown = plan_json if as_json else plan
    caller.runner.line(shown(opened.family, root=opened.root, repository_url=opened.url, there=there))


def _policy() -> RetryPolicy:
    clock = SystemClock()
    return RetryPolicy(deadline=until(MINUTES, clock), clock=clock)


def _on_registry(caller: Caller, opened: Opened, given: str) -> dict[str, str]:
    configured = given == CONFIGURED
    url = Npm(environment=caller.environment).configured_registry(Path.cwd()) if configured else registry_url(given)
    policy, token = _policy(), caller.environment.get("NPM_TOKEN", "").strip()
    return on_registry(opened.family, Registry(url, token=token or None, policy=policy), stop=policy.stop)


def _on_github(caller: Caller, opened: Opened) -> list[str]:
    api = caller.environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    token = caller.environment.get("GITHUB_TOKEN", "").strip()
    with GitHub(api_url=api, token=token, repository=opened.repository, policy=_policy()) as github:
        return on_github(opened.family, github, opened.repository)


@COMMANDS.command("check")
@_family_options
@_artifacts()
@click.option("--list", "listing", is_flag=True, help="Show every file of each package, with size and mode.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the packages' tarballs.")
@JSON
@click.pass_obj
def _check(
    caller: Caller, /, *, artifacts: Path | None, listing: bool, out: Path | None, as_json: bool, **family: str
) -> None:
    """Check flotilla.yml, the templates and, with artifacts, the packages."""
    opened = _opened(caller, family, told=not as_json)
    for option, given in (("--list", listing), ("--out", out)):
        if given and artifacts is None:
            raise InputError(f"{option} is about the packages' files, so it needs CI's artifacts", advice=FOLDER)
    found = check(opened.family, root=opened.root, repository_url=opened.url, artifacts=artifacts, out=out)
    caller.runner.line(
        check_json(found, opened.family, listing=listing) if as_json else check_text(found, listing=listing)
    )


@COMMANDS.command("rehearse")
@_family_options
@_artifacts(required=True)
@click.option(
    "--program",
    type=click.Path(path_type=Path),
    help="Python program to run in the project that installs the packages.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON at the end, and the rest to standard error.")
@click.pass_obj
def _rehearse(caller: Caller, /, *, artifacts: Path, program: Path | None, as_json: bool, **family: str) -> None:
    """Rehearse a release on this machine: simulated GitHub, real npm, local registry."""
    opened = _opened(caller, family, told=not as_json)
    try:
        from flotilla.rehearsal.rehearse import Plan, rehearse  # noqa: PLC0415 - an optional install
        from flotilla.rehearsal.show import Show  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise InputError(
            f"flotilla's rehearsal is not installed (the package {missing.name} is missing)",
            # From its repository: the package of this name on the registry is unrelated.
            advice="Install it: pip install 'flotilla[rehearsal] @ git+https://github.com/OWNER/flotilla'",
        ) from missing
    show = Show(stderr=as_json)
    made = Plan(
        root=opened.root,
        config=Path(family["config"]).name,
        family=opened.family,
        artifacts=artifacts,
        repository=opened.repository,
        program=program,
    )
    with tempfile.TemporaryDirectory(prefix="flotilla-rehearsal-") as folder:
        done = rehearse(made, Path(folder), show)
    tried = f", {program.name} ran" if program and done.program_ran else ""
    show.line(f"rehearsal: {done.packages} packages released, {done.platforms} platforms installed{tried}")
    if as_json:
        warnings = [str(warning) for warning in opened.family.config.warnings]
        counts = {"packages": done.packages, "platforms": done.platforms, "program-ran": done.program_ran}
        named = {"family": opened.family.config.family, "version": opened.family.version}
        caller.runner.line(json.dumps({**named, "warnings": warnings, **counts, **show.document()}, indent=2))


@COMMANDS.command("verify", short_help="Compare a release's ledger with GitHub and the registry.")
@click.argument("ledger", type=click.Path(path_type=Path))
@REGISTRY
@click.pass_obj
def _verify(caller: Caller, ledger: Path, registry: str) -> int:
    """Compare a release's LEDGER, from a job or the release's assets, with GitHub and the registry."""
    return verify(ledger, caller.environment, caller.runner, registry=registry)


@COMMANDS.command("doctor")
@click.argument("package")
@REGISTRY
@click.option("--binaries", is_flag=True, help="Download each platform package and check it.")
@JSON
@click.pass_obj
def _doctor(caller: Caller, package: str, registry: str, *, binaries: bool, as_json: bool) -> int:
    """Examine a published family, by whatever tool it was published.

    PACKAGE is the one that users install: NAME, NAME@VERSION or NAME@DIST-TAG.
    """
    return doctor(
        package,
        caller.environment,
        caller.runner,
        registry=registry,
        with_binaries=binaries,
        json_wanted=as_json,
    )


@COMMANDS.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_obj
def _completion(caller: Caller, shell: str) -> None:
    """Print what completes flotilla's commands and options in your shell.

    In bash, add to ~/.bashrc: eval "$(flotilla completion bash)". In zsh the same in ~/.zshrc, with zsh. In fish:
    flotilla completion fish > ~/.config/fish/completions/flotilla.fish
    """
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - click has all of SHELLS
    caller.runner.line(made(COMMANDS, {}, "flotilla", COMPLETE).source())


def _job_command(name: str, job: Job) -> click.Command:
    """Return a job as a command.

    Tokens have no option, because everyone on the machine can see arguments.
    """
    kind, start = job
    described = json.loads((resources.files(__package__) / JOB_INPUTS).read_text(encoding="utf-8"))[name]

    def call(**given: str | None) -> int:
        return start({variable(key): value for key, value in given.items() if value is not None})

    return _Job(
        name,
        callback=call,
        params=[
            click.Option([f"--{one.name.replace('_', '-')}", one.name], help=described[one.name.replace("_", "-")])
            for one in dataclasses.fields(kind)
            if one.repr
        ],
        help=described[""],
        short_help=described[""],
    )


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A family, and where it is.

    Args:
        root: the folder of its file.
        repository: OWNER/REPO.
        url: the repository's URL, as npm writes it in a manifest.
    """

    family: Family
    root: Path
    repository: str
    url: str


def _opened(caller: Caller, options: Mapping[str, str], *, told: bool = True) -> Opened:
    """Return the family that the options name.

    Args:
        options: config, version and repository.
        told: print its warnings; JSON contains them.

    Raises:
        ConfigError: its file is missing or malformed.
    """
    file = Path(options["config"])
    if not file.is_file():
        raise ConfigError(
            f"there is no {file}",
            advice="To create one, run flotilla init; if it has another name, add --config FILE.",
        )
    here, root = Path.cwd(), file.parent.resolve()
    top = here if root.is_relative_to(here) else root
    family = Family(read_config(top, (root / file.name).relative_to(top).as_posix()), options["version"])
    if told:
        tell_warnings(family, caller.runner)
    scope, _, name = family.config.family.removeprefix("@").rpartition("/")
    named = options["repository"] or caller.environment.get("GITHUB_REPOSITORY", "") or f"{scope or name}/{name}"
    url = repository_url(caller.environment.get("GITHUB_SERVER_URL", "https://github.com"), named)
    return Opened(family=family, root=root, repository=named, url=url)

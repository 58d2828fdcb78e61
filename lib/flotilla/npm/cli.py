"""npm's command line: the arguments and environment of a call, and what npm answered. Pure: no input or output."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flotilla.errors import InputError
from flotilla.family.model import PackedPackage
from flotilla.npm.packument import Json
from flotilla.text import plain, redact

# The job's variables that npm needs: for programs, proxies and certificates.
_SURROUNDINGS = frozenset(
    {
        *("PATH", "LANG", "LC_ALL", "TZ", "CI"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("NODE_EXTRA_CA_CERTS", "NODE_USE_SYSTEM_CA", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        "NODE_COMPILE_CACHE",
    }
)
_CONNECTION = frozenset({"proxy", "https_proxy", "http_proxy", "noproxy", "cafile", "ca", "strict_ssl"})
# npm: node_modules/libnpmpublish/lib/provenance.js writes these into the statement.
_STATEMENT = frozenset(
    {
        *("GITHUB_ACTIONS", "GITHUB_WORKFLOW_REF", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_EVENT_NAME"),
        *("GITHUB_REPOSITORY_ID", "GITHUB_REPOSITORY_OWNER_ID", "GITHUB_REF", "GITHUB_SHA", "GITHUB_RUN_ID"),
        *("GITHUB_RUN_ATTEMPT", "RUNNER_ENVIRONMENT"),
    }
)
_WHERE_CONFIGURED = frozenset({"registry", "userconfig", "globalconfig", "prefix"})
ID_TOKEN_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"  # noqa: S105 - the name of a variable
ID_TOKEN_BEARER = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105 - the name of a variable

OBSERVER = Path(__file__).with_name("observe.mjs")
ANSWERS = "answers"  # in npm's folder: the servers' answers, as the observer saw them


def publish_arguments(request: PublishRequest, *, tarball: str, timeout: float) -> list[str]:
    """Return the arguments for one publish; none of them is secret.

    All are flags: a tarball's publishConfig overrides the environment and npmrc, and only flags override publishConfig.

    Args:
        request: what to publish.
        tarball: its path, absolute or starting with ./ (otherwise npm takes it for a package's name).
        timeout: seconds that one of npm's requests may take.
    """
    scope = scope_of(request.package.name)
    return [
        *(["stage", "publish"] if request.staged else ["publish"]),
        # npm's own retry of a PUT ignores Retry-After, and is refused if the first one arrived.
        "--fetch-retries=0",
        f"--fetch-timeout={round(timeout * 1000)}",
        "--ignore-scripts",
        "--json",
        "--loglevel=verbose",
        "--logs-max=0",
        "--dry-run=false",
        "--force=false",
        # The folder npm runs in, so that it does not look for .npmrc or a workspace in its parents.
        "--prefix=.",
        f"--registry={request.registry}",
        # A scope's registry overrides --registry, and publishConfig may set one.
        *([f"--{scope}:registry={request.registry}"] if scope else []),
        f"--tag={request.dist_tag}",
        f"--access={request.access}",
        "--provenance" if request.provenance else "--provenance=false",
        "--",
        tarball,
    ]


def stage_list_arguments(name: str, *, registry: str) -> list[str]:
    """Return the arguments to list a package's staged versions."""
    scope = scope_of(name)
    scoped = [f"--{scope}:registry={registry}"] if scope else []
    return [
        *("stage", "list", "--fetch-retries=0", "--json", "--logs-max=0", "--prefix=.", f"--registry={registry}"),
        *scoped,
        *("--", name),
    ]


def private_environment(outer: Mapping[str, str], *, folder: Path) -> dict[str, str]:
    """Return npm's environment: what it needs of the job's, and one folder for everything that it writes."""
    kept = {key: value for key, value in outer.items() if key in _SURROUNDINGS or _setting(key) in _CONNECTION}
    return kept | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "npm_config_cache": str(folder / "cache"),
        "npm_config_logs_dir": str(folder / "logs"),
        "npm_config_userconfig": str(folder / "npmrc"),
        "npm_config_globalconfig": str(folder / "globalnpmrc"),
        "npm_config_update_notifier": "false",
    }


def observed_environment(outer: Mapping[str, str], *, folder: Path) -> dict[str, str]:
    """Return the same, with the observer that records the servers' answers."""
    observer = {"NODE_OPTIONS": f"--import={OBSERVER.as_uri()}", "FLOTILLA_ANSWERS": str(folder / ANSWERS)}
    return private_environment(outer, folder=folder) | observer


def publish_environment(
    outer: Mapping[str, str], request: PublishRequest, *, folder: Path, sigstore_token: str = ""
) -> dict[str, str]:
    """Return the whole environment for one publish, with one way to sign in.

    Even with a token, npm would exchange the id-token and publish with the result (npm: lib/utils/oidc.js). It needs
    both variables for that, but for provenance only the URL. So it gets the URL, not the bearer token, and a ready
    id-token for sigstore (@sigstore/sign: CIContextProvider reads SIGSTORE_ID_TOKEN).

    Args:
        outer: the job's environment.
        request: what to publish.
        folder: private to this publish.
        sigstore_token: the job's id-token for the audience sigstore, if a token publishes with provenance.
    """
    signing = request.provenance or isinstance(request.credential, TrustedPublishing)
    kept = {key: outer[key] for key in _STATEMENT if signing and key in outer}
    match request.credential:
        case TrustedPublishing():
            kept |= {key: outer[key] for key in (ID_TOKEN_URL, ID_TOKEN_BEARER) if key in outer}
        case Token() if request.provenance:
            kept |= {key: outer[key] for key in (ID_TOKEN_URL,) if key in outer}
            kept |= {"SIGSTORE_ID_TOKEN": sigstore_token}
    return {**observed_environment(outer, folder=folder), **kept}


def configured_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which npm prints its configured registry."""
    wanted = _SURROUNDINGS | {"HOME"}
    return {key: value for key, value in outer.items() if key in wanted or _setting(key) in _WHERE_CONFIGURED}


def npmrc(registry: str, token: str) -> str:
    """Return the npmrc that gives npm this token, for this registry only."""
    return f"{credential_key(registry)}:_authToken={token}\n"


def _setting(variable: str) -> str:
    lowered = variable.lower()
    return lowered.removeprefix("npm_config_").replace("-", "_") if lowered.startswith("npm_config_") else ""


# A token contains nothing else that could mean something in an npmrc line (a comment, a variable, a quote).
_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=:|-]+")


@dataclass(frozen=True, kw_only=True)
class Token:
    """An npm token; the credential if npm-token is set."""

    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.value):
            raise InputError(
                "npm-token contains a character that no npm token has (a space, a quote, a line break, $ or the like).",
                advice="Store the secret again, with nothing but the token in it.",
            )


@dataclass(frozen=True, kw_only=True)
class TrustedPublishing:
    """The job's id-token, which npm exchanges for a token of one package."""


Credential = Token | TrustedPublishing


@dataclass(frozen=True, kw_only=True)
class PublishRequest:
    """One tarball to send.

    Args:
        registry: URL, with a slash at its end.
        provenance: whether npm creates a provenance statement; never left to npm to decide.
        staged: stage it (`npm stage publish`).
    """

    package: PackedPackage
    registry: str
    dist_tag: str
    credential: Credential
    provenance: bool
    access: str = "public"
    staged: bool = False

    def __str__(self) -> str:
        """Return name@version."""
        return str(self.package)


def credential_key(registry: str) -> str:
    """Return the key of this registry's token in npm's configuration: //host:port/path/."""
    parts = urlsplit(registry)
    return f"//{parts.netloc}{parts.path}"


def scope_of(name: str) -> str | None:
    """Return the scope of a package's name, with its @; None if it has none."""
    return name.partition("/")[0] if name.startswith("@") else None


_OIDC = re.compile(r"npm (?:verbose|verb|http|silly|sill) (oidc .*)")
_STATUS = re.compile(r"E([1-9]\d\d)")
# Messages suggest shell commands that contain it, so it must not contain anything that a shell interprets.
_STAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One answer that npm got from a server, or the code of a failed request."""

    method: str
    host: str
    path: str
    status: int | None
    failed: str = ""
    after: str | None = None

    @property
    def may_pass(self) -> bool:
        """Return whether the same request may succeed later."""
        return self.status is None or self.status in {408, 420, 425, 429} or self.status >= 500  # noqa: PLR2004


@dataclass(frozen=True, kw_only=True)
class NpmAnswer:
    """The result of one npm command, without secrets.

    Args:
        exit_status: None if npm was killed because its time ran out.
        code: npm's error code (E404, ENEEDAUTH, …); empty if there was none.
        text: npm's error text.
        oidc: what npm said about exchanging the id-token.
        observed: the servers' answers to npm, in order.
        stage_id: the id of the staged version.
        log: the end of npm's output, for a log group.
    """

    exit_status: int | None
    code: str = ""
    text: str = ""
    oidc: tuple[str, ...] = ()
    observed: tuple[Observed, ...] = ()
    stage_id: str = ""
    log: str = field(default="", repr=False)

    @property
    def ok(self) -> bool:
        """Return whether npm reports success."""
        return self.exit_status == 0

    @property
    def status(self) -> int | None:
        """Return the HTTP status in npm's code."""
        found = _STATUS.fullmatch(self.code)
        return int(found[1]) if found else None

    @property
    def after(self) -> str | None:
        """Return the Retry-After of the last failed answer."""
        return self.observed[-1].after if self.observed and self.observed[-1].may_pass else None


def parse_answer(
    *, exit_status: int | None, stdout: str, stderr: str, observed: str, secrets: Iterable[str] = ()
) -> NpmAnswer:
    """Return npm's answer, from its output and the observer's notes.

    Args:
        exit_status: None if npm was killed.
        stdout: contains npm's JSON, perhaps among other lines.
        stderr: npm's log.
        observed: the observer's file, a JSON document per line.
        secrets: values to hide.
    """
    known = tuple(secrets)

    def said(text: object) -> str:
        return plain(redact(text, known)) if isinstance(text, str) else ""

    documents = _documents(stdout)
    error = _error(documents)
    return NpmAnswer(
        exit_status=exit_status,
        code=said(error.get("code")),
        text=said(error.get("summary")) or _last_error(said(stderr)),
        oidc=tuple(said(line) for line in _OIDC.findall(stderr)),
        observed=tuple(_observed(observed)),
        stage_id=next(filter(None, map(_stage_id, documents)), ""),
        # Shorten after hiding: half a secret would no longer be recognised as one.
        log=redact(stderr, known)[-20_000:],
    )


def parse_staged(stdout: str) -> list[Json]:
    """Return the items that `npm stage list --json` printed."""
    start = stdout.find("[")
    try:
        listed = json.loads(stdout[start:]) if start >= 0 else []
    except (ValueError, RecursionError):
        return []
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _documents(stdout: str) -> Sequence[dict[str, object]]:
    """Return every JSON object that starts a line; ignore other lines."""
    decoder, found, position = json.JSONDecoder(), [], 0
    for start in (match.start() for match in re.finditer(r"^\{", stdout, re.MULTILINE)):
        if start < position:
            continue
        try:
            document, position = decoder.raw_decode(stdout, start)
        except (ValueError, RecursionError):
            continue
        found.append(document)
    return found


def _error(documents: Sequence[dict[str, object]]) -> dict[str, object]:
    for each in reversed(documents):
        if isinstance(error := each.get("error"), dict):
            return error
    return {}


def _stage_id(document: dict[str, object]) -> str:
    for each in (document, *document.values()):
        if isinstance(each, dict) and is_stage_id(each.get("stageId")):
            return str(each["stageId"])
    return ""


def is_stage_id(value: object) -> bool:
    """Return whether a registry's text can be a stage id."""
    return isinstance(value, str) and _STAGE_ID.fullmatch(value) is not None


def _last_error(stderr: str) -> str:
    lines = [line.removeprefix("npm error ").strip() for line in stderr.splitlines() if line.startswith("npm error ")]
    return " ".join(line for line in lines if line and not line.startswith("A complete log"))[:500]


def _observed(notes: str) -> Iterable[Observed]:
    for line in notes.splitlines():
        try:
            note = json.loads(line)
        except ValueError:
            continue
        status, after = note.get("status"), note.get("after")
        yield Observed(
            method=plain(str(note.get("method")), longest=10),
            host=plain(str(note.get("host")), longest=253),
            path=plain(str(note.get("path")), longest=500),
            status=status if isinstance(status, int) else None,
            failed=plain(str(note.get("failed", "")), longest=50),
            after=after if isinstance(after, str) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A version that awaits approval on the registry; the tag is empty if the registry does not say it."""

    id: str
    version: str
    shasum: str
    tag: str = ""

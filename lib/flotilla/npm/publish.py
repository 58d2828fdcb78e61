"""Publish one tarball: retry if that may help, and ask the registry whether it arrived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn, assert_never

from flotilla.errors import ConflictError, FlotillaError, RegistryError
from flotilla.family.model import PackedPackage
from flotilla.http import Origin
from flotilla.npm.cli import Credential, NpmAnswer, PublishRequest, Token, TrustedPublishing
from flotilla.npm.decisions import Status, trust_command
from flotilla.npm.errors import Cause, Context, Kind, explain
from flotilla.npm.manifest_diff import version_differences
from flotilla.npm.oidc import Claims, IdTokens, claims_of_job, claims_of_token
from flotilla.npm.packument import same_integrity, with_shasum
from flotilla.npm.registry import Registry
from flotilla.npm.runner import Npm
from flotilla.retry import RetryPolicy, TransientError, retry_after

# Seconds between read-backs of a version that the registry claims to have but does not show yet, ten minutes in all:
# accepted versions have taken three to ten minutes to appear (safedep/pmg#441, npm/cli#8936).
READ_BACKS = (2.0, 4.0, 8.0, 16.0, 30.0, *[60.0] * 9)
# The shortest and longest time for one run of npm, in seconds.
SHORTEST_RUN = 30.0
LONGEST_RUN = 1800.0
MAY_BE_THERE = frozenset({Kind.READ_BACK, Kind.THERE, Kind.STAGED})


@dataclass(frozen=True, kw_only=True)
class Published:
    """The result of a publish.

    Args:
        stage_id: the staged version's id; empty if only an earlier run was told it.
        note: what else the reader should know; may be empty.
        read_back: npm did not report success, but the registry has it, perhaps from another run of this release.
        credential: the one that npm was given last.
        log: npm's own log, without secrets, for a log group.
    """

    package: PackedPackage
    status: Status
    stage_id: str = ""
    note: str = ""
    read_back: bool = False
    credential: Credential | None = None
    log: str = ""


class _DoubtfulError(TransientError):
    """A try whose outcome is unknown: the registry may still store the package."""


class _DeniedError(RegistryError):
    """A try with the id-token that was refused for that, and of which nothing was kept."""


class Publisher:
    """Publishes tarballs to one registry.

    Args:
        npm: the CLI.
        registry: the same registry, for reading back.
        policy: the job's deadline and retries.
        environment: the job's variables, for the id-token and the claims that npm compares.
        token: publishes what the id-token turns out not to be allowed to, and looks up what is staged; may be None.
        told: gets a line for the log.
        sent: called when a publish was accepted, or may have been.
        keep_secret: masks each id-token.
        failed: gets npm's log of each failed try, without secrets.
    """

    def __init__(  # noqa: PLR0913 - keyword-only: with what, and who is told
        self,
        *,
        npm: Npm,
        registry: Registry,
        policy: RetryPolicy,
        environment: Mapping[str, str],
        token: Token | None = None,
        told: Callable[[str], None] = lambda _line: None,
        sent: Callable[[], None] = lambda: None,
        keep_secret: Callable[[str], None] = lambda _token: None,
        failed: Callable[[str], None] = lambda _log: None,
    ) -> None:
        self._failed = failed
        self._token = token
        self._told = told
        self._sent = sent
        self._npm = npm
        self._registry = registry
        self._policy = policy
        self._id_tokens = IdTokens(environment, policy=policy, keep_secret=keep_secret)
        self._job = claims_of_job(environment)

    def publish(self, request: PublishRequest) -> Published:
        """Publish or stage one tarball.

        Raises:
            ConflictError: the registry has the version with other content.
            RegistryError: npm or the registry refused; explains why, with the next step.
            DeadlineError: it did not succeed in time.
        """
        tried = doubtful = False
        credentials = [request.credential]
        if self._token and isinstance(request.credential, TrustedPublishing):
            credentials.append(self._token)

        def attempt() -> Published:
            nonlocal tried, doubtful
            # A publish whose answer was lost may have arrived meanwhile, and a second signature stays public forever.
            if tried and (landed := self._landed(request)):
                return landed if doubtful else _of_another_run(landed)
            tried = True
            try:
                return self._attempt(replace(request, credential=credentials[0]), doubtful=doubtful)
            except _DoubtfulError:
                doubtful = True
                raise
            except _DeniedError as denied:
                if len(credentials) == 1:
                    raise
                self._told(f"{str(denied.faults[0]).rstrip('.')}; publishing it with npm-token instead")
            del credentials[0]
            return attempt()

        verb = "stage" if request.staged else "publish"
        published = self._policy.retry(attempt, what=f"{verb} {request}")
        return replace(published, credential=credentials[0])

    def _attempt(self, request: PublishRequest, *, doubtful: bool) -> Published:
        """Run npm once.

        Args:
            doubtful: an earlier try may still arrive.
        """
        answer = self._run(request)
        if answer.ok:
            return _done(request, "staged" if request.staged else "published", stage_id=answer.stage_id, log=answer.log)
        self._failed(answer.log)
        cause = explain(answer, self._context(request))
        if cause.kind in MAY_BE_THERE:
            self._sent()
        match cause.kind:
            case Kind.RETRY:
                raise TransientError(cause.words, after=self._after(answer))
            case Kind.READ_BACK:
                if landed := self._landed(request):
                    return landed
                raise _DoubtfulError(cause.words, after=self._after(answer))
            case Kind.THERE:
                there = self._landed_at_last(request, cause)
                return there if doubtful else _of_another_run(there)
            case Kind.STAGED:
                return self._landed(request) or _staged_before(request, cause)
            case Kind.DENIED | Kind.REFUSE:
                return self._landed(request) or self._refuse(request, answer)
            case _:
                assert_never(cause.kind)

    def _run(self, request: PublishRequest) -> NpmAnswer:
        timeout, sigstore_token = max(SHORTEST_RUN, self._policy.left()), self._sigstore_token(request)
        try:
            answer = self._npm.publish(request, timeout=min(LONGEST_RUN, timeout), sigstore_token=sigstore_token)
        except FlotillaError:
            raise
        except BaseException:  # cut off in the middle: it may have come through
            self._sent()
            raise
        if answer.ok:
            self._sent()
        return answer

    def _landed(self, request: PublishRequest) -> Published | None:
        """Return the published or staged version, freshly read; None if the registry has none."""
        packument = self._registry.fresh(request.package.name)
        found = packument.versions.get(request.package.version) if packument else None
        if packument and request.package.version in packument.burnt:
            raise RegistryError(
                f"{request}: this version was published and unpublished earlier; the registry never accepts it again.",
                advice="Release under a new version number.",
            )
        if found is None:
            return self._landed_staged(request) if request.staged else None
        if not same_integrity(with_shasum(request.package.integrity, request.package.shasum), found.integrity):
            raise ConflictError(
                f"{request} is already on the registry with another tarball: "
                f"{found.integrity} on the registry, {request.package.integrity} here.",
                advice="Somebody else published this version. Release under a new version number.",
            )
        if lines := version_differences(request.package.manifest, "", found, registry=request.registry):
            raise ConflictError(
                f"{request} is on the registry with this tarball, but a different manifest: {'; '.join(lines)}",
                advice="npm installs by the manifest. Find out who published this; release under a new version number.",
            )
        return replace(_done(request, "already-published" if request.staged else "published"), read_back=True)

    def _landed_staged(self, request: PublishRequest) -> Published | None:
        looking = replace(request, credential=self._token or request.credential)
        staged = next((each for each in self._npm.staged(looking) if each.version == request.package.version), None)
        if staged is None:
            return None
        if staged.shasum != request.package.shasum:
            raise ConflictError(
                f"{request} is staged as {staged.id} with another tarball: "
                f"shasum {staged.shasum} on the registry, {request.package.shasum} here.",
                advice=f"Reject it (npm stage reject {staged.id}), or release under a new version number.",
            )
        return _done(request, "staged", stage_id=staged.id)

    def _landed_at_last(self, request: PublishRequest, cause: Cause) -> Published:
        """Return the version that the registry claims to have, once it shows it."""
        for pause in (*READ_BACKS, None):
            if landed := self._landed(request):
                return landed
            if pause is None or pause > self._policy.left():
                break
            self._policy.clock.sleep(pause)
        raise RegistryError(
            f"{request}: {cause.words}, but does not show it. Either it was published just now, by an "
            "earlier try or another job, and appears late; or the version was unpublished earlier.",
            advice="Re-run the job in a few minutes. If that does not help, release under a new version number.",
        )

    def _refuse(self, request: PublishRequest, answer: NpmAnswer) -> NoReturn:
        cause = explain(answer, self._context(request, claims=self._claims(request)))
        error = _DeniedError if cause.kind is Kind.DENIED else RegistryError
        raise error(f"{request}: {cause.words}", advice=cause.step)

    def _after(self, answer: NpmAnswer) -> float | None:
        return retry_after(answer.after, now=self._policy.clock.now())

    def _context(self, request: PublishRequest, *, claims: Claims | None = None) -> Context:
        claims = claims or self._job
        return Context(
            name=request.package.name,
            registry=request.registry,
            trusted=isinstance(request.credential, TrustedPublishing),
            id_token=self._id_tokens.available,
            claims=str(claims),
            staged=request.staged,
            access=request.access,
            trust=trust_command(
                request.package.name,
                repository=claims.repository,
                workflow=claims.workflow,
                staged=request.staged,
                environment=claims.environment or "",
            ),
        )

    def _claims(self, request: PublishRequest) -> Claims:
        """Return what npm compared, from an id-token, fetched only now because only it names the environment."""
        at = Origin.of(request.registry)
        if not (at and self._id_tokens.available and isinstance(request.credential, TrustedPublishing)):
            return self._job
        try:
            return claims_of_token(self._id_tokens.get(f"npm:{at.host}"), self._job)
        except FlotillaError:
            return self._job

    def _sigstore_token(self, request: PublishRequest) -> str:
        signs = request.provenance and isinstance(request.credential, Token)
        return self._id_tokens.get("sigstore") if signs else ""


def _done(request: PublishRequest, status: Status, *, stage_id: str = "", log: str = "") -> Published:
    return Published(package=request.package, status=status, stage_id=stage_id, log=log)


def _of_another_run(landed: Published) -> Published:
    """Return the version although this job did not send it: another run of this release was faster."""
    return replace(landed, status="already-published") if landed.status == "published" else landed


def _staged_before(request: PublishRequest, cause: Cause) -> Published:
    if not request.staged:
        raise RegistryError(f"{request}: {cause.words}, so it cannot be published as well.", advice=cause.step)
    return Published(
        package=request.package,
        status="staged",
        note=(
            "awaits approval since an earlier run, or since a try whose answer was lost. "
            f"This credential cannot look up its id and content; run: npm stage list {request.package.name}"
        ),
    )

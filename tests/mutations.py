"""Takes security rules out one at a time, in a copy of the tree, and shows that the test named for each then fails.

Run it with `make mutants`. It prints a row a rule, and ends with `mutants: N tried, N killed`; its exit status is 1
where one survived.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("lib", "tests", "docs", "examples", "requirements", ".github")
SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One rule, taken out.

    Args:
        rule: what no longer holds, in words.
        file: below lib/flotilla.
        old: text that stands there once.
        new: what stands there instead.
        test: what must fail.
    """

    rule: str
    file: str
    old: str
    new: str
    test: str


def mutant(rule: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(rule=rule, file=file, old=old, new=new, test=test)


MUTANTS = (
    mutant(
        "a fork's run is refused",
        "github/runs.py",
        "elif not _same(run.head_repository, repository):",
        "elif False:",
        "tests/github/test_runs.py::test_a_pull_request_of_a_fork_is_refused_even_where_pull_requests_are_allowed",
    ),
    mutant(
        "another workflow's run is refused",
        "github/runs.py",
        "    if run.path == wanted:\n",
        "    if wanted:\n",
        "tests/github/test_runs.py::test_a_run_that_is_not_ours_is_refused",
    ),
    mutant(
        "another commit's run is refused",
        "github/runs.py",
        "    if run.commit == commit.lower():\n",
        "    if commit:\n",
        "tests/github/test_runs.py::test_a_run_that_is_not_ours_is_refused",
    ),
    mutant(
        "an event that a stranger can cause is refused",
        "github/runs.py",
        '"release", "merge_group"}',
        '"release", "merge_group", "pull_request_target"}',
        "tests/github/test_runs.py::test_a_run_that_is_not_ours_is_refused",
    ),
    mutant(
        "a run that did not succeed is refused",
        "github/runs.py",
        'if run.conclusion != "success":',
        "if not run.conclusion:",
        "tests/github/test_runs.py::test_failed_runs_end_the_wait_newest_first",
    ),
    mutant(
        "bytes of another digest are refused",
        "github/downloads.py",
        "if source.digest is None or part.digest == source.digest:",
        "if True:",
        "tests/github/test_downloads.py::test_altered_bytes_are_refused_and_not_left_on_disk",
    ),
    mutant(
        "the GitHub token stays at the API",
        "http.py",
        "credential = credential if origin == first else None",
        "pass",
        "tests/github/test_downloads.py::test_the_token_never_reaches_the_redirects_target",
    ),
    mutant(
        "no upload goes to an address elsewhere",
        "github/endpoint.py",
        "return upload.host == api.host or (upload.host == sibling and upload.port == api.port)",
        "return True",
        "tests/github/test_uploads.py::test_the_token_is_not_sent_to_an_upload_address_elsewhere",
    ),
    mutant(
        "an endless body is cut",
        "github/downloads.py",
        "if part.size > source.limit:",
        "if False:",
        "tests/github/test_downloads.py::test_an_endless_body_is_stopped_before_it_fills_the_disk",
    ),
    mutant(
        "a tag is never moved",
        "github/tags.py",
        "if there != commit.lower():",
        "if False:",
        "tests/github/test_tags.py::test_a_tag_at_another_commit_is_refused",
    ),
    mutant(
        "an archive cannot climb with ..",
        "packing/paths.py",
        'if ".." in name.split("/"):',
        "if False:",
        "tests/packing/test_paths.py::test_extract_rejects_a_hostile_name",
    ),
    mutant(
        "control characters in names are refused",
        "packing/paths.py",
        "if not name.isprintable():",
        "if False:",
        "tests/packing/test_paths.py::test_extract_rejects_a_hostile_name",
    ),
    mutant(
        "names that collide on macOS or Windows are refused",
        "packing/paths.py",
        "if spelled != parts[-1]:",
        "if False:",
        "tests/packing/test_paths.py::test_extract_rejects_names_that_are_one_and_the_same",
    ),
    mutant(
        "no link leaves through another",
        "packing/paths.py",
        "                if not at:\n",
        "                if False:\n",
        "tests/packing/test_paths.py::test_extract_rejects_a_symlink_that_leaves_through_another",
    ),
    mutant(
        "bombs are stopped by their size",
        "packing/streams.py",
        "if count <= self._ceiling:",
        "if True:",
        "tests/packing/test_streams.py::test_extract_rejects_more_bytes_than_the_limit",
    ),
    mutant(
        "bombs are stopped by their ratio",
        "packing/streams.py",
        "min(max(HARMLESS, allowed), limits.extracted_bytes)",
        "limits.extracted_bytes",
        "tests/packing/test_streams.py::test_extract_rejects_a_ratio_that_only_a_bomb_has",
    ),
    mutant(
        "the count of files is bounded",
        "packing/streams.py",
        "if count > self._limits.files:",
        "if False:",
        "tests/packing/test_streams.py::test_extract_rejects_more_files_than_the_limit",
    ),
    mutant(
        "a file is what its .sha256 says",
        "packing/checksums.py",
        "if actual != expected:",
        "if False:",
        "tests/packing/test_checksums.py::test_a_wrong_sidecar_is_a_fault_that_shows_both_hashes",
    ),
    mutant(
        "a binary of another os is refused",
        "packing/platform_check.py",
        "return binary.os in platform.os or RUNS_TOO.get(binary.os) in platform.os",
        "return True",
        "tests/packing/test_platform_check.py::test_a_binary_is_refused_by_every_platform_of_another_os_or_cpu",
    ),
    mutant(
        "a musl package holds no glibc binary",
        "packing/platform_check.py",
        "return binary.libc is None or not platform.libc or binary.libc in platform.libc",
        "return True",
        "tests/packing/test_elf.py::test_the_libc_is_told_by_what_the_binary_loads",
    ),
    mutant(
        "a glibc newer than the floor is refused",
        "packing/platform_check.py",
        "version_key(needed) > version_key(floor)",
        "version_key(needed) < version_key(floor)",
        "tests/packing/test_platform_check.py::test_a_newer_glibc_than_the_floor_is_refused",
    ),
    mutant(
        "a platform package without binaries is refused",
        "packing/platform_check.py",
        "    if not found:\n",
        "    if False:\n",
        "tests/packing/test_platform_check.py::test_a_package_without_any_binary_is_refused_unless_it_is_for_wasm",
    ),
    mutant(
        "npm gets no stray credential",
        "npm/publish_command.py",
        "if key in _SURROUNDINGS or _setting(key) in _CONNECTION}",
        "}",
        "tests/npm/test_publish_command.py::test_npm_gets_no_stray_credential_or_setting_of_the_job",
    ),
    mutant(
        "with a token npm gets no bearer",
        "npm/publish_command.py",
        "for key in (ID_TOKEN_URL,) if key in outer}",
        "for key in (ID_TOKEN_URL, ID_TOKEN_BEARER) if key in outer}",
        "tests/npm/test_publish_command.py::test_npm_is_given_one_way_to_sign_in",
    ),
    mutant(
        "no value is an option of npm",
        "npm/publish_command.py",
        '        "--",\n        tarball,',
        "        tarball,",
        "tests/npm/test_publish_command.py::test_every_setting_of_a_publish_is_a_flag_and_the_tarball_comes_last",
    ),
    mutant(
        "the npmrc is 0600",
        "npm/runner.py",
        "0o600",
        "0o644",
        "tests/trust/test_canaries.py::test_the_credential_lies_in_a_private_file_of_a_private_folder",
    ),
    mutant(
        "the npm token stays at the registry's origin",
        "npm/registry.py",
        "credential=self._credential if own else None",
        "credential=self._credential",
        "tests/npm/test_registry.py::test_the_token_does_not_go_to_a_tarball_elsewhere",
    ),
    mutant(
        "a tarball is what the registry's integrity says",
        "npm/registry.py",
        "if not hmac.compare_digest(digest.digest(), wanted):",
        "if False:",
        "tests/npm/test_registry.py::test_a_tarball_swapped_on_the_way_is_refused_and_not_kept",
    ),
    mutant(
        "provenance is about this tarball",
        "npm/provenance.py",
        'dig(subjects[0], "digest", "sha512"), sha512_of(integrity)',
        "0, 0",
        "tests/npm/test_provenance.py::test_a_statement_about_something_else_is_told_by_what_differs",
    ),
    mutant(
        "a second statement does not hide behind the first",
        "npm/provenance.py",
        "if len(statements) > 1 or statements[0] is None:",
        "if statements[0] is None:",
        "tests/npm/test_provenance.py::test_a_second_statement_does_not_hide_behind_the_first",
    ),
    mutant(
        "what looks like a secret is hidden",
        "text.py",
        "return _SECRETS.sub(HIDDEN, hide(text, secrets))",
        "return text",
        "tests/test_text.py::test_what_looks_like_a_secret_is_hidden_though_nobody_named_it",
    ),
    mutant(
        "a secret is blanked in a traceback",
        "text.py",
        "        text = text.replace(secret, HIDDEN)\n",
        "        pass\n",
        "tests/trust/test_canaries_in_failures.py::test_a_defects_traceback_shows_no_secret",
    ),
    mutant(
        "a secret is masked without its blanks",
        "runner.py",
        "line.strip() for line in secret.splitlines()",
        "line for line in secret.splitlines()",
        "tests/test_runner.py::test_a_secret_pasted_with_blanks_is_masked_without_them",
    ),
    mutant(
        "no line from outside is a command",
        "text.py",
        'return f"· {harmless}" if harmless.lstrip().startswith("::") else harmless',
        "return harmless",
        "tests/test_runner.py::test_no_line_from_outside_becomes_a_command",
    ),
    mutant(
        "an annotation stays one line",
        "runner.py",
        '.replace("\\r", "%0D").replace("\\n", "%0A")',
        "",
        "tests/test_runner.py::test_an_error_is_one_annotation_whatever_its_lines",
    ),
    mutant(
        "an output has a delimiter that nobody knows",
        "runner.py",
        'delimiter = f"flotilla-{uuid.uuid4()}"',
        'delimiter = "flotilla"',
        "tests/test_runner.py::test_an_output_cannot_forge_another",
    ),
    mutant(
        "a value stays in its code span",
        "jobs/markdown.py",
        '.replace("`", "\\N{MODIFIER LETTER GRAVE ACCENT}")',
        "",
        "tests/jobs/test_markdown.py::test_a_value_stays_inside_its_code_span",
    ),
    mutant(
        "no core file holds a secret",
        "__main__.py",
        "        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n",
        "",
        "tests/trust/test_canaries.py::test_no_secret_can_lie_in_a_core_file",
    ),
    mutant(
        "npm ends with all that it started",
        "npm/runner.py",
        "os.killpg(process.pid, signal.SIGKILL)",
        "process.kill()",
        "tests/npm/test_runner.py::test_a_command_past_its_time_is_killed_with_all_that_it_started",
    ),
    mutant(
        "an id-token is masked",
        "npm/oidc.py",
        "        self._keep_secret(value)\n",
        "",
        "tests/npm/test_oidc.py::test_an_id_token_is_told_to_who_masks_it",
    ),
    mutant(
        "our files go through no link",
        "jobs/ledger.py",
        "if folder.is_symlink() or file.is_symlink() or",
        "if",
        "tests/trust/test_ledger.py::test_a_link_in_the_repository_does_not_lead_our_files_elsewhere",
    ),
    mutant(
        "a ledger does not choose its registry",
        "jobs/verify.py",
        'if packages and registry_url(ledger["registry"]) != registry.url:',
        "if False:",
        "tests/trust/test_verify.py::test_the_registry_of_the_ledger_is_not_asked_in_place_of_ours",
    ),
    mutant(
        "the asset is the same whichever run writes it",
        "jobs/ledger.py",
        '"written-by": None if asset else _this_run(job),',
        '"written-by": _this_run(job),',
        "tests/trust/test_ledger.py::test_the_asset_says_the_same_whichever_run_finishes",
    ),
    mutant(
        "flotilla.yml takes no alias, anchor or tag",
        "family/yaml.py",
        'return "anchors (&name) are not read here; write the value out, or in quotes if it begins with &"',
        "return None",
        "tests/family/test_hostile.py::test_a_bomb_or_a_trick_is_refused_with_its_place",
    ),
    mutant(
        "other content under our version is a conflict",
        "npm/packument.py",
        "return bool(_hashes(ours, algorithm) & _hashes(theirs, algorithm))",
        "return True",
        "tests/npm/test_publish.py::test_other_content_under_our_version_is_a_conflict_and_never_a_success",
    ),
    mutant(
        "a ledger fits its schema",
        "jobs/ledger.py",
        "if faults := list(schema_faults(document)):",
        "if faults := []:",
        "tests/trust/test_verify.py::test_a_hostile_ledger_is_refused_in_words",
    ),
    mutant(
        "verify looks at the provenance's subject",
        "jobs/verify.py",
        "if (statement.subject, statement.sha512) != about:",
        "if False:",
        "tests/trust/test_verify.py::test_what_was_tampered_with_is_named",
    ),
    mutant(
        "what stands in a link's address does not end it",
        "jobs/markdown.py",
        "quote(url, safe=_URL_CHARACTERS)",
        "url",
        "tests/jobs/test_markdown.py::test_a_link_cannot_be_ended_by_its_address",
    ),
    mutant(
        "a release is published only with its tag there",
        "jobs/prepare.py",
        '    if tagged is None:\n        raise RefusedError(\n            f"there is no tag',
        '    if tagged is None:\n        return\n        raise RefusedError(\n            f"there is no tag',
        "tests/jobs/test_meanwhile.py::test_finish_publishes_no_release_whose_tag_is_gone",
    ),
    mutant(
        "an asset of a release that somebody published meanwhile is not replaced",
        "github/transfers.py",
        "        return now is not None and now.draft\n",
        "        return release.draft\n",
        "tests/github/test_uploads.py::test_nothing_is_replaced_in_a_draft_that_somebody_published_meanwhile",
    ),
    mutant(
        "a draft for another commit is refused",
        "jobs/prepare.py",
        "    if COMMIT.fullmatch(release.target) and release.target != commit and",
        "    if False and COMMIT.fullmatch(release.target) and release.target != commit and",
        "tests/jobs/test_meanwhile.py::test_a_draft_for_another_commit_is_refused_before_the_tag_exists",
    ),
    mutant(
        "the registry is asked again after the wait for CI",
        "jobs/release.py",
        "release(job, prepare(job, first.commit), run)",
        "release(job, first, run)",
        "tests/jobs/test_meanwhile.py::test_the_registry_is_asked_again_after_the_wait_for_ci",
    ),
    mutant(
        "a command that the registry adds outside the folder of commands is a difference",
        "npm/manifest_diff.py",
        'file.startswith(f"{folder}/") and posixpath',
        "posixpath",
        "tests/npm/test_manifest_diff.py::test_anything_else_is_a_difference",
    ),
    mutant(
        "a sha1 counts only where the registry has no better",
        "npm/packument.py",
        'if all(part.startswith("sha1-") for part in theirs.split()) else "sha512"',
        'if "sha1-" in theirs else "sha512"',
        "tests/npm/test_packument.py::test_the_best_digest_that_both_have_tells_contents_apart",
    ),
)


def main() -> int:
    """Try every mutant, or those whose rule holds a word of the command line."""
    chosen = [m for m in MUTANTS if not sys.argv[1:] or any(word in m.rule for word in sys.argv[1:])]
    with tempfile.TemporaryDirectory(prefix="flotilla-mutants-") as folder:
        tree = copied(Path(folder))
        say(f"{len(chosen)} rules; first their tests without a change")
        if not passes(tree, sorted({m.test for m in chosen})):
            say("the tests fail already; mend them first")
            return 1
        survivors = [m for m in chosen if not killed(tree, m)]
    say(f"mutants: {len(chosen)} tried, {len(chosen) - len(survivors)} killed")
    return 1 if survivors else 0


def copied(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for action in ROOT.glob("action-*"):
        shutil.copytree(action, folder / action.name)
    return folder


def killed(tree: Path, one: Mutant) -> bool:
    """Whether the test fails without the rule; the rule is put back."""
    file = tree / "lib" / "flotilla" / one.file
    text = file.read_text(encoding="utf-8")
    if text.count(one.old) != 1:
        raise SystemExit(f"{one.rule}: {one.file} holds {text.count(one.old)} times {one.old!r}")
    file.write_text(text.replace(one.old, one.new), encoding="utf-8")
    survived = passes(tree, [one.test])
    file.write_text(text, encoding="utf-8")
    shown = " ".join(one.old.split())
    say(f"| {one.rule} | {one.file}: {shown[:60]} | {'SURVIVED ' if survived else ''}{one.test.rpartition('::')[2]} |")
    return not survived


def passes(tree: Path, tests: list[str]) -> bool:
    environment = {**os.environ, "PYTHONPATH": str(tree / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.setdefault("FLOTILLA_CACHE", str(ROOT / ".cache"))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={SECONDS}", *tests]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.returncode == 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

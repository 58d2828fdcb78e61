"""Slips of a hand in flotilla.yml: what the example says, what was written instead, and where the fault is.

The tests of the family hold the places; the golden files in tests/messages hold the words.
"""

from __future__ import annotations

FAMILY = 'family: "@acme/ffmpeg"'
SECOND = "  - darwin-x64\n"
THIRD = "  - linux-arm64\n"
NON_FREE = "name: non-free, suffix: -non-free"
ARTIFACT = '{build}-{variant}"'
ARCHIVE = 'archive: "*.tar.gz" '
STRIP = "strip-components: 1"
NAME = '"{family}-{platform}{suffix}"'
SOURCE = "{platform: darwin-arm64, variant: free}"
DEV = """  dev:                                              # leave out where the family has none
    name: "{family}-dev"
    template: npm/dev
    from: {platform: darwin-arm64, variant: free}   # default: the first of each
    files: ["include/**"]
"""
META = '  meta:\n    name: "{family}{suffix}"\n    template: "npm/meta{suffix}"\n'
TAG = '"v{version}"'
NOTES = "notes: generate"
PAUSE = "pause-seconds: 5"

ONE_FAULT = (
    ("schema: 1\n", "schema: 2\n", "1:9"),
    (FAMILY, "family:", "2:8"),
    (FAMILY, "family: 7", "2:9"),
    (FAMILY, 'family: "@Acme/x"', "2:9"),
    (FAMILY, "family: acme/x", "2:9"),
    (FAMILY, "family: zlib", "2:9"),
    (FAMILY, "family: @acme/ffmpeg", "2:9"),
    (FAMILY, f"{FAMILY}\nfamily: x", "3:1"),
    (FAMILY, f"{FAMILY}\nlimit: {{}}", "3:1"),
    (FAMILY, f"{FAMILY}\nworkflow: x", "3:1"),
    (SECOND, "  - linux-x64-mussl\n", "6:5"),
    (SECOND, "  - darwin-x64-gnu\n", "6:5"),
    (SECOND, "  - darwin\n", "6:5"),
    (SECOND, "  - darwin-arm64\n", "6:5"),
    (SECOND, "  - 64\n", "6:5"),
    (SECOND, "  - {name: darwin-x64, os: macos}\n", "6:28"),
    (SECOND, "  - {name: mine, cpu: x64}\n", "6:12"),
    (SECOND, "  - {name: darwin-x64, cpu: arm64}\n", "6:29"),
    (SECOND, "  - {name: x, os: [linux, linux], cpu: x64}\n", "6:19"),
    (SECOND, "  - {name: darwin-x64, cpu: []}\n", "6:29"),
    (SECOND, "  - {name: darwin-x64, libc: musl}\n", "6:24"),
    (SECOND, '  - {name: darwin-x64, glibc: "2.28"}\n', "6:24"),
    (THIRD, '  - {name: linux-arm64-musl, glibc: "2.28"}\n', "7:30"),
    (THIRD, "  - {name: linux-arm64, glibc: 2.30}\n", "7:32"),
    (THIRD, '  - {name: linux-arm64, glibc: "2"}\n', "7:32"),
    (THIRD, "  - {name: linux-arm64, glibcxx: GLIBCXX_3.4.25}\n", "7:34"),
    (THIRD, '  - {name: linux-arm64, macos: "11.0"}\n', "7:25"),
    (SECOND, '  - {name: darwin-x64, glibcxx: "3.4.25"}\n', "6:24"),
    (SECOND, "  - {name: darwin-x64, macos: 11.0}\n", "6:31"),
    (SECOND, "  - {name: darwin-x64, macos: Ventura}\n", "6:31"),
    (SECOND, "  - {name: darwin-x64, libraries: libX11.so.6}\n", "6:35"),
    (SECOND, "  - {name: darwin-x64, buidl: x}\n", "6:24"),
    (SECOND, "  - {name: darwin-x64, build: a/b}\n", "6:31"),
    (SECOND, "  - {name: darwin-x64, build: linux-x64}\n", "19:13"),
    (NON_FREE, "name: free", "15:5"),
    (NON_FREE, "name: non-free, suffix: ''", "15:5"),
    (NON_FREE, "suffix: -x", "15:5"),
    (NON_FREE, "name: true", "15:12"),
    ("license: LGPL-2.1-or-later", "license: ''", "14:27"),
    ("license: LGPL-2.1-or-later", "licence: MIT", "14:18"),
    ("workflow: ci.yml", "workflow: ci.yml\n  jobs: build", "19:9"),
    ("workflow: ci.yml", "workflow: ci.yml\n  jobs: []", "19:9"),
    ("workflow: ci.yml", "workflow: .github/workflows/ci.yml", "18:13"),
    (ARTIFACT, '{biuld}-{variant}"', "19:13"),
    (ARTIFACT, '{build}"', "19:13"),
    (ARTIFACT, '{build}/{variant}"', "19:13"),
    (ARTIFACT, '{build-{variant}"', "19:13"),
    (ARCHIVE, "archive: *.tar.gz ", "20:13"),
    (ARCHIVE, 'archive: "x-{vresion}.{zip,tar.gz}" ', "20:12"),
    (STRIP, 'root: "{biuld}/bin"', "21:9"),
    (STRIP, "root: ../bin", "21:9"),
    (ARCHIVE, "#", "21:3"),
    (STRIP, "strip-components: -1", "21:21"),
    (STRIP, "strip-components: 1.5", "21:21"),
    (STRIP, "strip_components: 1", "21:3"),
    (STRIP, "pull-requests: yes", "21:18"),
    (NAME, '"{family}-{platform}"', "25:11"),
    (NAME, '"{family}-x{suffix}"', "25:11"),
    (NAME, "{family}-{platform}{suffix}", "25:19"),
    ("npm/{platform}{suffix}", "/npm/{platform}", "26:15"),
    ("npm/{platform}{suffix}", "../npm", "26:15"),
    ('"npm/meta{suffix}"', '"{suffix}"', "38:15"),
    ('"versions.json"', '"../x"', "28:23"),
    ('"versions.json"', "{from: x, to: ../x}", "28:37"),
    ('"versions.json"', '{from: "{biuld}", to: x}', "28:30"),
    ('"versions.json"', '{from: "*", to: "lib/*"}', "28:39"),
    ('"versions.json"', "{from: x}", "28:23"),
    ('"versions.json"', "{from: x, too: y, to: z}", "28:33"),
    ('["bin/*"]', "bin/*", "29:18"),
    (SOURCE, "{platform: darwin-arm46}", "34:22"),
    (SOURCE, "{variant: fre}", "34:21"),
    (SOURCE, "darwin-x64", "34:11"),
    ('"{family}-dev"', '"{family}"', "37:11"),
    ('"{family}-dev"', 'x\n    version: "1.2"', "33:14"),
    ('"{family}-dev"', "x\n    version: 1.2", "33:14"),
    ('"{family}-dev"', "x\n    version: v1.2.3", "33:14"),
    ('"{family}-dev"', 'x\n    version: "{version}+{tag}"', "33:14"),
    ('"{family}{suffix}"', 'x{suffix}\n    version: "{version}+1"', "38:14"),
    (DEV, '  dev: [{name: x}, {name: "{family}-dev"}, {name: x}]\n', "31:51"),
    ('"{family}{suffix}"', '"{family}{platform}"', "37:11"),
    ('"npm/meta{suffix}"', '"npm/meta{suffix}"\n    files: [x]', "39:5"),
    ('"npm/meta{suffix}"', '"npm/meta{suffix}"\n    artifact: "x-{build}"', "39:15"),
    ('"npm/meta{suffix}"', '"npm/meta{suffix}"\n    artifact: "x/y"', "39:15"),
    ('"npm/meta{suffix}"', '"npm/meta{suffix}"\n    artifact: x\n    archive: "{build}.zip"', "40:14"),
    (META, "  meta: true\n", "36:9"),
    (META, "  meta: no\n", "36:9"),
    (TAG, "v1", "41:8"),
    (TAG, '"v {version}"', "41:8"),
    (TAG, '"{version}.lock"', "41:8"),
    (TAG, '"{tag}-{version}"', "41:8"),
    (NOTES, "notes: ../notes.md", "43:10"),
    (NOTES, "notes: a\\b.md", "43:10"),
    ("access: public", "access: publik", "45:11"),
    (PAUSE, "pause-seconds: -5", "46:18"),
    (PAUSE, "pause-seconds: 5s", "46:18"),
    (PAUSE, "pause-seconds: .nan", "46:18"),
    (PAUSE, "pause-seconds: 1e999", "46:18"),
    (PAUSE, "pause: 5", "46:3"),
    (PAUSE, "provenance: on", "46:15"),
    (PAUSE, "dist-tag: v1", "46:13"),
    (PAUSE, "size-limit-mb: 0", "46:18"),
)

# What is no flotilla.yml at all.
NOT_A_FAMILY = (
    ("", "1:1"),
    ("# nothing but a comment\n", "1:1"),
    ("- a\n- b\n", "1:1"),
    ("\n\nflotilla\n", "3:1"),
    ("schema: 1\n\tfamily: x\n", "2:1"),
    ("schema: 1\n---\nschema: 1\n", "2:1"),
    ("schema: 1\nfamily: a: b\n", "2:10"),
    ('family: "@acme/x\n', "2:1"),
    ("ci: {\n", "2:1"),
    ('schema: 1\nfamily: "@acme/x\nci:\n  artifact: "x-{build}"\n', "4:14"),
)

ALL_SECTIONS = """\
schema: 1
family: "@acme/tool"
platforms: [linux-x64, macos]
variants:
  - {name: free, licence: MIT}
ci:
  workflow: CI
  artifact: "{biuld}"
packages:
  dev: {from: {platfrom: linux-x64}}
release:
  tag: "v 1"
publish:
  pause-seconds: -1
limts: {}
"""
PUT_TOGETHER = """\
schema: 1
family: acme
platforms: [linux-x64, linux-arm64]
variants: [{name: a}, {name: b, license: MIT}]
ci: {workflow: ci.yml, artifact: "x-{build}"}
packages:
  platform: {name: "{family}-{platform}", template: "npm/{license}"}
  dev: {name: "{family}", from: {platform: linux-arm}}
release: {notes: ../x}
publish: {access: restricted}
"""
MISSING_KEYS = "platforms: [linux-x64]\nci: {}\n"
SEVERAL_FAULTS = (ALL_SECTIONS, PUT_TOGETHER, MISSING_KEYS)

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Check the form of the source files; with --format, lay out the C code instead.

usage: check_sources.py [--format] [--root ROOT]

  licence     every source file names its licence on its first line (a script on its second)
  format      C code is as clang-format lays it out
  whitespace  C is indented by tabs, everything else by spaces (shell and Go by tabs); no trailing
              blanks; one newline at the end
  conflicts   no mark of a merge is left
  banned      strcpy, sprintf, atoi, strtok and their kin are not called
  messages    generated messages are named at the edge only, in service/api, cli/cmd_* and proto
  secrets     no private key, token or password of a kind that scanners know is in the tree
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

CLANG_FORMAT = "clang-format-14"
SKIPPED_FOLDERS = {".git", "build", "__pycache__", ".pytest_cache", ".hypothesis", ".cache", "node_modules"}
CODE = {".c", ".h"}
SCRIPTS = {".py", ".sh", ".cmake", ".yaml", ".yml", ".proto", ".go", ".lua", ".sql"}
SCRIPT_NAMES = {"dev", "run", "CMakeLists.txt", ".may_include", "Dockerfile"}
TABS = {".c", ".h", ".sh", ".go", ".mod"}
TAB_NAMES = {"dev", "run"}
SPDX = "SPDX-License-Identifier: Apache-2.0"

BANNED = re.compile(
    r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|strncpy|strncat|"
    r"alloca|tmpnam|mktemp|rand|srand|gmtime|localtime|ctime|asctime)\s*\(")
# Names that generated code gives our messages: Osmo__Token__V1__Token, osmo__compat__v1__...
MESSAGE = re.compile(r"\bosmo__[a-z]+__v1__", re.IGNORECASE)
MESSAGE_HOMES = re.compile(r"(service/api/|cli/cmd_[^/]*$|proto/|tests/)")
SECRETS = [
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}")),
    ("an access token", re.compile(r"\bosmo_[0-9A-Za-z]{49}\b")),
    ("an AWS key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{60,})\b")),
    ("a JSON web token", re.compile(r"\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}")),
]
# A line with this mark holds an example that a scanner would take for a secret.
NOT_A_SECRET = "not-a-secret"


def source_files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        for name in sorted(names):
            path = pathlib.Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def without_comments(text):
    """C text with comments and strings blanked, every line where it was."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def check_conflicts(lines):
    for number, line in enumerate(lines, 1):
        if re.match(r"(<{7}|>{7}) ", line):
            yield number, "a mark of a merge that was not finished"


def check_licence(path, lines):
    first = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
    if not first or SPDX not in first[0]:
        yield 1, f"the first line must say {SPDX}"


def check_whitespace(path, lines, text):
    tabs = path.suffix in TABS or path.name in TAB_NAMES
    here_document = None # what stands in one obeys other rules
    for number, line in enumerate(lines, 1):
        if line.rstrip(" \t\r") != line:
            yield number, "blanks at the end of the line"
        if here_document:
            here_document = None if line.strip() == here_document else here_document
            continue
        start = re.match(r".*<<-?\s*'?([A-Z]+)'?$", line) if tabs and path.suffix not in CODE else None
        here_document = start[1] if start else None
        indent = line[:len(line) - len(line.lstrip(" \t"))]
        if tabs and path.suffix not in CODE and re.match(r"\t* +(?! ?\*)", indent):
            yield number, "indented by spaces, tabs are expected"
        if not tabs and "\t" in indent:
            yield number, "indented by a tab, spaces are expected"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end of the file"
    if text.endswith("\n\n"):
        yield len(lines), "blank lines at the end of the file"


def check_patterns(where, path, text):
    if path.suffix in CODE:
        code = without_comments(text)
        for match in BANNED.finditer(code):
            yield line_of(code, match), f"{match[1]}() is not used here"
        if not MESSAGE_HOMES.match(where):
            for match in MESSAGE.finditer(code):
                yield line_of(code, match), f"names a generated message ({match[0]}...) outside the edge"
    for what, pattern in SECRETS:
        for match in pattern.finditer(text):
            number = line_of(text, match)
            if NOT_A_SECRET not in text.splitlines()[number - 1]:
                yield number, f"holds {what}; an example is marked {NOT_A_SECRET}"


def line_of(text, match):
    return text.count("\n", 0, match.start()) + 1


def check_format(paths):
    """Yield what clang-format would change, as (line with place and reason)."""
    if not shutil.which(CLANG_FORMAT):
        if os.environ.get("CI"):
            yield f"{CLANG_FORMAT} is not installed"
        else:
            print(f"{CLANG_FORMAT} is not installed: the layout of C code is not checked", file=sys.stderr)
        return
    done = subprocess.run([CLANG_FORMAT, "--dry-run", "--Werror", "--style=file", *map(str, paths)],
                          capture_output=True, text=True)
    places = sorted(set(re.findall(r"^(\S+:\d+):\d+: error: ", done.stderr, re.MULTILINE)))
    for place in places:
        yield f"{place}: not as {CLANG_FORMAT} lays it out; ./dev format does"
    if done.returncode and not places:
        yield done.stderr.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--format", action="store_true")
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    options = parser.parse_args()
    os.chdir(options.root)

    paths = [path.relative_to(options.root) for path in source_files(options.root)]
    code = [path for path in paths if path.suffix in CODE]
    if not code:
        print(f"there is no C code in {options.root}")
        return 1
    if options.format:
        return subprocess.run([CLANG_FORMAT, "-i", "--style=file", *map(str, code)]).returncode

    problems = []
    for path in paths:
        if "corpora" in path.parts: # inputs of fuzz targets are bytes, not text
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = [*check_patterns(path.as_posix(), path, text), *check_conflicts(text.splitlines())]
        if path.suffix in CODE | SCRIPTS or path.name in SCRIPT_NAMES:
            lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
            found += check_licence(path, lines)
            found += check_whitespace(path, lines, text)
        problems += [f"{path}:{number}: {problem}" for number, problem in sorted(found)]
    problems += check_format(code)
    for problem in problems:
        print(problem)
    print(f"{len(paths)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

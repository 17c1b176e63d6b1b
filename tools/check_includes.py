#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Check that no file includes what its layer may not see.

usage: check_includes.py [ROOT]

Every folder of C code has a file .may_include (a folder without one obeys its parent's), with one
rule a line:

    common/base/*.h             every file of the folder may include this; * stays in a folder, ** does not
    <event2/*>                  the same for a library; a library that LIBRARIES does not name is free
    main.c: service/store/**    just the files that match main.c may

With one include root the compiler cannot see a crossed layer; this can.
"""

import fnmatch
import pathlib
import re
import sys

# Headers of libraries that belong to one layer or a few. libc and the kernel are everybody's.
LIBRARIES = [
    "cjose/**", "curl/**", "event2/**", "grpc/**", "jansson.h", "libpq-fe.h", "nghttp2/**", "openssl/**",
    "protobuf-c/**", "sqlite3.h", "systemd/**", "utf8proc.h", "yaml.h", "zlib.h",
]
FOLDERS = ["proto", "common", "service", "gateway", "cli", "tests"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def glob_regex(glob):
    """The regular expression of a glob in which * stays inside one folder and ** does not."""
    parts = (".*" if part == "**" else "[^/]*" if part == "*" else re.escape(part)
             for part in re.split(r"(\*\*|\*)", glob))
    return re.compile("".join(parts) + r"\Z")


LIBRARY_REGEXES = [glob_regex(glob) for glob in LIBRARIES]


class Rules:
    """The rules of one .may_include."""

    def __init__(self, path):
        self.path = path
        self.rules = []  # (glob of file names, regex of what they may include)
        for line in path.read_text(encoding="utf-8").splitlines():
            line = line.split("#", 1)[0].strip()
            if line:
                files, colon, target = line.rpartition(":")
                self.rules.append((files.strip() if colon else "*", glob_regex(target.strip())))

    def allow(self, file_name, target):
        return any(fnmatch.fnmatch(file_name, files) and regex.match(target)
                   for files, regex in self.rules)


def rules_of(folder, root, known):
    """The rules that hold in @folder: its own, or those of the nearest folder above, or None."""
    if folder not in known:
        path = folder / ".may_include"
        if path.exists():
            known[folder] = Rules(path)
        else:
            known[folder] = None if folder == root else rules_of(folder.parent, root, known)
    return known[folder]


def main(root):
    known, problems, files = {}, [], 0
    for path in sorted(path for top in FOLDERS for path in (root / top).rglob("*.[ch]")):
        files += 1
        where = path.relative_to(root)
        rules = rules_of(path.parent, root, known)
        if rules is None:
            problems.append(f"{where}: there is no .may_include here or above")
            continue
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            target = match[1] or f"<{match[2]}>"
            if match[2] and not any(regex.match(match[2]) for regex in LIBRARY_REGEXES):
                continue
            if not rules.allow(path.name, target):
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{where}:{line}: may not include {target}, "
                                f"says {rules.path.relative_to(root)}")
    for problem in problems:
        print(problem)
    print(f"{files} files, {len(problems)} crossed layers")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parent.parent
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hold the documents to the options that the programs have.

usage: check_options.py [--write] [--root DIR] BIN

An option of BIN/token-service, BIN/token-gateway or BIN/osmo must be in --help, in the manual page, in
docs/OPTIONS.md (which --write writes) and, of osmo, in the completion scripts; and what the documents
name must be there: options, environment variables, keys of the configuration files. The chart is held
to the same tables by chart.py.
"""

import argparse
import difflib
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

SERVERS = ("token-service", "token-gateway")
SHELLS = ("bash", "zsh", "fish")
REFERENCE = "docs/OPTIONS.md"
CONFIGURATIONS = {"token-service": "packaging/config/token-service.yaml",
                  "token-gateway": "packaging/config/token-gateway.yaml"}
DOCUMENTS = ("README.md", "HACKING.md", "CHANGELOG.md", "docs/**/*.md", "packaging/config/*", "packaging/compose/*",
             "packaging/systemd/*", "packaging/debian/*.in", "helm/token-service/README.md", "helm/token-service/templates/NOTES.txt", "tests/bench/README.md")
BUILT_IN = {"help", "version", "completion", "config", "check-config"}
# Options in the documents that are other programs': of dev, the benchmarks, cmake, ctest, docker, helm, curl and so on.
OTHERS = {"all", "entrypoint", "input", "only", "preset", "build", "target", "install", "prefix", "dir", "disk", "sync-us", "tokens", "rounds", "seconds",
          "create", "quiet", "system", "now", "detach", "volumes", "namespace", "set", "from-literal", "no-create-home"}
OTHER_VARIABLES = {"TOKEN_SERVICE_IMAGE",  # of compose.yaml
                   "TOKEN_SERVICE_THREAD", "TOKEN_SERVICE_ROLES"}  # shown as what is no option


class Programs:
    def __init__(self, folder):
        self.folder = folder

    @functools.lru_cache(maxsize=None)
    def run(self, name, *arguments, columns=200):
        environment = {**os.environ, "COLUMNS": str(columns), "LC_ALL": "C.UTF-8"}
        return subprocess.run([self.folder / name, *arguments], check=True, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=environment).stdout

    def table(self, name):
        return json.loads(self.run(name, "--help-json"))

    def osmo_commands(self, words=()):
        """Every command of osmo that takes options, as its words: (), ("token",), ("token", "set"), …"""
        yield words
        text = self.run("osmo", *words, "-h")
        names = re.search(r"\{([a-z,-]+)\} \.\.\.\n", text)
        for name in names[1].split(",") if names else ():
            yield from self.osmo_commands((*words, name))

    def osmo_options(self, words):
        section = re.search(r"^options:\n((?:  .*\n)+)", self.run("osmo", *words, "-h"), re.MULTILINE)[1]
        return sorted(set(re.findall(r"(?:^  |, )--([a-z][a-z-]*)", section, re.MULTILINE)))


# ---- docs/OPTIONS.md ----

def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def kind(option):
    if option["type"] == "enum":
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    words = {"flag": "true or false", "int": "number", "list": "list", "section": "mapping or list, in the file only"}
    return words.get(option["type"], option.get("metavar", option["type"]).lower())


def row(option):
    usual = option.get("default") or ("false" if option["type"] == "flag" else "")
    default = f"`{usual}`" if usual else ""
    name = option["name"]
    when = "; reloaded by SIGHUP" if option["reloadable"] else ""
    flag = f"`{name}:`" if option["type"] == "section" else f"`--{name}`"
    return f"| {flag} | {kind(option)} | {default} | {cell(option['help'])}{when} |"


def server_reference(table):
    name = table["program"]
    prefix = name.upper().replace("-", "_")
    lines = [f"## {name}", "",
             f"Each is also a variable, `{prefix}_…`, and a key of the file of `--config`: `--cache-ttl 1m`,",
             f"`{prefix}_CACHE_TTL=1m` and `cache-ttl: 1m` are one. The first that is there wins, in this order."
             if any(o["name"] == "cache-ttl" for o in table["options"]) else
             f"`{prefix}_THREADS=2` and `threads: 2` are what `--threads 2` is. The first that is there wins, in this order."]
    shown = [option for option in table["options"] if not option["hidden"]]
    for group in dict.fromkeys(option["group"] for option in shown if not option["command_only"]):
        lines += ["", f"### {group}", "", "| option | value | default | |", "|---|---|---|---|"]
        lines += [row(o) for o in shown if o["group"] == group and not o["command_only"]]
    by_name = {option["name"]: option for option in shown}
    for command in table["commands"]:
        operand = f" {command['operand']}" if command.get("operand") else ""
        lines += ["", f"### {name} {command['name']}{operand}", "", command["summary"][0].upper() + command["summary"][1:] + ".",
                  "", "Takes " + ", ".join(f"`--{option}`" for option in command["options"]) + "."]
        own = [by_name[o] for o in command["options"] if by_name[o]["command_only"]]
        if own:
            lines += ["", "| option | value | default | |", "|---|---|---|---|", *map(row, own)]
    return lines


def osmo_reference(programs):
    lines = ["## osmo"]
    for words in programs.osmo_commands():
        lines += ["", "```", programs.run("osmo", *words, "-h", columns=110).rstrip("\n"), "```"]
    return lines


def reference(programs):
    lines = ["# Options", "", "Written by `./dev chart` from the tables of the programs; tests hold it to them."]
    for name in SERVERS:
        lines += ["", *server_reference(programs.table(name))]
    return "\n".join([*lines, "", *osmo_reference(programs)]) + "\n"


# ---- checks: each yields what is wrong ----

def check_reference(root, programs):
    path = root / REFERENCE
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in difflib.unified_diff(old.splitlines(), reference(programs).splitlines(), REFERENCE, "as it should be",
                                     lineterm="", n=0):
        yield line


def check_servers(programs):
    for name in SERVERS:
        table = programs.table(name)
        texts = {"--help": programs.run(name, "--help"), "the manual page": programs.run(name, "--help-man").replace("\\-", "-")}
        for command in table["commands"]:
            texts[f"{command['name']} --help"] = programs.run(name, command["name"], "--help")
        for option in table["options"]:
            places = ["the manual page"]
            if not option["command_only"]:
                places.append("--help")
            places += [f"{c['name']} --help" for c in table["commands"] if option["name"] in c["options"]]
            wanted = rf"--(\[no-\])?{option['name']}\b(?!-)" if option["type"] != "section" else rf"\b{option['name']}\b"
            for place in places if not option["hidden"] else ():
                if not re.search(wanted, texts[place]):
                    yield f"{name}: --{option['name']} is not in {place}"
                if "env" in option and f"${option['env']}" not in texts[place]:
                    yield f"{name}: ${option['env']} is not in {place}"


def check_osmo(root, programs):
    completions = {shell: programs.run("osmo", "completion", shell) for shell in SHELLS}
    for words in programs.osmo_commands():
        page = programs.run("osmo", "man", "-".join(["osmo", *words[:1]])).replace("\\-", "-")
        for option in programs.osmo_options(words):
            if option == "help" and not words:
                continue
            if not re.search(rf"--{option}\b(?!-)", page) and option != "help":
                yield f"osmo {' '.join(words)}: --{option} is not in the manual page"
            for shell, script in completions.items():
                spelling = rf"-l '?{option}\b" if shell == "fish" else rf"--{option}\b"
                if not re.search(spelling + "(?!-)", script):
                    yield f"osmo {' '.join(words)}: --{option} is not in the completion script for {shell}"
    page = programs.run("osmo", "man", "osmo")
    for path in sorted((root / "cli").glob("*.c")):
        for variable in set(re.findall(r'"(OSMO_[A-Z_]+)"', path.read_text(encoding="utf-8"))):
            if path.name != "manpage.c" and variable not in page:
                yield f"{path.name}: ${variable} is not in the manual page"
    for variable in set(re.findall(r"\bOSMO_[A-Z_]+", page)):
        sources = (p for p in (root / "cli").glob("*.c") if p.name != "manpage.c")
        if not any(f'"{variable}"' in p.read_text(encoding="utf-8") for p in sources):
            yield f"the manual page of osmo: nothing reads ${variable}"


def documents(root):
    for pattern in DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            if path.is_file() and path.relative_to(root).as_posix() != REFERENCE:
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                    yield f"{path.relative_to(root)}:{number}", line


def check_documents(root, programs):
    options = BUILT_IN | OTHERS
    variables = set(OTHER_VARIABLES)
    for name in SERVERS:
        variables.add(name.upper().replace("-", "_") + "_CONFIG")
        for option in programs.table(name)["options"]:
            options |= {option["name"]} | ({f"no-{option['name']}"} if option["type"] == "flag" else set())
            if "env" in option:
                variables |= {option["env"]} | ({f"{option['env']}_FILE"} if option["type"] == "secret" else set())
    for words in programs.osmo_commands():
        options |= set(programs.osmo_options(words))
    for place, line in documents(root):
        for option in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])(?![-\w])", line):
            if option not in options:
                yield f"{place}: no program has --{option}"
        for variable in re.findall(r"\bTOKEN_(?:SERVICE|GATEWAY)_[A-Z0-9_]*[A-Z0-9]\b", line):
            if variable not in variables:
                yield f"{place}: no option is ${variable}"


def check_configurations(root, programs):
    for name, file in CONFIGURATIONS.items():
        keys = {option["name"] for option in programs.table(name)["options"] if not option["command_only"]}
        for number, line in enumerate((root / file).read_text(encoding="utf-8").splitlines(), 1):
            key = re.match(r"#?([a-z][a-z0-9-]*):", line)
            if key and key[1] not in keys:
                yield f"{file}:{number}: {name} has no option {key[1]}"


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("bin", type=pathlib.Path)
    args = parser.parse_args()
    programs = Programs(args.bin)
    if args.write:
        (args.root / REFERENCE).write_text(reference(programs), encoding="utf-8")
    wrong = [*check_reference(args.root, programs), *check_servers(programs), *check_osmo(args.root, programs),
             *check_documents(args.root, programs), *check_configurations(args.root, programs)]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

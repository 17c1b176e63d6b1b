#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sum up a run of `./dev test`: failures, then skips, then one line of counts.

usage: test_summary.py FOLDER

FOLDER holds, as ./dev leaves them, SUITE.xml (JUnit, from ctest or pytest), SUITE.rc (the exit
code of that program) and WHAT.failed (a step that failed without being a test). Exits with 1 if
anything failed or nothing ran.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

PYTEST_COLLECTED_NOTHING = 5


def cases(path):
    """Yield (name, outcome, reason) of each test of a JUnit file."""
    for case in ElementTree.parse(path).iter("testcase"):
        classname, name = case.get("classname", ""), case.get("name", "")
        full = name if classname in ("", name) else f"{classname}.{name}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        skipped = case.find("skipped")
        if bad or case.get("status") in ("fail", "notrun"):
            reason = bad[0].get("message", "") if bad else "did not run"
            yield full, "failed", reason
        elif skipped is not None or case.get("status") == "disabled":
            reason = "" if skipped is None else skipped.get("message", "")
            yield full, "skipped", reason
        else:
            yield full, "passed", ""


def main(folder):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failed, skipped = [], []

    for path in sorted(folder.glob("*.failed")):
        failed.append((path.name.removesuffix(".failed"), path.read_text(errors="replace").strip()))
        counts["failed"] += 1

    print()
    for path in sorted(folder.glob("*.rc")):
        suite, code = path.stem, int(path.read_text())
        here = {"passed": 0, "failed": 0, "skipped": 0}
        results = path.with_suffix(".xml")
        for name, outcome, reason in cases(results) if results.exists() else ():
            here[outcome] += 1
            if outcome == "failed":
                failed.append((f"{suite}: {name}", reason))
            elif outcome == "skipped":
                skipped.append((f"{suite}: {name}", reason))
        if code not in (0, PYTEST_COLLECTED_NOTHING) and not here["failed"]:
            failed.append((suite, f"exited with {code} and named no failed test"))
            here["failed"] += 1
        print(f"{suite:16}" + "".join(f"{here[key]:6} {key}" for key in counts))
        for key in counts:
            counts[key] += here[key]

    for title, entries in (("Failed", failed), ("Skipped", skipped)):
        if entries:
            print(f"\n{title}:")
        for name, reason in entries:
            first = reason.splitlines()[0] if reason else ""
            print(f"  {name}" + (f": {first[:160]}" if first else ""))

    if not any(counts.values()):
        print("\nno test ran")
    print("\n" + ", ".join(f"{value} {key}" for key, value in counts.items()))
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))

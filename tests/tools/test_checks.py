# SPDX-License-Identifier: Apache-2.0
"""The checks of tools/ object to what they are there for, and to nothing else."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX_C = "/* SPDX-License-Identifier: Apache-2.0 */\n"


@pytest.fixture
def tree(tmp_path):
    """A small tree that all checks are content with."""
    (tmp_path / "common/base").mkdir(parents=True)
    (tmp_path / "service/domain").mkdir(parents=True)
    shutil.copy(ROOT / ".clang-format", tmp_path)
    (tmp_path / "common/base/.may_include").write_text(
        "# SPDX-License-Identifier: Apache-2.0\ncommon/base/*.h\n")
    (tmp_path / "service/domain/.may_include").write_text(
        "# SPDX-License-Identifier: Apache-2.0\ncommon/base/*.h\nmain.c: service/store/**\n")
    (tmp_path / "common/base/x.c").write_text(
        SPDX_C + '#include "common/base/x.h"\n\n#include <stdio.h>\n')
    return tmp_path


def run(tool, *arguments):
    return subprocess.run([sys.executable, ROOT / "tools" / tool, *arguments],
                          capture_output=True, text=True)


def includes(tree):
    return run("check_includes.py", tree)


def sources(tree):
    return run("check_sources.py", "--root", tree)


def test_a_clean_tree_passes(tree):
    assert includes(tree).returncode == 0, includes(tree).stdout
    assert sources(tree).returncode == 0, sources(tree).stdout


@pytest.mark.parametrize("line", [
    '#include "service/domain/token.h"',
    '#  include "service/domain/token.h"',
    '#include "common/base/deeper/x.h"',
    "#include <grpc/grpc.h>",
    "#include <event2/event.h>",
])
def test_an_include_of_a_higher_layer_is_named_with_its_line(tree, line):
    (tree / "common/base/y.c").write_text(SPDX_C + "\n" + line + "\n")
    done = includes(tree)
    assert done.returncode == 1
    assert "common/base/y.c:3: may not include" in done.stdout


def test_a_folder_without_rules_obeys_its_parent(tree):
    (tree / "common/base/deeper").mkdir()
    (tree / "common/base/deeper/y.c").write_text('#include "service/domain/token.h"\n')
    assert "deeper/y.c:1: may not include" in includes(tree).stdout


def test_a_folder_without_any_rules_is_an_error(tree):
    (tree / "gateway").mkdir()
    (tree / "gateway/y.c").write_text("")
    assert "gateway/y.c: there is no .may_include" in includes(tree).stdout


def test_a_rule_for_one_file_holds_for_no_other(tree):
    for name in ("main.c", "token.c"):
        (tree / "service/domain" / name).write_text('#include "service/store/sqlite/x.h"\n')
    done = includes(tree)
    assert "token.c:1: may not include" in done.stdout
    assert "main.c" not in done.stdout


@pytest.mark.parametrize("text, problem", [
    ("int x;\n", ":1: the first line must say SPDX"),
    pytest.param(SPDX_C + "int  x;\n", ":2: not as clang-format-14 lays it out", marks=pytest.mark.skipif(
        not shutil.which("clang-format-14"), reason="clang-format-14 is not installed")),
    (SPDX_C + "int x;", "no newline at the end"),
    (SPDX_C + "int x; \n", ":2: blanks at the end"),
    (SPDX_C + "int x = atoi(y);\n", ":2: atoi() is not used here"),
    (SPDX_C + "int x = strcpy (y, z);\n", ":2: strcpy() is not used here"),
    (SPDX_C + "Osmo__Token__V1__Token x;\n", ":2: names a generated message"),
    (SPDX_C + "/* osmo_" + "7" * 49 + " */\n", ":2: holds an access token"),
])
def test_bad_c_is_named_with_its_line(tree, text, problem):
    (tree / "common/base/y.c").write_text(text)
    done = sources(tree)
    assert done.returncode == 1
    assert "common/base/y.c" in done.stdout and problem in done.stdout


@pytest.mark.parametrize("text", [
    '/* strcpy(x) is not used */\nconst char *x = "atoi(";\n',
    "int x = my_atoi(y);\n",
    "int x = p->rand(y);\n",
])
def test_words_in_comments_strings_and_longer_names_are_free(tree, text):
    (tree / "common/base/y.c").write_text(SPDX_C + text)
    done = sources(tree)
    assert done.returncode == 0, done.stdout


def test_generated_messages_may_be_named_at_the_edge(tree):
    (tree / "service/api").mkdir()
    (tree / "service/api/y.c").write_text(SPDX_C + "Osmo__Token__V1__Token x;\n")
    assert sources(tree).returncode == 0


def test_a_private_key_is_found_in_any_file(tree):
    key = "-----BEGIN " + "PRIVATE KEY-----\n" + "M" * 64 + "\n"
    (tree / "server.pem").write_text(key)
    assert "server.pem:1: holds a private key" in sources(tree).stdout


def test_marks_of_a_merge_are_found_in_any_file(tree):
    (tree / "notes.md").write_text("a\n" + "<" * 7 + " HEAD\nb\n")
    assert "notes.md:2: a mark of a merge" in sources(tree).stdout


def test_python_is_indented_by_spaces(tree):
    (tree / "x.py").write_text("# SPDX-License-Identifier: Apache-2.0\nif x:\n\ty()\n")
    assert "x.py:3: indented by a tab" in sources(tree).stdout


def summary(folder):
    return run("test_summary.py", folder)


def junit(folder, suite, cases, code=0):
    (folder / f"{suite}.xml").write_text(f"<testsuite>{cases}</testsuite>")
    (folder / f"{suite}.rc").write_text(f"{code}\n")


def test_the_summary_closes_with_the_sum_of_all_suites(tmp_path):
    junit(tmp_path, "a", '<testcase name="x"/><testcase name="y"><skipped message="why"/></testcase>')
    junit(tmp_path, "b", '<testcase classname="m" name="z" status="run"/>')
    done = summary(tmp_path)
    assert done.returncode == 0
    assert done.stdout.endswith("Skipped:\n  a: y: why\n\n2 passed, 0 failed, 1 skipped\n")


@pytest.mark.parametrize("case", [
    '<testcase name="x"><failure message="1 != 2"/></testcase>',
    '<testcase name="x"><error message="1 != 2"/></testcase>',
    '<testcase name="x" status="fail"/>',
    '<testcase name="x" status="notrun"/>',
])
def test_the_summary_fails_with_a_test(tmp_path, case):
    junit(tmp_path, "a", case + '<testcase name="y"/>', code=8)
    done = summary(tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("\n1 passed, 1 failed, 0 skipped\n")
    assert "a: x" in done.stdout


def test_the_summary_fails_where_a_runner_died_without_a_word(tmp_path):
    junit(tmp_path, "a", '<testcase name="y"/>')
    (tmp_path / "b.rc").write_text("3\n")
    done = summary(tmp_path)
    assert done.returncode == 1
    assert "b: exited with 3" in done.stdout


def test_the_summary_fails_with_a_step_that_is_no_test(tmp_path):
    junit(tmp_path, "a", '<testcase name="y"/>')
    (tmp_path / "asan.report.17.failed").write_text("ERROR: AddressSanitizer: heap-use-after-free\n")
    done = summary(tmp_path)
    assert done.returncode == 1
    assert "asan.report.17: ERROR: AddressSanitizer" in done.stdout


def test_the_summary_fails_if_nothing_ran(tmp_path):
    done = summary(tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("no test ran\n\n0 passed, 0 failed, 0 skipped\n")

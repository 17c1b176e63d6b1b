# SPDX-License-Identifier: Apache-2.0
"""SQLite databases as an older version of the program left them."""

import contextlib
import os
import re
import sqlite3

from . import program

WORDS = {"{text}": "TEXT", "{bytes}": "BLOB", "{int}": "INTEGER", "{strict}": "STRICT"}


def steps():
    """(version, name, SQL) of each step of the schema."""
    for path in sorted((program.ROOT / "service/store/schema").glob("*.sql")):
        version, name = path.stem.split("_", 1)
        sql = re.sub(r"--.*", "", path.read_text())
        yield int(version), name, re.sub(r"\{\w+\}", lambda word: WORDS[word[0]], sql)


def columns(connection, schema, table):
    return {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}


def bring_back(database, version, more=""):
    """Rewrites the file of a stopped service as `version` of the schema, with its rows, and runs `more` on it."""
    old = database.with_suffix(".old")
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")
        for number, _, sql in steps():
            if number <= version:
                connection.executescript(sql)
        connection.execute("ATTACH ? AS new", (str(database),))
        id_, = connection.execute("PRAGMA new.application_id").fetchone()
        connection.execute(f"PRAGMA main.application_id = {id_}")
        [[sql]] = connection.execute("SELECT sql FROM new.sqlite_schema WHERE name = 'schema_version'")
        connection.execute(sql)
        for (table,) in connection.execute("SELECT name FROM new.sqlite_schema WHERE type = 'table'").fetchall():
            names = ", ".join(sorted(columns(connection, "main", table) & columns(connection, "new", table)))
            connection.execute(f"INSERT OR REPLACE INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
        connection.execute("DELETE FROM main.schema_version WHERE version > ?", (version,))
        connection.commit()
        connection.executescript(f"DETACH new; {more}; PRAGMA wal_checkpoint(TRUNCATE)")
    for name in database.name, f"{database.name}-wal", f"{database.name}-shm":
        with contextlib.suppress(FileNotFoundError):
            (database.parent / name).unlink()
    os.rename(old, database)


def many_tokens(number):
    """SQL that makes so many tokens of ten thousand users, for bring_back: in no order."""
    return f"""
        WITH RECURSIVE i(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM i WHERE x < {number - 1})
        INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, created_us, last_used_us)
        SELECT randomblob(32), 0, 'u' || (x * 7919 % 10000), 't' || x, 'filled in', '["osmo-user"]', 30000,
               1780000000000000, 0 FROM i;
        UPDATE counter SET value = (SELECT count(*) FROM token WHERE kind = 0) WHERE name = 'user_tokens'"""

# SPDX-License-Identifier: Apache-2.0
"""The stores that a service may keep its tokens in, so that one test says the same of each."""

import pathlib
import sqlite3

from env.postgres import Postgres


class Sqlite:
    """A file in the data directory."""

    def options(self, _folder):
        """Of a service in this folder."""
        return ()

    def sql(self, folder, text):
        with sqlite3.connect(pathlib.Path(folder) / "data/tokens.db") as database:
            database.execute(text)
        database.close()

    def stop(self):
        pass


class PostgresStore:
    """A server, with a database for each folder."""

    def __init__(self, *settings):
        self.server = Postgres(*settings)
        self.databases = {}  # by folder

    def options(self, folder):
        folder = pathlib.Path(folder)
        if folder not in self.databases:
            self.databases[folder] = self.server.database(f"of{len(self.databases)}")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "encryption.key").write_text("5a" * 32 + "\n")
        return ("--store", "postgres", "--postgres-url", self.server.url(self.databases[folder]),
                "--encryption-key-file", folder / "encryption.key")

    def sql(self, folder, text):
        self.server.sql(text, self.databases[pathlib.Path(folder)])

    def stop(self):
        self.server.stop()


KINDS = {"sqlite": Sqlite, "postgres": PostgresStore}

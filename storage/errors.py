"""What can go wrong with the memory, told in one line that names the thing and the remedy.

StorageError            exit code 3, where nothing else is said
  SchemaError           the database is of another age than this program
  StoreLocked           someone else holds it
  Superseded            someone else has taken it over
  Unreachable           its server does not let us in
  NotFound              there is no such picture, kind, version, database
  Refused               what a person asked for makes no sense as things stand; exit code 2
  Outdated              what a writer had read has changed since; read again and repeat
"""

from __future__ import annotations


class StorageError(Exception):
    """The memory cannot be read or written."""

    exit_code = 3


class SchemaError(StorageError):
    """The database's schema is missing, older or newer than this program's."""


class StoreLocked(StorageError):
    """Another process holds the database or the data directory."""


class Superseded(StorageError):
    """Another agent has taken the database over while this one was cut off from it."""


class Unreachable(StorageError):
    """The server of the database does not answer, or refuses the login."""


class NotFound(StorageError):
    """What was asked for is not there."""


class Refused(StorageError):
    """A correction that contradicts how things stand; nothing was changed."""

    exit_code = 2


class Outdated(StorageError):
    """A revision that was prepared on an older one; nothing of it became visible."""

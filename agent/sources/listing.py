"""Which paths below a watched folder count, and all the files that are there now.

The listing is the truth about a folder, file events are hints. It knows nothing about what has been stored.
"""

from __future__ import annotations

import fnmatch
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.frame import FileStat


class PathRules:
    """Tells which paths below a root are looked at.

    Args:
        root: absolute path of the watched folder.
        ignore: globs for single components below the root; upper and lower case are the same.
        exclude: folders left out with all that is in them, if they lie below the root.
    """

    def __init__(self, root: str, ignore: Sequence[str], exclude: Sequence[Path] = ()) -> None:
        self._root = root
        self._ignored = re.compile("|".join(fnmatch.translate(glob.lower()) for glob in ignore) or r"(?!)")
        self._excluded = frozenset(_below(root, folder) for folder in exclude) - {None}

    def admits_name(self, name: str) -> bool:
        """Whether a component of this name is looked at."""
        return self._ignored.match(name.lower()) is None

    def admits_folder(self, path: str) -> bool:
        """Whether a folder is entered, judged by its own name and place only."""
        return path not in self._excluded and self.admits_name(os.path.basename(path))

    def admits(self, path: str) -> bool:
        """Whether a path that somebody else names, with all folders above it, is looked at."""
        if not path.startswith(self._root.rstrip(os.sep) + os.sep):
            return False
        parent, name = os.path.split(path)
        while len(parent) > len(self._root):
            if not self.admits_folder(parent):
                return False
            parent = os.path.dirname(parent)
        return self.admits_name(name) and path not in self._excluded


def _below(root: str, folder: Path) -> str | None:
    """The folder's path as the walk below the root will spell it, whatever links lead to either."""
    try:
        relative = Path(os.path.realpath(folder)).relative_to(os.path.realpath(root))
    except ValueError:
        return None
    return os.path.join(root, relative) if relative.parts else None


@dataclass(slots=True)
class Listing:
    """Walks a folder once.

    Attributes:
        unreadable: folders that could not be listed; what lies in them is unknown, not gone.
        complete: the walk came to its end.
    """

    rules: PathRules
    unreadable: list[str] = field(default_factory=list)
    complete: bool = False

    def files(self, folder: str, stop: threading.Event) -> Iterator[tuple[str, FileStat]]:
        """Yield each regular file with its stat; links are not followed. Ends early when `stop` is set."""
        folders = [folder]
        while folders:
            if stop.is_set():
                return
            folder = folders.pop()
            try:
                entries = os.scandir(folder)
            except OSError as error:
                self._unlisted(folder, error)
                continue
            with entries:
                try:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            if self.rules.admits_folder(entry.path):
                                folders.append(entry.path)
                        elif entry.is_file(follow_symlinks=False) and self.rules.admits_name(entry.name):
                            yield from self._with_stat(folder, entry)
                except OSError as error:
                    self._unlisted(folder, error)
        self.complete = True

    def _with_stat(self, folder: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, FileStat]]:
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError as error:  # gone since the folder was listed, or a path that is longer than the system takes
            self._unlisted(folder, error)
        else:
            yield entry.path, FileStat(facts.st_size, facts.st_mtime_ns)

    def _unlisted(self, folder: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):  # those are gone, and that is knowledge
            self.unreadable.append(folder)

"""Which paths below a watched folder count, and all the files that are there now.

The listing is the truth about a folder, file events are hints. It knows nothing about what has been stored.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import re
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.frame import FileStat

Identity = tuple[int, int]
"""Device and inode."""


class PathRules:
    """Tells which paths below a root are looked at.

    Args:
        root: absolute path of the watched folder.
        ignore: globs for single components below the root; upper and lower case are the same.
        exclude: folders left out with all that is in them, by whatever path they are reached.
        recursive: whether folders below the root are entered at all.
    """

    def __init__(
        self, root: str, ignore: Sequence[str], exclude: Sequence[Path] = (), *, recursive: bool = True
    ) -> None:
        self._root = root
        self._recursive = recursive
        self._barred = tuple(exclude)
        self._ignored = re.compile("|".join(fnmatch.translate(glob.lower()) for glob in ignore) or r"(?!)")
        self._excluded = frozenset(_below(root, folder) for folder in exclude) - {None}

    def admits_name(self, name: str) -> bool:
        """Whether a component of this name is looked at."""
        return self._ignored.match(name.lower()) is None

    def admits_folder(self, path: str) -> bool:
        """Whether a folder is entered, judged by its own name and place only."""
        return self._recursive and path not in self._excluded and self.admits_name(os.path.basename(path))

    def barred(self) -> set[Identity]:
        """Device and inode of the folders that are left out, for walks that reach them through links."""
        asked_for = _identity(self._root)
        return {identity for identity in map(_identity, self._barred) if identity not in (None, asked_for)}

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


def _identity(path: str | Path) -> Identity | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


@dataclass(slots=True)
class Listing:
    """Walks a folder once.

    Attributes:
        follow_links: enter linked folders and take linked files, too. Each folder is entered once, whatever loops there
            are: by its own path if it lies below the root, and else by the first link to it.
        unreadable: folders that could not be listed, and links that lead nowhere; what lies there is unknown, not gone.
        complete: the walk came to its end.
    """

    rules: PathRules
    follow_links: bool = False
    unreadable: list[str] = field(default_factory=list)
    complete: bool = False

    def files(self, folder: str, stop: threading.Event) -> Iterator[tuple[str, FileStat]]:
        """Yield each regular file with its stat. Ends early when `stop` is set."""
        folders, linked = [folder], list[str]()
        entered = self.rules.barred() if self.follow_links else set()
        while folders or linked:
            if stop.is_set():
                return
            folder = folders.pop() if folders else heapq.heappop(linked)
            if self.follow_links and not _enters(folder, entered):
                continue
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
                        elif entry.is_symlink():
                            if self.follow_links and self.rules.admits_name(entry.name):
                                yield from self._through(entry, linked)
                        elif entry.is_file(follow_symlinks=False) and self.rules.admits_name(entry.name):
                            yield from self._with_stat(folder, entry)
                except OSError as error:
                    self._unlisted(folder, error)
        self.complete = True

    def _through(self, link: os.DirEntry[str], linked: list[str]) -> Iterator[tuple[str, FileStat]]:
        try:
            facts = os.stat(link.path)
        except OSError:  # perhaps a disk is not mounted
            self.unreadable.append(link.path)
            return
        if stat.S_ISREG(facts.st_mode):
            yield link.path, FileStat.of(facts)
        elif stat.S_ISDIR(facts.st_mode) and self.rules.admits_folder(link.path):
            heapq.heappush(linked, link.path)

    def _with_stat(self, folder: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, FileStat]]:
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError as error:  # gone since the folder was listed, or a path that is longer than the system takes
            self._unlisted(folder, error)
        else:
            yield entry.path, FileStat.of(facts)

    def _unlisted(self, folder: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):  # those are gone, and that is knowledge
            self.unreadable.append(folder)


def _enters(folder: str, entered: set[Identity]) -> bool:
    """Note a folder that is entered; False if it was entered before by another path, or must not be."""
    identity = _identity(folder)
    if identity in entered:
        return False
    if identity is not None:  # else listing it says why
        entered.add(identity)
    return True

"""What splits off from kinds that people merged away goes with them: they said that those pictures are one kind.

A merge keeps which kinds it took along in this way, with what it merges, and from which revision on
(`payload["offspring"]`: pairs), so that they count as merged and as given back with it, whenever it is undone or made
again, and as kinds of their own at times before. It loads no numpy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, or_, select, update

from storage.facts import Fact, counting
from storage.records import ClusterRecord
from storage.schema import cluster_parents, clusters, corrections, revisions
from storage.visible import revision_at


def adopting(facts: Sequence[Fact], born: Sequence[ClusterRecord]) -> list[Fact]:
    """The same facts, with those of the newborn kinds that go with a merge among its kinds.

    Args:
        facts: those that count, in order.
        born: kinds that a round has just found.
    """
    grown = {fact.event_id: fact for fact in facts}
    for record in sorted(born, key=lambda one: one.id):
        taking = _taking(grown.values(), record.parents)
        if taking is not None:
            grown[taking] = _with(grown[taking], record.id)
    return list(grown.values())


def adopt(connection: Connection, born: Sequence[ClusterRecord], revision: int) -> set[int]:
    """Note what merges that count take along of the newborn kinds; those, which nobody is to see as kinds.

    Args:
        revision: by which they are born.
    """
    born = [record for record in born if record.parents]
    if not born:
        return set()
    facts = counting(connection)
    return _keep(connection, facts, adopting(facts, born), revision)


def gather(
    connection: Connection, were: Sequence[Fact], are: Sequence[Fact], since: int
) -> tuple[list[Fact], set[int]]:
    """The facts that are to count, and the kinds that go along with merges among them from now on.

    A merge takes what it would have taken had these facts counted when that split off, if it would not have by those
    that count until now: what it left then it leaves. Kinds of which people have spoken meanwhile stay kinds of their
    own, and so does what came out of these.

    Args:
        were: those that count until now.
        since: the revision by which that became visible first which is undone or made again.
    """
    spoken = {kind for fact in are for kind in (fact.cluster_id, *fact.asked)}
    faced = select(clusters.c.id).where(or_(clusters.c.name != "", clusters.c.hidden))
    spoken |= set(connection.execute(faced).scalars())
    grown = {fact.event_id: fact for fact in are}
    for kind, (revision, parents) in sorted(_born_after(connection, since).items()):
        taking = _taking(_before(grown.values(), revision), parents)
        if taking is not None and taking != _taking(_before(were, revision), parents) and kind not in spoken:
            grown[taking] = _with(grown[taking], kind)
    taken = _keep(connection, are, list(grown.values()), revision_at(connection, None) + 1)
    return list(grown.values()), taken


# -------------------------------------------------------------------------- parts


def _taking(facts: Iterable[Fact], parents: Collection[int]) -> int | None:
    """Event of the first fact from which on all that a kind came out of is seen in one kind that it was merged into."""
    seen = {parent: parent for parent in parents}
    for fact in facts:
        seen = {parent: fact.cluster_id if kind in fact.kinds else kind for parent, kind in seen.items()}
        if fact.kinds and seen and all(kind == fact.cluster_id != parent for parent, kind in seen.items()):
            return fact.event_id
    return None


def _before(facts: Iterable[Fact], revision: int) -> list[Fact]:
    return [fact for fact in facts if fact.revision < revision]


def _with(merge: Fact, kind: int) -> Fact:
    if kind in merge.kinds:
        return merge
    return replace(merge, kinds=(*merge.kinds, kind), offspring=(*merge.offspring, kind))


def _keep(connection: Connection, facts: Sequence[Fact], grown: Sequence[Fact], revision: int) -> set[int]:
    """Note what these facts have taken more of, and the revision by which it is seen; all of that."""
    taken: set[int] = set()
    for before, after in zip(facts, grown, strict=True):
        more = after.offspring[len(before.offspring) :]
        if more:
            this = corrections.c.event_id == after.event_id
            payload = connection.execute(select(corrections.c.payload).where(this)).scalar_one()
            offspring = [*payload.get("offspring", ()), *([kind, revision] for kind in more)]
            connection.execute(update(corrections).where(this).values(payload={**payload, "offspring": offspring}))
            taken.update(more)
    return taken


def _born_after(connection: Connection, revision: int) -> dict[int, tuple[int, set[int]]]:
    """Kinds that rounds split off after a revision: by which one, and what they came out of."""
    query = select(cluster_parents.c.cluster_id, cluster_parents.c.parent_id, clusters.c.born_revision)
    query = query.join(clusters, clusters.c.id == cluster_parents.c.cluster_id)
    query = query.join(revisions, revisions.c.id == clusters.c.born_revision)
    # what people split off is theirs, and belongs to nothing else
    query = query.where(clusters.c.born_revision > revision, revisions.c.clustering_id.is_not(None))
    found: dict[int, tuple[int, set[int]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.cluster_id, (row.born_revision, set()))[1].add(row.parent_id)
    return found

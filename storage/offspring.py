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


def gather(connection: Connection, fact: Fact, others: Sequence[Fact], since: int) -> tuple[list[Fact], set[int]]:
    """The facts with one that is to count again, and the kinds that have split off while it did not and go along now.

    A merge takes what it would have taken had it counted, and so do those that lead on what it brings together. Kinds
    of which people have spoken meanwhile stay kinds of their own, and so does what came out of these.

    Args:
        others: those that count without it.
        since: the revision by which it became visible first.
    """
    spoken = {kind for other in others for kind in (other.cluster_id, *other.asked)}
    faced = select(clusters.c.id).where(or_(clusters.c.name != "", clusters.c.hidden))
    spoken |= set(connection.execute(faced).scalars())
    facts = sorted([*others, fact], key=lambda one: one.event_id)
    grown = {one.event_id: one for one in facts}
    born = _born_after(connection, since) if fact.kinds else {}
    for kind, parents in sorted(born.items()):
        taking = _taking(grown.values(), parents)
        if taking is not None and taking != _taking(others, parents) and kind not in spoken:
            grown[taking] = _with(grown[taking], kind)
    taken = _keep(connection, facts, list(grown.values()), revision_at(connection, None) + 1)
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


def _born_after(connection: Connection, revision: int) -> dict[int, set[int]]:
    """Kinds that rounds split off after a revision, and what they came out of."""
    query = select(cluster_parents.c.cluster_id, cluster_parents.c.parent_id)
    query = query.join(clusters, clusters.c.id == cluster_parents.c.cluster_id)
    query = query.join(revisions, revisions.c.id == clusters.c.born_revision)
    # what people split off is theirs, and belongs to nothing else
    query = query.where(clusters.c.born_revision > revision, revisions.c.clustering_id.is_not(None))
    found: dict[int, set[int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.cluster_id, set()).add(row.parent_id)
    return found

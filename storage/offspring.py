"""What splits off from kinds that people merged away goes with them: they said that those pictures are one kind.

A merge keeps which kinds it took along in this way, with what it merges (`payload["offspring"]`), so that they count as
merged and as given back with it, whenever it is undone or made again. It loads no numpy.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Connection, or_, select, update

from storage.facts import Fact, counting
from storage.records import ClusterRecord
from storage.schema import cluster_parents, clusters, corrections, revisions


def adopting(facts: Sequence[Fact], born: Sequence[ClusterRecord]) -> list[Fact]:
    """The same facts, with those of the newborn kinds that go with a merge among its kinds.

    Args:
        facts: those that count, in order.
        born: kinds that a round has just found.
    """
    grown = list(facts)
    for record in sorted(born, key=lambda one: one.id):
        at = _taking(grown, record.parents)
        if at is not None:
            grown[at] = _with(grown[at], (record.id,))
    return grown


def adopt(connection: Connection, born: Sequence[ClusterRecord]) -> set[int]:
    """Note what merges that count take along of the newborn kinds; those, which nobody is to see as kinds."""
    born = [record for record in born if record.parents]
    if not born:
        return set()
    facts = counting(connection)
    grown = [after for before, after in zip(facts, adopting(facts, born), strict=True) if after != before]
    for fact in grown:
        _keep(connection, fact)
    return {record.id for record in born} & {kind for fact in grown for kind in fact.offspring}


def gather(connection: Connection, merge: Fact, revision: int) -> Fact:
    """A merge that is to count again, with what has split off from its kinds while it did not.

    It takes what it would have taken had it counted. Kinds of which people have spoken meanwhile stay kinds of their
    own, and so does what came out of these.

    Args:
        revision: by which the merge became visible.
    """
    others = counting(connection)
    spoken = {kind for fact in others for kind in (fact.cluster_id, *fact.asked)} | {*merge.kinds}
    faced = select(clusters.c.id).where(or_(clusters.c.name != "", clusters.c.hidden))
    spoken |= set(connection.execute(faced).scalars())
    facts = sorted([*others, merge], key=lambda fact: fact.event_id)
    this = facts.index(merge)
    for kind, parents in sorted(_born_after(connection, revision).items()):
        if kind not in spoken and _taking(facts, parents) == this:
            facts[this] = _with(facts[this], (kind,))
    if facts[this] != merge:
        _keep(connection, facts[this])
    return facts[this]


# -------------------------------------------------------------------------- parts


def _taking(facts: Sequence[Fact], parents: Collection[int]) -> int | None:
    """Which is the first fact from which on all that a kind came out of is seen in one kind that it was merged into."""
    seen = {parent: parent for parent in parents}
    for at, fact in enumerate(facts):
        seen = {parent: fact.cluster_id if kind in fact.kinds else kind for parent, kind in seen.items()}
        if fact.kinds and seen and all(kind == fact.cluster_id != parent for parent, kind in seen.items()):
            return at
    return None


def _with(merge: Fact, kinds: tuple[int, ...]) -> Fact:
    return replace(merge, kinds=(*merge.kinds, *kinds), offspring=(*merge.offspring, *kinds))


def _keep(connection: Connection, merge: Fact) -> None:
    this = corrections.c.event_id == merge.event_id
    payload = connection.execute(select(corrections.c.payload).where(this)).scalar_one()
    kept = {**payload, "offspring": list(merge.offspring)}
    connection.execute(update(corrections).where(this).values(payload=kept))


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

"""Views of schema 0001, for people who bring their own tools (datasette, pandas, DuckDB).

v_current   one row per present location: the picture, its status and its kind now
v_clusters  one row per kind, ended ones too
v_timeline  one row per kind and revision in which its size changed
v_lineage   one row per way that members took from one kind to another: `parent_id` -> `child_id`
"""

from __future__ import annotations

V_CURRENT = """
CREATE VIEW v_current AS
SELECT p.id AS picture_id, p.sha256, l.uri, l.source, p.captured_at, p.ingested_at,
       CASE WHEN a.id IS NULL THEN 'pending' WHEN a.cluster_id IS NULL THEN 'unassigned' ELSE 'clustered' END AS status,
       a.cluster_id, c.name AS cluster_name, a.probability, COALESCE(a.core, FALSE) AS is_core
FROM pictures p
JOIN locations l ON l.picture_id = p.id AND l.missing_at IS NULL
LEFT JOIN assignments a ON a.picture_id = p.id
     AND a.valid_from <= (SELECT COALESCE(MAX(id), 0) FROM revisions)
     AND (a.valid_to IS NULL OR a.valid_to > (SELECT COALESCE(MAX(id), 0) FROM revisions))
LEFT JOIN clusters c ON c.id = a.cluster_id
"""

V_CLUSTERS = """
CREATE VIEW v_clusters AS
SELECT c.id, c.name, c.state, c.hidden, c.size, c.core_size, c.first_seen, c.last_seen, c.coarser, r.at AS born_at
FROM clusters c
JOIN revisions r ON r.id = c.born_revision
"""

V_TIMELINE = """
CREATE VIEW v_timeline AS
SELECT r.at, r.id AS revision, r.actor, r.clustering_id, k.cluster_id, c.name, k.size, k.core_size
FROM cluster_rounds k
JOIN revisions r ON r.id = k.revision
JOIN clusters c ON c.id = k.cluster_id
"""

V_LINEAGE = """
CREATE VIEW v_lineage AS
SELECT r.at, 'split' AS relation, p.parent_id, p.cluster_id AS child_id
FROM cluster_parents p
JOIN clusters c ON c.id = p.cluster_id
JOIN revisions r ON r.id = c.born_revision
UNION ALL
SELECT e.at, e.type AS relation, e.cluster_id AS parent_id, o.cluster_id AS child_id
FROM events e JOIN event_others o ON o.event_id = e.id WHERE e.type = 'absorbed'
UNION ALL
SELECT e.at, e.type AS relation, o.cluster_id AS parent_id, e.cluster_id AS child_id
FROM events e JOIN event_others o ON o.event_id = e.id WHERE e.type = 'merged'
"""

VIEWS = (V_CURRENT, V_CLUSTERS, V_TIMELINE, V_LINEAGE)

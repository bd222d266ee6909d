"""The real command on a PostgreSQL server: readers find it, and its password is nowhere that others can read."""

from __future__ import annotations

import stat

from tests.e2e.conftest import Taxon
from tests.e2e.test_once import fill
from tests.postgres import PASSWORD, Server


def test_a_folder_is_sorted_into_a_database_on_a_server(taxon: Taxon, server: Server) -> None:
    fill(taxon, 12)
    (taxon.folder / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    with server.database() as name:
        url = server.url(name)
        taxon.once(f"storage.url={url}")
        rows = taxon.rows()
        kinds = taxon.json("clusters")
        taxon.call("rename", str(kinds[0]["id"]), "Äpfel 🍎")
        events = taxon.json("history")
        assert taxon.json("clusters")[0]["name"] == "Äpfel 🍎"
        elsewhere = taxon.call("run", "--once", "--watch", str(taxon.folder), check=False)
    assert len(rows) == 49
    assert {row["status"] for row in rows.values()} <= {"clustered", "unassigned", "rejected"}
    assert {row["cluster_id"] for row in rows.values()} - {""} <= {str(kind["id"]) for kind in kinds}
    assert {event["type"] for event in events} >= {"emerged", "renamed"}
    assert not list(taxon.data.glob("*.db"))
    assert stat.S_IMODE((taxon.data / "taxon.yaml").stat().st_mode) == 0o600
    gone = taxon.call("status", check=False)
    for refused, says in ((elsewhere, "was begun with the database"), (gone, "make it with `createdb`")):
        assert refused.returncode == 3
        assert refused.stderr.count("\n") == 1
        assert says in refused.stderr
        assert all(secret not in refused.stderr for secret in (PASSWORD, PASSWORD.replace(" ", "%20")))

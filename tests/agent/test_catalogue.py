"""Sources see the files of their own machine, where several share a database."""

from __future__ import annotations

from agent.catalogue import StoreCatalogue
from agent.uri import on_machine
from storage.queries import Queries
from storage.store import Store
from tests.factories import picture

MACHINES = ("", "gate", "yard")


def test_the_same_path_on_several_machines_is_several_places(store: Store, queries: Queries) -> None:
    for number, machine in enumerate(MACHINES):
        store.add([picture(number, on_machine(machine, "/in/a.jpg"), source=on_machine(machine, "/in"))])
    catalogues = [StoreCatalogue(store, queries, machine) for machine in MACHINES]
    for catalogue in catalogues:
        assert list(catalogue.present_uris("/in")) == list(catalogue.present_below("/in/")) == ["/in/a.jpg"]
        assert catalogue.known(["/in/a.jpg", "/in/b.jpg"]).keys() == {"/in/a.jpg"}
    catalogues[1].mark_missing(["/in/a.jpg"])
    assert [len(catalogue.known(["/in/a.jpg"])) for catalogue in catalogues] == [1, 0, 1]

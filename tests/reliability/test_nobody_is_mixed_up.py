"""A thousand people sign in and out at once, and everybody is who they are."""

from __future__ import annotations

from pathlib import Path

from reliability.processes import workers
from reliability.visits import CrowdProvider
from support.bare_site import with_apis

PEOPLE, PROCESSES, THREADS = 1000, 2, 8


def test_a_thousand_sign_ins_and_sign_outs_on_two_processes(tmp_path: Path) -> None:
    with CrowdProvider(signing_alg="ES256") as provider:
        store = f"sqlite:///{tmp_path / 'keyfob.sqlite3'}"
        with workers(PROCESSES, settings=with_apis(provider), store=store) as site:
            for number, process in enumerate(site):
                mine = [str(person) for person in range(number, PEOPLE, PROCESSES)]
                process.tell("people", THREADS, mine)
            wrong = [process.answer() for process in site]
        assert wrong == [[], []]
        subjects = [access.person.sub for access in provider._access.values() if access.person]
        assert len(subjects) == len(set(subjects)) == PEOPLE

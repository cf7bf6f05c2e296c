"""The mutations themselves; that each is caught is what `make mutants` finds out."""

from __future__ import annotations

import pytest

from mutants.mutations import MUTATIONS, Mutation
from mutants.scratch import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_is_switched_off_is_there(mutation: Mutation) -> None:
    """Each anchor stands exactly once in its file, and the tests that must notice exist."""
    text = (ROOT / mutation.file).read_text()
    files = [word for word in mutation.tests if word.startswith("tests/")]

    assert text.count(mutation.anchor) == 1
    assert mutation.instead != mutation.anchor
    assert files
    assert [file for file in files if not (ROOT / file.partition("::")[0]).is_file()] == []


def test_each_mutation_has_its_name() -> None:
    """No two mutations share a name, which the report tells them by."""
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)

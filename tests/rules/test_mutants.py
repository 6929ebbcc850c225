"""Every planted bug is caught: the invariants are worth their trust."""

from __future__ import annotations

import pytest

from tests.rules.mutants import MUTANTS, Mutant, NotPlanted, caught_by_walk, planted


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_walk_catches(mutant: Mutant) -> None:
    """The walk over a machine with this mistake finds a broken promise."""
    assert caught_by_walk(mutant)


def test_a_mutant_without_a_place_is_an_error() -> None:
    """A mutant that changes nothing would be caught by nobody, and prove nothing."""
    with pytest.raises(NotPlanted):
        planted(Mutant("nothing", "there is no such line", ""))

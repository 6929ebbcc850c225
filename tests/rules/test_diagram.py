"""docs/lifecycle.md and docs/states.dot say what the code does.

When one of these fails: `python -m tests.rules.diagram`, and look at the difference.
"""

from __future__ import annotations

import pytest

from tests.rules import diagram


def test_the_page_shows_the_machine_as_it_is() -> None:
    """The diagram, the table and the promises in the page are those of the code."""
    page = diagram.PAGE.read_text()
    assert diagram.filled(page) == page


def test_the_drawing_shows_the_machine_as_it_is() -> None:
    assert diagram.dot(diagram.edges()) == diagram.DOT.read_text()


def test_a_page_without_a_place_for_the_diagram_is_an_error() -> None:
    """A page that lost its markers would be compared with nothing."""
    with pytest.raises(LookupError, match="table"):
        diagram.filled(diagram.PAGE.read_text().replace("<!-- table -->", ""))

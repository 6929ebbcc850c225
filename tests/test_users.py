"""Users by name or number, as a configuration has them."""

from __future__ import annotations

import os
import pwd

import pytest

from supervisor_lite import users

ME = pwd.getpwuid(os.getuid())


@pytest.mark.parametrize("word", [ME.pw_name, str(ME.pw_uid)])
def test_a_user_is_found_by_name_and_number(word: str) -> None:
    found = users.find_user(word)
    assert (found.name, found.uid, found.gid) == (ME.pw_name, ME.pw_uid, ME.pw_gid)
    assert found.gid in found.groups
    assert users.user_exists(word)
    assert users.user_id(word) == ME.pw_uid


@pytest.mark.parametrize("word", ["no-such-user", "4294000000", "²", "9" * 30, "a\0b", ""])
def test_there_is_no_such_user(word: str) -> None:
    """Neither of that name nor of that number, however strange it is."""
    assert not users.user_exists(word)
    assert not users.group_exists(word)


def test_a_number_needs_no_name() -> None:
    """A file can be given to a number that nobody has."""
    assert users.user_id("4294000") == 4294000
    assert users.group_id("4294000") == 4294000
    assert users.user_name(4294000) == "4294000"


def test_an_owner_that_is_not_given_is_another() -> None:
    assert users.owner_ids(None, None, (7, 8)) == (7, 8)
    assert users.owner_ids(ME.pw_name, None, (7, 8)) == (ME.pw_uid, 8)
    assert users.owner_ids(None, "12", (7, 8)) == (7, 12)
    with pytest.raises(KeyError, match="no-such-user"):
        users.owner_ids("no-such-user", None, (7, 8))

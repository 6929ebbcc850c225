"""Salted hashes of passwords."""

from __future__ import annotations

import pytest

from supervisor_lite.passwords import is_hash, make_hash, matches


def test_only_the_password_matches_its_hash() -> None:
    hashed = make_hash("pässwörd", 10)
    assert matches("pässwörd", hashed)
    assert not matches("passwörd", hashed)
    assert not matches("", hashed)


def test_a_hash_is_salted_and_holds_no_password() -> None:
    first, second = make_hash("secret", 10), make_hash("secret", 10)
    assert first != second
    assert "secret" not in first
    assert is_hash(first)


@pytest.mark.parametrize("text", [
    "", "plain", "scrypt$", "scrypt$10$8$1$AAAA$AAAA", "scrypt$10$8$1$AAAAAAAAAAAA$!!!",
    "scrypt$9$8$1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
    "scrypt$20$99$1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
    "scrypt$-1$8$1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
    "bcrypt$10$8$1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
])  # fmt: skip
def test_what_is_no_hash_matches_nothing(text: str) -> None:
    assert not is_hash(text)
    assert not matches("", text)

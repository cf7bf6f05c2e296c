from __future__ import annotations

import base64

import pytest

from jitprov.errors import ConfigurationError
from jitprov.sealing import SealBroken, Seals

OLD, NEW = "o" * 40, "n" * 40
PLAIN = b"Robin Example <robin@example.test>"


def test_what_was_sealed_comes_back() -> None:
    """Another holder of the key opens it, and nothing of it can be read without; no two sealed texts are alike."""
    sealed = Seals(NEW).seal(PLAIN, about="one")

    assert Seals(NEW).open(sealed, about="one") == Seals(NEW).open(sealed.encode(), about="one") == PLAIN
    assert b"Robin" not in base64.urlsafe_b64decode(sealed)
    assert sealed != Seals(NEW).seal(PLAIN, about="one")


def test_a_sealed_text_cannot_be_moved() -> None:
    """What is about one does not open as about another."""
    with pytest.raises(SealBroken, match="something else"):
        Seals(NEW).open(Seals(NEW).seal(PLAIN, about="one"), about="another")


def test_every_changed_byte_is_noticed() -> None:
    """A sealed text with any one byte changed, cut short or empty does not open."""
    raw = base64.urlsafe_b64decode(Seals(NEW).seal(b"Robin", about="one"))
    changed = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw))]

    cut = [raw[:length] for length in range(len(raw))]
    for wrong in [*changed, *cut]:
        with pytest.raises(SealBroken):
            Seals(NEW).open(base64.urlsafe_b64encode(wrong), about="one")
    with pytest.raises(SealBroken):
        Seals(NEW).open("no base64 é", about="one")


def test_rotation() -> None:
    """The new key seals, the old one still opens; without the old one the text says which settings to look at."""
    sealed = Seals(OLD).seal(PLAIN, about="one")

    assert Seals(NEW, OLD).open(sealed, about="one") == PLAIN
    assert Seals(NEW).open(Seals(NEW, OLD).seal(PLAIN, about="one"), about="one") == PLAIN
    with pytest.raises(SealBroken, match="JITPROV_DATA_KEY_OLD"):
        Seals(NEW).open(sealed, about="one")


def test_digests_need_the_key() -> None:
    """The same text has the same digest under the same key only, the sealing key's first."""
    assert Seals(NEW, OLD).digests("robin") == Seals(NEW).digests("robin") + Seals(OLD).digests("robin")
    assert len({*Seals(NEW, OLD).digests("robin"), *Seals(NEW).digests("kim")}) == 3
    assert Seals().digests("robin") == ()


def test_without_a_key_nothing_is_sealed() -> None:
    """No key, an empty one included, means refusal and never clear text."""
    assert not Seals()
    assert not Seals("", "")
    with pytest.raises(ConfigurationError, match="JITPROV_DATA_KEY"):
        Seals("").seal(PLAIN, about="one")


def test_keys_do_not_show() -> None:
    """Neither the secret nor what is derived from it shows when printed."""
    assert NEW not in repr(Seals(NEW))

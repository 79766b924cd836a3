"""Tokens: equal for what is equal under one key, apart for everything else, and no way back without the key."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from medshard.errors import MedshardError
from medshard.privacy.remap import PUBLIC_KEY, Remapper, load_id_key

KEY = b"0123456789abcdef"
OTHER = b"0123456789abcdeg"


@given(st.text(max_size=80), st.sampled_from(["patient", "study", "uid"]))
def test_tokens_are_a_keyed_hash_of_kind_and_text(text: str, kind: str) -> None:
    token = Remapper(KEY).token(kind, text)
    wanted = hmac.new(KEY, f"{kind}\0{text}".encode(), hashlib.sha256).hexdigest()
    assert token == wanted[:16] == pickle.loads(pickle.dumps(Remapper(KEY))).token(kind, text)
    assert token != Remapper(OTHER).token(kind, text)
    assert token != Remapper(KEY).token("other", text)


@given(st.lists(st.text(max_size=12), min_size=2, max_size=30, unique=True))
def test_different_texts_stay_apart(texts: list[str]) -> None:
    remapper = Remapper(KEY)
    assert len({remapper.token("patient", text) for text in texts}) == len(texts)


@given(st.from_regex(r"[0-2]\.(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,8})){0,5}", fullmatch=True))
def test_a_uid_becomes_a_uid(uid: str) -> None:
    mapped = Remapper(KEY).uid(uid)
    assert UID(mapped).is_valid
    assert re.fullmatch(r"2\.25\.(0|[1-9][0-9]*)", mapped)
    assert int(mapped.split(".")[2]) < 2**128
    assert mapped == Remapper(KEY).uid(uid + " ") != Remapper(OTHER).uid(uid)
    assert uid not in mapped or len(uid) < 8


def test_the_key_is_named_without_telling_it() -> None:
    names = {Remapper(key).key_id for key in (KEY, OTHER, PUBLIC_KEY)}
    assert len(names) == 3
    assert Remapper().key_id == Remapper(PUBLIC_KEY).key_id
    for name in names:
        assert re.fullmatch(r"[0-9a-f]{8}", name)
        assert not hashlib.sha256(KEY).hexdigest().startswith(name)


def test_tokens_stay_the_same_between_versions() -> None:
    """A corpus that grows later must give its patients the tokens that they have."""
    remapper = Remapper(b"a key that is kept in a safe")
    assert remapper.token("patient", "LIDC-0001") == "a97853f9b2d4e418"
    assert remapper.uid("1.2.840.113619.2.1") == "2.25.176791432027574828221931193150678085974"
    assert remapper.key_id == "2edb2120"


def test_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "id.key"
    path.write_bytes(KEY + b"\n")
    assert load_id_key(path) == KEY
    path.write_bytes(b"  " + KEY[:15] + b"\n")
    with pytest.raises(MedshardError, match="at least 16 bytes, this has 15") as caught:
        load_id_key(path)
    assert KEY[:15].decode() not in str(caught.value)
    with pytest.raises(MedshardError, match="cannot be read"):
        load_id_key(tmp_path / "absent")
    with pytest.raises(MedshardError, match="cannot be read"):
        load_id_key(tmp_path)

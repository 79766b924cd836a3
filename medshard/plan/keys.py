"""Keys that every reader of tars accepts: unique, no dots, short, letters of the portable file name set."""

from __future__ import annotations

import datetime
import hashlib
import re

import pyarrow as pa

from medshard.errors import Problem
from medshard.privacy.remap import Remapper
from medshard.spec.load import LoadedSpec

__all__ = ["MAX_KEY_BYTES", "clean_key", "sample_keys"]

MAX_KEY_BYTES = 80
"""A tar member's name field has 100 bytes (POSIX.1-1988 ustar); 19 stay for ``.slot.ext``."""

_OTHER = re.compile(r"[^A-Za-z0-9_]+")
_UID = re.compile(r"(?:^|[^0-9.])(?:\d+\.){5,}\d+(?:$|[^0-9.])|^(?:\d+\.){5,}\d+$")


def clean_key(dataset: str, raw: str) -> str:
    """``dataset-raw`` with every run of other characters as one ``-``; a long one ends in a digest of the whole.

    Text without any letter or digit of ASCII is named by its digest, so that names in other scripts stay apart.
    """
    words = _OTHER.sub("-", raw).strip("-")
    if not words or not raw.isascii():
        words = (words + "-" if words else "") + hashlib.sha256(raw.encode()).hexdigest()[:12]
    key = f"{dataset}-{words}"
    if len(key) > MAX_KEY_BYTES:
        key = f"{key[: MAX_KEY_BYTES - 17]}-{hashlib.sha256(raw.encode()).hexdigest()[:16]}"
    return key


def sample_keys(loaded: LoadedSpec, table: pa.Table, remapper: Remapper) -> tuple[pa.Table, list[Problem]]:
    """Final keys, and patients and studies as tokens.

    Args:
        table: raw ``key``, ``patient``, ``study`` and ``exam_date`` among its columns.

    Returns:
        The table with ``key`` clean, ``group`` in place of ``patient``, ``day`` in place of ``exam_date``, ordered by
        key; and problems: two samples with one key, a key that holds a UID, or a date that is none.
    """
    spec = loaded.spec
    path = ("samples", "key") if spec.samples.key is not None else ("samples",)
    problems: list[Problem] = []
    raw = [str(key) for key in table["key"].to_pylist()]
    if any(_UID.search(key) for key in raw):
        message = "holds a DICOM UID, which identifies a patient's object; write remap_uid(column)."
        problems.append(loaded.problem("uid-in-key", path, message))
    keys = [clean_key(spec.name, key) for key in raw]
    first: dict[str, int] = {}
    files = table["file"].to_pylist()
    clashes = 0
    for place, key in enumerate(keys):
        earlier = first.setdefault(key, place)
        if earlier != place:
            clashes += 1
            if clashes <= 3:
                both = f"{files[earlier]} and {files[place]}"
                message = f"two samples have the key {key!r}: {both}. Add a column that tells them apart."
                problems.append(loaded.problem("duplicate-key", path, message))
    if clashes > 3:
        problems.append(loaded.problem("duplicate-key", path, f"{clashes} samples in all share a key with another."))
    kind = "patient" if isinstance(spec.samples.patient, str) else "group"
    groups = [
        None if patient in (None, "") else f"{kind}:{remapper.token(kind, f'{spec.name}/{patient}')}"
        for patient in table["patient"].to_pylist()
    ]
    studies = [
        None if study in (None, "") else f"study:{remapper.token('study', f'{spec.name}/{study}')}"
        for study in table["study"].to_pylist()
    ]
    days, wrong = _days([None if date in (None, "") else str(date) for date in table["exam_date"].to_pylist()], groups)
    if wrong:
        message = f"gives no date for {wrong} samples; write it as YYYY-MM-DD, such as strftime(..., '%Y-%m-%d')."
        problems.append(loaded.problem("exam-date", ("samples", "exam_date"), message))
    replaced = ("key", "patient", "study", "exam_date")
    columns = {name: table[name] for name in table.column_names if name not in replaced}
    columns.update(key=pa.array(keys, pa.string()), group=pa.array(groups, pa.string()))
    columns.update(study=pa.array(studies, pa.string()), day=pa.array(days, pa.int64()))
    order = ["key", "split", "fold", "group", "study", "day", "sex", "age_years", "file", "row", "media", "facts"]
    return pa.table({name: columns[name] for name in order}).sort_by("key"), problems


def _days(dates: list[str | None], groups: list[str | None]) -> tuple[list[int | None], int]:
    """Days from a patient's first exam, null where date or patient is unknown; and how many are no dates."""
    ordinals: list[int | None] = []
    wrong = 0
    for date in dates:
        digits = (date or "").replace("-", "")[:8]
        try:
            known = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if date is not None else None
        except ValueError:
            known, wrong = None, wrong + 1
        ordinals.append(known.toordinal() if known is not None else None)
    first: dict[str, int] = {}
    for ordinal, group in zip(ordinals, groups, strict=True):
        if ordinal is not None and group is not None:
            first[group] = min(first.get(group, ordinal), ordinal)
    days = [
        None if ordinal is None or group is None else ordinal - first[group]
        for ordinal, group in zip(ordinals, groups, strict=True)
    ]
    return days, wrong

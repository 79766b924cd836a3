"""Step 3: the files of each slot."""

from __future__ import annotations

from medshard.plan.joins import report_orphans
from medshard.plan.row import STATED
from medshard.plan.session import quote
from medshard.plan.visible import Visible
from medshard.plan.work import Expressions, Path, Work
from medshard.source.read import kind_of
from medshard.spec.schema import MediaSlot

__all__ = ["list_media"]


def list_media(work: Work) -> None:
    """``_media_SLOT``: (sample, path, size_bytes, layer, channel, slice, stated) for every slot."""
    for slot, medium in work.spec.media.items():
        path: Path = ("media", slot)
        source = medium.from_
        if source not in work.tables:
            work.unchecked.append(f"media {slot}")
            continue
        if kind_of(work.spec.sources[source]) not in ("files", "dicom"):
            message = f"{source!r} lists no files; use a files or dicom source."
            work.problem("media-source", (*path, "from"), message)
            continue
        visible = work.visible
        if source not in visible.sources:
            if not medium.using:
                message = f"needs using: the columns that tie a file of {source} to a row of {work.base}."
                work.problem("no-using", path, message)
                continue
            if not work.both_have((*path, "using"), source, medium.using):
                continue
            report_orphans(work, source, medium.using)
            visible = visible.joined(source, work.session.columns[source], medium.using)
        _list_slot(work, slot, source, visible)


def _list_slot(work: Work, slot: str, source: str, visible: Visible) -> None:
    medium = work.spec.media[slot]
    expressions: Expressions = {}
    if medium.layers is not None:
        expressions["layer"] = (("media", slot, "layers"), medium.layers)
    if medium.channels is not None:
        expressions["channel"] = (("media", slot, "channels", "of"), medium.channels.of)
    if medium.slices is not None:
        expressions["slice"] = (("media", slot, "slices", "of"), medium.slices.of)
    stated = _stated(slot, medium)
    expressions |= stated
    where: Expressions = {"where": (("media", slot, "where"), medium.where)} if medium.where is not None else {}
    if not work.fit({**expressions, **where}, visible):
        return
    table = f"_media_{slot}"
    condition = f" WHERE ({medium.where}\n)" if medium.where is not None else ""
    head = f"DISTINCT _sample AS sample, {quote(source)}.path AS path, {quote(source)}.size::BIGINT AS size_bytes"
    tail = f"FROM {visible.sql()} JOIN _member ON _i = {work.base_index}{condition}"
    if not work.compute(table, expressions, head, tail):
        return
    for name in ("layer", "channel", "slice"):
        if name not in expressions:
            work.session.run(f"ALTER TABLE {quote(table)} ADD COLUMN {name} VARCHAR")
    values = f"[{', '.join(name if name in stated else 'NULL' for name in STATED)}]" if stated else "NULL"
    work.session.run(
        f"CREATE OR REPLACE TABLE {quote(table)} AS SELECT *, {values}::VARCHAR[] AS stated FROM {quote(table)}"
    )
    _refuse_no_file(work, slot, table)
    _refuse_several_files(work, slot, table)


def _stated(slot: str, medium: MediaSlot) -> Expressions:
    """The expressions of ``STATED`` that a slot has."""
    found: Expressions = {}
    if medium.rescale is not None:
        for name in ("slope", "intercept"):
            found[name] = (("media", slot, "rescale", name), getattr(medium.rescale, name))
    for field in ("spacing_zyx_mm", "spacing_zyx_um"):
        for place, text in enumerate(getattr(medium, field) or ()):
            found[f"spacing_{'zyx'[place]}"] = (("media", slot, field, place), text)
    return found


def _refuse_no_file(work: Work, slot: str, table: str) -> None:
    absence = work.spec.media[slot].no_file
    if absence not in (None, "error"):
        return
    missing = f"SELECT DISTINCT _sample AS sample FROM _member WHERE _sample NOT IN (SELECT sample FROM {quote(table)})"
    count = work.drop_samples(missing, f"no_{slot}", f"there is no file for the slot {slot!r}")
    if count and absence == "error":
        message = f"{count} samples have no file, and no_file says that this is an error."
        work.problem("no-file", ("media", slot, "no_file"), message)


def _refuse_several_files(work: Work, slot: str, table: str) -> None:
    medium = work.spec.media[slot]
    stated = {"layer": medium.layers, "channel": medium.channels, "slice": medium.slices}
    parts = [name for name, said in stated.items() if said is not None]
    if medium.instances is not None or (medium.kind == "volume" and not parts):
        return  # instances of a mask and slices of a series are several by nature
    key = ", ".join(["sample", *parts])
    several = f"SELECT DISTINCT sample FROM (SELECT {key} FROM {quote(table)} GROUP BY {key} HAVING count(*) > 1)"
    what = " and ".join(parts) or "slot"
    message = f"several files for one {what} of {slot!r}; narrow it with where:, or say layers, slices or instances"
    work.drop_samples(several, "several_files", message)

"""Step 2: which sample each row belongs to, and what is said once a sample."""

from __future__ import annotations

from medshard.plan.session import quote
from medshard.plan.splits import split_expression
from medshard.plan.work import Expressions, Path, Work
from medshard.source.base import STACK_COLUMN
from medshard.spec.expression import parse_expression
from medshard.spec.schema.samples import AtMost

__all__ = ["assign_members", "describe_samples"]


def assign_members(work: Work) -> None:
    """``_member``: (place of a row, number of its sample); rows that ``leave_out`` names are taken out first."""
    samples = work.spec.samples
    for reason, condition in samples.leave_out.items():
        path: Path = ("samples", "leave_out", reason)
        if not work.computable({reason: (path, condition)}) or not work.fit({reason: (path, condition)}):
            continue
        where = f"_i IN (SELECT {work.base_index} FROM {work.visible.sql()} WHERE ({condition}\n))"
        work.leave_out(
            f"SELECT {work.place_columns(work.base)} FROM {quote(work.base)} JOIN _rows ON _i = {work.base_index} "
            f"WHERE {where} ORDER BY _i",
            work.base,
            "leave_out",
            reason,
        )
        work.session.run(f"DELETE FROM _rows WHERE {where}")
    if work.group and not work.columns_exist(("samples", "group"), work.base, work.group):
        return
    group = ", ".join(quote(column) for column in work.group)
    number = f"dense_rank() OVER (ORDER BY {group}) - 1" if group else "row_number() OVER (ORDER BY _i) - 1"
    work.session.run(
        f"CREATE TABLE _member AS SELECT _i, {number} AS _sample FROM _rows JOIN {quote(work.base)} "
        f"ON _i = {work.base_index}"
    )


def describe_samples(work: Work) -> None:
    """``_said``: what each row says of its sample; a value that differs within a group leaves the sample out."""
    expressions = work.computable(_sample_expressions(work))
    expressions.setdefault("key", (("samples",), f"{work.base_index}::VARCHAR"))
    expressions.setdefault("split", (("samples",), "'none'"))
    if work.failed or not work.fit(expressions, group_by=work.group):
        return
    tail = f"FROM {work.visible.sql()} JOIN _member ON _i = {work.base_index}"
    reduced = {name: said for name, said in expressions.items() if parse_expression(said[1]).aggregate}
    plain = {name: said for name, said in expressions.items() if name not in reduced}
    if not work.compute("_said_rows", plain, "_sample AS sample, _i", tail):
        return
    group = ", ".join(["_sample", *(quote(column) for column in work.group)])
    if not work.compute("_said_groups", reduced, "_sample AS sample", f"{tail} GROUP BY {group}"):
        return
    work.session.run("CREATE TABLE _said AS SELECT * FROM _said_rows JOIN _said_groups USING (sample)")
    for name, (path, _) in expressions.items():
        differing = f"SELECT sample FROM _said GROUP BY sample HAVING count(DISTINCT {quote(name)}) > 1"
        message = f"{'.'.join(str(part) for part in path)} has several values within one group"
        work.drop_samples(differing, "contradiction", message)
    empty = "SELECT sample FROM _said GROUP BY sample HAVING coalesce(min(key), '') = ''"
    work.drop_samples(empty, "no_key", "the key is empty")


def _sample_expressions(work: Work) -> Expressions:
    samples = work.spec.samples
    known = {column.lower() for column in work.visible.names()}
    found: Expressions = {}
    if samples.key is not None:
        found["key"] = (("samples", "key"), samples.key)
    elif samples.group:
        found["key"] = (("samples", "group"), " || '-' || ".join(quote(column) for column in samples.group))
    elif work.group:
        found["key"] = (("samples",), f"remap_uid({STACK_COLUMN})")
    elif "id" in known:
        found["key"] = (("samples",), "id")
    else:
        message = "needs key: an expression that names each sample, as there is no column id."
        work.problem("no-key", ("samples",), message)
    if isinstance(samples.patient, AtMost):
        found["patient"] = (("samples", "patient", "at_most"), samples.patient.at_most)
    elif samples.patient != "unknown":
        found["patient"] = (("samples", "patient"), samples.patient)
    if samples.study is not None:
        found["study"] = (("samples", "study"), samples.study)
    if samples.exam_date is not None:
        found["exam_date"] = (("samples", "exam_date"), samples.exam_date)
    found.update(split_expression(work.loaded, known, work.problems))
    subject = samples.subject
    if subject is not None and subject.sex is not None:
        found["sex"] = (("samples", "subject", "sex", "value"), subject.sex.value)
    if subject is not None and subject.age_years is not None:
        found["age_years"] = (("samples", "subject", "age_years"), subject.age_years)
    return found

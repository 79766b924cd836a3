"""Rows of the index: their parquet schemas are those of the models, and rows come back from a file as they were."""

from __future__ import annotations

import io
import types
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from medshard.record import Sample
from medshard.record.parquet import arrow_schema
from medshard.record.rows import FACT_SCHEMA, ITEM_SCHEMA, SAMPLE_SCHEMA, FactRow, ItemRow, MediaRow, SampleRow
from medshard.shards.sample_parts import parse_record, record_bytes

TABLES = [(SampleRow, SAMPLE_SCHEMA), (ItemRow, ITEM_SCHEMA), (FactRow, FACT_SCHEMA)]

words = st.sampled_from(["a", "b2", "finding/nodule", "肺结节", "", 'quo"te', "line\nbreak", "\u0000", "🫁"])
numbers = st.floats(allow_nan=False, allow_infinity=False)
wholes = st.integers(-(2**40), 2**40)
FACT = {
    "id": words,
    "concept": st.none() | words,
    "state": st.sampled_from(["present", "absent", "uncertain"]),
    "slots": st.lists(words, max_size=2),
    "of": st.none() | words,
    "source": st.just([{"id": "r1", "field": "f", "raw": None}]),
    "by": st.sampled_from(["expert", "derived", "unknown"]),
    "confidence": st.none() | numbers,
    "from": st.lists(words, max_size=2),
    "rule": st.none() | words,
}
KINDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "label": {"side": st.sampled_from([None, "left", "both"]),
              "scale": st.none() | st.fixed_dictionaries({"id": words, "value": numbers, "of": wholes})},
    "region": {"shape": st.sampled_from(["box", "mask"]), "frame": st.sampled_from(["px", "ras_mm"]),
               "coords": st.lists(numbers, min_size=1, max_size=4)
               | st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=3)
               | st.fixed_dictionaries({"slot": words, "value": wholes, "instance": st.none() | wholes})},
    "measure": {"value": numbers, "unit": st.none() | words, "resolution": st.none() | numbers},
    "relation": {"subject": st.none() | words, "days": st.none() | wholes},
    "text": {"lang": words, "text": words, "about_prior": st.booleans()},
    "interval": {"start_s": numbers, "end_s": numbers},
    "qa": {"lang": words, "question": words, "answer": words, "options": st.lists(words, max_size=2)},
}  # fmt: skip
facts = st.one_of([st.fixed_dictionaries({"kind": st.just(kind), **FACT, **fields}) for kind, fields in KINDS.items()])
media = st.fixed_dictionaries(
    {
        "slot": words,
        "kind": st.sampled_from(["image", "volume", "mask"]),
        "part": st.none() | words,
        "present": st.booleans(),
        "axes": st.sampled_from([None, "YX", "CZYX"]),
        "shape": st.none() | st.lists(st.integers(0, 2**31), max_size=4),
        "spacing_mm": st.none() | st.lists(numbers, max_size=3),
        "window": st.none() | st.lists(numbers, min_size=2, max_size=2),
        "derived_from": st.none() | st.just({"ref": "v", "op": "slice", "index": 41, "window": [-160, 240]}),
    }
)
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": words}),
    st.fixed_dictionaries({"type": st.just("term"), "concept": words, "text": words, "facts": st.just(["f"])}),
    st.fixed_dictionaries({"type": st.just("region"), "facts": st.just(["f"]), "as": st.sampled_from(["box", "mask"])}),
    st.fixed_dictionaries({"type": st.just("media"), "slot": words}),
)
turns = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "blocks": st.lists(blocks, max_size=3),
        "answer": st.none() | st.fixed_dictionaries({"type": st.sampled_from(["box", "free"]), "value": words}),
    }
)
conversations = st.fixed_dictionaries(
    {
        "id": words,
        "task": words,
        "lang": st.sampled_from(["en", "zh"]),
        "twin": st.none() | words,
        "turns": st.lists(turns, max_size=2),
    }
)
samples = st.fixed_dictionaries(
    {
        "key": words,
        "dataset": words,
        "split": words,
        "group": st.none() | words,
        "licence": words,
        "axes": st.fixed_dictionaries({"modality": st.lists(words, max_size=2)}),
        "subject": st.none() | st.fixed_dictionaries({"sex": st.sampled_from(["F", None]), "age_years": numbers}),
        "media": st.lists(media, max_size=2),
        "facts": st.lists(facts, max_size=3),
        "conversations": st.lists(conversations, max_size=2),
        "source": st.just([{"id": "r1", "file": "labels.csv", "row": 17}]),
    }
).map(Sample.model_validate)


def through_parquet(rows: list[Any], schema: pa.Schema) -> list[dict[str, Any]]:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row.model_dump() for row in rows], schema), sink)
    read = pq.read_table(io.BytesIO(sink.getvalue()))
    assert read.schema.equals(schema)
    read.validate(full=True)
    return read.to_pylist()  # type: ignore[no-any-return]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples)
def test_any_record_comes_back_from_its_bytes(sample: Sample) -> None:
    assert parse_record(record_bytes(sample)) == sample
    assert record_bytes(parse_record(record_bytes(sample))) == record_bytes(sample)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples, shard=st.integers(0, 2**31), row=st.integers(0, 2**31))
def test_rows_come_back_from_parquet(sample: Sample, shard: int, row: int) -> None:
    of_sample = [SampleRow.of(sample, shard, row)]
    items = ItemRow.of(sample, shard, row)
    of_facts = FactRow.of(sample)
    assert [SampleRow(**found) for found in through_parquet(of_sample, SAMPLE_SCHEMA)] == of_sample
    assert [ItemRow(**found) for found in through_parquet(items, ITEM_SCHEMA)] == items
    assert [FactRow(**found) for found in through_parquet(of_facts, FACT_SCHEMA)] == of_facts
    assert len(items) == max(1, len(sample.conversations))
    assert of_sample[0].n_facts == len(of_facts) == len(sample.facts)


def accepts(annotation: Any, kind: pa.DataType) -> bool:
    """Whether a column of that kind holds values of that annotation; written apart from ``arrow_schema``."""
    if get_origin(annotation) in (Union, types.UnionType):
        return all(accepts(inner, kind) for inner in get_args(annotation) if inner is not type(None))
    if get_origin(annotation) is Literal:
        return pa.types.is_string(kind)
    if get_origin(annotation) is list:
        return pa.types.is_list(kind) and accepts(get_args(annotation)[0], kind.value_type)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.types.is_struct(kind) and [field.name for field in kind] == list(annotation.model_fields)
    return bool({str: pa.types.is_string, int: pa.types.is_int64, float: pa.types.is_float64}[annotation](kind)) or (
        annotation is bool and pa.types.is_boolean(kind)
    )


@pytest.mark.parametrize(("model", "schema"), TABLES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_table_has_a_column_for_each_field(model: type[BaseModel], schema: pa.Schema) -> None:
    assert schema.names == list(model.model_fields)
    for name, field in model.model_fields.items():
        column = schema.field(name)
        assert accepts(field.annotation, column.type), name
        assert column.nullable == (type(None) in get_args(field.annotation)), name


def test_columns_of_media_say_what_may_be_unknown() -> None:
    column = SAMPLE_SCHEMA.field("media").type.value_type
    nullable = {field.name for field in column if field.nullable}
    assert nullable == {"part", "axes", "dtype", "bits", "digest"}
    assert [field.name for field in column] == list(MediaRow.model_fields)


def test_types_without_a_column_are_refused() -> None:
    class Free(BaseModel):
        value: dict[str, int]

    class Either(BaseModel):
        value: int | str

    for model in (Free, Either):
        with pytest.raises(TypeError, match="has no column type"):
            arrow_schema(model)

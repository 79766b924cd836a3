"""What all parts of the schema share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Column", "Evidence", "Expression", "ExpressionMark", "Name", "Node", "SourceName"]


class Node(BaseModel):
    """Base of every model of the spec language: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True, allow_inf_nan=False)


class ExpressionMark:
    """Marks a field whose text is an expression, so that the checker finds all of them."""


Expression = Annotated[str, ExpressionMark(), Field(min_length=1, max_length=4000)]
"""A scalar expression over the columns of a row; see ``medshard.spec.expression`` for what is allowed."""

Evidence = Literal["seen", "code", "page", "recall", "unknown"]
"""How a claim is known: seen in the data, read in public code, stated on a page, recalled, or not known."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A name that the spec itself gives: of a source, a slot, a fact."""

SourceName = Name
Column = Annotated[str, Field(min_length=1, max_length=200)]
"""A column or capture, by its name in the data."""

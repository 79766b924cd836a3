"""The schema of a spec, as pydantic models."""

from medshard.spec.schema.base import Expression, ExpressionMark, Node
from medshard.spec.schema.facts import SpecFact
from medshard.spec.schema.media import MediaSlot
from medshard.spec.schema.samples import Samples
from medshard.spec.schema.sources import Source
from medshard.spec.schema.spec import Claim, Licence, Spec

__all__ = [
    "Claim",
    "Expression",
    "ExpressionMark",
    "Licence",
    "MediaSlot",
    "Node",
    "Samples",
    "Source",
    "Spec",
    "SpecFact",
]

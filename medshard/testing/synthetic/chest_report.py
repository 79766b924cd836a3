"""A short report that says what a row of ``labels.csv`` says, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medshard.testing.synthetic.truth import PaintedFinding

__all__ = ["write_report"]

_ABSENT = {
    "Cardiomegaly": "The heart is not enlarged.",
    "Lung Lesion": "No pulmonary nodule is seen.",
    "Consolidation": "There is no focal consolidation.",
    "Pneumothorax": "There is no pneumothorax.",
    "Pleural Effusion": "There is no pleural effusion.",
}
_UNCERTAIN = {
    "Cardiomegaly": "The heart size is borderline; mild cardiomegaly cannot be excluded.",
    "Consolidation": "Faint opacity, which may represent early consolidation.",
}
_PRESENT = {
    "Cardiomegaly": "The heart is enlarged.",
    "Nodule": "There is a nodule in the {side} lung.",
    "Consolidation": "There is a consolidation in the {side} lung.",
    "Pleural effusion": "There is a {side} pleural effusion.",
}


def write_report(view: str, labels: Mapping[str, float | None], findings: Sequence[PaintedFinding]) -> str:
    """English sentences: what was painted, what is uncertain, what is absent; silent on empty cells.

    Args:
        view: ``PA`` or ``AP``.
        labels: value of every column.
        findings: what was painted, with the side of the patient.
    """
    sentences = [f"{view} radiograph of the chest."]
    for finding in findings:
        sentences.append(_PRESENT[finding.name].format(side=finding.patient_side))
    for column, value in labels.items():
        if value == -1.0:
            sentences.append(_UNCERTAIN[column])
        elif value == 0.0:
            sentences.append(_ABSENT[column])
    if labels.get("No Finding") == 1.0:
        sentences.append("No acute abnormality, lungs are clear.")
    return " ".join(sentences)

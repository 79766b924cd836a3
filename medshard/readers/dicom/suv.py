"""What PET values are, and standardized uptake values from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medshard.readers.dicom.dimensions import date_time_s, day_of, private_numbers, seconds_of_day
from medshard.readers.dicom.headers import attribute, numbers

__all__ = ["BQ_PER_ML", "SUV_BW", "Uptake", "mapped_unit", "pet_unit", "uptake"]

BQ_PER_ML = "Bq/mL"
SUV_BW = "g/mL{SUVbw}"

_DAY_S = 86400.0
_G_PER_KG = 1000.0
_PHILIPS = "Philips PET Private Group"


@dataclass(frozen=True)
class Uptake:
    """The factor from a series' rescaled values to SUVbw, or why there is none."""

    factor: float | None = None
    reason: str = ""


def pet_unit(dataset: Any) -> str | None:
    """UCUM code of rescaled values by Units (PS3.3 C.8.9.1); None for counts and all that is not in use."""
    units = attribute(dataset, "Units")
    if units == "BQML":
        return BQ_PER_ML
    # SUV Type (0054,1006): body weight is meant where GML stands without it.
    return SUV_BW if units == "GML" and attribute(dataset, "SUVType") in (None, "BW") else None


def mapped_unit(macros: Mapping[str, Any], factors: tuple[float, float]) -> str | None:
    """The unit of an enhanced PET frame: of its real world value mapping (PS3.3 C.7.6.16.2.11), where that equals its
    rescale.

    Args:
        macros: the frame's functional groups.
        factors: its rescale.
    """
    mapping = macros.get("RealWorldValueMappingSequence")
    if mapping is None:
        return None
    stated = [numbers(mapping, keyword) for keyword in ("RealWorldValueSlope", "RealWorldValueIntercept")]
    codes = attribute(mapping, "MeasurementUnitsCodeSequence") or []
    if any(value is None for value in stated) or len(codes) != 1:
        return None
    if tuple(float(value[0]) for value in stated if value is not None) != factors:
        return None
    code = str(attribute(codes[0], "CodeValue")).replace("/ml", "/mL")
    return code if code in (BQ_PER_ML, SUV_BW) else None


def uptake(datasets: Sequence[Any]) -> Uptake:
    """The factor of a series, by QIBA's vendor-neutral computation of SUVbw.

    SUVbw = value in Bq/mL x weight in g / dose at the time to which the values are decay corrected. The dose is
    taken as stated for DecayCorrection ADMIN; for START it decays from the injection to the start of the scan: the
    series' date and time, or GE's private one where the series was stamped after its images were acquired.

    Args:
        datasets: headers of all files of the series.
    """
    first = datasets[0]
    differing = [
        keyword
        for keyword in ("Units", "DecayCorrection", "PatientWeight", "SeriesDate", "SeriesTime")
        if len({str(attribute(dataset, keyword)) for dataset in datasets}) > 1
    ]
    if differing:
        return Uptake(reason=f"{differing[0]} differs between slices")
    if pet_unit(first) == SUV_BW:
        return Uptake(1.0)
    if attribute(first, "Units") == "CNTS":
        return _philips(first)
    if attribute(first, "Units") != "BQML":
        return Uptake(reason="Units is neither BQML, CNTS nor GML")
    return _by_dose(datasets)


def _philips(first: Any) -> Uptake:
    factor = private_numbers(first, 0x7053, _PHILIPS, 0x00)
    if not factor or not factor[0] > 0:
        return Uptake(reason="Units is CNTS, and the file has no Philips SUV factor")
    return Uptake(factor[0])


def _by_dose(datasets: Sequence[Any]) -> Uptake:
    first = datasets[0]
    corrected = attribute(first, "CorrectedImage")
    words = {corrected} if isinstance(corrected, str) else {str(word) for word in corrected or ()}
    if not {"ATTN", "DECAY"} <= words:
        return Uptake(reason="CorrectedImage does not name both ATTN and DECAY")
    mode = attribute(first, "DecayCorrection")
    if mode not in ("START", "ADMIN"):
        return Uptake(reason="DecayCorrection is neither START nor ADMIN")
    drugs = attribute(first, "RadiopharmaceuticalInformationSequence") or []
    if len(drugs) != 1:
        return Uptake(reason=f"{len(drugs)} radiopharmaceuticals")
    weight, dose = _positive(first, "PatientWeight"), _positive(drugs[0], "RadionuclideTotalDose")
    if weight is None or dose is None:
        return Uptake(
            reason=f"{'PatientWeight' if weight is None else 'RadionuclideTotalDose'} is missing or not positive"
        )
    if mode == "ADMIN":
        return Uptake(weight * _G_PER_KG / dose)
    half_life = _positive(drugs[0], "RadionuclideHalfLife")
    if half_life is None:
        return Uptake(reason="RadionuclideHalfLife is missing or not positive")
    scan = _scan_start(datasets)
    if scan is None:
        return Uptake(
            reason="the time to which values are decay corrected is unknown: SeriesTime is after AcquisitionTime"
        )
    injected = _injection(drugs[0], scan)
    if injected is None:
        return Uptake(reason="the time of injection is unknown, or is after the scan")
    return Uptake(weight * _G_PER_KG / (dose * math.pow(2.0, -(scan - injected) / half_life)))


def _positive(holder: Any, keyword: str) -> float | None:
    value = numbers(holder, keyword)
    return float(value[0]) if value is not None and len(value) == 1 and value[0] > 0 else None


def _moment(dataset: Any, name: str) -> float | None:
    day, seconds = day_of(attribute(dataset, f"{name}Date")), seconds_of_day(attribute(dataset, f"{name}Time"))
    return day * _DAY_S + seconds if day is not None and seconds is not None else None


def _scan_start(datasets: Sequence[Any]) -> float | None:
    series = _moment(datasets[0], "Series")
    acquired = [_moment(dataset, "Acquisition") for dataset in datasets]
    known = [moment for moment in acquired if moment is not None]
    if series is not None and len(known) == len(acquired) and series <= min(known):
        return series
    try:
        private = datasets[0].private_block(0x0009, "GEMS_PETD_01")[0x0D].value
    except Exception:  # noqa: BLE001 - pydicom raises many types for damaged elements
        return None
    return date_time_s(private.decode("ascii", "replace") if isinstance(private, bytes) else private)


def _injection(drug: Any, scan: float) -> float | None:
    """Before the scan; a time without a date is of the scan's day, or of the day before where the scan is earlier."""
    stated = date_time_s(attribute(drug, "RadiopharmaceuticalStartDateTime"))
    if stated is not None:
        return stated if stated <= scan else None
    seconds = seconds_of_day(attribute(drug, "RadiopharmaceuticalStartTime"))
    if seconds is None:
        return None
    moment = scan // _DAY_S * _DAY_S + seconds
    return moment if moment <= scan else moment - _DAY_S

// The parts of the extension module.
#pragma once

#include <nanobind/nanobind.h>

namespace medshard::bindings {

void bind_core(nanobind::module_& m);
void bind_decode(nanobind::module_& m);
void bind_dicom(nanobind::module_& m);
void bind_engine(nanobind::module_& m);
void bind_volume(nanobind::module_& m);
void bind_volume_sampling(nanobind::module_& m);

}  // namespace medshard::bindings

#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>

#include <array>

#include "bindings/module.hpp"
#include "volume/elastic.hpp"
#include "volume/sampling.hpp"
#include "volume/steps.hpp"

namespace nb = nanobind;

namespace medshard::bindings {
namespace {

using Records = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu, nb::ro>;

template <typename Job>
const Job& only(const Records& records) {
  if (records.shape(0) != sizeof(Job)) throw nb::value_error("the record is not of the engine's layout");
  return *reinterpret_cast<const Job*>(records.data());
}

// The caller keeps all addresses alive and of the sizes that the records say.
void separable(Records records) {
  const auto& job = only<volume::Separable>(records);
  nb::gil_scoped_release release;
  thread_local volume::SamplingScratch scratch;
  volume::separable(job, scratch);
}

void warp(Records records) {
  const auto& job = only<volume::Warp>(records);
  nb::gil_scoped_release release;
  thread_local volume::SamplingScratch scratch;
  volume::warp(job, scratch);
}

void do_steps(nb::ndarray<float, nb::ndim<4>, nb::c_contig, nb::device::cpu> crop, Records records) {
  if (records.shape(0) % sizeof(volume::Step) != 0)
    throw nb::value_error("the records are not of the engine's layout");
  const auto* steps = reinterpret_cast<const volume::Step*>(records.data());
  const std::size_t count = records.shape(0) / sizeof(volume::Step);
  const std::int32_t shape[3] = {static_cast<std::int32_t>(crop.shape(1)),
                                 static_cast<std::int32_t>(crop.shape(2)),
                                 static_cast<std::int32_t>(crop.shape(3))};
  const std::size_t channels = crop.shape(0), voxels = crop.shape(1) * crop.shape(2) * crop.shape(3);
  for (std::size_t i = 0; i < count; ++i) {
    if (steps[i].channel < 0 || static_cast<std::size_t>(steps[i].channel) >= channels)
      throw nb::value_error("a step names a channel that the crop does not have");
  }
  float* values = crop.data();
  nb::gil_scoped_release release;
  thread_local volume::StepScratch scratch;
  for (std::size_t i = 0; i < count && voxels > 0; ++i)
    volume::do_step(steps[i], values + static_cast<std::size_t>(steps[i].channel) * voxels, shape, scratch);
}

// Points (z, y, x) of the plane, moved in place.
void displace(nb::ndarray<double, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu> points, std::uint64_t seed,
              const std::array<double, 3>& spacing, const std::array<double, 3>& amplitude) {
  for (const double step : spacing) {
    if (!(step > 0)) throw nb::value_error("spacing is above 0");
  }
  double* at = points.data();
  const std::size_t count = points.shape(0);
  nb::gil_scoped_release release;
  for (std::size_t i = 0; i < count; ++i)
    volume::displace(seed, spacing.data(), amplitude.data(), at + 3 * i);
}

}  // namespace

void bind_volume_sampling(nb::module_& m) {
  m.attr("SEPARABLE_BYTES") = sizeof(volume::Separable);
  m.attr("WARP_BYTES") = sizeof(volume::Warp);
  m.attr("VOLUME_STEP_BYTES") = sizeof(volume::Step);
  m.def("volume_separable", &separable, nb::arg("record"));
  m.def("volume_warp", &warp, nb::arg("record"));
  m.def("volume_displace", &displace, nb::arg("points"), nb::arg("seed"), nb::arg("spacing"),
        nb::arg("amplitude"));
  m.def("volume_steps", &do_steps, nb::arg("crop"), nb::arg("records"));
}

}  // namespace medshard::bindings

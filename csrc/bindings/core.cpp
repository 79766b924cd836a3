#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/buffer.hpp"
#include "bindings/module.hpp"
#include "core/cpu.hpp"
#include "core/crc32c.hpp"
#include "decode/image.hpp"
#include "volume/chunk.hpp"

namespace nb = nanobind;

namespace medshard::bindings {

void bind_core(nb::module_& m) {
  m.def(
      "crc32c",
      [](nb::handle data, std::uint32_t value) {
        Buffer buffer(data);
        nb::gil_scoped_release release;
        return core::crc32c(buffer.data(), buffer.size(), value);
      },
      nb::arg("data"), nb::arg("value") = 0);
  m.def("features", [] {
    nb::dict codecs;
    codecs["libjpeg-turbo"] = decode::jpeg_version();
    codecs["libdeflate"] = decode::version_of_libdeflate();
    codecs["zlib"] = decode::version_of_zlib();
    codecs["c-blosc"] = volume::blosc_version();
    nb::list levels;
    for (core::Simd level : core::available_simd()) levels.append(core::name_of(level));
    nb::dict told;
    told["codecs"] = codecs;
    told["simd"] = core::name_of(core::chosen_simd());
    told["simd_levels"] = levels;
    told["compiler"] = MEDSHARD_COMPILER;
    told["cuda"] = false;
    return told;
  });
}

}  // namespace medshard::bindings

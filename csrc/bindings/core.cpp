#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/buffer.hpp"
#include "bindings/module.hpp"
#include "core/cpu.hpp"
#include "core/crc32c.hpp"
#include "decode/codestreams.hpp"
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
    if (!decode::jpegls_version().empty()) codecs["charls"] = decode::jpegls_version();
    if (!decode::jpeg2000_version().empty()) codecs["openjpeg"] = decode::jpeg2000_version();
    nb::dict dicom;  // name of the coding → whether it is decoded here
    for (const char* name : {"native", "rle", "jpeg", "jpeg-lossless"}) dicom[name] = true;
    dicom["jpeg-ls"] = !decode::jpegls_version().empty();
    dicom["jpeg-2000"] = !decode::jpeg2000_version().empty();
    dicom["htj2k"] = decode::has_htj2k();
    nb::list levels;
    for (core::Simd level : core::available_simd()) levels.append(core::name_of(level));
    nb::dict told;
    told["codecs"] = codecs;
    told["dicom"] = dicom;
    told["simd"] = core::name_of(core::chosen_simd());
    told["simd_levels"] = levels;
    told["compiler"] = MEDSHARD_COMPILER;
    told["cuda"] = false;
    return told;
  });
}

}  // namespace medshard::bindings

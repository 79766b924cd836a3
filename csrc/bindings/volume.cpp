#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include "bindings/buffer.hpp"
#include "bindings/module.hpp"
#include "core/error.hpp"
#include "volume/chunk.hpp"
#include "volume/crop.hpp"

namespace nb = nanobind;

namespace medshard::bindings {
namespace {

using Records = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu, nb::ro>;

nb::bytes pack_chunk(nb::handle data, std::size_t item_bytes, const std::string& codec, int level,
                     int shuffle, std::size_t block_bytes) {
  Buffer buffer(data);
  std::vector<std::uint8_t> packed;
  {
    nb::gil_scoped_release release;
    packed = volume::pack(buffer.data(), buffer.size(), item_bytes,
                          {codec, level, static_cast<volume::Shuffle>(shuffle), block_bytes});
  }
  return nb::bytes(packed.data(), packed.size());
}

// The number of the piece that is damaged and why, or None. The caller keeps all addresses alive, or the file
// open.
nb::object read_crop(Records crop, Records pieces, int file) {
  if (crop.shape(0) != sizeof(volume::Crop) || pieces.shape(0) % sizeof(volume::Piece) != 0)
    throw nb::value_error("the records are not of the layout of CROP and PIECE");
  const auto* list = reinterpret_cast<const volume::Piece*>(pieces.data());
  const auto* box = reinterpret_cast<const volume::Crop*>(crop.data());
  const std::size_t count = pieces.shape(0) / sizeof(volume::Piece);
  std::size_t failed = 0;
  std::string reason;
  {
    nb::gil_scoped_release release;
    thread_local volume::Scratch scratch;
    try {
      volume::read_crop(*box, list, count, file, scratch, failed);
    } catch (const std::exception& error) {
      reason = error.what();
    }
  }
  return reason.empty() ? nb::none() : nb::object(nb::make_tuple(failed, reason));
}

}  // namespace

void bind_volume(nb::module_& m) {
  m.attr("PIECE_BYTES") = sizeof(volume::Piece);
  m.attr("CROP_BYTES") = sizeof(volume::Crop);
  m.def("pack_chunk", &pack_chunk, nb::arg("data"), nb::arg("item_bytes"), nb::arg("codec"), nb::arg("level"),
        nb::arg("shuffle"), nb::arg("block_bytes"));
  m.def("read_crop", &read_crop, nb::arg("crop"), nb::arg("pieces"), nb::arg("file"));
}

}  // namespace medshard::bindings

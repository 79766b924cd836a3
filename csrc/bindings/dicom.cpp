#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <memory>

#include "bindings/buffer.hpp"
#include "bindings/module.hpp"
#include "core/error.hpp"
#include "dicom/frames.hpp"

namespace nb = nanobind;

namespace medshard::bindings {
namespace {

using dicom::ValueType;

// A thread keeps this much between calls: memory that is given back and taken again costs more than decoding
// does.
constexpr std::size_t kKeptBytes = 64ul << 20;

nb::dlpack::dtype dtype_of(ValueType type) {
  switch (type) {
    case ValueType::u8:
      return nb::dtype<std::uint8_t>();
    case ValueType::i8:
      return nb::dtype<std::int8_t>();
    case ValueType::u16:
      return nb::dtype<std::uint16_t>();
    case ValueType::i16:
      return nb::dtype<std::int16_t>();
    case ValueType::i32:
      return nb::dtype<std::int32_t>();
    default:
      return nb::dtype<float>();
  }
}

struct Free {
  void operator()(std::uint8_t* memory) const { std::free(memory); }
};

// What was decoded, before it is an array.
struct Decoded {
  std::unique_ptr<std::uint8_t, Free> bytes;
  std::size_t shape[4] = {0, 0, 0, 0};
  ValueType type = ValueType::u8;
};

Decoded decode_frames(const Buffer& buffer, const std::optional<std::vector<int>>& wanted_frames,
                      const dicom::Wanted& wanted, std::uint64_t max_bytes) {
  thread_local dicom::Scratch scratch;
  const dicom::File file = dicom::parse(buffer.data(), buffer.size());
  const dicom::Frames frames(file);
  Decoded decoded;
  decoded.type = frames.type_of(wanted);
  const std::size_t count = wanted_frames ? wanted_frames->size() : static_cast<std::size_t>(frames.count());
  const std::size_t frame_bytes = frames.samples() * dicom::bytes_of(decoded.type);
  if (count > 0 && frame_bytes > max_bytes / count) {
    throw DecodeError("DICOM: " + std::to_string(count) + " frames of " + std::to_string(frame_bytes) +
                      " bytes are more than the " + std::to_string(max_bytes) + " bytes allowed");
  }
  decoded.bytes.reset(static_cast<std::uint8_t*>(std::malloc(std::max<std::size_t>(1, count * frame_bytes))));
  if (!decoded.bytes) throw DecodeError("DICOM: out of memory");
  for (std::size_t i = 0; i < count; ++i) {
    const int frame = wanted_frames ? (*wanted_frames)[i] : static_cast<int>(i);
    frames.read(frame, wanted, decoded.bytes.get() + i * frame_bytes, scratch);
  }
  decoded.shape[0] = count;
  decoded.shape[1] = static_cast<std::size_t>(file.rows);
  decoded.shape[2] = static_cast<std::size_t>(file.columns);
  decoded.shape[3] = file.samples > 1 ? static_cast<std::size_t>(file.samples) : 0;
  if (scratch.plain.capacity() + scratch.joined.capacity() + scratch.pixels.bytes.capacity() > kKeptBytes) {
    scratch = dicom::Scratch();
  }
  return decoded;
}

nb::object read_dicom_frames(nb::handle data, std::optional<std::vector<int>> frames, bool rescale,
                             bool as_rgb, std::uint64_t max_bytes) {
  Buffer buffer(data);
  Decoded decoded;
  {
    nb::gil_scoped_release release;
    decoded = decode_frames(buffer, frames, {rescale, as_rgb}, max_bytes);
  }
  std::uint8_t* kept = decoded.bytes.release();
  nb::capsule owner(kept, [](void* p) noexcept { std::free(p); });
  const std::size_t axes = decoded.shape[3] > 0 ? 4 : 3;
  return nb::cast(nb::ndarray<nb::numpy>(kept, axes, decoded.shape, owner, nullptr, dtype_of(decoded.type)));
}

nb::dict read_dicom_header(nb::handle data) {
  Buffer buffer(data);
  const dicom::File file = dicom::parse(buffer.data(), buffer.size());
  static const char* const kCodings[] = {"native",  "rle",       "jpeg",  "jpeg-lossless",
                                         "jpeg-ls", "jpeg-2000", "htj2k", "other"};
  nb::dict told;
  told["coding"] = kCodings[static_cast<int>(file.coding)];
  told["frames"] = file.frames;
  told["rows"] = file.rows;
  told["columns"] = file.columns;
  told["samples"] = file.samples;
  told["bits_allocated"] = file.bits_allocated;
  told["bits_stored"] = file.bits_stored;
  told["is_signed"] = file.is_signed;
  told["planar"] = file.planar;
  told["photometric"] = file.photometric;
  told["has_palette"] = file.has_palette;
  told["rescale"] = file.has_rescale ? nb::object(nb::make_tuple(file.slope, file.intercept)) : nb::none();
  told["window"] =
      file.has_window ? nb::object(nb::make_tuple(file.window_centre, file.window_width)) : nb::none();
  return told;
}

}  // namespace

void bind_dicom(nb::module_& m) {
  m.def("read_dicom_header", &read_dicom_header, nb::arg("data"));
  m.def("read_dicom_frames", &read_dicom_frames, nb::arg("data"), nb::arg("frames").none(),
        nb::arg("rescale"), nb::arg("as_rgb"), nb::arg("max_bytes"));
}

}  // namespace medshard::bindings

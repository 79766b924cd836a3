#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>

#include <array>

#include "bindings/buffer.hpp"
#include "bindings/module.hpp"
#include "decode/image.hpp"
#include "decode/inflate.hpp"
#include "decode/jpeg/indexed.hpp"

namespace nb = nanobind;

namespace medshard::bindings {
namespace {

// The pixels as a numpy array that owns them: (H, W) or (H, W, C), uint8 or uint16.
nb::object as_array(decode::Pixels&& pixels) {
  auto* kept = new decode::Pixels(std::move(pixels));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<decode::Pixels*>(p); });
  const std::size_t shape[3] = {kept->held.height(), kept->held.width(),
                                static_cast<std::size_t>(kept->channels)};
  const std::size_t axes = kept->channels == 1 ? 2 : 3;
  const nb::dlpack::dtype type = kept->bits == 16 ? nb::dtype<std::uint16_t>() : nb::dtype<std::uint8_t>();
  return nb::cast(nb::ndarray<nb::numpy>(kept->bytes.data(), axes, shape, owner, nullptr, type));
}

nb::dict read_header(nb::handle data) {
  Buffer buffer(data);
  const decode::Header header = decode::read_header(buffer.data(), buffer.size());
  nb::dict told;
  told["format"] = decode::name_of(header.format);
  told["width"] = header.width;
  told["height"] = header.height;
  told["channels"] = header.channels;
  told["bits"] = header.bits;
  told["progressive"] = header.progressive;
  told["orientation"] = header.orientation;
  told["precision"] = header.precision;
  told["is_signed"] = header.is_signed;
  told["frames"] = header.frames;
  return told;
}

nb::object decode_image(nb::handle data, int reduce, std::uint64_t max_pixels) {
  Buffer buffer(data);
  decode::Pixels pixels;
  {
    nb::gil_scoped_release release;
    decode::decode(buffer.data(), buffer.size(), {reduce, {}, max_pixels}, pixels);
  }
  return as_array(std::move(pixels));
}

// A part of a picture, and where it lies: ((x0, y0, x1, y1), pixels). For tests and benchmarks of the
// decoders.
nb::tuple decode_part(nb::handle data, int reduce, const std::array<std::uint32_t, 4>& region, int colour,
                      bool own, std::uint64_t max_pixels) {
  Buffer buffer(data);
  decode::Pixels pixels;
  decode::Request request{reduce, {region[0], region[1], region[2], region[3]}, max_pixels};
  request.colour = static_cast<decode::Request::Colour>(colour);
  request.own = own;
  {
    nb::gil_scoped_release release;
    decode::decode(buffer.data(), buffer.size(), request, pixels);
  }
  const decode::Region held = pixels.held;
  return nb::make_tuple(nb::make_tuple(held.x0, held.y0, held.x1, held.y1), as_array(std::move(pixels)));
}

nb::bytes index_jpeg(nb::handle data, int parts, std::uint64_t max_pixels) {
  Buffer buffer(data);
  std::vector<std::uint8_t> indexed;
  {
    nb::gil_scoped_release release;
    indexed = decode::jpeg::make_indexed(buffer.data(), buffer.size(), parts, max_pixels);
  }
  return nb::bytes(indexed.data(), indexed.size());
}

nb::bytes encode_png(nb::ndarray<nb::c_contig, nb::device::cpu, nb::ro> array, int level,
                     std::uint32_t strip_rows) {
  const bool wide = array.dtype() == nb::dtype<std::uint16_t>();
  const std::size_t channels = array.ndim() == 3 ? array.shape(2) : 1;
  const bool fits = (wide || array.dtype() == nb::dtype<std::uint8_t>()) &&
                    (array.ndim() == 2 || array.ndim() == 3) &&
                    (channels == 1 || channels == 3 || channels == 4);
  if (!fits) {
    throw nb::value_error("encode_png takes uint8 or uint16 of shape (H, W), (H, W, 3) or (H, W, 4)");
  }
  std::vector<std::uint8_t> encoded;
  {
    nb::gil_scoped_release release;
    encoded = decode::encode_png(static_cast<const std::uint8_t*>(array.data()),
                                 static_cast<std::uint32_t>(array.shape(1)),
                                 static_cast<std::uint32_t>(array.shape(0)), static_cast<int>(channels),
                                 wide ? 16 : 8, level, strip_rows);
  }
  return nb::bytes(encoded.data(), encoded.size());
}

// The bytes as a numpy array that owns them; None when there are more than `limit`.
nb::object inflate(nb::handle data, bool gzip, std::uint64_t limit, std::uint64_t expected) {
  Buffer buffer(data);
  decode::Inflated inflated;
  {
    nb::gil_scoped_release release;
    inflated = decode::inflate(buffer.data(), buffer.size(),
                               gzip ? decode::Wrapping::kGzip : decode::Wrapping::kZlib, limit, expected);
  }
  if (!inflated.bytes) return nb::none();
  const std::size_t shape[1] = {inflated.size};
  std::uint8_t* bytes = inflated.bytes.release();
  nb::capsule owner(bytes, [](void* p) noexcept { std::free(p); });
  return nb::cast(nb::ndarray<nb::numpy, std::uint8_t>(bytes, 1, shape, owner));
}

}  // namespace

void bind_decode(nb::module_& m) {
  m.def("read_header", &read_header, nb::arg("data"));
  m.def("decode_image", &decode_image, nb::arg("data"), nb::arg("reduce"), nb::arg("max_pixels"));
  m.def("decode_part", &decode_part, nb::arg("data"), nb::arg("reduce"), nb::arg("region"), nb::arg("colour"),
        nb::arg("own"), nb::arg("max_pixels"));
  m.def("index_jpeg", &index_jpeg, nb::arg("data"), nb::arg("parts"), nb::arg("max_pixels"));
  m.def("inflate", &inflate, nb::arg("data"), nb::arg("gzip"), nb::arg("limit"), nb::arg("expected"));
  m.def("encode_png", &encode_png, nb::arg("array"), nb::arg("level"), nb::arg("strip_rows"));
}

}  // namespace medshard::bindings

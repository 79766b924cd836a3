// JPEG 2000 and HTJ2K through OpenJPEG, where it is built in.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/error.hpp"
#include "decode/codestreams.hpp"

#ifdef MEDSHARD_OPENJPEG
#include <openjpeg.h>

#include <memory>
#endif

namespace medshard::decode {

bool is_jpeg2000(const std::uint8_t* data, std::size_t size) {
  return size >= 12 && (std::memcmp(data, "\xFF\x4F\xFF\x51", 4) == 0 ||
                        std::memcmp(data, "\0\0\0\x0CjP  \r\n\x87\n", 12) == 0);
}

#ifdef MEDSHARD_OPENJPEG
namespace {

struct Memory {
  const std::uint8_t* data;
  std::size_t size, place;
};

OPJ_SIZE_T read_memory(void* to, OPJ_SIZE_T count, void* user) {
  auto* memory = static_cast<Memory*>(user);
  const std::size_t given = std::min<std::size_t>(count, memory->size - memory->place);
  if (given == 0) return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(to, memory->data + memory->place, given);
  memory->place += given;
  return given;
}

OPJ_OFF_T skip_memory(OPJ_OFF_T count, void* user) {
  auto* memory = static_cast<Memory*>(user);
  if (count < 0) return -1;
  const auto room = static_cast<OPJ_OFF_T>(memory->size - memory->place);
  const OPJ_OFF_T moved = std::min(count, room);
  memory->place += static_cast<std::size_t>(moved);
  return moved;
}

OPJ_BOOL seek_memory(OPJ_OFF_T place, void* user) {
  auto* memory = static_cast<Memory*>(user);
  if (place < 0 || static_cast<std::uint64_t>(place) > memory->size) return OPJ_FALSE;
  memory->place = static_cast<std::size_t>(place);
  return OPJ_TRUE;
}

// Keeps the first message: later ones follow from it. OpenJPEG's texts hold numbers of the codestream only.
void keep_message(const char* message, void* user) {
  auto* kept = static_cast<std::string*>(user);
  if (kept->empty()) *kept = message;
}

class Codestream {
 public:
  Codestream(const std::uint8_t* data, std::size_t size, int reduce)
      : memory_{data, size, 0},
        stream_(opj_stream_create(1 << 16, OPJ_TRUE), opj_stream_destroy),
        codec_(opj_create_decompress(data[0] == 0xFF ? OPJ_CODEC_J2K : OPJ_CODEC_JP2), opj_destroy_codec),
        image_(nullptr, opj_image_destroy) {
    if (!stream_ || !codec_) throw DecodeError("JPEG 2000: out of memory");
    opj_stream_set_read_function(stream_.get(), read_memory);
    opj_stream_set_skip_function(stream_.get(), skip_memory);
    opj_stream_set_seek_function(stream_.get(), seek_memory);
    opj_stream_set_user_data(stream_.get(), &memory_, nullptr);
    opj_stream_set_user_data_length(stream_.get(), size);
    opj_set_error_handler(codec_.get(), keep_message, &message_);
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    while (1 << parameters.cp_reduce < reduce) ++parameters.cp_reduce;
    reduce_ = static_cast<int>(parameters.cp_reduce);
    // Colours of an indexed JP2 are the DICOM palette's concern; components are wanted as they are.
    parameters.flags |= OPJ_DPARAMETERS_IGNORE_PCLR_CMAP_CDEF_FLAG;
    if (!opj_setup_decoder(codec_.get(), &parameters)) fail("cannot be set up");
    opj_image_t* image = nullptr;
    const bool read = opj_read_header(stream_.get(), codec_.get(), &image) != OPJ_FALSE;
    image_.reset(image);
    if (!read || image == nullptr) fail("the header cannot be read");
    check_components();
  }

  const opj_image_t& image() const { return *image_; }
  std::uint32_t width() const { return image_->x1 - image_->x0; }
  std::uint32_t height() const { return image_->y1 - image_->y0; }

  // `region` of the reduced picture; an empty one is all of it.
  void decode(const Region& region) {
    if (region.x0 < region.x1 && region.y0 < region.y1) {
      const auto edge = [&](std::uint32_t at, OPJ_UINT32 origin, OPJ_UINT32 end) {
        const std::uint64_t place = origin + (static_cast<std::uint64_t>(at) << reduce_);
        return static_cast<OPJ_INT32>(std::min<std::uint64_t>(place, end));
      };
      if (!opj_set_decode_area(codec_.get(), image_.get(), edge(region.x0, image_->x0, image_->x1),
                               edge(region.y0, image_->y0, image_->y1),
                               edge(region.x1, image_->x0, image_->x1),
                               edge(region.y1, image_->y0, image_->y1))) {
        fail("the region cannot be decoded");
      }
    }
    if (!opj_decode(codec_.get(), stream_.get(), image_.get()) ||
        !opj_end_decompress(codec_.get(), stream_.get())) {
      fail("the codestream is damaged or cut off");
    }
    for (OPJ_UINT32 c = 0; c < image_->numcomps; ++c) {
      if (image_->comps[c].data == nullptr) fail("a component is missing");
    }
  }

 private:
  [[noreturn]] void fail(const char* otherwise) const {
    std::string told = message_.substr(0, message_.find('\n'));
    throw DecodeError("JPEG 2000: " + (told.empty() ? std::string(otherwise) : told));
  }

  void check_components() const {
    const opj_image_t& image = *image_;
    if (image.numcomps < 1 || image.numcomps > 4) {
      throw DecodeError("JPEG 2000: pictures of " + std::to_string(image.numcomps) +
                        " components are not decoded");
    }
    if (image.x0 >= image.x1 || image.y0 >= image.y1) throw DecodeError("JPEG 2000: has no pixels");
    for (OPJ_UINT32 c = 0; c < image.numcomps; ++c) {
      const opj_image_comp_t& component = image.comps[c];
      const opj_image_comp_t& first = image.comps[0];
      if (component.dx != 1 || component.dy != 1 || component.prec != first.prec ||
          component.sgnd != first.sgnd) {
        throw DecodeError("JPEG 2000: components that differ in size or precision are not decoded");
      }
      if (component.prec < 1 || component.prec > 16) {
        throw DecodeError("JPEG 2000: samples of " + std::to_string(component.prec) +
                          " bits are not decoded");
      }
    }
  }

  Memory memory_;
  std::unique_ptr<opj_stream_t, decltype(&opj_stream_destroy)> stream_;
  std::unique_ptr<opj_codec_t, decltype(&opj_destroy_codec)> codec_;
  std::unique_ptr<opj_image_t, decltype(&opj_image_destroy)> image_;
  std::string message_;
  int reduce_ = 0;
};

template <typename Sample>
void interleave(const opj_image_t& image, std::uint8_t* to) {
  auto* out = reinterpret_cast<Sample*>(to);
  const int channels = static_cast<int>(image.numcomps);
  const std::size_t count = static_cast<std::size_t>(image.comps[0].w) * image.comps[0].h;
  for (int c = 0; c < channels; ++c) {
    const OPJ_INT32* in = image.comps[c].data;
    if (channels == 1) {
      for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Sample>(in[i]);
    } else {
      for (std::size_t i = 0; i < count; ++i) out[i * channels + c] = static_cast<Sample>(in[i]);
    }
  }
}

}  // namespace

Header read_jpeg2000_header(const std::uint8_t* data, std::size_t size) {
  if (!is_jpeg2000(data, size)) throw DecodeError("JPEG 2000: is no such stream");
  const Codestream codestream(data, size, 1);
  Header header;
  header.format = Format::jpeg2000;
  header.width = codestream.width();
  header.height = codestream.height();
  header.channels = static_cast<int>(codestream.image().numcomps);
  header.precision = static_cast<int>(codestream.image().comps[0].prec);
  header.is_signed = codestream.image().comps[0].sgnd != 0;
  header.bits = header.precision <= 8 ? 8 : 16;
  return header;
}

void decode_jpeg2000(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  if (!is_jpeg2000(data, size)) throw DecodeError("JPEG 2000: is no such stream");
  Codestream codestream(data, size, request.reduce);
  check_size(codestream.width(), codestream.height(), request.max_pixels);
  const auto reduced = [&](std::uint32_t length) {
    return (length + static_cast<std::uint32_t>(request.reduce) - 1) /
           static_cast<std::uint32_t>(request.reduce);
  };
  // Where the picture's corner is not at the origin its levels round elsewhere; such streams are decoded
  // whole.
  const bool at_origin = codestream.image().x0 == 0 && codestream.image().y0 == 0;
  if (!at_origin && request.reduce > 1) throw DecodeError("JPEG 2000: an offset picture is not reduced");
  out.width = reduced(codestream.width());
  out.height = reduced(codestream.height());
  out.held = region_within(request.region, out.width, out.height);
  const bool part = out.held.width() < out.width || out.held.height() < out.height;
  codestream.decode(part ? out.held : Region{});
  const opj_image_t& image = codestream.image();
  if (image.comps[0].w != out.held.width() || image.comps[0].h != out.held.height()) {
    throw DecodeError("JPEG 2000: decodes to an unexpected size");
  }
  for (OPJ_UINT32 c = 1; c < image.numcomps; ++c) {
    if (image.comps[c].w != image.comps[0].w || image.comps[c].h != image.comps[0].h) {
      throw DecodeError("JPEG 2000: components differ in size");
    }
  }
  out.channels = static_cast<int>(image.numcomps);
  out.precision = static_cast<int>(image.comps[0].prec);
  out.is_signed = image.comps[0].sgnd != 0;
  out.bits = out.precision <= 8 ? 8 : 16;
  out.bytes.resize(out.row_bytes() * out.held.height());
  if (out.bits == 8) {
    interleave<std::uint8_t>(image, out.bytes.data());
  } else {
    interleave<std::uint16_t>(image, out.bytes.data());
  }
}

std::string jpeg2000_version() { return opj_version(); }

// The high-throughput block decoder came with 2.5.0.
bool has_htj2k() {
  int major = 0, minor = 0;
  return std::sscanf(opj_version(), "%d.%d", &major, &minor) == 2 &&
         (major > 2 || (major == 2 && minor >= 5));
}

#else

namespace {
[[noreturn]] void absent() {
  throw DecodeError(
      "JPEG 2000: the codec is not built in; apt-get install libopenjp2-7-dev and build medshard again; the "
      "Python "
      "plug-in is used instead where one is installed");
}
}  // namespace

Header read_jpeg2000_header(const std::uint8_t*, std::size_t) { absent(); }
void decode_jpeg2000(const std::uint8_t*, std::size_t, const Request&, Pixels&) { absent(); }
std::string jpeg2000_version() { return ""; }
bool has_htj2k() { return false; }

#endif

}  // namespace medshard::decode

#include "dicom/frames.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.hpp"
#include "decode/codestreams.hpp"
#include "decode/jpeg_markers.hpp"
#include "decode/rle.hpp"

namespace medshard::dicom {
namespace {

bool is_ybr_full(const std::string& photometric) {
  return photometric == "YBR_FULL" || photometric == "YBR_FULL_422";
}

bool is_whole(double value) { return value == std::floor(value) && std::fabs(value) < 1 << 30; }

// Precision and sign in the SIZ segment (15444-1 A.5.1), after the boxes of a JP2 file; 0 where there is
// none.
int jpeg2000_precision(const Span& coded, bool& is_signed) {
  std::size_t place = 0;
  if (coded.size >= 12 && std::memcmp(coded.data, "\0\0\0\x0CjP  ", 8) == 0) {
    static const std::uint8_t kStart[] = {0xFF, 0x4F, 0xFF, 0x51};
    const auto* end = coded.data + std::min<std::size_t>(coded.size, 1 << 16);
    place = static_cast<std::size_t>(std::search(coded.data, end, kStart, kStart + 4) - coded.data);
  }
  if (coded.size < place + 43 || coded.data[place] != 0xFF || coded.data[place + 1] != 0x4F) return 0;
  const int depth = coded.data[place + 42];
  is_signed = (depth & 0x80) != 0;
  return (depth & 0x7F) + 1;
}

template <typename Sample>
void interleave(const std::uint8_t* planes, std::size_t pixels, std::size_t channels,
                std::vector<std::uint8_t>& out) {
  out.resize(pixels * channels * sizeof(Sample));
  const auto* in = reinterpret_cast<const Sample*>(planes);
  auto* to = reinterpret_cast<Sample*>(out.data());
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < pixels; ++i) to[i * channels + c] = in[c * pixels + i];
  }
}

}  // namespace

Frames::Frames(const File& file) : file_(file) {
  if (file.rows < 1 || file.columns < 1) throw DecodeError("DICOM: Rows or Columns is missing or 0");
  if (file.samples != 1 && file.samples != 3) throw DecodeError("DICOM: SamplesPerPixel is not 1 or 3");
  const bool packed = file.bits_allocated == 1;
  if (packed && (file.coding != Coding::native || file.is_signed || file.samples != 1 || file.big_endian)) {
    throw DecodeError("DICOM: pixels of one bit are decoded when native, unsigned, grey and little endian");
  }
  if (!packed && file.bits_allocated != 8 && file.bits_allocated != 16) {
    throw DecodeError("DICOM: BitsAllocated is not 1, 8 or 16");
  }
  if (file.bits_stored < 1 || file.bits_stored > file.bits_allocated) {
    throw DecodeError("DICOM: BitsStored is not 1 to BitsAllocated");
  }
  if (file.photometric.empty()) throw DecodeError("DICOM: PhotometricInterpretation is missing");
  if (is_ybr_full(file.photometric) && (file.samples != 3 || file.bits_allocated != 8)) {
    throw DecodeError("DICOM: YBR_FULL is decoded with three samples of 8 bits");
  }
  samples_ = static_cast<std::size_t>(file.rows) * file.columns * file.samples;
  value_bits_ = file.bits_stored;
  if (file.coding == Coding::native) return;
  fragments_ = frames_of(file);
  const Span& first = file.fragments[fragments_[0].first];
  decode::JpegMarkers markers;
  bool is_signed = false;
  if (file.coding == Coding::jpegls && decode::scan_markers(first.data, first.size, markers)) {
    value_bits_ = std::max(value_bits_, markers.precision);
  } else if (file.coding == Coding::jpeg2000 || file.coding == Coding::htj2k) {
    value_bits_ = std::max(value_bits_, jpeg2000_precision(first, is_signed));
  }
  value_bits_ = std::min(value_bits_, 16);
}

int Frames::header_bits() const {
  if (file_.bits_allocated > file_.bits_stored) return file_.bits_stored;
  return file_.bits_allocated == 8 ? 8 : 0;
}

bool Frames::is_grey() const {
  return file_.samples == 1 && (file_.photometric == "MONOCHROME1" || file_.photometric == "MONOCHROME2");
}

bool Frames::applies_rescale(const Wanted& wanted) const {
  return wanted.rescale && file_.has_rescale && is_grey();
}

ValueType Frames::type_of(const Wanted& wanted) const {
  if (wanted.rescale && is_grey()) {
    if (file_.has_modality_lut) throw DecodeError("DICOM: a Modality LUT Sequence is not applied");
    if (file_.slope == 0) throw DecodeError("DICOM: RescaleSlope is 0");
  }
  if (!applies_rescale(wanted)) {
    if (file_.bits_allocated <= 8) return file_.is_signed ? ValueType::i8 : ValueType::u8;
    return file_.is_signed ? ValueType::i16 : ValueType::u16;
  }
  if (!is_whole(file_.slope) || !is_whole(file_.intercept)) return ValueType::f32;
  const int bits = file_.bits_stored;
  const double low = file_.is_signed ? -std::ldexp(1.0, bits - 1) : 0.0;
  const double high = std::ldexp(1.0, file_.is_signed ? bits - 1 : bits) - 1;
  const double ends[2] = {low * file_.slope + file_.intercept, high * file_.slope + file_.intercept};
  const double least = std::min(ends[0], ends[1]), most = std::max(ends[0], ends[1]);
  if (least >= -32768 && most <= 32767) return ValueType::i16;
  if (least < -2147483648.0 || most > 2147483647.0)
    throw DecodeError("DICOM: rescaled values do not fit 32 bits");
  return ValueType::i32;
}

void Frames::read(int frame, const Wanted& wanted, std::uint8_t* out, Scratch& scratch) const {
  decode::Request request;
  request.max_pixels = static_cast<std::uint64_t>(file_.rows) * file_.columns;
  const Stored found = stored(frame, request, scratch);
  Mapping mapping;
  mapping.used_bits = found.used_bits;
  mapping.is_signed = file_.is_signed;
  mapping.type = type_of(wanted);
  if (applies_rescale(wanted)) {
    mapping.slope = file_.slope;
    mapping.intercept = file_.intercept;
  }
  if (applies_rescale(wanted) && value_bits_ > file_.bits_stored &&
      !fit_bits(found.samples, mapping, file_.bits_stored)) {
    throw DecodeError(
        "DICOM: the stream has values beyond BitsStored, on which the type of rescaled values rests");
  }
  write_values(found.samples, mapping, out);
  if (found.is_ybr && wanted.as_rgb) ybr_to_rgb(out, samples_ / 3);
}

void Frames::read_part(const decode::Request& request, decode::Pixels& out, Scratch& scratch) const {
  if (file_.photometric == "PALETTE COLOR") {
    throw DecodeError("DICOM: colours of a palette are made by the reader, not sampled from the file");
  }
  const Stored found = stored(request.frame, request, scratch);
  out.width = found.width;
  out.height = found.height;
  out.channels = file_.samples;
  out.held = found.held;
  Samples part = found.samples;
  const decode::Region rows = decode::region_within(request.region, found.width, found.height);
  if (found.held.y0 == 0 && found.held.y1 == found.height) {
    const std::size_t row = static_cast<std::size_t>(found.held.width()) * file_.samples;
    out.held.y0 = rows.y0;
    out.held.y1 = rows.y1;
    part.data += row * rows.y0 * (part.bits / 8);
    part.count = row * out.held.height();
  }
  Mapping mapping;
  mapping.used_bits = found.used_bits;
  mapping.is_signed = out.is_signed = file_.is_signed;
  mapping.type = type_of({});
  out.bits = file_.bits_allocated <= 8 ? 8 : 16;
  out.precision = value_bits_;
  out.bytes.resize(out.row_bytes() * out.held.height());
  write_values(part, mapping, out.bytes.data());
  if (found.is_ybr) ybr_to_rgb(out.bytes.data(), part.count / 3);
}

Frames::Stored Frames::stored(int frame, const decode::Request& request, Scratch& scratch) const {
  if (frame < 0 || frame >= file_.frames) {
    throw DecodeError("DICOM: frame " + std::to_string(frame) + " of " + std::to_string(file_.frames) +
                      " is asked for");
  }
  const auto width = static_cast<std::uint32_t>(file_.columns),
             height = static_cast<std::uint32_t>(file_.rows);
  decode::check_size(width, height, request.max_pixels);
  Stored found;
  if (file_.coding == Coding::native) {
    found = native(frame, scratch);
  } else if (file_.coding == Coding::rle) {
    found = run_length(joined(frame, scratch), scratch);
  } else {
    return coded(joined(frame, scratch), request, scratch);
  }
  found.width = width;
  found.height = height;
  found.held = {0, 0, width, height};
  found.is_ybr = is_ybr_full(file_.photometric);
  // Values of the unused bits cannot be assumed (PS3.5 8.1.1).
  found.used_bits = header_bits();
  return found;
}

// A frame's bytes as one, of its fragments.
Span Frames::joined(int frame, Scratch& scratch) const {
  const FrameFragments& part = fragments_[static_cast<std::size_t>(frame)];
  const Span& first = file_.fragments[part.first];
  if (part.last - part.first == 1) return {first.data, part.length > 0 ? part.length : first.size};
  scratch.joined.clear();
  for (std::size_t i = part.first; i < part.last; ++i) {
    const Span& fragment = file_.fragments[i];
    scratch.joined.insert(scratch.joined.end(), fragment.data, fragment.data + fragment.size);
  }
  return {scratch.joined.data(), scratch.joined.size()};
}

Frames::Stored Frames::native(int frame, Scratch& scratch) const {
  const std::size_t sample_bits =
      file_.bits_allocated == 1 ? 1 : static_cast<std::size_t>(file_.bits_allocated);
  // YBR_FULL_422 has one Cb and one Cr for two pixels (PS3.3 C.7.6.3.1.2).
  const bool halved = file_.photometric == "YBR_FULL_422";
  if (halved && (file_.columns % 2 != 0 || file_.planar))
    throw DecodeError("DICOM: YBR_FULL_422 of this layout");
  const std::size_t frame_bits = (halved ? samples_ / 3 * 2 : samples_) * sample_bits;
  const std::size_t frames = static_cast<std::size_t>(file_.frames);
  const std::size_t expected = (frame_bits * frames + 7) / 8, padded = expected + expected % 2;
  const std::size_t actual = file_.pixels.size;
  if (actual < expected || (actual > padded && actual * 8 / frame_bits > frames)) {
    throw DecodeError("DICOM: Pixel Data has " + std::to_string(actual) + " bytes, expected " +
                      std::to_string(padded));
  }
  Stored found;
  found.samples.count = samples_;
  found.samples.bits = sample_bits == 16 ? 16 : 8;
  const std::uint8_t* data = file_.pixels.data;
  const std::size_t first_bit = frame_bits * static_cast<std::size_t>(frame);
  if (sample_bits == 1) {
    scratch.plain.resize(samples_);
    for (std::size_t i = 0; i < samples_; ++i) {
      const std::size_t bit = first_bit + i;
      scratch.plain[i] = data[bit / 8] >> (bit % 8) & 1;
    }
    found.samples.data = scratch.plain.data();
    return found;
  }
  const std::size_t first = first_bit / 8, bytes = frame_bits / 8;
  data += first;
  if (file_.big_endian && (sample_bits == 16 || file_.words)) {
    // Words are swapped, also those that hold two samples of 8 bits; an odd frame may begin amid a word.
    if (first + bytes + (first + bytes) % 2 > actual) throw DecodeError("DICOM: Pixel Data is cut off");
    scratch.plain.resize(bytes);
    for (std::size_t i = 0; i < bytes; ++i) scratch.plain[i] = file_.pixels.data[(first + i) ^ 1];
    data = scratch.plain.data();
  }
  if (file_.samples > 1 && file_.planar) {
    scratch.joined.assign(data, data + bytes);
    if (sample_bits == 8) {
      interleave<std::uint8_t>(scratch.joined.data(), samples_ / 3, 3, scratch.plain);
    } else {
      interleave<std::uint16_t>(scratch.joined.data(), samples_ / 3, 3, scratch.plain);
    }
    data = scratch.plain.data();
  } else if (halved) {
    scratch.joined.assign(data, data + bytes);
    scratch.plain.resize(samples_);
    for (std::size_t pair = 0; pair < samples_ / 6; ++pair) {
      const std::uint8_t* in = scratch.joined.data() + 4 * pair;
      std::uint8_t* out = scratch.plain.data() + 6 * pair;
      out[0] = in[0];
      out[3] = in[1];
      out[1] = out[4] = in[2];
      out[2] = out[5] = in[3];
    }
    data = scratch.plain.data();
  }
  found.samples.data = data;
  return found;
}

Frames::Stored Frames::run_length(const Span& coded, Scratch& scratch) const {
  const std::size_t pixels = samples_ / static_cast<std::size_t>(file_.samples);
  const int bytes = file_.bits_allocated / 8, segments = file_.samples * bytes;
  decode::decode_rle(coded.data, coded.size, segments, pixels, scratch.pixels.bytes);
  Stored found;
  found.samples.count = samples_;
  found.samples.bits = file_.bits_allocated;
  if (segments == 1) {
    found.samples.data = scratch.pixels.bytes.data();
    return found;
  }
  scratch.plain.resize(samples_ * static_cast<std::size_t>(bytes));
  for (int c = 0; c < file_.samples; ++c) {
    const std::uint8_t* high = scratch.pixels.bytes.data() + pixels * static_cast<std::size_t>(c * bytes);
    const std::size_t channels = static_cast<std::size_t>(file_.samples);
    if (bytes == 1) {
      for (std::size_t i = 0; i < pixels; ++i) scratch.plain[i * channels + c] = high[i];
      continue;
    }
    // The most significant byte comes first (PS3.5 G.2).
    const std::uint8_t* low = high + pixels;
    auto* out = reinterpret_cast<std::uint16_t*>(scratch.plain.data());
    if (channels == 1) {
      for (std::size_t i = 0; i < pixels; ++i) out[i] = static_cast<std::uint16_t>(high[i] << 8 | low[i]);
    } else {
      for (std::size_t i = 0; i < pixels; ++i) {
        out[i * channels + c] = static_cast<std::uint16_t>(high[i] << 8 | low[i]);
      }
    }
  }
  found.samples.data = scratch.plain.data();
  return found;
}

Frames::Stored Frames::coded(const Span& coded, const decode::Request& request, Scratch& scratch) const {
  decode::Pixels& pixels = scratch.pixels;
  Stored found;
  decode::JpegMarkers markers;
  found.is_ybr = is_ybr_full(file_.photometric);
  std::uint32_t reduce = 1;
  pixels.is_signed = false;
  if (file_.coding != Coding::jpeg2000 && file_.coding != Coding::htj2k) {
    if (!decode::scan_markers(coded.data, coded.size, markers))
      throw DecodeError("DICOM: a frame is no JPEG stream");
    const bool named =
        std::equal(markers.ids, markers.ids + 3, "RGB") || std::equal(markers.ids, markers.ids + 3, "rgb");
    if (file_.samples == 3) found.is_ybr = !named && (found.is_ybr || markers.jfif);
  }
  switch (file_.coding) {
    case Coding::jpeg: {
      // Which colours they are is DICOM's to say, as for every other coding.
      decode::Request components = request;
      components.colour = decode::Request::Colour::none;
      reduce = static_cast<std::uint32_t>(request.reduce);
      decode::decode_jpeg(coded.data, coded.size, components, pixels);
      pixels.precision = markers.precision;
      found.used_bits = header_bits();
      break;
    }
    case Coding::jpeg_lossless:
      decode::decode_jpeg_lossless(coded.data, coded.size, request, pixels);
      found.used_bits = header_bits();
      break;
    case Coding::jpegls:
      decode::decode_jpegls(coded.data, coded.size, request, pixels);
      // The stream cannot say that its samples are signed.
      if (file_.is_signed) found.used_bits = pixels.precision;
      break;
    default: {
      reduce = static_cast<std::uint32_t>(request.reduce);
      decode::decode_jpeg2000(coded.data, coded.size, request, pixels);
      const bool differs = pixels.is_signed != file_.is_signed;
      if (differs && file_.photometric != "MONOCHROME1" && file_.photometric != "MONOCHROME2") {
        throw DecodeError("DICOM: PixelRepresentation and the JPEG 2000 stream disagree");
      }
      if (differs) found.used_bits = pixels.precision;
    }
  }
  const auto reduced = [&](int length) { return (static_cast<std::uint32_t>(length) + reduce - 1) / reduce; };
  if (pixels.width != reduced(file_.columns) || pixels.height != reduced(file_.rows) ||
      pixels.channels != file_.samples) {
    throw DecodeError("DICOM: a frame's stream has " + std::to_string(pixels.width) + " x " +
                      std::to_string(pixels.height) + " pixels of " + std::to_string(pixels.channels) +
                      " samples, against the header");
  }
  if (pixels.precision > file_.bits_allocated)
    throw DecodeError("DICOM: a frame's stream has more bits than the file");
  const bool masked = file_.coding == Coding::jpeg || file_.coding == Coding::jpeg_lossless;
  if (!masked && pixels.precision > value_bits_) throw DecodeError("DICOM: frames differ in their precision");
  found.width = pixels.width;
  found.height = pixels.height;
  found.held = pixels.held;
  found.samples.data = pixels.bytes.data();
  found.samples.count =
      static_cast<std::size_t>(pixels.held.width()) * pixels.held.height() * pixels.channels;
  found.samples.bits = pixels.bits;
  found.samples.is_signed = pixels.is_signed;
  return found;
}

decode::Header read_header(const std::uint8_t* data, std::size_t size) {
  const File file = parse(data, size);
  const Frames frames(file);
  decode::Header header;
  header.format = decode::Format::dicom;
  header.width = static_cast<std::uint32_t>(file.columns);
  header.height = static_cast<std::uint32_t>(file.rows);
  header.channels = file.samples;
  header.bits = file.bits_allocated <= 8 ? 8 : 16;
  header.precision = file.bits_stored;
  header.is_signed = file.is_signed;
  header.frames = file.frames;
  return header;
}

void decode(const std::uint8_t* data, std::size_t size, const decode::Request& request, decode::Pixels& out) {
  const File file = parse(data, size);
  Scratch scratch;
  Frames(file).read_part(request, out, scratch);
}

}  // namespace medshard::dicom

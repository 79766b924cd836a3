#include "dicom/dataset.hpp"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/error.hpp"
#include "dicom/elements.hpp"

namespace medshard::dicom {
namespace {

constexpr std::size_t kPreamble = 132;
constexpr std::uint32_t kPixelData = 0x7FE00010u;
constexpr std::size_t kMaxInflatedBytes = 2ull << 30;
constexpr int kMaxFrames = 1 << 24;

struct SyntaxRow {
  const char* uid;
  Coding coding;
};

// PS3.6 table A-1, without its root 1.2.840.10008.1.2
constexpr SyntaxRow kSyntaxes[] = {
    {".4.50", Coding::jpeg},                                      // baseline, 8 bits
    {".4.51", Coding::jpeg},                                      // extended, 8 or 12 bits
    {".4.57", Coding::jpeg_lossless},                             // process 14
    {".4.70", Coding::jpeg_lossless},                             // process 14, first predictor
    {".4.80", Coding::jpegls},                                    // lossless
    {".4.81", Coding::jpegls},                                    // near-lossless
    {".4.90", Coding::jpeg2000},                                  // lossless
    {".4.91", Coding::jpeg2000},      {".4.201", Coding::htj2k},  // lossless
    {".4.202", Coding::htj2k},                                    // lossless, by resolution
    {".4.203", Coding::htj2k},        {".5", Coding::rle},
};

std::string text_of(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 64));
  const std::size_t first = text.find_first_not_of(" ");
  if (first == std::string::npos) return "";
  text.erase(text.find_last_not_of(std::string(" \0", 2)) + 1);
  return text.substr(std::min(first, text.size()));
}

// A code string (PS3.5 6.2, CS); empty where it is none, so that nothing else is ever told of a damaged file.
std::string code_of(const std::uint8_t* data, std::size_t size) {
  std::string text = text_of(data, size);
  const bool is_code = text.size() <= 16 &&
                       text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ") == std::string::npos;
  return is_code ? text : "";
}

// The first of several values; false where it is no finite number.
bool number_of(const std::uint8_t* data, std::size_t size, double& out) {
  std::string text = text_of(data, size);
  text = text_of(reinterpret_cast<const std::uint8_t*>(text.data()), std::min(text.find('\\'), text.size()));
  if (!text.empty() && text[0] == '+') text.erase(0, 1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(out);
}

// Elements of the top level, one after another, into the file's fields.
class Reader {
 public:
  Reader(File& file, Encoding encoding) : file_(file), encoding_(encoding) {}

  void read(const std::uint8_t* data, std::size_t size) {
    Cursor cursor(data, size);
    Element element;
    while (cursor.next(encoding_, element)) {
      if (element.tag == kPixelData) return read_pixels(cursor, element);
      if (element.tag == 0x7FE00008u || element.tag == 0x7FE00009u) {
        throw DecodeError("DICOM: floating-point pixels are not decoded");
      }
      if (element.length == kUndefined) {
        const bool unknown = element.vr[0] == 'U' && element.vr[1] == 'N';
        cursor.skip_sequence(unknown ? Encoding{false, false} : encoding_, 0);
        continue;
      }
      const std::uint8_t* value = cursor.here();
      if (!cursor.skip(element.length)) throw DecodeError("DICOM: an element is cut off");
      take(element, value);
    }
    throw DecodeError("DICOM: has no Pixel Data");
  }

 private:
  int whole(const Element& element, const std::uint8_t* value) const {
    return element.length >= 2 ? read_u16(value, encoding_.big_endian) : 0;
  }

  std::vector<std::uint64_t> offsets(const Element& element, const std::uint8_t* value) const {
    std::vector<std::uint64_t> found(element.length / 8);
    for (std::size_t i = 0; i < found.size(); ++i) found[i] = read_u64(value + 8 * i);
    return found;
  }

  void take(const Element& element, const std::uint8_t* value) {
    double number = 0;
    switch (element.tag) {
      case 0x00280002u:
        file_.samples = whole(element, value);
        break;
      case 0x00280004u:
        file_.photometric = code_of(value, element.length);
        break;
      case 0x00280006u:
        file_.planar = whole(element, value) == 1;
        break;
      case 0x00280008u:
        if (!number_of(value, element.length, number)) break;
        if (!(number >= 0 && number <= kMaxFrames)) throw DecodeError("DICOM: NumberOfFrames is too large");
        file_.frames = std::max(1, static_cast<int>(number));
        break;
      case 0x00280010u:
        file_.rows = whole(element, value);
        break;
      case 0x00280011u:
        file_.columns = whole(element, value);
        break;
      case 0x00280100u:
        file_.bits_allocated = whole(element, value);
        break;
      case 0x00280101u:
        file_.bits_stored = whole(element, value);
        break;
      case 0x00280102u:
        file_.high_bit = whole(element, value);
        break;
      case 0x00280103u:
        file_.is_signed = whole(element, value) == 1;
        break;
      case 0x00281050u:
        has_centre_ = number_of(value, element.length, file_.window_centre);
        break;
      case 0x00281051u:
        file_.has_window = number_of(value, element.length, file_.window_width) && has_centre_;
        break;
      case 0x00281052u:
      case 0x00281053u:
        if (text_of(value, element.length).empty()) break;
        if (!number_of(value, element.length, element.tag == 0x00281052u ? file_.intercept : file_.slope)) {
          throw DecodeError("DICOM: RescaleSlope or RescaleIntercept is no number");
        }
        file_.has_rescale = true;
        break;
      case 0x00281101u:
        file_.has_palette = true;
        break;
      case 0x00283000u:
        file_.has_modality_lut = true;
        break;
      case 0x7FE00001u:
        file_.extended_offsets = offsets(element, value);
        break;
      case 0x7FE00002u:
        file_.extended_lengths = offsets(element, value);
        break;
      default:
        break;
    }
  }

  void read_pixels(Cursor& cursor, const Element& element) {
    file_.words = element.vr[0] == 'O' && element.vr[1] == 'W';
    if (element.length != kUndefined) {
      if (file_.coding != Coding::native) throw DecodeError("DICOM: compressed pixels are not encapsulated");
      // What is there: a damaged length is found where the samples are counted.
      file_.pixels = {cursor.here(), std::min<std::size_t>(element.length, cursor.left())};
      return;
    }
    if (file_.coding == Coding::native) throw DecodeError("DICOM: native pixels are of undefined length");
    read_fragments(cursor);
  }

  void read_fragments(Cursor& cursor) {
    Element item;
    bool table = true;
    std::size_t origin = 0;
    while (cursor.next(encoding_, item)) {
      if (item.tag == kSequenceEnd) return;
      if (item.tag != kItem || item.length == kUndefined) {
        throw DecodeError("DICOM: Pixel Data holds something that is no fragment");
      }
      const std::uint8_t* value = cursor.here();
      const std::size_t place = cursor.place() - 8;
      const bool whole = cursor.skip(item.length);
      if (table) {
        if (!whole) break;
        for (std::size_t i = 0; i + 4 <= item.length; i += 4) {
          file_.basic_offsets.push_back(read_u32(value + i, encoding_.big_endian));
        }
        origin = cursor.place();
        table = false;
        continue;
      }
      if (!whole) throw DecodeError("DICOM: a fragment is cut off");
      file_.fragments.push_back({value, item.length});
      file_.fragment_offsets.push_back(place - origin);
    }
    // Without its last delimiter: what is there is whole.
    if (file_.fragments.empty()) throw DecodeError("DICOM: Pixel Data has no fragment");
  }

  File& file_;
  Encoding encoding_;
  bool has_centre_ = false;
};

std::vector<std::uint8_t> inflate_all(const std::uint8_t* data, std::size_t size) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw DecodeError("DICOM: zlib cannot start");
  std::vector<std::uint8_t> out;
  std::size_t given = 0, made = 0;
  int code = Z_OK;
  while (code == Z_OK) {
    if (made == out.size()) {
      if (made >= kMaxInflatedBytes) break;
      out.resize(std::min(kMaxInflatedBytes, std::max<std::size_t>(2 * made, 1 << 16)));
    }
    const std::size_t feed = std::min<std::size_t>(size - given, 1u << 30);
    const std::size_t room = std::min<std::size_t>(out.size() - made, 1u << 30);
    stream.next_in = const_cast<std::uint8_t*>(data) + given;
    stream.avail_in = static_cast<unsigned>(feed);
    stream.next_out = out.data() + made;
    stream.avail_out = static_cast<unsigned>(room);
    code = inflate(&stream, Z_NO_FLUSH);
    given += feed - stream.avail_in;
    made += room - stream.avail_out;
  }
  inflateEnd(&stream);
  if (code != Z_STREAM_END)
    throw DecodeError("DICOM: the deflated data set is damaged, cut off or too large");
  out.resize(made);
  return out;
}

}  // namespace

bool is_dicom(const std::uint8_t* data, std::size_t size) {
  return size >= kPreamble && std::memcmp(data + 128, "DICM", 4) == 0;
}

File parse(const std::uint8_t* data, std::size_t size) {
  // Old files begin with group 0002, without preamble and prefix.
  const bool bare = size >= 132 && read_u32(data, true) == 0x02000000u && data[4] == 'U' && data[5] == 'L';
  if (!bare && !is_dicom(data, size)) throw DecodeError("DICOM: has no DICM prefix");
  File file;
  // Group 0002 is always explicit little endian (PS3.10 7.1).
  const std::size_t begin = bare ? 0 : kPreamble;
  Cursor meta(data + begin, size - begin);
  std::size_t start = begin;
  Element element;
  while (meta.left() >= 8 && read_u16(meta.here(), false) == 0x0002 && meta.next({}, element)) {
    const std::uint8_t* value = meta.here();
    if (element.length == kUndefined || !meta.skip(element.length)) {
      throw DecodeError("DICOM: the file meta information is cut off");
    }
    if (element.tag == 0x00020010u) file.transfer_syntax = text_of(value, element.length);
    start = begin + meta.place();
  }
  const std::string root = "1.2.840.10008.1.2";
  if (file.transfer_syntax.compare(0, root.size(), root) != 0) {
    throw DecodeError("DICOM: states no transfer syntax that is known");
  }
  const std::string rest = file.transfer_syntax.substr(root.size());
  Encoding encoding{!rest.empty(), rest == ".2"};
  file.big_endian = encoding.big_endian;
  if (rest.empty() || rest == ".1" || rest == ".2" || rest == ".1.99") file.coding = Coding::native;
  for (const SyntaxRow& row : kSyntaxes) {
    if (rest == row.uid) file.coding = row.coding;
  }
  if (file.coding == Coding::other)
    throw DecodeError("DICOM: pixels of this transfer syntax are not decoded");
  Reader reader(file, encoding);
  if (rest == ".1.99") {
    file.inflated = inflate_all(data + start, size - start);
    reader.read(file.inflated.data(), file.inflated.size());
  } else {
    reader.read(data + start, size - start);
  }
  return file;
}

}  // namespace medshard::dicom

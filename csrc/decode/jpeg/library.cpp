#include "decode/jpeg/library.hpp"

#include <string>

#include "core/error.hpp"

namespace medshard::decode::jpeg {
namespace {

// Encoders write about ten scans. Each costs a pass over all blocks, however few bytes it has.
constexpr int kMaxScans = 100;

void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<LibraryErrors*>(info->err);
  errors->base.format_message(info, errors->message);
  std::longjmp(errors->escape, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:  // bytes between segments: the pixels are whole
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
      return;
    default:  // libjpeg would go on with grey blocks: such a picture is damaged
      on_error(info);
  }
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<LibraryErrors*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMaxScans);
  std::longjmp(errors->escape, 1);
}

void no_output(j_common_ptr) {}

}  // namespace

jpeg_error_mgr* LibraryErrors::install() {
  jpeg_std_error(&base);
  base.error_exit = on_error;
  base.emit_message = on_message;
  base.output_message = no_output;
  progress.progress_monitor = on_progress;
  message[0] = '\0';
  return &base;
}

void check_plausible(const jpeg_decompress_struct& info, std::size_t size) {
  if (info.arith_code) return;
  double blocks = 0;
  for (int c = 0; c < info.num_components; ++c) {
    blocks += static_cast<double>(info.comp_info[c].width_in_blocks) * info.comp_info[c].height_in_blocks;
  }
  if (blocks > 8.0 * static_cast<double>(size)) {
    throw DecodeError("JPEG: " + std::to_string(size) + " bytes cannot hold " +
                      std::to_string(info.image_width) + " x " + std::to_string(info.image_height) +
                      " pixels");
  }
}

}  // namespace medshard::decode::jpeg

// A target with faults behind three letters, by which tests/fuzz/test_fuzz_driver.py tries the driver.
// PLANTED chooses.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const char* chosen = std::getenv("PLANTED");
  const std::string_view planted = chosen == nullptr ? "" : chosen;
  if (size < 5 || data[0] != 'A') return 0;
  if (data[1] != 'B') return 0;
  if (data[2] != 'C') return 0;
  if (planted == "overflow") return data[size] == 1;
  if (planted == "exception") throw std::runtime_error("nobody catches it");
  if (planted == "arithmetic") {
    volatile int most = 0x7FFFFFFF;
    return most + data[3] + 1 > 0;
  }
  if (planted == "memory") return std::vector<char>(std::size_t{1} << 31)[data[3]];
  if (planted == "hang") {
    for (volatile int turn = 0;;) turn = turn ^ 1;
  }
  return 0;
}

#include "core/cpu.hpp"

#include <cstdlib>
#include <stdexcept>

namespace medshard::core {

std::string name_of(Simd level) {
  switch (level) {
    case Simd::avx2:
      return "avx2";
    case Simd::avx512:
      return "avx512";
    default:
      return "scalar";
  }
}

std::vector<Simd> available_simd() {
  std::vector<Simd> levels = {Simd::scalar};
#if defined(MEDSHARD_X86)
  if (__builtin_cpu_supports("avx2")) {
    levels.push_back(Simd::avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
      levels.push_back(Simd::avx512);
    }
  }
#endif
  return levels;
}

Simd chosen_simd() {
  const std::vector<Simd> levels = available_simd();
  const char* wanted = std::getenv("MEDSHARD_SIMD");
  if (wanted == nullptr || *wanted == '\0') return levels.back();
  std::string known;
  for (Simd level : levels) {
    if (name_of(level) == wanted) return level;
    known += (known.empty() ? "" : ", ") + name_of(level);
  }
  throw std::invalid_argument("MEDSHARD_SIMD=" + std::string(wanted) + ": this machine and build have " +
                              known);
}

bool has_sse42() {
#if defined(MEDSHARD_X86)
  return __builtin_cpu_supports("sse4.2");
#else
  return false;
#endif
}

}  // namespace medshard::core

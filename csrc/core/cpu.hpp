// Which SIMD level this machine has, and which one is used.
#pragma once

#include <string>
#include <vector>

namespace medshard::core {

enum class Simd { scalar = 0, avx2 = 1, avx512 = 2 };

// Levels that this build holds and this machine runs, from slow to fast.
std::vector<Simd> available_simd();

// The level in use: the fastest, or what MEDSHARD_SIMD names (scalar, avx2, avx512).
// Throws std::invalid_argument when that is not a name, or not available here.
Simd chosen_simd();

std::string name_of(Simd level);

bool has_sse42();

}  // namespace medshard::core

#include "volume/convert.hpp"

namespace medshard::volume {
namespace avx512_level {
#include "volume/convert.inl"
}  // namespace avx512_level

const Converters& avx512_converters() { return avx512_level::table(); }

}  // namespace medshard::volume

#include "volume/convert.hpp"

namespace medshard::volume {
namespace avx2_level {
#include "volume/convert.inl"
}  // namespace avx2_level

const Converters& avx2_converters() { return avx2_level::table(); }

}  // namespace medshard::volume

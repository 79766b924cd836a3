#include "volume/convert.hpp"

namespace medshard::volume {
namespace scalar_level {
#include "volume/convert.inl"
}  // namespace scalar_level

const Converters& scalar_converters() { return scalar_level::table(); }

}  // namespace medshard::volume

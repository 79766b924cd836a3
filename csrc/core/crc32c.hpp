// CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected), as iSCSI (RFC 3720) and Zarr use it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medshard::core {

// The checksum of `data`, going on from `value` (0 to begin).
std::uint32_t crc32c(const std::uint8_t* data, std::size_t size, std::uint32_t value = 0);

// The same by SSE 4.2's instruction; only where has_sse42().
std::uint32_t crc32c_sse42(const std::uint8_t* data, std::size_t size, std::uint32_t value);

}  // namespace medshard::core

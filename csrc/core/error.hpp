// What goes wrong in native code, as one type; bindings turn it into medshard.errors.DecodeError.
#pragma once

#include <stdexcept>
#include <string>

namespace medshard {

class DecodeError : public std::runtime_error {
 public:
  explicit DecodeError(const std::string& what) : std::runtime_error(what) {}
};

}  // namespace medshard

// All of a stored picture, for steps that ask for its statistics.
#pragma once

#include "augment/picture.hpp"
#include "pipeline/source.hpp"

namespace medshard::pipeline {

// Without alpha, values as they are stored.
void keep_whole(const Source& source, augment::Picture& whole);

}  // namespace medshard::pipeline

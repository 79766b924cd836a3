#include "bindings/module.hpp"

#include <stdexcept>

#include "core/error.hpp"

namespace nb = nanobind;

NB_MODULE(_engine, m) {
  m.doc() = "The native engine; medshard.engine is its typed face.";
  // One native error, one Python class. It is looked up when it is thrown, so that the module imports
  // nothing.
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const medshard::DecodeError& error) {
      nb::object type = nb::module_::import_("medshard.errors").attr("DecodeError");
      PyErr_SetString(type.ptr(), error.what());
    }
  });
  medshard::bindings::bind_core(m);
  medshard::bindings::bind_decode(m);
  medshard::bindings::bind_dicom(m);
  medshard::bindings::bind_engine(m);
  medshard::bindings::bind_volume(m);
  medshard::bindings::bind_volume_sampling(m);
}

// The only translator of C++ exceptions: each becomes the class of the same name in vdb.errors.
#include <cerrno>

#include "base/error.h"
#include "bindings/register.h"

namespace vdb::bindings {
namespace {

namespace py = pybind11;

py::object error_class(const char* name) { return py::module_::import("vdb.errors").attr(name); }

void raise(const char* name, const std::exception& error) { PyErr_SetString(error_class(name).ptr(), error.what()); }

void raise_damage(const char* name, const Corrupted& error) {
  const Damage& damage = error.damage;
  const py::object type = error_class(name);
  const py::object value =
      type(std::string(error.what()) + ". Fix: delete the file; an index is rebuilt from the vectors.",
           py::arg("path") = damage.path, py::arg("section") = damage.section, py::arg("offset") = damage.offset,
           py::arg("expected") = damage.expected, py::arg("found") = damage.found);
  PyErr_SetObject(type.ptr(), value.ptr());
}

void raise_io(const IoError& error) {
  const bool full = error.code == ENOSPC || error.code == EDQUOT;
  const py::object type = full ? error_class("DiskFull") : py::reinterpret_borrow<py::object>(PyExc_OSError);
  PyErr_SetObject(type.ptr(), py::make_tuple(error.code, error.what(), error.path).ptr());
}

}  // namespace

void register_errors(py::module_& module) {
  static_cast<void>(module);
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const FormatVersionError& error) {
      raise_damage("FormatVersionError", error);
    } catch (const Corrupted& error) {
      raise_damage("Corrupted", error);
    } catch (const MetricError& error) {
      raise("MetricError", error);
    } catch (const InvalidArgument& error) {
      raise("InvalidArgument", error);
    } catch (const InvalidState& error) {
      raise("InvalidState", error);
    } catch (const Cancelled& error) {
      raise("Cancelled", error);
    } catch (const IoError& error) {
      raise_io(error);
    }
  });
}

}  // namespace vdb::bindings

# SPDX-License-Identifier: BSD-3-Clause
# Finds the core of the C++ Actor Framework and defines CAF::core. Debian's libcaf-dev ships no
# package file of its own. Looks in CAF_ROOT first.
#
# To be called with a range, 0.17...<0.18: another minor version is refused, because CAF promises
# neither source nor binary compatibility between them.

find_path(CAF_INCLUDE_DIR caf/actor_system.hpp)
find_library(CAF_CORE_LIBRARY caf_core)
mark_as_advanced(CAF_INCLUDE_DIR CAF_CORE_LIBRARY)

unset(CAF_VERSION)
unset(_caf_refusal)
# CAF 0.x defines its version in the first of these files, CAF 1.x in the second.
foreach(_caf_file IN ITEMS caf/config.hpp caf/detail/build_config.hpp)
  if(NOT CAF_VERSION AND EXISTS "${CAF_INCLUDE_DIR}/${_caf_file}")
    file(STRINGS "${CAF_INCLUDE_DIR}/${_caf_file}" _caf_line REGEX "#define CAF_VERSION [0-9]+")
    if(_caf_line MATCHES "CAF_VERSION ([0-9]+)")
      math(EXPR _caf_major "${CMAKE_MATCH_1} / 10000")
      math(EXPR _caf_minor "${CMAKE_MATCH_1} / 100 % 100")
      math(EXPR _caf_patch "${CMAKE_MATCH_1} % 100")
      set(CAF_VERSION ${_caf_major}.${_caf_minor}.${_caf_patch})
    endif()
  endif()
endforeach()

set(_caf_wanted "${CAF_FIND_VERSION_MAJOR}.${CAF_FIND_VERSION_MINOR}")
if(CAF_VERSION AND NOT "${_caf_major}.${_caf_minor}" VERSION_EQUAL _caf_wanted)
  set(_caf_refusal "Coppice needs CAF ${_caf_wanted} and found CAF ${CAF_VERSION} in\
 ${CAF_INCLUDE_DIR}. Install CAF ${_caf_wanted} (Debian 12: libcaf-dev), or set CAF_ROOT to\
 where it is.")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF
  REQUIRED_VARS CAF_CORE_LIBRARY CAF_INCLUDE_DIR CAF_VERSION
  VERSION_VAR CAF_VERSION
  HANDLE_VERSION_RANGE
  REASON_FAILURE_MESSAGE "${_caf_refusal}")

if(CAF_FOUND AND NOT TARGET CAF::core)
  find_package(Threads REQUIRED)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(CAF::core PROPERTIES
    IMPORTED_LOCATION "${CAF_CORE_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()

# SPDX-License-Identifier: BSD-3-Clause
# CAF's library is not instrumented; tests/tsan/caf_release.cpp says what that hides from
# ThreadSanitizer. Every program that has to be silent under it is mended with
#
#   coppice_instrument(target...)

if(COPPICE_SANITIZE STREQUAL "thread")
  add_library(caf_release OBJECT ${PROJECT_SOURCE_DIR}/tests/tsan/caf_release.cpp)
  target_link_libraries(caf_release PUBLIC CAF::core)
  set_target_properties(caf_release PROPERTIES CXX_VISIBILITY_PRESET default)
endif()

function(coppice_instrument)
  if(COPPICE_SANITIZE STREQUAL "thread")
    foreach(target IN LISTS ARGN)
      target_link_libraries(${target} PRIVATE caf_release)
      set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)
    endforeach()
  endif()
endfunction()

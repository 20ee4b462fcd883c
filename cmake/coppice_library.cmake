# SPDX-License-Identifier: BSD-3-Clause
# One component of the house: a static library, its include root, its part of the package.
#
#   coppice_library(actors FLOOR actors SOURCES *.cpp HEADERS *.hpp LINKS CAF::core)
#
# defines the target coppice_actors, its alias coppice::actors, and installs and exports it under
# that name. SOURCES and HEADERS are patterns within the floor's folder; headers that match none,
# and all named *_private.hpp, are not installed.
#
# The include root of a floor is <build>/include/<floor>; in it coppice/<floor> is a link to the
# source folder. So <coppice/actors/ref.hpp> names the same file in the tree and installed, and a
# target sees the floors it links and no other: an upward include does not compile.

include(GNUInstallDirs)

function(coppice_library component)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FLOOR" "SOURCES;HEADERS;LINKS")
  set(root ${PROJECT_BINARY_DIR}/include/${arg_FLOOR})
  file(MAKE_DIRECTORY ${root}/coppice)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${arg_FLOOR} ${root}/coppice/${arg_FLOOR} SYMBOLIC)

  list(TRANSFORM arg_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/${arg_FLOOR}/)
  file(GLOB sources CONFIGURE_DEPENDS ${arg_SOURCES})
  list(TRANSFORM arg_HEADERS PREPEND ${root}/coppice/${arg_FLOOR}/)
  file(GLOB headers CONFIGURE_DEPENDS ${arg_HEADERS})
  list(FILTER headers EXCLUDE REGEX _private\\.hpp$)

  set(target coppice_${component})
  # The list file and the language are given for a component that has no source file.
  add_library(${target} STATIC CMakeLists.txt ${sources})
  add_library(coppice::${component} ALIAS ${target})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME ${component})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${root} FILES ${headers})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_LINKS})

  install(TARGETS ${target} EXPORT ${target}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT ${target} NAMESPACE coppice:: FILE coppice-${component}.cmake
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/coppice)
endfunction()

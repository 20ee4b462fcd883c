# SPDX-License-Identifier: BSD-3-Clause
# What an installation holds besides libraries and headers: the CMake package, the pkg-config file,
# and how CPack makes a Debian package of it all.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/coppice)
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/coppice-config.cmake.in ${PROJECT_BINARY_DIR}/coppice-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/coppice-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/coppice-config.cmake
              ${PROJECT_BINARY_DIR}/coppice-config-version.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindCAF.cmake
        DESTINATION ${package_dir})

# Relative to the file itself, so that the installation can be moved.
string(REGEX REPLACE "[^/]+" ".." up ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(pc_prefix "\${pcfiledir}/${up}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/coppice.pc.in ${PROJECT_BINARY_DIR}/coppice.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/coppice.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR DEB)
  set(CPACK_PACKAGE_NAME coppice-dev)
  set(CPACK_PACKAGE_VENDOR "The Coppice authors")
  set(CPACK_PACKAGE_CONTACT "The Coppice authors")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS
      "libcaf-dev (>= 0.17), libcaf-dev (<< 0.18), libboost1.81-dev, libspdlog-dev, libssl-dev")
  include(CPack)
endif()

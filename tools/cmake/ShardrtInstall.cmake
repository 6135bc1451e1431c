# SPDX-License-Identifier: MIT
# What `cmake --install` puts where: libraries and headers, and two ways to find them, pkg-config
# (shardrt.pc) and find_package(shardrt) with the targets shardrt::rt and shardrt::rt_static.

include(CMakePackageConfigHelpers)

set(shardrt_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/shardrt")

install(TARGETS shardrt EXPORT shardrtTargets
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT shardrtTargets NAMESPACE shardrt:: DESTINATION "${shardrt_cmake_dir}")

# The static library apart: only its users need the development files of liburing and
# hwloc.
install(TARGETS shardrt_static EXPORT shardrtStaticTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT shardrtStaticTargets NAMESPACE shardrt:: DESTINATION "${shardrt_cmake_dir}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/tools/cmake/shardrtConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/shardrtConfig.cmake"
    INSTALL_DESTINATION "${shardrt_cmake_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break, as the shared library's name says.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/shardrtConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/shardrtConfig.cmake"
              "${PROJECT_BINARY_DIR}/shardrtConfigVersion.cmake"
    DESTINATION "${shardrt_cmake_dir}")

# The .pc file names its own place, so an installation may be moved as a whole.
file(RELATIVE_PATH SHARDRT_PC_TO_PREFIX
    "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" SHARDRT_PC_TO_PREFIX "${SHARDRT_PC_TO_PREFIX}")
list(JOIN SHARDRT_STACK_CLASH " " SHARDRT_PC_STACK_CLASH)
configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/shardrt.pc.in"
    "${PROJECT_BINARY_DIR}/shardrt.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/shardrt.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# For gdb: source it, or let an auto-load rule of one's own name it.
if(EXISTS "${PROJECT_SOURCE_DIR}/tools/gdb/shardrt-gdb.py")
    install(FILES "${PROJECT_SOURCE_DIR}/tools/gdb/shardrt-gdb.py"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/shardrt")
endif()

# SPDX-License-Identifier: MIT
#
# libprewarm: the ring, Command and posix_spawn, and workers in C, for other programs. libprewarm.so.0 and libprewarm.a, from
# the same objects as the core; found by pkg-config and by find_package(prewarm), from wherever the tree has
# been moved to.
#
#   prewarm::prewarm  the shared library
#   prewarm::static   the static one
#
# SOVERSION 0: until 1.0 any 0.x may change it. The C interface's symbols are versioned, so that it alone
# can stay.

# A sanitized library is of no use to other programs.
if(NOT TARGET prewarm_core_spawn OR PREWARM_SANITIZE OR PREWARM_FUZZ)
  return()
endif()

set(version_script "${PROJECT_SOURCE_DIR}/cmake/libprewarm.map")
# prewarm_serve, the worker's side of a coprocess, is the same file that tools can take by itself.
set(objects $<TARGET_OBJECTS:prewarm_core_spawn> $<TARGET_OBJECTS:prewarm_executor>
            "${PROJECT_SOURCE_DIR}/sdk/c/prewarm_worker.c")
add_library(prewarm_library SHARED ${objects})
target_link_options(prewarm_library PRIVATE
  "-Wl,--version-script=${version_script}" -Wl,--exclude-libs,ALL -Wl,--no-undefined -Wl,--gc-sections -Wl,-z,now -Wl,-z,relro)
# For the io_uring backend, and inside: who uses the shared library needs nothing of it.
target_link_libraries(prewarm_library PRIVATE ${URING_LIBRARY})
add_library(prewarm_library_static STATIC ${objects})
set_target_properties(prewarm_library PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS "${version_script}" EXPORT_NAME prewarm)
set_target_properties(prewarm_library_static PROPERTIES EXPORT_NAME static)
foreach(library prewarm_library prewarm_library_static)
  set_target_properties(${library} PROPERTIES
    OUTPUT_NAME prewarm LINKER_LANGUAGE CXX
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}" ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
  target_include_directories(${library} INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
endforeach()
# A C program that is linked with the archive needs what its C++ needs.
target_link_libraries(prewarm_library_static INTERFACE $<$<LINK_LANGUAGE:C>:stdc++> uring)

# ---- Installed ---------------------------------------------------------------------------------------
# Here CMAKE_INSTALL_LIBDIR is right: it is Debian's directory of the architecture if the prefix is /usr.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/prewarm")
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}/${pkgconfig_dir}"
           OUTPUT_VARIABLE PREWARM_PREFIX_FROM_PKGCONFIG)
configure_file(cmake/prewarm.pc.in "${PROJECT_BINARY_DIR}/generated/prewarm.pc" @ONLY)
configure_package_config_file(cmake/prewarm-config.cmake.in
  "${PROJECT_BINARY_DIR}/generated/prewarm-config.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/generated/prewarm-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)

install(TARGETS prewarm_library prewarm_library_static EXPORT prewarm
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library)
install(EXPORT prewarm NAMESPACE prewarm:: FILE prewarm-targets.cmake
        DESTINATION "${package_dir}" COMPONENT library)
install(FILES "${PROJECT_BINARY_DIR}/generated/prewarm-config.cmake"
              "${PROJECT_BINARY_DIR}/generated/prewarm-config-version.cmake"
        DESTINATION "${package_dir}" COMPONENT library)
install(FILES "${PROJECT_BINARY_DIR}/generated/prewarm.pc"
        DESTINATION "${pkgconfig_dir}" COMPONENT library)
install(DIRECTORY include/prewarm DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT library)
install(FILES sdk/c/prewarm_worker.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/prewarm" RENAME worker.h
        COMPONENT library)

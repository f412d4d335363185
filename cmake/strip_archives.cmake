# SPDX-License-Identifier: MIT
#
# Run by cpack before it packs: it strips programs and shared objects itself, but not archives, whose debug
# information is most of their size.
file(GLOB_RECURSE archives "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*.a")
foreach(archive IN LISTS archives)
  execute_process(COMMAND strip --strip-debug "${archive}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()

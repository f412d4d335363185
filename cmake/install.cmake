# SPDX-License-Identifier: MIT
#
# cmake --install, and the Debian package (cpack -G DEB; ./dev package configures it with prefix /usr).

if(TARGET prewarm)
  install(TARGETS prewarm RUNTIME DESTINATION bin)
endif()
foreach(library prewarm-agent prewarm-spawn)
  if(TARGET ${library})
    # Loaded, never executed: no x bit, as Debian has its shared objects.
    install(PROGRAMS $<TARGET_FILE:${library}> DESTINATION lib/prewarm
            PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
endforeach()
if(TARGET prewarm-spawn)
  install(FILES man/prewarm_posix_spawn.3 DESTINATION share/man/man3)
endif()
if(TARGET prewarm-bash)
  # Under the name by which `enable -f prewarm` finds it.
  install(PROGRAMS $<TARGET_FILE:prewarm-bash> DESTINATION lib/bash RENAME prewarm
          PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endif()

install(FILES man/prewarm.1 DESTINATION share/man/man1)
install(FILES completions/prewarm.bash DESTINATION share/bash-completion/completions RENAME prewarm)

file(GLOB docs CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/docs/*.md")
install(FILES ${docs} DESTINATION share/doc/prewarm)
install(FILES LICENSE DESTINATION share/doc/prewarm)
install(DIRECTORY LICENSES DESTINATION share/doc/prewarm)
install(FILES LICENSES/README DESTINATION share/doc/prewarm RENAME copyright)

set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_NAME prewarm)
set(CPACK_PACKAGE_VENDOR "The prewarm authors")
set(CPACK_PACKAGE_CONTACT "The prewarm authors <prewarm@prewarm.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "run bash scripts with their commands launched from warm processes")
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION shells)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# The loadable is compiled against bash 5.2's own structures; it checks the version when it is loaded.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "bash (>= 5.2), libc6 (>= 2.36)")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"prewarm runs an unmodified bash script as bash does, with its commands
launched from processes that were executed and linked ahead of time, so that
short commands start several times faster. It contains the command prewarm,
the bash loadable behind 'shopt -s prewarm_pids', and the agent that holds a
program just before its main function.")
include(CPack)

# SPDX-License-Identifier: MIT
#
# cmake --install. The library's part is in library.cmake, and is the component `library`.

if(TARGET prewarm)
  install(TARGETS prewarm RUNTIME DESTINATION bin)
endif()
if(TARGET prewarmd)
  install(TARGETS prewarmd RUNTIME DESTINATION bin)
  # User units: each user has a service, and enables its socket who wants it.
  configure_file(systemd/prewarmd.service.in "${PROJECT_BINARY_DIR}/generated/prewarmd.service" @ONLY)
  install(FILES systemd/prewarmd.socket "${PROJECT_BINARY_DIR}/generated/prewarmd.service"
          DESTINATION lib/systemd/user)
  install(FILES man/prewarmd.8 DESTINATION share/man/man8)
endif()
foreach(library prewarm-agent prewarm-spawn)
  if(TARGET ${library})
    # Loaded, never executed: no x bit, as Debian has its shared objects.
    install(PROGRAMS $<TARGET_FILE:${library}> DESTINATION lib/prewarm
            PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
endforeach()
if(TARGET prewarm-entry)
  # What the restorer is to an image; copies of the other are what `prewarm image install` makes.
  install(PROGRAMS $<TARGET_FILE:prewarm-restore> DESTINATION lib/prewarm
          PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  install(TARGETS prewarm-entry RUNTIME DESTINATION lib/prewarm)
  install(FILES man/prewarm-exec.1 man/prewarm-image.1 DESTINATION share/man/man1)
endif()
if(TARGET prewarm-child-static)
  install(TARGETS prewarm-child-dynamic prewarm-child-static RUNTIME DESTINATION lib/prewarm)
endif()
if(TARGET prewarm-spawn)
  install(FILES man/prewarm_posix_spawn.3 DESTINATION share/man/man3)
endif()
if(TARGET prewarm-bash)
  # Under the name by which `enable -f prewarm` finds it.
  install(PROGRAMS $<TARGET_FILE:prewarm-bash> DESTINATION lib/bash RENAME prewarm
          PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endif()

# The package is where Debian's python3 looks if the prefix is /usr, and where `prewarm call --preload`
# finds it in any case.
install(DIRECTORY sdk/python/prewarm DESTINATION lib/python3/dist-packages
        FILES_MATCHING PATTERN "*.py" PATTERN tests EXCLUDE)
install(DIRECTORY sdk/c sdk/sh sdk/java DESTINATION share/prewarm/sdk USE_SOURCE_PERMISSIONS)

install(FILES man/prewarm.1 DESTINATION share/man/man1)
install(FILES man/prewarm_spawn.3 DESTINATION share/man/man3)
install(FILES man/prewarm-coprocesses.5 DESTINATION share/man/man5)
install(FILES man/prewarm_ring.7 DESTINATION share/man/man7)
install(FILES completions/prewarm.bash DESTINATION share/bash-completion/completions RENAME prewarm)

file(GLOB docs CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/docs/*.md")
install(FILES ${docs} DESTINATION share/doc/prewarm)
install(DIRECTORY docs/protocol DESTINATION share/doc/prewarm)
install(FILES LICENSE DESTINATION share/doc/prewarm)
install(DIRECTORY LICENSES DESTINATION share/doc/prewarm)
install(FILES LICENSES/README DESTINATION share/doc/prewarm RENAME copyright)

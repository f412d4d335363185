# SPDX-License-Identifier: MIT
#
# The Debian package: cpack -G DEB (./dev package configures it with prefix /usr).

set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_NAME prewarm)
set(CPACK_PACKAGE_VENDOR "The prewarm authors")
set(CPACK_PACKAGE_CONTACT "The prewarm authors <prewarm@prewarm.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "run bash scripts with their commands launched from warm processes")
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/strip_archives.cmake")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION shells)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# The loadable is compiled against bash 5.2's own structures; it checks the version when it is loaded.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "bash (>= 5.2), libc6 (>= 2.36), libstdc++6 (>= 12), libgcc-s1")
# What a package with a shared library owes to ldconfig.
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${PROJECT_SOURCE_DIR}/cmake/triggers")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"prewarm runs an unmodified bash script as bash does, with its commands
launched from processes that were executed and linked ahead of time, so that
short commands start several times faster. It contains the command prewarm,
the bash loadable behind 'shopt -s prewarm_pids', the agent that holds a
program just before its main function, and the library libprewarm with its
headers, for programs that start programs.")
include(CPack)

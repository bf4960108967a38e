# Sockeye from the archives of its release: nothing is compiled here. Their names and checksums are
# in archives.cmake, which `cargo xtask package` writes; SOCKEYE_ARCHIVES in the environment (to be
# named in VCPKG_KEEP_ENV_VARS) says where they are, if not at the project's own address.
include("${CMAKE_CURRENT_LIST_DIR}/archives.cmake")

if(VCPKG_TARGET_IS_LINUX AND VCPKG_TARGET_ARCHITECTURE STREQUAL "x64")
  list(GET SOCKEYE_Linux 0 name)
  list(GET SOCKEYE_Linux 1 sum)
elseif(VCPKG_TARGET_IS_MINGW AND VCPKG_TARGET_ARCHITECTURE STREQUAL "x64")
  list(GET SOCKEYE_Windows 0 name)
  list(GET SOCKEYE_Windows 1 sum)
else()
  message(FATAL_ERROR "There is no archive of Sockeye for ${TARGET_TRIPLET}.")
endif()
if(DEFINED ENV{SOCKEYE_ARCHIVES})
  set(SOCKEYE_URL "$ENV{SOCKEYE_ARCHIVES}")
endif()

vcpkg_download_distfile(archive URLS "${SOCKEYE_URL}/${name}" FILENAME "${name}" SHA512 ${sum})
vcpkg_extract_source_archive(tree ARCHIVE "${archive}")

# One optimised library serves debug programs, too: it is C that it speaks.
set(VCPKG_BUILD_TYPE release)
file(INSTALL "${tree}/include" DESTINATION "${CURRENT_PACKAGES_DIR}")
if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
  file(INSTALL "${tree}/lib/libsockeye.a" DESTINATION "${CURRENT_PACKAGES_DIR}/lib")
  set(pc sockeye-static.pc)
else()
  file(GLOB libraries "${tree}/lib/libsockeye.so*" "${tree}/lib/libsockeye.dll.a"
    "${tree}/lib/sockeye.lib")
  file(INSTALL ${libraries} DESTINATION "${CURRENT_PACKAGES_DIR}/lib")
  if(VCPKG_TARGET_IS_MINGW)
    file(INSTALL "${tree}/bin/sockeye.dll" DESTINATION "${CURRENT_PACKAGES_DIR}/bin")
  endif()
  set(pc sockeye.pc)
endif()
file(INSTALL "${tree}/lib/pkgconfig/${pc}" DESTINATION "${CURRENT_PACKAGES_DIR}/lib/pkgconfig")

# The CMake files lie elsewhere in vcpkg; they find the rest from where they are.
file(INSTALL "${tree}/lib/cmake/sockeye/" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_replace_string("${CURRENT_PACKAGES_DIR}/share/${PORT}/sockeyeConfig.cmake"
  "\${_sockeye_lib}/../.." "\${_sockeye_lib}/../../lib")

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
file(GLOB licences "${tree}/share/doc/sockeye/*.txt" "${tree}/share/doc/sockeye/LICENSE-*")
vcpkg_install_copyright(FILE_LIST ${licences}
  COMMENT "Sockeye is under the MIT licence or the Apache License 2.0, as you choose.")

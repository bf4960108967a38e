# sockeye::shared, sockeye::static, and sockeye::sockeye, which is one of these. Included by the
# installed package and by the CMakeLists.txt of the sources, which both say where things are:
#   _sockeye_include   the folder of the headers
#   _sockeye_shared    the shared library (the DLL on Windows, whose import library is
#                      _sockeye_import), or nothing when there is none
#   _sockeye_static    the static library, or nothing
#   _sockeye_scope     GLOBAL, or nothing for the scope of the caller

# What a program needs beside the static library, in the linker's words and order: what
# `rustc --print native-static-libs` says. `cargo xtask` compares, and fills the .pc files from it.
set(_sockeye_natives_Linux -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc)
set(_sockeye_natives_Windows -lkernel32 -lntdll -luserenv -lws2_32 -ldbghelp)

if(_sockeye_shared AND NOT TARGET sockeye::shared)
  add_library(sockeye::shared SHARED IMPORTED ${_sockeye_scope})
  set_target_properties(sockeye::shared PROPERTIES
    IMPORTED_LOCATION "${_sockeye_shared}"
    INTERFACE_INCLUDE_DIRECTORIES "${_sockeye_include}")
  if(WIN32)
    set_target_properties(sockeye::shared PROPERTIES IMPORTED_IMPLIB "${_sockeye_import}")
  elseif(NOT APPLE)
    set_target_properties(sockeye::shared PROPERTIES IMPORTED_SONAME libsockeye.so.0)
  endif()
endif()

if(_sockeye_static AND NOT TARGET sockeye::static)
  add_library(sockeye::static STATIC IMPORTED ${_sockeye_scope})
  set_target_properties(sockeye::static PROPERTIES
    IMPORTED_LOCATION "${_sockeye_static}"
    INTERFACE_INCLUDE_DIRECTORIES "${_sockeye_include}"
    INTERFACE_LINK_LIBRARIES "${_sockeye_natives_${CMAKE_SYSTEM_NAME}}")
  if(WIN32) # the header would take the functions for those of a DLL
    set_target_properties(sockeye::static PROPERTIES
      INTERFACE_COMPILE_DEFINITIONS SOCKEYE_STATIC)
  endif()
endif()

# The project that links decides, when it is configured: static where it says BUILD_SHARED_LIBS=OFF,
# shared where it says ON or nothing, and what there is where there is only one.
if(NOT TARGET sockeye::sockeye)
  add_library(sockeye::sockeye INTERFACE IMPORTED ${_sockeye_scope})
  set(_sockeye_kind sockeye::shared)
  if(NOT TARGET sockeye::shared)
    set(_sockeye_kind sockeye::static)
  elseif(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS AND TARGET sockeye::static)
    set(_sockeye_kind sockeye::static)
  endif()
  set_target_properties(sockeye::sockeye PROPERTIES INTERFACE_LINK_LIBRARIES ${_sockeye_kind})
endif()

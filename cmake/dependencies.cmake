# Everything Veilnet is built from. scripts/bootstrap.sh installs it on Debian 12; docs/building.md says what to do elsewhere.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_path(MUSTACHE_INCLUDE_DIR kainjow/mustache.hpp REQUIRED)
pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)

if(VEILNET_LAB)
  find_package(Torch 1.13 REQUIRED)
  add_library(veilnet_torch INTERFACE)
  # SYSTEM: warnings inside LibTorch's headers are not ours.
  target_include_directories(veilnet_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  target_link_libraries(veilnet_torch INTERFACE ${TORCH_LIBRARIES})
  separate_arguments(veilnet_torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
  target_compile_options(veilnet_torch INTERFACE ${veilnet_torch_flags})
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Paths relative to the checkout let one clone's objects serve the next.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${CCACHE})
endif()

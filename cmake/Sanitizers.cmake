# SPDX-License-Identifier: Apache-2.0
# Flags that every object of a build shares: language, hardening, sanitizers, coverage.
set(SANITIZE "" CACHE STRING "Value of -fsanitize=, empty for none")
option(COVERAGE "Instrument for gcov" OFF)

set(CMAKE_C_STANDARD 23)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_definitions(_GNU_SOURCE)
add_compile_options(-fno-strict-aliasing -fno-omit-frame-pointer)
add_link_options(-Wl,--as-needed)

# One ccache serves all build trees of a checkout.
find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

if(SANITIZE)
    add_compile_options(-fsanitize=${SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    # Assertions stay: a service that goes on with a broken invariant is worse than one that stops.
    set(CMAKE_C_FLAGS_RELEASE "")
    add_compile_options(-O2 -g1 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection)
    # Nothing tells where it was built, so that everybody builds the same.
    add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
    add_link_options(-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
if(COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()

# SPDX-License-Identifier: Apache-2.0
# The warnings that our own code is compiled with (target `warnings`); generated code does without.
option(WARNINGS_AS_ERRORS "Stop on a compiler warning (a packager may switch it off)" ON)

add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
    -Wformat=2 -Wundef -Wvla -Wwrite-strings -Wimplicit-fallthrough
    # clang takes these into what protobuf-c generates: the casts inside its __INIT macros, and a
    # hidden member of every enum; gcc knows better
    $<$<C_COMPILER_ID:GNU>:-Wcast-qual> $<$<C_COMPILER_ID:GNU>:-Wswitch-enum>
    $<$<BOOL:${WARNINGS_AS_ERRORS}>:-Werror>)

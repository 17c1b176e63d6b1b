# SPDX-License-Identifier: Apache-2.0
# The warnings that our own code is compiled with (target `warnings`); generated code does without.
option(WARNINGS_AS_ERRORS "Stop on a compiler warning (a packager may switch it off)" ON)

add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
    -Wformat=2 -Wswitch-enum -Wundef -Wvla -Wwrite-strings -Wimplicit-fallthrough
    # clang warns of the casts inside protobuf-c's __INIT macros where we use them; gcc knows better
    $<$<C_COMPILER_ID:GNU>:-Wcast-qual>
    $<$<BOOL:${WARNINGS_AS_ERRORS}>:-Werror>)

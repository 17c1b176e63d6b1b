# SPDX-License-Identifier: Apache-2.0
# The libraries of the system, each as an imported target dep::NAME.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_GEN_C protoc-gen-c REQUIRED)

# dep(NAME PKG...): the pkg-config packages PKG as dep::NAME.
function(dep name)
    pkg_check_modules(dep_${name} REQUIRED IMPORTED_TARGET GLOBAL ${ARGN})
    add_library(dep::${name} ALIAS PkgConfig::dep_${name})
endfunction()

dep(event libevent_core libevent_extra libevent_pthreads)
dep(event_openssl libevent_openssl)
dep(openssl libssl libcrypto)
dep(jansson jansson)
dep(protobuf_c libprotobuf-c)
dep(sqlite sqlite3)
dep(postgres libpq)
dep(cjose cjose)
dep(curl libcurl)
dep(yaml yaml-0.1)
dep(utf8proc libutf8proc)
dep(zlib zlib)
dep(nghttp2 libnghttp2)

# grpc.pc names some 60 libraries of its own inside; the two below are all that we call (start in a
# third of the time). Headers need no flags.
find_library(GRPC_LIBRARY grpc REQUIRED)
find_library(GPR_LIBRARY gpr REQUIRED)
add_library(dep_grpc INTERFACE)
target_link_libraries(dep_grpc INTERFACE ${GRPC_LIBRARY} ${GPR_LIBRARY})
add_library(dep::grpc ALIAS dep_grpc)

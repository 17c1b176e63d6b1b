# SPDX-License-Identifier: Apache-2.0
# Three Debian packages, by CPack: token-service, token-gateway and osmo-cli (Debian has another
# package by the name of osmo, whose program has that name too).
set(PACKAGE_CONTACT "token-service maintainers <maintainers@token-service.dev>" CACHE STRING
    "Maintainer of the Debian packages")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME token-service)
set(CPACK_PACKAGE_CONTACT ${PACKAGE_CONTACT})
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON) # /etc lies outside the prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL token-service token-gateway osmo)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_SOURCE_DIR}/debian/finish.cmake)

# What a program needs to make its user at the installation, with systemd or without.
set(users "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(folders "systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")

set(CPACK_DEBIAN_TOKEN-SERVICE_PACKAGE_NAME token-service)
set(CPACK_DEBIAN_TOKEN-SERVICE_PACKAGE_SECTION net)
set(CPACK_DEBIAN_TOKEN-SERVICE_PACKAGE_DEPENDS "${users}, ${folders}")
set(CPACK_DEBIAN_TOKEN-SERVICE_PACKAGE_SUGGESTS osmo-cli)
set(CPACK_COMPONENT_TOKEN-SERVICE_DESCRIPTION "access tokens over gRPC and HTTP
Tokens with roles and an expiry date: made, listed, deleted, and checked on
every call. Serves gRPC, JSON over HTTP and OpenAPI from an embedded database.")

set(CPACK_DEBIAN_TOKEN-GATEWAY_PACKAGE_NAME token-gateway)
set(CPACK_DEBIAN_TOKEN-GATEWAY_PACKAGE_SECTION net)
set(CPACK_DEBIAN_TOKEN-GATEWAY_PACKAGE_DEPENDS "${users}")
set(CPACK_COMPONENT_TOKEN-GATEWAY_DESCRIPTION "JSON and HTTP in front of a token-service elsewhere
The HTTP gateway of token-service as a process of its own, for an edge or a
machine apart; it speaks gRPC with the service.")

set(CPACK_DEBIAN_OSMO_PACKAGE_NAME osmo-cli)
set(CPACK_DEBIAN_OSMO_PACKAGE_SECTION net)
set(CPACK_DEBIAN_OSMO_PACKAGE_CONFLICTS osmo)
set(CPACK_COMPONENT_OSMO_DESCRIPTION "command line for access tokens
Logs in to an OSMO service or a token-service, and makes, lists and deletes
access tokens there.")

foreach(program token-service token-gateway)
    string(TOUPPER ${program} id)
    set(control ${CMAKE_CURRENT_BINARY_DIR}/debian/${program})
    set(CPACK_DEBIAN_${id}_PACKAGE_CONTROL_EXTRA)
    set(NO_START "")
    if(program STREQUAL token-gateway)
        set(NO_START 1) # it must be told first where its service is
    endif()
    foreach(script postinst prerm postrm)
        configure_file(debian/${script}.in ${control}/${script} @ONLY
            FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
                WORLD_EXECUTE)
        list(APPEND CPACK_DEBIAN_${id}_PACKAGE_CONTROL_EXTRA ${control}/${script})
    endforeach()
    file(WRITE ${control}/conffiles "/etc/${program}/${program}.yaml\n")
    list(APPEND CPACK_DEBIAN_${id}_PACKAGE_CONTROL_EXTRA ${control}/conffiles)
endforeach()

configure_file(debian/changelog.in debian/changelog @ONLY)
set(CPACK_DEBIAN_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/debian) # for finish.cmake
set(CPACK_CHANGELOG ${CMAKE_CURRENT_BINARY_DIR}/debian/changelog)
set(CPACK_NOTICE ${CMAKE_SOURCE_DIR}/NOTICE)
include(CPack)

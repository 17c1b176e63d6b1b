# SPDX-License-Identifier: Apache-2.0
# CPack runs it between installation and packing: what just Debian wants is added, and compressed.
file(GLOB roots LIST_DIRECTORIES true ${CPACK_TEMPORARY_DIRECTORY}/*)
foreach(root IN LISTS roots)
    get_filename_component(component ${root} NAME)
    string(TOUPPER ${component} id)
    set(package ${CPACK_DEBIAN_${id}_PACKAGE_NAME})
    set(doc ${root}/usr/share/doc/${package})
    file(COPY ${CPACK_DEBIAN_SOURCES}/copyright ${CPACK_NOTICE} DESTINATION ${doc})
    file(COPY_FILE ${CPACK_CHANGELOG} ${doc}/changelog.Debian)
    file(GLOB pages ${root}/usr/share/man/*/*.[1-9])
    execute_process(COMMAND gzip -9n ${pages} ${doc}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)

    # where Debian's zsh looks
    if(EXISTS ${root}/usr/share/zsh/site-functions)
        file(RENAME ${root}/usr/share/zsh/site-functions ${root}/usr/share/zsh/vendor-completions)
    endif()

    # The folder of secrets is closed on purpose; the package was never one of Debian's own.
    set(overrides "${package}: initial-upload-closes-no-bugs *\n")
    if(EXISTS ${root}/etc)
        string(APPEND overrides "${package}: non-standard-dir-perm 0700 != 0755 *\n")
    endif()
    file(WRITE ${root}/usr/share/lintian/overrides/${package} "${overrides}")
endforeach()

# SPDX-License-Identifier: Apache-2.0
# printed(PROGRAM FILE ARGUMENT...): what `PROGRAM ARGUMENT...` prints, as FILE in the caller's binary
# folder docs/. Manual pages and completion scripts come from the tables of the programs themselves.
# A cross-compiled program cannot be asked: then there are none.
add_custom_target(docs ALL)
function(printed program file)
    if(CMAKE_CROSSCOMPILING)
        return()
    endif()
    set(path ${CMAKE_CURRENT_BINARY_DIR}/docs/${file})
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/docs)
    add_custom_command(
        OUTPUT ${path}
        COMMAND ${program} ${ARGN} > ${path}
        DEPENDS ${program}
        VERBATIM)
    string(MAKE_C_IDENTIFIER docs_${file} target)
    add_custom_target(${target} DEPENDS ${path})
    add_dependencies(docs ${target})
endfunction()

# install_printed(COMPONENT FILE DESTINATION [RENAME NAME])
function(install_printed component file destination)
    if(NOT CMAKE_CROSSCOMPILING)
        install(FILES ${CMAKE_CURRENT_BINARY_DIR}/docs/${file} DESTINATION ${destination}
            COMPONENT ${component} ${ARGN})
    endif()
endfunction()

# install_completion(COMPONENT PROGRAM ARGUMENT...): what `PROGRAM ARGUMENT... SHELL` prints for each shell.
function(install_completion component program)
    printed(${program} ${program}.bash ${ARGN} bash)
    printed(${program} _${program} ${ARGN} zsh)
    printed(${program} ${program}.fish ${ARGN} fish)
    install_printed(${component} ${program}.bash ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME ${program})
    install_printed(${component} _${program} ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install_printed(${component} ${program}.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endfunction()

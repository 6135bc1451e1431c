# SPDX-License-Identifier: MIT
# How every target of this project is compiled. Nothing is set for the directory or the whole
# build, so a project that adds shardrt as a subdirectory keeps its own flags.

set(SHARDRT_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wvla
    -Wundef -Wswitch-enum)

# A frame larger than a page touches each page on the way, so it meets a stack's guard. For aarch64
# gcc takes guards to have 64 KiB; ours have 4.
set(SHARDRT_STACK_CLASH -fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND SHARDRT_STACK_CLASH --param=stack-clash-protection-guard-size=12)
endif()

if(SHARDRT_CLANG_TIDY)
    find_program(SHARDRT_CLANG_TIDY_PROGRAM NAMES clang-tidy-14 clang-tidy REQUIRED)
endif()

# shardrt_target_flags(target [NO_TIDY] [AS_USER])
#
# NO_TIDY  the sources are those of another target too: once through clang-tidy is enough
# AS_USER  compile as a user's program is, without the extensions of glibc switched on
function(shardrt_target_flags target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "NO_TIDY;AS_USER" "" "")
    set_target_properties(${target} PROPERTIES C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS ON)
    if(NOT arg_AS_USER) # empty, so that a source may define it as well
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE=)
    endif()
    target_compile_options(${target} PRIVATE
        "$<$<COMPILE_LANGUAGE:C>:${SHARDRT_WARNINGS}>"
        # perf and the stall reports walk frame pointers.
        -fno-omit-frame-pointer
        "$<$<COMPILE_LANGUAGE:C>:${SHARDRT_STACK_CLASH}>"
        # Messages of assertions name files from the root of the project, on every machine alike.
        "$<$<COMPILE_LANGUAGE:C>:-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>")
    if(SHARDRT_WERROR)
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-Werror>)
    endif()
    if(SHARDRT_SANITIZE)
        target_compile_options(${target} PRIVATE
            -fsanitize=${SHARDRT_SANITIZE} -fno-sanitize-recover=all)
        target_link_options(${target} PRIVATE -fsanitize=${SHARDRT_SANITIZE})
    endif()
    if(SHARDRT_CLANG_TIDY AND NOT arg_NO_TIDY)
        set_target_properties(${target} PROPERTIES
            C_CLANG_TIDY "${SHARDRT_CLANG_TIDY_PROGRAM};--quiet;--warnings-as-errors=*")
    endif()
endfunction()

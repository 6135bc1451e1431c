# SPDX-License-Identifier: MIT
# Installs the build into a staging folder, moves that folder (what is installed must not know
# where), and builds and runs consumer.c against it: by pkg-config and by find_package(), with the
# shared and with the static library.
#
# cmake -D BUILD=... -D WORK=... -D SOURCE=... -D CC=... -D LIBDIR=... -P run.cmake

cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output
                    ERROR_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(JOIN " " command ${ARGN})
    message(STATUS "${command}\n${output}")
    if(NOT status EQUAL 0 AND NOT status EQUAL 77)
        message(FATAL_ERROR "exit status ${status}")
    endif()
endfunction()

function(pkg_config out)
    execute_process(COMMAND ${CMAKE_COMMAND} -E env "PKG_CONFIG_PATH=${STAGE}/${LIBDIR}/pkgconfig"
                            pkg-config ${ARGN} shardrt
                    OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY
                    OUTPUT_STRIP_TRAILING_WHITESPACE)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    set(${out} ${flags} PARENT_SCOPE)
endfunction()

set(STAGE "${WORK}/moved")
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${WORK}/stage")
file(RENAME "${WORK}/stage" "${STAGE}")

pkg_config(cflags --cflags)
if(NOT "-fstack-clash-protection" IN_LIST cflags)
    message(FATAL_ERROR "shardrt.pc does not hand out -fstack-clash-protection: ${cflags}")
endif()

pkg_config(libs --libs)
if("-luring" IN_LIST libs)
    message(FATAL_ERROR "users of the shared library must not need liburing: ${libs}")
endif()
run(${CC} ${cflags} "${SOURCE}/consumer.c" -o "${WORK}/by_pc_shared" ${libs}
    "-Wl,-rpath,${STAGE}/${LIBDIR}")
run("${WORK}/by_pc_shared")

# Static for shardrt only; the C library and liburing stay as the system has them.
pkg_config(libs --libs --static)
list(TRANSFORM libs REPLACE "^-lshardrt$" "-l:libshardrt.a")
run(${CC} ${cflags} "${SOURCE}/consumer.c" -o "${WORK}/by_pc_static" ${libs})
run("${WORK}/by_pc_static")

run(${CMAKE_COMMAND} -G Ninja -S "${SOURCE}" -B "${WORK}/by_cmake"
    "-DCMAKE_PREFIX_PATH=${STAGE}" "-DCMAKE_C_COMPILER=${CC}")
run(${CMAKE_COMMAND} --build "${WORK}/by_cmake")
run("${WORK}/by_cmake/consumer_shared")
run("${WORK}/by_cmake/consumer_static")

file(GLOB_RECURSE texts "${STAGE}/*.cmake" "${STAGE}/*.pc")
foreach(text IN LISTS texts)
    file(READ "${text}" content)
    if(content MATCHES "${BUILD}|${WORK}")
        message(FATAL_ERROR "${text} names a folder of the machine that built it")
    endif()
endforeach()

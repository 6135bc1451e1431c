# SPDX-License-Identifier: MIT
# rt_test(unit/core/timer_test [WRAP sim|fault] [POINTS] [TIMEOUT seconds] [ALONE]
#         [SOURCES more.c ...])
#
# One line per test. The source is tests/<name>.c, the name in ctest is <name>, the label is the
# first folder, exit status 77 is a skip, and after TIMEOUT (60 s) the test is ended and failed.
#
# WRAP sim    the kernel behind runtime/os/sys.h is tests/support/sim*.c
# WRAP fault  every function of runtime/os/sys.h can be made to fail by tests/support/fault.c
# POINTS      with WRAP sim: each atomic access of cross/ and shard/ is a point where the simulated
#             kernel may let another thread go on (tests/support/points.c). Needs gcc, and the
#             instrumentation that sanitizers need too: elsewhere only system calls are such points
# ALONE       no other test runs meanwhile: for one that measures time or wants every CPU

pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

if(CMAKE_CROSSCOMPILING)
    include("${PROJECT_SOURCE_DIR}/tests/emulated.cmake")
endif()

# What the simulated kernel replaces; see tests/support/sim.h.
set(RT_SIM_WRAPS
    rti_sys_uring_setup
    rti_sys_uring_enter
    rti_sys_uring_register
    rti_sys_now
    rti_sys_ticks
    rti_sys_ticks_per_ns
    rti_sys_thread_cpu
    rti_sys_thread_cpu_of
    rti_sys_mmap
    rti_sys_close
    rti_sys_truncate
    rti_sys_socket
    rti_sys_bind
    rti_sys_listen
    rti_sys_setsockopt
    rti_sys_getsockopt
    rti_sys_poll
    rti_sys_getsockname
    rti_sys_getpeername
    rti_sys_eventfd
    rti_sys_eventfd_signal
    rti_sys_thread_create
    rti_sys_thread_join
    rti_sys_thread_try_join
    rti_sys_futex_wait
    rti_sys_futex_wake
    rti_sys_semaphore_post
    rti_sys_semaphore_wait
    rti_sys_semaphore_wait_until
    rti_sys_mutex_lock
    rti_sys_mutex_unlock
    rti_sys_pause
    rti_plan_make)

# The whole seam, read from its header, so that a new function is never forgotten.
set(RT_SYS_HEADER "${PROJECT_SOURCE_DIR}/runtime/os/sys.h")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${RT_SYS_HEADER}")
file(STRINGS "${RT_SYS_HEADER}" RT_FAULT_WRAPS REGEX "^[a-z].*rti_sys_[a-z_]+\\(")
list(TRANSFORM RT_FAULT_WRAPS REPLACE "^.*(rti_sys_[a-z_]+)\\(.*$" "\\1")

# Sanitized and emulated programs are slower by this much.
if(SHARDRT_SANITIZE OR CMAKE_CROSSCOMPILING)
    set(RT_TIMEOUT_FACTOR 5)
else()
    set(RT_TIMEOUT_FACTOR 1)
endif()

set(RT_SIM_ENVIRONMENT
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
# Debug builds wake tasks for nothing, drawn from the clock: only where a test owns that a run can
# be replayed.
set(RT_TEST_ENVIRONMENT ${RT_SIM_ENVIRONMENT} "RT_SPURIOUS=0" "RT_STALL=off")

# The part that tests with the same WRAP share is compiled once.
function(rt_test_support name)
    add_library(${name} OBJECT ${ARGN})
    shardrt_target_flags(${name})
    # The names of wrapped functions begin with __wrap_ and __real_, as ld wants it.
    target_link_libraries(${name} PUBLIC rt_testing PkgConfig::CMOCKA)
    target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}/tests")
endfunction()

# CONFIGURE_DEPENDS: the next build notices a new part of the simulated kernel.
file(GLOB rt_sim_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/support/sim*.c")
if(rt_sim_sources)
    rt_test_support(rt_test_sim ${rt_sim_sources})
endif()
get_target_property(rt_point_sources rt_testing SOURCES)
list(FILTER rt_point_sources INCLUDE REGEX "/runtime/(cross|shard)/")
if(rt_point_sources AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT SHARDRT_SANITIZE)
    # These objects take the place of those in rt_testing. They are not for ThreadSanitizer, and
    # the code must not think so.
    rt_test_support(rt_test_pointed ${rt_point_sources})
    target_compile_options(rt_test_pointed PRIVATE
        -fsanitize=thread -U__SANITIZE_THREAD__ -ftls-model=initial-exec)
    set_target_properties(rt_test_pointed PROPERTIES EXCLUDE_FROM_ALL ON)
    rt_test_support(rt_test_points "${PROJECT_SOURCE_DIR}/tests/support/points.c")
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/tests/support/fault.c")
    rt_test_support(rt_test_fault "${PROJECT_SOURCE_DIR}/tests/support/fault.c")
endif()

function(rt_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "ALONE;POINTS" "WRAP;TIMEOUT" "SOURCES")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "rt_test(${name}): unknown argument ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(source "${PROJECT_SOURCE_DIR}/tests/${name}.c")
    if(NOT EXISTS "${source}")
        message(FATAL_ERROR "rt_test(${name}): ${source} does not exist")
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    math(EXPR timeout "${arg_TIMEOUT} * ${RT_TIMEOUT_FACTOR}")
    string(REGEX REPLACE "/.*" "" label "${name}")
    string(REPLACE "/" "." target "test.${name}")

    # A part that lies under tests/ is compiled once, however many tests name it.
    set(parts ${arg_SOURCES})
    list(FILTER parts EXCLUDE REGEX "^/")
    list(FILTER arg_SOURCES INCLUDE REGEX "^/")
    add_executable(${target} "${source}" ${arg_SOURCES})
    foreach(part IN LISTS parts)
        string(REGEX REPLACE "/" "." part_target "rt_test_part.${part}")
        if(NOT TARGET ${part_target})
            rt_test_support(${part_target} "${PROJECT_SOURCE_DIR}/tests/${part}")
        endif()
        target_link_libraries(${target} PRIVATE ${part_target})
    endforeach()
    shardrt_target_flags(${target})
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
    target_compile_definitions(${target} PRIVATE
        "RT_TEST_DATA=\"${PROJECT_SOURCE_DIR}/tests/data\"")
    target_link_libraries(${target} PRIVATE rt_testing PkgConfig::CMOCKA)
    if(arg_WRAP STREQUAL "sim")
        set(wraps ${RT_SIM_WRAPS})
    elseif(arg_WRAP STREQUAL "fault")
        set(wraps ${RT_FAULT_WRAPS})
    elseif(arg_WRAP)
        message(FATAL_ERROR "rt_test(${name}): WRAP is sim or fault, not ${arg_WRAP}")
    endif()
    if(arg_WRAP)
        if(NOT TARGET rt_test_${arg_WRAP})
            message(FATAL_ERROR "rt_test(${name}): tests/support/${arg_WRAP}.c does not exist")
        endif()
        # As objects: they and rt_testing need each other, which archives do not like.
        target_link_libraries(${target} PRIVATE rt_test_${arg_WRAP})
        list(TRANSFORM wraps PREPEND "LINKER:--wrap=")
        target_link_options(${target} PRIVATE ${wraps})
    endif()

    if(arg_POINTS AND TARGET rt_test_points)
        target_link_libraries(${target} PRIVATE rt_test_pointed rt_test_points)
    endif()

    if(arg_WRAP STREQUAL "sim")
        set(environment "${RT_SIM_ENVIRONMENT}")
    else()
        set(environment "${RT_TEST_ENVIRONMENT}")
    endif()
    add_test(NAME ${name} COMMAND ${target})
    set_tests_properties(${name} PROPERTIES
        LABELS "${label}"
        SKIP_RETURN_CODE 77
        TIMEOUT ${timeout}
        RUN_SERIAL ${arg_ALONE}
        ENVIRONMENT "${environment}")
    if(CMAKE_CROSSCOMPILING)
        rt_test_is_emulated(${name} emulated)
        if(emulated)
            add_dependencies(emulated_tests ${target})
        else()
            set_tests_properties(${name} PROPERTIES DISABLED ON)
        endif()
    endif()
endfunction()

# How explorers of tests/explore are linked, for tests/explore/mutants.py, which links them with
# mistakes: a file explore.json in the current binary folder.
function(rt_explore_links)
    set(tests "")
    foreach(name IN LISTS ARGN)
        string(REPLACE "/" "." target "test.${name}")
        get_target_property(parts ${target} LINK_LIBRARIES)
        list(FILTER parts INCLUDE REGEX "^rt_test_")
        list(APPEND parts rt_test_sim) # those that need no kernel are wrapped alike
        list(REMOVE_DUPLICATES parts)
        list(PREPEND parts ${target})
        list(TRANSFORM parts REPLACE "(.+)" "$<JOIN:$<TARGET_OBJECTS:\\1>,\",\">")
        list(JOIN parts "\",\"" parts)
        list(APPEND tests "\"${name}\": [\"${parts}\"]")
    endforeach()
    list(JOIN tests ",\n    " tests)
    list(TRANSFORM RT_SIM_WRAPS PREPEND "-Wl,--wrap=" OUTPUT_VARIABLE libraries)
    list(APPEND libraries "$<TARGET_FILE:rt_testing>" ${LIBURING_LINK_LIBRARIES}
         ${HWLOC_LINK_LIBRARIES} ${CMOCKA_LINK_LIBRARIES} -pthread)
    list(JOIN libraries "\",\"" libraries)
    file(GENERATE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/explore.json" CONTENT
"{
  \"source\": \"${PROJECT_SOURCE_DIR}\",
  \"compiler\": \"${CMAKE_C_COMPILER}\",
  \"tests\": {
    ${tests}
  },
  \"libraries\": [\"${libraries}\"]
}
")
endfunction()

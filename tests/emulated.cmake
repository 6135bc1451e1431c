# SPDX-License-Identifier: MIT
# Which tests a cross build leaves out. The others run under qemu's emulation of a process, on a
# processor of the build machine and 20 times slower; "emulated_tests" builds them. What is left out
# is not built, and ctest shows it as disabled.

set(RT_NOT_EMULATED
    # They want a ring of the kernel, which qemu does not pass on (7.2: ENOSYS).
    "^(integration|stress|fault)/"
    "^unit/cross/(call|spsc|submit|wake_map)_test$"
    "^unit/shard/signals_test$"
    # They want guards, and qemu takes their madvise(2) and does nothing; or it has words of its own
    # about a signal that ends a process.
    "^unit/fiber/(overflow|stack)_test$"
    # Every order of steps, hours of virtual time, or sums: minutes, for nothing of the processor's.
    "^explore/"
    "^unit/(core/timer|io/disk_.*|shard/place)_test$"
    "^sim/(power_cut|shares)_test$")

add_custom_target(emulated_tests)

# In `out` whether the test is one of these.
function(rt_test_is_emulated name out)
    set(${out} TRUE PARENT_SCOPE)
    foreach(pattern IN LISTS RT_NOT_EMULATED)
        if(name MATCHES "${pattern}")
            set(${out} FALSE PARENT_SCOPE)
        endif()
    endforeach()
endfunction()

/* SPDX-License-Identifier: MIT */
/* Sim, which kernel is imitated: what it offers, and what the config takes away. */
#include "sim_internal.h"

const struct sim_kernel_facts *sim_kernel_facts(void)
{
    static const struct sim_kernel_facts kernels[] = {
        [SIM_KERNEL_6_18] = { 0x3ffff, 0x7ffff, 0xff, 63, true },
        [SIM_KERNEL_6_12] = { 0xffff, 0x1ffff, 0x3f, 58, true },
        [SIM_KERNEL_6_6] = { 0x3fff, 0x1ffff, 0x1f, 49, true },
        [SIM_KERNEL_6_1] = { 0x1fff, 0x3fff, 0x1f, 49, true },
        [SIM_KERNEL_5_15] = { 0x7ff, 0x7f, 0xf, 40, false },
    };

    return &kernels[sim.config.kernel];
}

uint32_t sim_kernel_features(void)
{
    return sim.config.features != 0 ? sim.config.features : sim_kernel_facts()->features;
}

/* A feature that was taken away takes its enter flag along. */
uint32_t sim_kernel_enter_flags(void)
{
    uint32_t flags = sim_kernel_facts()->enter_flags;

    if ((sim_kernel_features() & (1U << 17)) == 0) {
        flags &= ~SIM_ENTER_NO_IOWAIT;
    }
    if ((sim_kernel_features() & IORING_FEAT_EXT_ARG) == 0) {
        flags &= ~IORING_ENTER_EXT_ARG;
    }
    return flags;
}

bool sim_kernel_has_opcode(unsigned opcode)
{
    return opcode < sim_kernel_facts()->opcode_count &&
           (sim.config.opcodes_missing & (UINT64_C(1) << opcode)) == 0;
}

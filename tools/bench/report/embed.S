/* SPDX-License-Identifier: MIT */
/*
 * The parts of the report as texts that end in a zero (html.c). This folder is
 * on the include path.
 */

    .macro text symbol, first, second, third
    .globl \symbol
    .hidden \symbol
    .type \symbol, %object
\symbol:
    .incbin "\first"
    .ifnb \second
    .incbin "\second"
    .incbin "\third"
    .endif
    .byte 0
    .size \symbol, . - \symbol
    .endm

    .section .rodata
    text bench_report_html, report.html
    text bench_report_css, report.css
    text bench_report_js, basis.js, plots.js, report.js

    .section .note.GNU-stack, "", %progbits

/* SPDX-License-Identifier: MIT */
/* The page of --html as a text that ends in a zero (report_html.c). */

    .section .rodata
    .globl storage_page
    .hidden storage_page
    .type storage_page, %object
storage_page:
    .incbin "page.html"
    .byte 0
    .size storage_page, . - storage_page

    .section .note.GNU-stack, "", %progbits

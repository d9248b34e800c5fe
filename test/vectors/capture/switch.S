/* Enters and leaves one test case. Everything is addressed through SS, the one segment register a case never changes: a case may
 * leave DS, ES, FS and GS holding anything. `in` and `out` are struct State of harness.c. */
        .text
        .globl run_case, resume_from_signal, fall_through

#define GPR(base, n) %ss:base+4*(n)
#define EFLAGS(base) %ss:base+32
#define SEGMENT(base, n) %ss:base+36+2*(n)      /* es ds fs gs */
#define FX(base) %ss:base+48

run_case:
        pushal
        pushfl
        mov     %esp, %ss:host_esp
        testl   $1, %ss:with_fpu
        jz      1f
        fxrstor FX(in)
1:      mov     SEGMENT(in, 0), %es
        mov     SEGMENT(in, 2), %fs
        mov     SEGMENT(in, 3), %gs
        mov     SEGMENT(in, 1), %ds
        pushl   EFLAGS(in)
        popfl
        mov     GPR(in, 0), %eax
        mov     GPR(in, 1), %ecx
        mov     GPR(in, 2), %edx
        mov     GPR(in, 3), %ebx
        mov     GPR(in, 4), %esp
        mov     GPR(in, 5), %ebp
        mov     GPR(in, 6), %esi
        mov     GPR(in, 7), %edi
        jmp     *%ss:entry

/* The instruction under test is followed by a jump to here. */
fall_through:
        mov     %eax, GPR(out, 0)
        mov     %ecx, GPR(out, 1)
        mov     %edx, GPR(out, 2)
        mov     %ebx, GPR(out, 3)
        mov     %esp, GPR(out, 4)
        mov     %ebp, GPR(out, 5)
        mov     %esi, GPR(out, 6)
        mov     %edi, GPR(out, 7)
        mov     %ss:host_esp, %esp
        pushfl
        popl    EFLAGS(out)
        pushl   $0x202
        popfl
        mov     %es, SEGMENT(out, 0)
        mov     %ds, SEGMENT(out, 1)
        mov     %fs, SEGMENT(out, 2)
        mov     %gs, SEGMENT(out, 3)
        testl   $1, %ss:with_fpu
        jz      1f
        fxsave  FX(out)
        fninit
        ldmxcsr %ss:default_mxcsr
1:      movl    $0, %ss:trapped
        jmp     leave_case

/* The signal handler recorded the outcome and jumps here instead of returning. */
resume_from_signal:
        mov     %ss:host_esp, %esp
        movl    $1, %ss:trapped
leave_case:
        mov     %ss:host_ds, %ds
        mov     %ss:host_ds, %es
        mov     %ss:host_fs, %fs
        mov     %ss:host_gs, %gs
        popfl
        popal
        ret

        .data
        .balign 4
default_mxcsr: .long 0x1f80
        .section .note.GNU-stack,"",@progbits

/* Entry, exception stubs and the way into a test context and back. Everything that a test does ends in an exception, whose stub saves what the
   processor shows and returns to the C function that called `enter`. */
        .set MAGIC, 0x1badb002
        .section .multiboot, "a"
        .balign 4
        .long MAGIC, 0, -MAGIC

        .text
        .globl _start, enter, stub_table, landing, capture, df_entry, reload_segments, landing_end
_start: cli
        mov $stack_top, %esp
        mov %eax, boot_magic
        push $0
        popf
        call main
1:      hlt
        jmp 1b

        .globl outl, inb, outb
/* void enter(const struct context *): leaves by IRET; comes back when an exception has filled `capture`. */
enter:  push %ebp
        push %ebx
        push %esi
        push %edi
        mov 20(%esp), %ecx
        mov %esp, kernel_esp
        /* struct context: eax ebx ecx edx esi edi ebp, ds es fs gs, then the IRET frame of up to 9 words, then its word count */
        mov 80(%ecx), %edx          /* words */
        lea 44(%ecx,%edx,4), %esi   /* end of the frame */
        mov 84(%ecx), %ebx          /* ESP to use for the frame, or 0 */
        test %ebx, %ebx
        jz 1f
        mov %ebx, %esp
1:      sub $4, %esi
        pushl (%esi)
        dec %edx
        jnz 1b
        mov (%ecx), %eax
        mov 4(%ecx), %ebx
        mov 12(%ecx), %edx
        mov 16(%ecx), %esi
        mov 20(%ecx), %edi
        mov 24(%ecx), %ebp
        mov 32(%ecx), %es
        mov 36(%ecx), %fs
        mov 40(%ecx), %gs
        push 28(%ecx)
        mov 8(%ecx), %ecx
        pop %ds
do_iret:
        iret

        .macro plain n
stub\n: push $0
        push $\n
        jmp common
        .endm
        .macro coded n
stub\n: push $\n
        jmp common
        .endm
        plain 0
        plain 1
        plain 2
        plain 3
        plain 4
        plain 5
        plain 6
        plain 7
        coded 8
        plain 9
        coded 10
        coded 11
        coded 12
        coded 13
        coded 14
        plain 15
        plain 16
        coded 17
        plain 18
        plain 19
        plain 32
        plain 33

/* On the stack: vector, error code, EIP, CS, EFLAGS[, ESP, SS[, ES, DS, FS, GS]] */
common: pusha
        push %ds
        push %es
        push %fs
        push %gs
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %ss, %ecx
        mov %ecx, capture+104
        mov %esp, %esi
        lar %ecx, %edx
        test $0x400000, %edx        /* B: a 16-bit stack counts in SP */
        jnz 3f
        movzwl %si, %esi
3:      mov %esi, capture+112
        mov $capture, %edi
        mov $26, %ecx
        cld
        ss lodsl
        jmp 2f
1:      ss lodsl
2:      stosl
        dec %ecx
        jnz 1b
        mov %cr2, %eax
        mov %eax, capture+108
        mov $0x10, %eax
        mov %eax, %ss
        mov %eax, %fs
        mov %eax, %gs
        mov kernel_esp, %esp
        push $2
        popf
        pop %edi
        pop %esi
        pop %ebx
        pop %ebp
        ret

/* Double faults, and whatever has a task gate, arrive here in a task of their own; C reads the interrupted task's TSS. */
df_entry:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %fs
        mov %eax, %gs
        /* capture: vector 0x100 = by task; error code is on this stack if the vector has one */
        movl $0x100, capture+48
        mov %esp, capture+112
        mov (%esp), %eax
        mov %eax, capture+52
        mov %eax, %eax
        mov $0x10, %eax
        mov %eax, %ss
        mov kernel_esp, %esp
        push $2
        popf
        pop %edi
        pop %esi
        pop %ebx
        pop %ebp
        ret

/* Where successful transfers go: an invalid opcode. */
        .balign 16
landing:
        ud2
landing_end:

        .section .rodata
        .balign 4
stub_table:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,32,33
        .long stub\n
        .endr

        .bss
        .balign 16
kernel_esp: .long 0
        .globl boot_magic
boot_magic: .long 0
capture: .skip 128
        .balign 4096
        .skip 16384
stack_top:

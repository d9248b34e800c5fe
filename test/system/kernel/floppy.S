/* Boot sector that loads the test kernel from a floppy to 1 MiB and enters it, for Bochs, which has no loader of its own. EAX is 0 there, which
   makes the kernel send its report over COM1. SECTORS and ENTRY come from the assembler's command line. */
        .code16
        .globl _start
_start: cli
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %ss
        mov $0x7c00, %sp
        mov %dl, drive
        mov $0x1000, %ax
        mov %ax, %es
        mov $1, %si             # LBA
1:      mov %si, %ax
        xor %dx, %dx
        mov $18, %cx
        div %cx                 # ax = track*2+head, dx = sector-1
        mov %dl, %cl
        inc %cl
        mov %al, %ch
        shr $1, %ch
        mov %al, %dh
        and $1, %dh
        mov drive, %dl
        xor %bx, %bx
        mov $0x0201, %ax
        int $0x13
        jc 9f
        mov %es, %ax
        add $0x20, %ax
        mov %ax, %es
        inc %si
        cmp $SECTORS+1, %si
        jb 1b
        in $0x92, %al
        or $2, %al
        out %al, $0x92
        cli
        lgdt gdtr
        mov %cr0, %eax
        or $1, %al
        mov %eax, %cr0
        ljmp $8, $2f
9:      hlt
        jmp 9b
        .code32
2:      mov $16, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        mov $0x10000, %esi
        mov $0x100000, %edi
        mov $SECTORS*128, %ecx
        cld
        rep movsl
        xor %eax, %eax
        jmp *ENTRY_PTR
drive:  .byte 0
ENTRY_PTR: .long ENTRY
        .balign 8
gdt:    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:   .word 23
        .long gdt
        .org 510
        .word 0xaa55

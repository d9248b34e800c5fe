# Kernels in 16-bit code, written as boot loaders and DOS programs are, and the way into the mode they run in. This is a flat image of at most 32 KiB for the beginning of a
# segment of 64 KiB that is code, data and stack at once; FS and GS are two scratch segments. Each kernel leaves a checksum in AX. They run in real mode and in 16-bit
# protected mode alike, but for `walk` and `interrupts`, which compute with segment numbers.
  .code16
  .intel_syntax noprefix

# What guest.c fills in and reads: offset of the kernel, its result, whether to run in real mode, the way back to 32-bit code.
  jmp enter
  .balign 4
target:
  .word 0
result:
  .word 0
is_real:
  .word 0, 0
back:
  .long 0
  .word 8, 0
  .word sieve, copy, scan, calls, far_calls, interpreter, crc16, walk, interrupts

# In 16-bit protected mode, with selectors as thunk.s has them.
enter:
  mov ax, 0x20
  mov ds, ax
  mov ss, ax
  mov es, ax
  mov sp, 0xfff0
  mov ax, 0x28
  mov fs, ax
  mov ax, 0x30
  mov gs, ax
  cmp word ptr [is_real], 0
  jne 1f
  call word ptr [target]
  mov [result], ax
  jmp 3f
1:
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  ljmp 0x1000, 2f
2:
  mov ax, cs
  mov ds, ax
  mov ss, ax
  mov es, ax
  mov ax, 0x2000
  mov fs, ax
  mov ax, 0x3000
  mov gs, ax
  lidt [real_table]
  call word ptr [target]
  mov [result], ax
  mov eax, cr0
  or al, 1
  mov cr0, eax
  ljmp 0x18, 3f
3:
  jmp fword ptr [back]
real_table:
  .word 0x3ff
  .long 0

# Sieve of Eratosthenes: bytes in a segment of their own, three times.
sieve:
  push es
  push fs
  pop es
  mov bp, 3
1:
  xor di, di
  mov cx, 16384
  mov ax, 0x0101
  cld
  rep stosw
  mov si, 2
2:
  cmp byte ptr es:[si], 0
  je 4f
  mov bx, si
  add bx, si
  jc 4f
3:
  mov byte ptr es:[bx], 0
  add bx, si
  cmp bx, 32768
  jb 3b
4:
  inc si
  cmp si, 16384
  jb 2b
  dec bp
  jnz 1b
  xor ax, ax
  mov si, 2
5:
  add al, es:[si]
  adc ah, 0
  inc si
  cmp si, 32768
  jb 5b
  pop es
  ret

# Copies between segments: a word at a time through registers, by LODS and STOS, by REP MOVS.
copy:
  push es
  push ds
  push gs
  pop es
  push fs
  pop ds
  xor bx, bx
1:
  mov [bx], bx
  add bx, 2
  jnz 1b
  mov bp, 4
2:
  xor si, si
  mov di, 1024
  mov cx, 8192
3:
  mov ax, [si]
  add ax, cx
  mov es:[di], ax
  add si, 2
  add di, 2
  dec cx
  jnz 3b
  mov cx, 8192
4:
  lodsw
  xor ax, si
  stosw
  loop 4b
  mov si, 512
  mov di, 40000
  mov cx, 8000
  rep movsw
  dec bp
  jnz 2b
  xor ax, ax
  xor bx, bx
5:
  add ax, es:[bx]
  rol ax, 1
  add bx, 2
  jnz 5b
  pop ds
  pop es
  ret

# Finds and counts characters: REPNE SCASB, and a loop.
scan:
  push es
  push fs
  pop es
  xor di, di
  mov ax, 12345
1:
  mov dx, 25173
  mul dx
  add ax, 13849
  mov es:[di], ah
  inc di
  jnz 1b
  xor bx, bx
  mov bp, 6
2:
  xor di, di
  mov cx, 65535
  mov al, 10
  cld
3:
  repne scasb
  jne 4f
  add bx, di
  jmp 3b
4:
  xor si, si
5:
  mov al, es:[si]
  cmp al, 97
  jb 6f
  cmp al, 122
  ja 6f
  sub al, 32
  xor bl, al
  add bx, 3
6:
  inc si
  jnz 5b
  dec bp
  jnz 2b
  mov ax, bx
  pop es
  ret

# Recursion with a frame and an argument on the stack.
calls:
  push 19
  call fibonacci
  add sp, 2
  ret
fibonacci:
  push bp
  mov bp, sp
  push si
  mov ax, [bp + 4]
  cmp ax, 2
  jb 1f
  dec ax
  push ax
  call fibonacci
  mov si, ax
  mov ax, [bp + 4]
  sub ax, 2
  push ax
  call fibonacci
  add sp, 4
  add ax, si
1:
  pop si
  pop bp
  ret

# A far procedure called a great many times, as between the modules of a large-model program.
far_calls:
  xor ax, ax
  mov cx, 20000
1:
  push cx
  push cs
  push offset 2f
  push cs
  push offset far_procedure
  lret
2:
  pop cx
  loop 1b
  ret
far_procedure:
  push bp
  mov bp, sp
  add ax, [bp + 6]
  rol ax, 1
  pop bp
  lret

# A byte-code interpreter with a table of handlers: ten thousand rounds of a program that adds, multiplies, and counts down.
interpreter:
  mov si, offset bytecode
  xor ax, ax
  mov dx, 10000
next_bytecode:
  xor bx, bx
  mov bl, [si]
  inc si
  add bx, bx
  jmp cs:[bx + handlers]
handlers:
  .word op_add, op_rotate, op_xor, op_swap, op_loop, op_end
op_add:
  add ax, [si]
  add si, 2
  jmp next_bytecode
op_rotate:
  rol ax, 3
  jmp next_bytecode
op_xor:
  xor al, [si]
  inc si
  jmp next_bytecode
op_swap:
  xchg al, ah
  jmp next_bytecode
op_loop:
  dec dx
  jz next_bytecode
  mov si, offset bytecode
  jmp next_bytecode
op_end:
  ret
bytecode:
  .byte 0, 0x34, 0x12, 1, 2, 0x5a, 3, 0, 0x11, 0x11, 1, 1, 2, 0x77, 4, 5

# CRC-16 by a table in the code segment.
crc16:
  push es
  push fs
  pop es
  xor di, di
1:
  mov dx, di
  mov cx, 8
2:
  shr dx, 1
  jnc 3f
  xor dx, 0xa001
3:
  loop 2b
  mov bx, di
  add bx, bx
  mov es:[bx], dx
  inc di
  cmp di, 256
  jb 1b
  mov ax, 0xffff
  mov si, 0
  mov cx, 60000
4:
  mov bl, cs:[si + 64]
  xor bl, al
  xor bh, bh
  add bx, bx
  shr ax, 8
  xor ax, es:[bx]
  inc si
  and si, 255
  dec cx
  jnz 4b
  pop es
  ret

# Real mode only: walks memory a paragraph at a time by reloading ES, as "huge" pointers do, and far pointers by LES.
walk:
  push es
  mov word ptr [pointer], 0
  mov dx, 5
1:
  mov ax, fs
  mov [pointer + 2], ax
  mov cx, 4096
  xor bx, bx
2:
  les di, [pointer]
  mov es:[di], cx
  add bx, es:[di]
  mov ax, [pointer + 2]
  inc ax
  mov [pointer + 2], ax
  mov es, ax
  add es:[4], bx
  loop 2b
  dec dx
  jnz 1b
  mov ax, bx
  pop es
  ret
pointer:
  .word 0, 0

# Real mode only: software interrupts, as programs call DOS and BIOS.
interrupts:
  push es
  xor ax, ax
  mov es, ax
  mov word ptr es:[0x60 * 4], offset interrupt_handler
  mov es:[0x60 * 4 + 2], cs
  pop es
  mov cx, 5000
1:
  int 0x60
  add ax, cx
  loop 1b
  ret
interrupt_handler:
  push bp
  mov bp, sp
  and word ptr [bp + 6], 0xfffe
  rol ax, 1
  pop bp
  iret

/** Guests for tests of the command line: Multiboot kernels and boot sectors that do one thing. */
import { kernel } from "../api/kernels.ts";
import { assemble } from "../support/assembler.ts";

const base = 0x100020;
const code = (source: string): Uint8Array => kernel([...assemble(`mov esp, 0x90000\n${source.trim()}`, base).bytes]);

/** A double word of PCI configuration space, of device 4 on bus 0 (mechanism 1). */
function pciWrite(register: number, value: number): string {
  return `mov dx, 0xcf8\nmov eax, ${0x80002000 + register}\nout dx, eax\nmov dx, 0xcfc\nmov eax, ${value}\nout dx, eax`;
}

/** Waits for the primary IDE channel to be neither busy nor, where `bit` is given, without it. An error ends in the guest's own message. */
const ata = `
  wait: mov dx, 0x1f7
  1: in al, dx
  test al, 0x80
  jnz 1b
  test al, 0x21
  jnz failed
  ret
  failed: mov al, 'E'
  call say
  mov dx, 0x1f1
  in al, dx
  mov al, 1
  mov dx, 0xf4
  out dx, al
  cli
  2: hlt
  jmp 2b
  say: mov dx, 0x3f8
  out dx, al
  ret
`;

/**
 * Writes sectors, one after another, from sector `first` on to `last` and round again: every double word of a sector is its number. After each `flushEvery` of them
 * FLUSH CACHE, and then "." on COM1 (ATA-6, 8.12 and 8.62).
 */
export function diskWriter({ first = 0, last, flushEvery = 16 }: { first?: number; last: number; flushEvery?: number }): Uint8Array {
  return code(`
    restart: mov ebx, ${first}
    mov ebp, ${flushEvery}
    next: call wait
    mov dx, 0x1f6
    mov eax, ebx
    shr eax, 24
    or al, 0xe0
    out dx, al
    mov dx, 0x1f2
    mov al, 1
    out dx, al
    mov dx, 0x1f3
    mov al, bl
    out dx, al
    mov dx, 0x1f4
    mov al, bh
    out dx, al
    mov eax, ebx
    shr eax, 16
    mov dx, 0x1f5
    out dx, al
    mov dx, 0x1f7
    mov al, 0x30
    out dx, al
    call wait
    mov dx, 0x1f0
    mov ecx, 256
    mov eax, ebx
    3: out dx, ax
    rol eax, 16
    loop 3b
    call wait
    dec ebp
    jnz 4f
    mov ebp, ${flushEvery}
    mov dx, 0x1f7
    mov al, 0xe7
    out dx, al
    call wait
    mov al, '.'
    call say
    4: inc ebx
    cmp ebx, ${last}
    jb next
    jmp restart
    ${ata}
  `);
}

/** Reads sectors 0 to `last` round and round; "." on COM1 after each round, "E" and exit code 3 at an error. */
export function diskReader(last: number): Uint8Array {
  return code(`
    restart: xor ebx, ebx
    next: call wait
    mov dx, 0x1f6
    mov al, 0xe0
    out dx, al
    mov dx, 0x1f2
    mov al, 1
    out dx, al
    mov dx, 0x1f3
    mov al, bl
    out dx, al
    mov dx, 0x1f4
    mov al, bh
    out dx, al
    mov eax, ebx
    shr eax, 16
    mov dx, 0x1f5
    out dx, al
    mov dx, 0x1f7
    mov al, 0x20
    out dx, al
    call wait
    mov dx, 0x1f0
    mov ecx, 256
    3: in ax, dx
    loop 3b
    inc ebx
    cmp ebx, ${last}
    jb next
    mov al, '.'
    call say
    jmp restart
    ${ata}
  `);
}

/**
 * Gives the virtio drive at PCI device 4 a queue with a descriptor that leads out of memory, and waits: a driver that breaks the rules (Virtual I/O Device 1.2, 4.1.4.3
 * and 2.7). Says "v" when it has.
 */
export const badVirtioDriver: Uint8Array = code(`
  ${pciWrite(0x20, 0xe0000000)}
  ${pciWrite(0x04, 0x00000006)}
  mov edi, 0xe0000000
  mov byte ptr [edi + 0x14], 0
  mov byte ptr [edi + 0x14], 3
  mov dword ptr [edi + 0x08], 1
  mov dword ptr [edi + 0x0c], 1
  mov byte ptr [edi + 0x14], 11
  mov word ptr [edi + 0x16], 0
  mov dword ptr [edi + 0x20], 0x200000
  mov dword ptr [edi + 0x28], 0x201000
  mov dword ptr [edi + 0x30], 0x202000
  mov word ptr [edi + 0x1c], 1
  mov byte ptr [edi + 0x14], 15
  mov dword ptr [0x200000], 0xdeadbee0
  mov dword ptr [0x200008], 0x7fffffff
  mov word ptr [0x20000c], 1
  mov word ptr [0x20000e], 0x7fff
  mov word ptr [0x201004], 0
  mov word ptr [0x201002], 1
  mov word ptr [edi + 0x3000], 0
  mov ecx, 1000000
  1: loop 1b
  mov al, 'v'
  mov dx, 0x3f8
  out dx, al
  cli
  2: hlt
  jmp 2b
`);

/**
 * A Multiboot kernel that drives the interrupt controllers and timers and prints on COM1 what it sees: registers while requests wait, the order in
 * which handlers run, and what is in service in them. Nothing it prints depends on how long something took, so that any correct machine prints the
 * same.
 */
import { assemble } from "../../support/assembler.ts";

const origin = 0x100000;

/** What every part uses. A handler is called with its vector in EAX; it ends its interrupt itself. */
const runtime = `
.set apic, 0xfee00000
.set ioapic, 0xfec00000
.set hpet, 0xfed00000
.set idt, 0x200000
.set actions, 0x201000
.set counter, 0x202000
.set stack, 0x280000

.balign 4
header: .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
.long header, ${origin}, 0, 0, entry

.macro LAPIC reg, value
  mov dword ptr [apic + \\reg], \\value
.endm
.macro SHOW reg
  mov eax, [apic + \\reg]
  call hex
.endm
.macro PRINT text
  call puts
  .asciz "\\text"
.endm
.macro ON vector, handler
  mov dword ptr [actions + 4 * \\vector], offset \\handler
.endm
.macro EOI
  mov dword ptr [apic + 0xb0], 0
.endm
.macro IPI vector
  mov dword ptr [apic + 0x300], 0x40000 | \\vector
.endm
.macro IO reg, value
  mov dword ptr [ioapic], \\reg
  mov dword ptr [ioapic + 0x10], \\value
.endm
.macro SHOWIO reg
  mov dword ptr [ioapic], \\reg
  mov eax, [ioapic + 0x10]
  call hex
.endm
.macro POKE port, value
  mov dx, \\port
  mov al, \\value
  out dx, al
.endm
# Waits, with interrupts on, until the counter has a value.
.macro AWAIT value
  mov ecx, \\value
  call await
.endm

putc:
  push edx
  push eax
  mov dx, 0x3fd
1: in al, dx
  test al, 0x20
  jz 1b
  pop eax
  mov dx, 0x3f8
  out dx, al
  pop edx
  ret
hex:
  push ecx
  push eax
  mov ecx, 8
1: rol eax, 4
  push eax
  and al, 15
  cmp al, 10
  sbb al, 0x69
  das
  call putc
  pop eax
  loop 1b
  mov al, 32
  call putc
  pop eax
  pop ecx
  ret
puts:
  xchg esi, [esp]
  push eax
1: lodsb
  test al, al
  jz 2f
  call putc
  jmp 1b
2: pop eax
  xchg esi, [esp]
  ret
newline:
  push eax
  mov al, 10
  call putc
  pop eax
  ret
await:
  sti
1: cmp [counter], ecx
  jae 2f
  pause
  jmp 1b
2: cli
  ret
# A while, with interrupts on: 30 ms by counter 2 of the 8254.
pausing:
  pushad
  sti
  POKE 0x61, 0
  POKE 0x43, 0xb0
  POKE 0x42, 0xff
  POKE 0x42, 0x8b
  POKE 0x61, 1
1: in al, 0x61
  test al, 0x20
  jz 1b
  cli
  popad
  ret

.set n, 0
stubs:
.rept 256
  .if n == 8 || (n >= 10 && n <= 14) || n == 17
  nop
  nop
  .else
  push 0
  .endif
  push n & 0x7f
  .if n >= 128
  or byte ptr [esp], 0x80
  .else
  nop
  nop
  nop
  nop
  .endif
  jmp common
  .balign 16
  .set n, n + 1
.endr
common:
  pushad
  mov eax, [esp + 32]
  and eax, 0xff
  mov ecx, [actions + 4 * eax]
  jecxz 1f
  call ecx
  popad
  add esp, 8
  iret
1: PRINT "unexpected "
  call hex
  mov eax, [esp + 40]
  call hex
  jmp finish

.balign 8
gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr: .word 23
  .long gdt
idtr: .word 2047
  .long idt

entry:
  cli
  mov esp, stack
  lgdt [gdtr]
  .byte 0xea
  .long 1f
  .word 8
1: mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov edi, idt
  mov ecx, 256
  mov ebx, offset stubs
1: mov eax, ebx
  and eax, 0xffff
  or eax, 0x80000
  stosd
  mov eax, ebx
  and eax, 0xffff0000
  or eax, 0x8e00
  stosd
  add ebx, 16
  loop 1b
  mov edi, actions
  xor eax, eax
  mov ecx, 257
  rep stosd
  mov [counter], eax
  lidt [idtr]
  # The 8259s at 20h and 28h, all masked; no IRQ but those a part asks for.
  POKE 0x20, 0x11
  POKE 0xa0, 0x11
  POKE 0x21, 0x20
  POKE 0xa1, 0x28
  POKE 0x21, 4
  POKE 0xa1, 2
  POKE 0x21, 1
  POKE 0xa1, 1
  POKE 0x21, 0xff
  POKE 0xa1, 0xff
  # COM1 as firmware may have left it: no interrupts.
  POKE 0x3f9, 0
  POKE 0x2f9, 0
  POKE 0x2fc, 8
  LAPIC 0xf0, 0x1ff
  LAPIC 0x350, 0x10700
  LAPIC 0x360, 0x10400
  LAPIC 0x320, 0x10000
  LAPIC 0x370, 0x100fe
  LAPIC 0x80, 0
  ON 0xff, spurious
`;

const ending = `
finish:
  call newline
  # What the transmitter still holds gets out.
  mov dx, 0x3fd
1: in al, dx
  test al, 0x40
  jz 1b
  mov al, 0
  out 0xf4, al
2: hlt
  jmp 2b
spurious:
  PRINT "spurious "
  ret
count:
  inc dword ptr [counter]
  EOI
  ret
`;

/** Name, code, handlers. */
const parts: Readonly<Record<string, readonly [string, string]>> = {
  registers: [
    `
  PRINT "version "
  SHOW 0x30
  PRINT "id "
  SHOW 0x20
  LAPIC 0xd0, 0x12345678
  LAPIC 0xe0, 0x0fffffff
  LAPIC 0x80, 0x57
  PRINT "ldr dfr tpr ppr svr "
  SHOW 0xd0
  SHOW 0xe0
  SHOW 0x80
  SHOW 0xa0
  SHOW 0xf0
  LAPIC 0xe0, 0xffffffff
  LAPIC 0x80, 0
  SHOW 0xe0
  LAPIC 0x3e0, 0xb
  SHOW 0x3e0
  LAPIC 0x320, 0x30041
  LAPIC 0x340, 0x10042
  LAPIC 0x370, 0x10043
  SHOW 0x320
  SHOW 0x340
  SHOW 0x370
  LAPIC 0x310, 0x55000000
  SHOW 0x310
  call newline
  PRINT "cpuid apic "
  mov eax, 1
  cpuid
  mov eax, edx
  and eax, 0x200
  call hex
  mov eax, ebx
  shr eax, 24
  call hex
  mov ecx, 0x1b
  rdmsr
  call hex
`,
    "",
  ],
  priorities: [
    `
  ON 0x31, show
  ON 0x45, show
  ON 0x52, show
  ON 0x8f, show
  ON 0x9f, show
  IPI 0x52
  IPI 0x31
  IPI 0x8f
  IPI 0x45
  IPI 0x9f
  IPI 0x45
  PRINT "waiting "
  SHOW 0x210
  SHOW 0x220
  SHOW 0x240
  SHOW 0xa0
  sti
  nop
  cli
  PRINT "after "
  SHOW 0x210
  SHOW 0x220
  SHOW 0x240
  SHOW 0x110
  SHOW 0x120
  SHOW 0x140
`,
    `
show:
  call hex
  PRINT "ppr isr irr "
  SHOW 0xa0
  SHOW 0x110
  SHOW 0x120
  SHOW 0x140
  SHOW 0x210
  SHOW 0x220
  SHOW 0x240
  call newline
  EOI
  ret
`,
  ],
  nesting: [
    `
  ON 0x45, outer
  ON 0x4f, inner
  ON 0x52, inner
  ON 0x35, inner
  IPI 0x45
  sti
  nop
  cli
`,
    `
outer:
  PRINT "outer "
  IPI 0x4f
  IPI 0x35
  sti
  PRINT "only these wait: "
  SHOW 0x210
  SHOW 0x220
  IPI 0x52
  PRINT "back "
  SHOW 0xa0
  SHOW 0x120
  SHOW 0x220
  # The end of this one lets the same class in at once.
  EOI
  PRINT "end "
  SHOW 0x120
  SHOW 0x220
  cli
  ret
inner:
  PRINT "inner "
  call hex
  SHOW 0xa0
  SHOW 0x120
  call newline
  EOI
  ret
`,
  ],
  "task priority": [
    `
  ON 0x45, seen
  ON 0x62, seen
  ON 0x5f, seen
  sti
  LAPIC 0x80, 0x50
  IPI 0x45
  IPI 0x5f
  IPI 0x62
  PRINT "held "
  SHOW 0x220
  SHOW 0xa0
  LAPIC 0x80, 0x4f
  PRINT "lower "
  SHOW 0x220
  LAPIC 0x80, 0x3f
  PRINT "open "
  SHOW 0x220
  # Disabled by software it delivers nothing.
  LAPIC 0xf0, 0xff
  IPI 0x62
  PRINT "disabled "
  SHOW 0xf0
`,
    `
seen:
  PRINT "got "
  call hex
  SHOW 0xa0
  EOI
  ret
`,
  ],
  timer: [
    `
  ON 0x41, count
  LAPIC 0x3e0, 0xb
  LAPIC 0x320, 0x41
  PRINT "one shot "
  LAPIC 0x380, 50000
  AWAIT 1
  SHOW 0x380
  SHOW 0x390
  call pausing
  mov eax, [counter]
  call hex
  PRINT "again, divided by 16 "
  LAPIC 0x3e0, 3
  LAPIC 0x380, 5000
  AWAIT 2
  SHOW 0x390
  PRINT "masked "
  LAPIC 0x320, 0x10041
  LAPIC 0x380, 1000
  call pausing
  SHOW 0x390
  SHOW 0x220
  mov eax, [counter]
  call hex
  PRINT "periodic "
  LAPIC 0x320, 0x20041
  LAPIC 0x380, 20000
  AWAIT 12
  LAPIC 0x380, 0
  sti
  nop
  cli
  mov eax, [counter]
  mov [counter + 4], eax
  call pausing
  mov eax, [counter]
  sub eax, [counter + 4]
  call hex
  SHOW 0x390
  PRINT "counts down "
  LAPIC 0x320, 0x10041
  LAPIC 0x3e0, 0xa
  LAPIC 0x380, 0xfffffff0
  mov ebx, [apic + 0x390]
  call pausing
  mov eax, [apic + 0x390]
  cmp eax, ebx
  setb al
  movzx eax, al
  call hex
  LAPIC 0x380, 0
  SHOW 0x390
`,
    "",
  ],
  "io apic": [
    `
  ON 0x60, count
  ON 0x71, level
  mov dword ptr [ioapic], 1
  PRINT "version "
  mov eax, [ioapic + 0x10]
  call hex
  PRINT "edge "
  # The 8254's counter 0 in mode 0 waits for the second byte of its count: one edge.
  POKE 0x43, 0x30
  POKE 0x40, 0
  IO 0x15, 0
  IO 0x14, 0x60
  SHOWIO 0x14
  POKE 0x40, 8
  AWAIT 1
  call pausing
  mov eax, [counter]
  call hex
  PRINT "an edge while masked is lost "
  IO 0x14, 0x10060
  POKE 0x43, 0x30
  POKE 0x40, 0
  POKE 0x40, 1
  call pausing
  IO 0x14, 0x60
  call pausing
  mov eax, [counter]
  call hex
  IO 0x14, 0x10000
  call newline
  # COM2's transmitter on IRQ3, as a level.
  PRINT "level "
  mov dword ptr [counter], 0
  IO 0x17, 0
  IO 0x16, 0x8071
  sti
  POKE 0x2f9, 2
  call pausing
  mov eax, [counter]
  call hex
  SHOWIO 0x16
  call newline
  # Asserted while it is masked, it interrupts when the mask goes.
  mov dword ptr [counter], 0
  IO 0x16, 0x18071
  POKE 0x2f9, 2
  call pausing
  mov eax, [counter]
  call hex
  sti
  IO 0x16, 0x8071
  call pausing
  mov eax, [counter]
  call hex
  IO 0x16, 0x10000
  SHOWIO 0x16
`,
    `
level:
  inc dword ptr [counter]
  PRINT "level "
  SHOWIO 0x16
  SHOW 0x130
  SHOW 0x1b0
  # Twice the source stays, then it is switched off.
  cmp dword ptr [counter], 3
  jb 1f
  POKE 0x2f9, 0
1: EOI
  SHOWIO 0x16
  call newline
  ret
`,
  ],
  "virtual wire": [
    `
  ON 0x23, external
  ON 0x45, count
  LAPIC 0x350, 0x700
  # Priority is the 8259's: the TPR does not hold it back.
  LAPIC 0x80, 0xf0
  IPI 0x45
  POKE 0x21, 0xf7
  sti
  POKE 0x2f9, 2
  AWAIT 1
  PRINT "after "
  SHOW 0x120
  SHOW 0x220
  LAPIC 0x350, 0x10700
  PRINT "masked "
  POKE 0x2f9, 0
  POKE 0x2f9, 2
  call pausing
  mov eax, [counter]
  call hex
  PRINT "open "
  sti
  LAPIC 0x350, 0x700
  call pausing
  mov eax, [counter]
  call hex
  LAPIC 0x80, 0
  sti
  nop
  cli
  mov eax, [counter]
  call hex
`,
    `
external:
  PRINT "external "
  SHOW 0x110
  SHOW 0xa0
  inc dword ptr [counter]
  mov dx, 0x2fa
  in al, dx
  POKE 0x20, 0x20
  ret
`,
  ],
  nmi: [
    `
  ON 2, nonmaskable
  # With IF clear.
  PRINT "first "
  LAPIC 0x300, 0x4400 | 0x80000
  call pausing
  LAPIC 0x310, 0
  LAPIC 0x300, 0x4400
  call pausing
  PRINT "in all "
  mov eax, [counter]
  call hex
  # It wakes a halted processor.
  ON 0x41, fromtimer
  LAPIC 0x3e0, 0xb
  LAPIC 0x320, 0x41
  mov dword ptr [counter + 8], 0
  LAPIC 0x380, 100000
  sti
1: hlt
  cmp dword ptr [counter + 8], 1
  jb 1b
  cli
  PRINT "awake "
  mov eax, [counter]
  call hex
`,
    `
nonmaskable:
  inc dword ptr [counter]
  PRINT "nmi "
  mov eax, [counter]
  call hex
  # Another one waits for the IRET of this.
  cmp dword ptr [counter], 1
  jne 1f
  LAPIC 0x310, 0
  LAPIC 0x300, 0x4400
  nop
  nop
  PRINT "held "
  mov eax, [counter]
  call hex
1: ret
fromtimer:
  PRINT "timer "
  inc dword ptr [counter + 8]
  EOI
  # From here to its IRET, and there the NMI.
  LAPIC 0x300, 0x4400
  ret
`,
  ],
  msi: [
    `
  ON 0x45, level
  ON 0x52, level
  LAPIC 0xd0, 0x01000000
  mov dword ptr [apic + 0x1004], 0x45
  mov dword ptr [apic + 0x1004], 0x152
  mov dword ptr [apic + 0x2004], 0x53
  PRINT "waiting "
  SHOW 0x220
  sti
  nop
  cli
  SHOW 0x220
`,
    `
level:
  PRINT "got "
  call hex
  EOI
  ret
`,
  ],
  "acpi tables": [
    `
  # The root pointer on a 16-byte boundary, then of each table that the RSDT names all behind its header if it is one of these.
  mov esi, 0xe0000
1: cmp dword ptr [esi], 0x20445352
  jne 2f
  cmp dword ptr [esi + 4], 0x20525450
  je 3f
2: add esi, 16
  cmp esi, 0x100000
  jb 1b
  jmp finish
3: mov esi, [esi + 16]
  mov ecx, [esi + 4]
  sub ecx, 36
  shr ecx, 2
  add esi, 36
4: push ecx
  mov ebx, [esi]
  cmp dword ptr [ebx], 0x43495041
  je 5f
  cmp dword ptr [ebx], 0x54455048
  jne 7f
5: mov eax, [ebx]
  call hex
  mov ecx, [ebx + 4]
  call checksum
  sub ecx, 36
  add ebx, 36
6: movzx eax, byte ptr [ebx]
  call hex
  inc ebx
  loop 6b
  call newline
7: pop ecx
  add esi, 4
  loop 4b
`,
    `
checksum:
  push ecx
  push ebx
  xor eax, eax
1: add al, [ebx]
  inc ebx
  loop 1b
  call hex
  pop ebx
  pop ecx
  ret
`,
  ],
  hpet: [
    `
  ON 0x60, count
  ON 0x61, hpetlevel
  mov eax, [hpet]
  call hex
  mov eax, [hpet + 4]
  call hex
  mov eax, [hpet + 0x10]
  call hex
  mov eax, [hpet + 0x100]
  call hex
  mov eax, [hpet + 0x104]
  call hex
  mov eax, [hpet + 0x108]
  call hex
  call newline
  mov dword ptr [hpet + 0xf0], 0xfffffff0
  mov dword ptr [hpet + 0xf4], 5
  mov eax, [hpet + 0xf0]
  call hex
  # Runs, over the end of the low half.
  mov dword ptr [hpet + 0x10], 1
  call pausing
  mov eax, [hpet + 0xf4]
  call hex
  mov dword ptr [hpet + 0x10], 0
  mov eax, [hpet + 0xf0]
  mov ebx, eax
  call pausing
  mov eax, [hpet + 0xf0]
  sub eax, ebx
  call hex
  call newline
  # One shot, edge, in the 8254's place.
  mov dword ptr [hpet + 0xf0], 0
  mov dword ptr [hpet + 0xf4], 0
  IO 0x15, 0
  IO 0x14, 0x60
  mov dword ptr [hpet + 0x100], 0x104
  mov dword ptr [hpet + 0x108], 50000
  mov dword ptr [hpet + 0x10], 3
  AWAIT 1
  call pausing
  mov eax, [counter]
  call hex
  # The 8254 has lost IRQ0.
  POKE 0x43, 0x30
  POKE 0x40, 0
  POKE 0x40, 1
  call pausing
  mov eax, [counter]
  call hex
  # Periodic.
  PRINT "periodic "
  mov dword ptr [hpet + 0x10], 0
  mov dword ptr [hpet + 0xf0], 0
  mov dword ptr [hpet + 0x100], 0x14c
  mov eax, [hpet + 0x100]
  call hex
  mov dword ptr [hpet + 0x108], 10000
  mov eax, [hpet + 0x100]
  call hex
  mov dword ptr [hpet + 0x108], 5000
  mov dword ptr [hpet + 0x10], 3
  AWAIT 10
  mov dword ptr [hpet + 0x100], 0x100
  sti
  nop
  cli
  mov eax, [counter]
  mov [counter + 4], eax
  call pausing
  mov eax, [counter]
  sub eax, [counter + 4]
  call hex
  call newline
  # A level, in the RTC's place.
  PRINT "level "
  mov dword ptr [counter], 0
  IO 0x14, 0x10000
  mov dword ptr [hpet + 0x10], 0
  mov dword ptr [hpet + 0xf0], 0
  IO 0x21, 0
  IO 0x20, 0x8061
  mov dword ptr [hpet + 0x120], 0x106
  mov dword ptr [hpet + 0x128], 20000
  mov dword ptr [hpet + 0x10], 3
  AWAIT 3
  call pausing
  mov eax, [counter]
  call hex
  mov eax, [hpet + 0x20]
  call hex
  SHOWIO 0x20
`,
    `
hpetlevel:
  inc dword ptr [counter]
  PRINT "status "
  mov eax, [hpet + 0x20]
  call hex
  cmp dword ptr [counter], 3
  jb 1f
  mov dword ptr [hpet + 0x20], 2
  mov eax, [hpet + 0x20]
  call hex
1: EOI
  ret
`,
  ],
};

export const partNames = Object.keys(parts);

/** The kernel image that runs one part. */
export function kernel(name: string): Uint8Array {
  const [code, handlers] = parts[name];
  const source = `jmp entry\n${runtime}\n${code}\njmp finish\n${ending}\n${handlers}`;
  return assemble(source.replace(/\n\s*\n/g, "\n"), origin).bytes;
}

/**
 * Boot sectors that set a video mode through the VGA BIOS, draw in it, send `K` on COM1 and stop. Each draws a pattern in which a wrong address, plane, panning
 * or colour shows.
 */
import { assemble } from "../../support/assembler.ts";

const start = `
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  sti`;
const done = `
  mov dx, 0x3f8
  mov al, 'K'
  out dx, al
stop:
  cli
  hlt
  jmp stop
  .org 510
  .word 0xaa55`;

/** No cursor: QEMU blinks it. */
const hideCursor = `
  mov ah, 1
  mov cx, 0x2000
  int 0x10`;

/**
 * Every attribute without blinking and every character, but B0h-BFh, whose ninth dot QEMU and the hardware do not agree on.
 * @param change done with a cell in AX, and its attribute as it would be with blinking in DH
 */
const fillText = (cells: number, change = "and ah, 0x7f", segment = 0xb800): string => `
  mov ax, ${segment}
  mov es, ax
  xor di, di
  xor bx, bx
cell:
  mov ax, bx
  mov ah, al
  mov dh, al
  add al, bh
  mov dl, al
  and dl, 0xf0
  cmp dl, 0xb0
  jne put
  mov al, 0x20
put:
  ${change}
  stosw
  inc bx
  cmp bx, ${cells}
  jne cell`;

/** Fills the 64 KiB at A0000h: runs of 32 bytes, (offset / 32 * 7) ^ (offset / 256) + bl, the first byte of each run inverted. */
const fillBytes = `
  mov ax, 0xa000
  mov es, ax
  xor di, di
fill:
  mov ax, di
  mov cx, di
  shr ax, 5
  imul ax, ax, 7
  xor al, ch
  add al, bl
  test di, 31
  jnz run
  not al
run:
  stosb
  test di, di
  jnz fill`;

/** The same in each plane, bl from 0. */
const fillPlanes = `
  xor bx, bx
plane:
  mov cl, bl
  mov ah, 1
  shl ah, cl
  mov al, 2
  mov dx, 0x3c4
  out dx, ax
  ${fillBytes}
  inc bx
  cmp bl, 4
  jne plane`;

/** Fills the 64 KiB at A0000h: ((offset / 256 * 7) ^ (offset % 4 * 35h)) + bl, the first byte of each 256 inverted. */
const fillBank = `
  mov ax, 0xa000
  mov es, ax
  xor di, di
fill:
  mov ax, di
  and al, 3
  movzx cx, al
  imul cx, cx, 0x35
  shr ax, 8
  imul ax, ax, 7
  xor al, cl
  add al, bl
  test di, 255
  jnz run
  not al
run:
  stosb
  test di, di
  jnz fill`;

/** Word writes to an index port. */
const registers = (port: number, ...pairs: readonly (readonly [number, number])[]): string =>
  [`mov dx, ${port}`, ...pairs.map(([index, value]) => `mov ax, ${(value << 8) | index}\n  out dx, ax`)].join("\n  ");

const setMode = (mode: number): string => `
  mov ax, ${mode}
  int 0x10`;

/** An attribute controller register, by its index with the palette left on. */
const attribute = (index: number, value: number): string => `
  mov dx, 0x3da
  in al, dx
  mov dx, 0x3c0
  mov al, ${index | 0x20}
  out dx, al
  mov al, ${value}
  out dx, al`;

/** VBE: dx and up. Draws bank after bank through the window; \`ecx\` bytes in all. */
const vbe = (mode: number, bytes: number): string => `
  mov ax, 0x4f02
  mov bx, ${mode}
  int 0x10
  cmp ax, 0x004f
  jne stop
  xor si, si
bank:
  mov ax, 0x4f05
  xor bx, bx
  mov dx, si
  int 0x10
  mov bx, si
  ${fillBank}
  inc si
  cmp si, ${Math.ceil(bytes / 0x10000)}
  jne bank`;

/** The same through the linear framebuffer, whose address the BIOS tells: flat 32-bit writes from real mode with the big limits of protected mode. */
const vbeLinear = (mode: number, words: number): string => `
  mov ax, 0x4f01
  mov cx, ${mode}
  mov di, 0x8000
  int 0x10
  mov ax, 0x4f02
  mov bx, ${mode | 0x4000}
  int 0x10
  cmp ax, 0x004f
  jne stop
  in al, 0x92
  or al, 2
  out 0x92, al
  cli
  lgdt [pointer]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  mov bx, 8
  mov es, bx
  and al, 0xfe
  mov cr0, eax
  mov edi, [0x8028]
  xor ebx, ebx
store:
  mov eax, ebx
  shr eax, 9
  imul eax, eax, 0x01030507
  test bl, bl
  jnz run
  not eax
run:
  mov es:[edi + ebx * 4], eax
  inc ebx
  cmp ebx, ${words}
  jne store
  jmp end
  .align 8
gdt:
  .quad 0, 0x00cf92000000ffff
pointer:
  .word 15
  .long gdt
end:`;

export const bootSectors = {
  text80x25: `${setMode(3)} ${hideCursor} ${fillText(2000)}`,
  text80x50: `${setMode(3)}
  mov ax, 0x1112
  xor bx, bx
  int 0x10 ${hideCursor} ${fillText(4000)}`,
  text40x25: `${setMode(1)} ${hideCursor} ${fillText(1000)}`,
  textMono: `${setMode(7)} ${hideCursor} ${fillText(2000, "mov ah, 7", 0xb000)}`,
  /** Sixteen background colours instead of blinking. */
  brightBackground: `${setMode(3)}
  mov ax, 0x1003
  xor bx, bx
  int 0x10 ${hideCursor} ${fillText(2000, "nop")}`,
  /** What a screen of blinking characters shows in the half in which they are gone. */
  blinkedAway: `${setMode(3)} ${hideCursor} ${fillText(2000, "and ah, 0x7f\n  test dh, 0x80\n  jz stays\n  mov al, 0x20\nstays:")}`,
  /** A second font, chosen by attribute bit 3: the BIOS's own, inverted. */
  fonts: `${setMode(3)} ${hideCursor}
  mov ax, 0x1130
  mov bh, 6
  int 0x10
  push es
  pop ds
  mov si, bp
  xor ax, ax
  mov es, ax
  mov di, 0x9000
  mov cx, 4096
invert:
  lodsb
  not al
  stosb
  loop invert
  mov ds, cx
  mov ax, 0x1100
  mov bx, 0x1001
  mov cx, 256
  xor dx, dx
  mov bp, 0x9000
  int 0x10
  mov ax, 0x1103
  mov bl, 4
  int 0x10
  ${fillText(2000)}`,
  /** One column, and one row, further on. */
  textNextColumn: `${setMode(3)} ${hideCursor} ${fillText(2200)}
  ${registers(0x3d4, [0x0d, 1])}`,
  textNextRow: `${setMode(3)} ${hideCursor} ${fillText(2200)}
  ${registers(0x3d4, [0x0d, 80])}`,
  /** Text written by the BIOS itself, scrolled once. */
  teletype: `${setMode(3)} ${hideCursor}
  mov cx, 27
line:
  mov si, offset message
character:
  lodsb
  test al, al
  jz next
  mov ah, 0x0e
  mov bx, 7
  int 0x10
  jmp character
next:
  mov ax, cx
  add al, 0x40
  mov ah, 0x0e
  int 0x10
  loop line
  jmp end
message:
  .asciz "\\r\\nThe quick brown fox jumps over the lazy dog "
end:`,
  cga4: `${setMode(4)}
  mov ax, 0xb800
  mov es, ax
  xor di, di
fill:
  mov ax, di
  shr ax, 4
  imul ax, ax, 11
  xor al, ah
  stosb
  cmp di, 0x4000
  jne fill`,
  cga2: `${setMode(6)}
  mov ax, 0xb800
  mov es, ax
  xor di, di
fill:
  mov ax, di
  shr ax, 4
  imul ax, ax, 11
  xor al, ah
  stosb
  cmp di, 0x4000
  jne fill`,
  ega16: `${setMode(0x0d)} ${fillPlanes}`,
  ega16wide: `${setMode(0x0e)} ${fillPlanes}`,
  egaMono: `${setMode(0x0f)} ${fillPlanes}`,
  ega16high: `${setMode(0x10)} ${fillPlanes}`,
  mcga2: `${setMode(0x11)} ${fillPlanes}`,
  /** Rows of 100 bytes, the first and the second as start: what panning by dots goes between. */
  wideRows: `${setMode(0x12)} ${fillPlanes}
  ${registers(0x3d4, [0x13, 50])}`,
  wideRowsNext: `${setMode(0x12)} ${fillPlanes}
  ${registers(0x3d4, [0x13, 50], [0x0d, 1])}`,
  planar12: `${setMode(0x12)} ${fillPlanes}
  ${registers(0x3c4, [2, 15])}
  # Write mode 2 through a bit mask, a box of colour 14; then set/reset with XOR, a band.
  ${registers(0x3ce, [5, 2], [8, 0x3c])}
  mov di, 80 * 100 + 10
  mov cx, 200
box:
  mov al, es:[di]
  mov byte ptr es:[di], 14
  add di, 80
  loop box
  ${registers(0x3ce, [5, 0], [8, 0xff], [0, 5], [1, 15], [3, 0x18])}
  mov di, 80 * 350
  mov cx, 80 * 20
band:
  mov al, es:[di]
  stosb
  loop band`,
  mode13: `${setMode(0x13)}
  xor bx, bx ${fillBytes}`,
  modeX: `${setMode(0x13)}
  ${registers(0x3c4, [4, 6])}
  mov dx, 0x3c2
  mov al, 0xe3
  out dx, al
  ${registers(0x3d4, [0x11, 0x0c], [0x06, 0x0d], [0x07, 0x3e], [0x10, 0xea], [0x11, 0xac], [0x12, 0xdf], [0x14, 0], [0x15, 0xe7], [0x16, 0x06], [0x17, 0xe3])}
  ${fillPlanes}`,
  split: `${setMode(0x12)} ${fillPlanes}
  ${registers(0x3d4, [0x0c, 0x21], [0x0d, 0x43], [0x18, 0x2b])}
  mov al, 7
  out dx, al
  inc dx
  in al, dx
  or al, 0x10
  out dx, al
  dec dx
  mov al, 9
  out dx, al
  inc dx
  in al, dx
  and al, 0xbf
  out dx, al`,
  vbe800x600x32: vbe(0x143, 800 * 600 * 4),
  vbe640x480x8: vbe(0x101, 640 * 480),
  vbe640x480x16: vbe(0x111, 640 * 480 * 2),
  vbe1024x768x24: vbeLinear(0x118, 1024 * 768 * 0.75),
  vbe1280x1024x32: vbeLinear(0x145, 1280 * 1024),
  vbe640x480x15: vbe(0x110, 640 * 480 * 2),
  /** A part of a picture of 1024 pixels a row. */
  vbeScrolled: `${vbe(0x101, 1024 * 512)}
  mov ax, 0x4f06
  xor bx, bx
  mov cx, 1024
  int 0x10
  mov ax, 0x4f07
  xor bx, bx
  mov cx, 200
  mov dx, 29
  int 0x10`,
  vbe1920x1080x32: vbeLinear(0x192, 1920 * 1080),
} as const;
export type BootSectorName = keyof typeof bootSectors;
export const bootSectorNames = Object.keys(bootSectors) as BootSectorName[];

/** What QEMU does not show, or shows by its own clock: compared with what follows from the pictures above. */
export const derivedSectors = {
  vbe800x600x4: `
  mov ax, 0x4f02
  mov bx, 0x102
  int 0x10
  ${fillPlanes}`,
  blink: `${setMode(3)} ${hideCursor} ${fillText(2000, "nop")}`,
  cursor: `${setMode(3)} ${fillText(2000)}
  mov ah, 2
  xor bx, bx
  mov dx, 1
  int 0x10
  mov ah, 1
  mov cx, 0x0a0c
  int 0x10`,
  panned: `${setMode(0x12)} ${fillPlanes}
  ${registers(0x3d4, [0x13, 50])}
  ${attribute(0x13, 3)}`,
  textPanned: `${setMode(3)} ${hideCursor} ${fillText(2200)}
  ${attribute(0x13, 3)}`,
  textRowScan: `${setMode(3)} ${hideCursor} ${fillText(2200)}
  ${registers(0x3d4, [8, 5])}`,
} as const;
export type DerivedSectorName = keyof typeof derivedSectors;

/** A floppy image's first sector. */
export function bootSector(name: BootSectorName | DerivedSectorName): Uint8Array {
  const source = name in bootSectors ? bootSectors[name as BootSectorName] : derivedSectors[name as DerivedSectorName];
  const lines = `${start}\n${source}\n${done}`.split("\n").map((line) => line.trim());
  return assemble(lines.filter((line) => line !== "").join("\n"), 0x7c00, 16).bytes;
}

/**
 * Code in video memory, run through the linear framebuffer, while the adapter itself writes over it: through the planes at A0000h, and when the Bochs interface clears
 * the screen. What was translated before must not run again.
 */
import { expect, test } from "vitest";
import { createMachine, type MachineOptions } from "../../../src/index.ts";
import { elf32, join, multibootHeader } from "../../boot/images.ts";
import { assemble } from "../../support/assembler.ts";

const framebuffer = 0xf0000000;
/** Of the function in video memory: `mov eax, imm32; ret`, below 4000h in a plane, where plane address and place are four times apart (layout.ts). */
const place = 0x1000;
/** Enough for regions to be made of the loop and of the function. */
const warmUp = 100_000;
const rounds = 500;

const source = `
    mov esp, 0x90000
    mov dx, 0xcf8
    mov eax, 0x80001010
    out dx, eax
    mov dx, 0xcfc
    mov eax, ${framebuffer}
    out dx, eax
    mov dx, 0xcf8
    mov eax, 0x80001004
    out dx, eax
    mov dx, 0xcfc
    mov eax, 3
    out dx, eax
    # Planes one by one: memory mode 6, memory map 1, write mode 0.
    mov dx, 0x3c4
    mov ax, 0x0604
    out dx, ax
    mov dx, 0x3ce
    mov ax, 0x0506
    out dx, ax
    mov ax, 0x0005
    out dx, ax
    mov edi, ${framebuffer + place}
    mov byte ptr [edi], 0xb8
    mov dword ptr [edi + 1], 1
    mov byte ptr [edi + 5], 0xc3
    xor esi, esi
    mov ecx, ${warmUp}
  warm:
    call edi
    add esi, eax
    dec ecx
    jnz warm
    # The operand's low byte is in plane 1.
    mov dx, 0x3c4
    mov ax, 0x0202
    out dx, ax
    mov ecx, ${rounds}
  again:
    mov byte ptr [${0xa0000 + place}], cl
    call edi
    add esi, eax
    dec ecx
    jnz again
    cmp esi, ${warmUp + sumOfLowBytes(rounds)}
    jne wrong
    # Cleared, the function is zeros (add [eax], al) up to 64 KiB; behind them is the code that counts.
    mov dword ptr [edi + ${0x10000 - place}], 0xc3414141
    mov dx, 0x1ce
    mov ax, 1
    out dx, ax
    mov dx, 0x1cf
    mov ax, 256
    out dx, ax
    mov dx, 0x1ce
    mov ax, 2
    out dx, ax
    mov dx, 0x1cf
    mov ax, 256
    out dx, ax
    mov dx, 0x1ce
    mov ax, 3
    out dx, ax
    mov dx, 0x1cf
    mov ax, 8
    out dx, ax
    mov dx, 0x1ce
    mov ax, 4
    out dx, ax
    mov dx, 0x1cf
    mov ax, 0x41
    out dx, ax
    mov eax, offset cell
    xor ecx, ecx
    call edi
    cmp ecx, 3
    jne wrong
    mov al, 1
    out 0xf4, al
  wrong:
    mov al, 2
    out 0xf4, al
    hlt
    .align 4
  cell:
    .long 0`;

function sumOfLowBytes(n: number): number {
  let sum = 0;
  for (let k = 1; k <= n; k++) sum += k & 0xff;
  return sum;
}

test.each<MachineOptions["engine"]>(["translate", "interpret"])("--engine %s", async (engine) => {
  const code = assemble(source, 0x10000c, 32).bytes;
  const kernel = elf32(0x10000c, [{ virtual: 0x100000, physical: 0x100000, bytes: join(multibootHeader(0), code) }]);
  const machine = createMachine({ kernel, vga: true, memory: 8 << 20, engine, clock: "virtual" });
  expect(await machine.run({ timeout: 60, instructions: 10_000_000 })).toMatchObject({ reason: "debug-exit", value: 1 });
  machine.destroy();
});

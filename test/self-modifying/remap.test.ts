/** Code changes because the page tables do: another physical page behind the same linear address, after INVLPG or a new CR3. */
import { place, pte } from "../support/core.ts";
import { scenario } from "./scenario.ts";

const code = pte.present | pte.writable | pte.user;

/** Supervisor programs only: see `ring`. The function at linear 40000h is behind physical 41000h or 42000h. */
const twoFunctions = (core: import("../support/core.ts").Core): void => {
  core.physical.writeBytes(0x41000, Uint8Array.from([0xb8, 1, 0, 0, 0, 0xc3]));
  core.physical.writeBytes(0x42000, Uint8Array.from([0xb8, 100, 0, 0, 0, 0xc3]));
  core.map(0x40000, 0x41000, code);
};

scenario("a function's page is remapped, INVLPG, and called again", {
  ring: 0,
  source: `
    xor edx, edx
    mov ecx, 100
    mov ebx, 0x40000
  again:
    call ebx
    add edx, eax
    xor dword ptr [${place.pageTable + 0x40 * 4}], 0x3000
    invlpg [0x40000]
    dec ecx
    jnz again
    int3`,
  prepare: twoFunctions,
  expected: { edx: 50 * 101 },
});

scenario("the same, called by CALL rel32 from the page before", {
  ring: 0,
  origin: 0x3f000,
  source: `
    xor edx, edx
    mov ecx, 100
  again:
    call . + 0x1000 - (. - again) - 7
    add edx, eax
    xor dword ptr [${place.pageTable + 0x40 * 4}], 0x3000
    invlpg [0x40000]
    dec ecx
    jnz again
    int3`,
  prepare: twoFunctions,
  expected: { edx: 50 * 101 },
});

scenario("the running page itself is exchanged under the running code", {
  ring: 0,
  // Two copies of this page, of which the other has another immediate. The instruction after INVLPG comes from the other page.
  source: `
    xor edx, edx
    mov ecx, 100
  again:
    xor dword ptr [${place.pageTable + 0x10 * 4}], ${0x10000 ^ 0x43000}
    invlpg [0x10000]
  target:
    mov eax, 1
    add edx, eax
    dec ecx
    jnz again
    int3`,
  prepare: (core, program) => {
    const copy = program.bytes.slice();
    copy[program.labels["target"] + 1 - program.origin] = 10;
    core.physical.writeBytes(0x43000, copy);
  },
  expected: { edx: 50 * 11 },
});

scenario("CR3 is switched between two address spaces with other code at the same place", {
  ring: 0,
  source: `
    xor edx, edx
    mov ecx, 100
    mov esi, cr3
    mov edi, 0x50000
  again:
    call f
    add edx, eax
    mov cr3, edi
    call f
    add edx, eax
    mov cr3, esi
    dec ecx
    jnz again
    int3
    .balign 4096, 0xcc
  f:
    mov eax, 1
    ret`,
  prepare: (core, program) => {
    // A second directory at 50000h, its table at 51000h, with f's page at 44000h.
    core.physical.writeBytes(0x44000, Uint8Array.from([0xb8, 100, 0, 0, 0, 0xc3]));
    core.physical.writeBytes(0x51000, core.physical.readBytes(place.pageTable, 0x1000));
    core.physical.write4(0x50000, 0x51000 | code);
    core.physical.write4(0x51000 + (program.labels["f"] >>> 12) * 4, 0x44000 | code);
  },
  expected: { edx: 100 * 101 },
});

scenario("an instruction straddles into a page that is exchanged", {
  ring: 0,
  source: `
    xor edx, edx
    mov ecx, 100
    jmp again
    .org 0xfe0
  again:
    xor dword ptr [${place.pageTable + 0x11 * 4}], ${0x11000 ^ 0x45000}
    invlpg [0x11000]
    jmp target
    .org 0xffe
  target:
    mov eax, 0x00000001
    add edx, eax
    dec ecx
    jz done
    jmp again
  done:
    int3`,
  prepare: (core) => {
    const copy = core.physical.readBytes(0x11000, 0x1000);
    copy[0] = 1;
    core.physical.writeBytes(0x45000, copy);
  },
  // The immediate's second byte, on the second page, is 0 or 1.
  expected: { edx: 100 + 50 * 0x100 },
});

scenario("a page is unmapped, the fault handler maps another one, and the jump arrives there", {
  ring: 0,
  source: `
    xor edx, edx
    mov ecx, 60
  again:
    and dword ptr [${place.pageTable + 0x40 * 4}], 0xfffffffe
    invlpg [0x40000]
    mov ebx, 0x40000
    call ebx
    add edx, eax
    dec ecx
    jnz again
    int3
    .balign 16
  handler:
    add esp, 4
    xor dword ptr [${place.pageTable + 0x40 * 4}], 0x3001
    inc esi
    iret`,
  registers: { esi: 0 },
  prepare: (core, program) => {
    twoFunctions(core);
    core.handler(14, program.labels["handler"]);
  },
  expected: { edx: 30 * 101, esi: 60 },
});

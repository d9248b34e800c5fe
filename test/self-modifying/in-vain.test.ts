/** Blocks whose immediates are written and then their opcodes, over and over, are not repaired for nothing; when only immediates are written from then on, they are repaired again. */
import { expect } from "vitest";
import { scenario, sumTo } from "./scenario.ts";

const code = 0x20000;
const generated = 200;
const patched = 600;

/** ADD EAX, ECX as an immediate; then ADD or SUB EAX, 1 by turns, RET. */
const source = `
    mov ebx, ${code}
    mov word ptr [ebx + 10], 0x00c3
    mov ecx, ${generated}
    xor edx, edx
  again:
    mov byte ptr [ebx], 0x05
    mov [ebx + 1], ecx
    mov eax, ecx
    and eax, 1
    imul eax, eax, 0x28
    add eax, 0x05
    mov [ebx + 5], al
    mov dword ptr [ebx + 6], 1
    xor eax, eax
    call ebx
    add edx, eax
    dec ecx
    jnz again
    mov ecx, ${patched}
  more:
    mov [ebx + 1], ecx
    xor eax, eax
    call ebx
    add edx, eax
    dec ecx
    jnz more
    int3`;

let before = 0;

scenario("generated, then patched", {
  source,
  // The last one generated has SUB.
  expected: { edx: sumTo(generated) + sumTo(patched) - patched },
  ring: 0,
  prepare: ({ dispatcher }) => {
    before = dispatcher.cache.invalidatedBlocks;
  },
  after: ({ dispatcher, hot }) => {
    if (hot) return;
    const deaths = dispatcher.cache.invalidatedBlocks - before;
    expect(deaths).toBeGreaterThan(generated - 10);
    expect(deaths).toBeLessThan(generated + 100);
  },
});

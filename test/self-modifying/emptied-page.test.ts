/** A page whose code was overwritten counts as one with code for a few more writes, in case it gets new code; after those it is a page of data. */
import { expect } from "vitest";
import type { Core } from "../support/core.ts";
import { scenario, sumTo } from "./scenario.ts";

const page = 0x20000;
/** mov eax, imm32; ret - with a new immediate each time it is called. */
const rewriteAndCall = `
    xor edx, edx
    mov ecx, 100
    mov ebx, ${page}
    mov word ptr [ebx], 0xb890
    mov byte ptr [ebx + 6], 0xc3
  again:
    mov [ebx + 2], ecx
    call ebx
    add edx, eax
    dec ecx
    jnz again`;
/** @param offset 2: of the immediate alone, which a region may leave to memory for good */
const writeMore = (offset: number): string => `
    mov ecx, 64
  store:
    mov [ebx + ${offset}], ecx
    dec ecx
    jnz store`;
const countsAsCode = (core: Core): number => core.cpu.board.physical.codePages[page >>> 12];

scenario("is watched while its code comes back", {
  source: `${rewriteAndCall}\n    int3`,
  expected: { edx: sumTo(100) },
  ring: 0,
  after: (core) => expect(countsAsCode(core)).toBe(1),
});

scenario("is data soon after it does not", {
  source: `${rewriteAndCall}${writeMore(2)}
    mov dword ptr [ebx + 2], 77
    call ebx
    int3`,
  expected: { edx: sumTo(100), eax: 77 },
  ring: 0,
});

scenario("is data in the end", {
  source: `${rewriteAndCall}${writeMore(1)}
    int3`,
  expected: { edx: sumTo(100) },
  ring: 0,
  after: (core) => expect(countsAsCode(core)).toBe(0),
});

/** Regions whose entry begins two loops, one in the other: told apart (translator/region/plan.ts), and what such programs compute. */
import { describe, expect, test } from "vitest";
import { plan } from "../../translator/region/plan.ts";
import { scenario, sumTo } from "../self-modifying/scenario.ts";

const never = (): boolean => false;

describe("plan", () => {
  test("the smallest loop is inside, what goes back from behind it is the outer one's", () => {
    // 0 is the inner loop, 1 and 2 go around it.
    const { first, isNest, selected, isRedirected, analysis } = plan([[0, 1], [2], [0]], never, true);
    expect({ first, isNest, selected }).toEqual({ first: 1, isNest: true, selected: [0] });
    expect([isRedirected(0, 0), isRedirected(2, 0)]).toEqual([false, true]);
    expect(analysis.isLoopHeader).toEqual([true, true, false, false]);
  });
  test("an inner loop of several blocks, left in the middle", () => {
    const { isNest, isRedirected } = plan([[1, 3], [2], [0, 3], [0]], never, true);
    expect([isNest, isRedirected(2, 0), isRedirected(3, 0)]).toEqual([true, false, true]);
  });
  test("ways through one loop that go back from different places are no nest", () => {
    expect(plan([[1, 2], [0], [0]], never, true)).toMatchObject({ first: 0, isNest: false });
  });
  test("one way back is one loop; and nothing is told apart without the optimisation", () => {
    expect(plan([[0]], never, true)).toMatchObject({ first: 0, isNest: false });
    expect(plan([[0, 1], [0]], never, false)).toMatchObject({ first: 0, isNest: false });
  });
  test("beside edges that need the selector for themselves", () => {
    // 1 and 2 are a loop that is entered at both.
    const { first, isNest, selected } = plan([[0, 1, 2], [2, 0], [1]], never, true);
    expect({ first, isNest }).toEqual({ first: 1, isNest: false });
    expect(selected.length).toBeGreaterThan(1);
  });
});

scenario("an inner loop that is entered first, and the loop around it", {
  source: `
    xor edx, edx
    mov ebx, 70
    mov ecx, 30
  inner:
    add edx, ecx
    dec ecx
    jnz inner
    mov ecx, ebx
    and ecx, 15
    inc ecx
    dec ebx
    jnz inner
    int3`,
  expected: { edx: sumTo(30) + Array.from({ length: 69 }, (_, k) => sumTo(((70 - k) & 15) + 1)).reduce((a, b) => a + b, 0), ebx: 0 },
  limit: 60_000,
});

scenario("three loops that begin at one place; the innermost is left in the middle; flags and memory go around", {
  // The carry that the innermost loop leaves is counted by the middle one.
  source: `
    xor edx, edx
    xor esi, esi
    mov edi, 5
    mov ebx, 20
    mov ecx, 7
  inner:
    add dword ptr [esp - 16], ecx
    add edx, 0x30000001
    jc out
    dec ecx
    jnz inner
  out:
    adc esi, 0
    mov ecx, 7
    dec ebx
    jnz inner
    mov ebx, 20
    dec edi
    jnz inner
    int3`,
  expected: counted(),
  limit: 60_000,
});

scenario("x87 registers go around both loops", {
  source: `
    fninit
    fldz
    fld1
    mov ebx, 25
    mov ecx, 6
  inner:
    fadd st(1), st
    dec ecx
    jnz inner
    fadd st, st
    fmul dword ptr [half]
    mov ecx, 6
    dec ebx
    jnz inner
    fstp st
    fistp dword ptr [sum]
    mov edx, [sum]
    int3
  half: .long 0x3f000000
  sum: .long 0`,
  expected: { edx: 6 * 25, ebx: 0 },
  limit: 60_000,
});

scenario("MMX and SSE registers go around both loops", {
  source: `
    pxor mm0, mm0
    pcmpeqd mm1, mm1
    pxor xmm0, xmm0
    pcmpeqd xmm1, xmm1
    mov ebx, 25
    mov ecx, 6
  inner:
    psubd mm0, mm1
    psubd xmm0, xmm1
    dec ecx
    jnz inner
    paddd mm0, mm1
    paddd xmm0, xmm1
    mov ecx, 6
    dec ebx
    jnz inner
    movd edx, mm0
    movd esi, xmm0
    emms
    int3`,
  expected: { edx: 25 * 5, esi: 25 * 5, ebx: 0 },
  limit: 60_000,
});

function counted(): { edx: number; esi: number; edi: number } {
  let edx = 0;
  let esi = 0;
  for (let edi = 5; edi > 0; edi--) {
    for (let ebx = 20; ebx > 0; ebx--) {
      for (let ecx = 7; ecx > 0; ecx--) {
        edx += 0x30000001;
        if (edx >= 2 ** 32) {
          edx -= 2 ** 32;
          esi++;
          break;
        }
      }
    }
  }
  return { edx: edx | 0, esi, edi: 0 };
}

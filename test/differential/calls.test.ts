/**
 * Calls and returns in every way that guests use them, most of them not in pairs: changed return addresses, frames thrown away, coroutines, task switches from
 * interrupts in the middle of nested functions, recursion deeper than any host stack.
 */
import { describe, expect, it } from "vitest";
import { slot } from "../../translator/contract/slots.ts";
import { assemble } from "../support/assembler.ts";
import { type Core, tiers } from "../support/core.ts";

const cases: readonly { name: string; source: string; eax: number; limit?: number; prepare?: (core: Core) => void }[] = [
  {
    name: "the function moves its return address",
    source: "xor eax, eax\nmov ecx, 200\na: call f\n.byte 0xcc\nadd eax, 3\ndec ecx\njnz a\nint3\nf: inc dword ptr [esp]\nret",
    eax: 600,
  },
  {
    name: "the function drops its return address",
    source: "xor eax, eax\nmov ecx, 200\na: call f\nint3\nint3\nb: add eax, 3\ndec ecx\njnz a\nint3\nf: add esp, 4\njmp b",
    eax: 600,
  },
  {
    name: "two frames dropped",
    source:
      "xor eax, eax\nmov ecx, 200\na: call f\ninc eax\nb: dec ecx\njnz a\nint3\nf: call g\nint3\ng: inc eax\ntest ecx, 3\njz h\nadd esp, 8\njmp b\nh: add esp, 4\nret",
    eax: 250,
  },
  {
    name: "RET as a jump",
    source: "xor eax, eax\nmov ecx, 200\na: push offset b\npush offset c\nret\nint3\nc: inc eax\nret\nint3\nb: dec ecx\njnz a\nint3",
    eax: 200,
  },
  {
    name: "CALL as a push",
    source: "xor eax, eax\nmov ecx, 200\na: call b\nb: pop edx\ncmp edx, offset b\njne bad\ninc eax\ndec ecx\njnz a\nbad: int3",
    eax: 200,
  },
  {
    name: "RET n with arguments",
    source:
      "xor eax, eax\nmov ecx, 200\na: push ecx\npush 7\ncall f\ndec ecx\njnz a\nint3\nf: add eax, [esp + 4]\nsub eax, [esp + 8]\nadd eax, [esp + 8]\nret 8",
    eax: 1400,
  },
  {
    name: "tail calls",
    source: "xor eax, eax\nmov ecx, 200\na: call f\ndec ecx\njnz a\nint3\nf: inc eax\njmp g\ng: inc eax\ntest eax, 1\njnz g\nret",
    eax: 400,
  },
  {
    name: "functions in a table",
    source:
      "xor eax, eax\nmov ecx, 300\nmov dword ptr [0x20000], offset f\nmov dword ptr [0x20004], offset g\nmov dword ptr [0x20008], offset h\nxor ebx, ebx\na: call [0x20000 + ebx * 4]\ninc ebx\ncmp ebx, 3\njb b\nxor ebx, ebx\nb: dec ecx\njnz a\nint3\nf: inc eax\nret\ng: add eax, 10\nret\nh: call f\nadd eax, 100\nret",
    eax: 100 * 112,
  },
  {
    name: "recursion 20,000 deep",
    source: "mov ecx, 20000\nxor eax, eax\nmov esp, 0x80000\ncall f\nint3\nf: inc eax\ndec ecx\njz out\ncall f\ninc eax\nout: ret",
    eax: 39_999,
    limit: 400_000,
  },
  {
    name: "recursion 20,000 deep over two pages",
    source:
      "mov ecx, 20000\nxor eax, eax\nmov esp, 0x80000\ncall f\nint3\nf: inc eax\ndec ecx\njz out\ncall g\ninc eax\nout: ret\n.balign 4096, 0xcc\ng: add eax, 2\ndec ecx\njz back\ncall f\nadd eax, 2\nback: ret",
    eax: 2 * 10_000 + 4 * 10_000 - 2,
    limit: 400_000,
  },
  {
    name: "mutual recursion",
    eax: 1,
    limit: 200_000,
    source:
      "mov ebx, 40\na: mov ecx, 60\ncall even\ndec ebx\njnz a\nint3\neven: test ecx, ecx\njz yes\ndec ecx\ncall odd\nret\nodd: test ecx, ecx\njz no\ndec ecx\ncall even\nret\nyes: mov eax, 1\nret\nno: xor eax, eax\nret",
  },
  {
    name: "out of deep recursion at one stroke",
    eax: 50 * 41,
    limit: 200_000,
    source:
      "xor eax, eax\nmov ebx, 50\na: mov [0x20000], esp\nmov ecx, 40\ncall f\nint3\nb: inc eax\ndec ebx\njnz a\nint3\nf: inc eax\ndec ecx\njz leave\ncall f\nint3\nleave: mov esp, [0x20000]\njmp b",
  },
  {
    name: "coroutines: each call returns on the other one's stack",
    eax: 500 * 3,
    limit: 200_000,
    source: `
      xor eax, eax
      mov ecx, 500
      mov dword ptr [0x20000], 0x2c000
      mov dword ptr [0x2c000], offset second
    first:
      inc eax
      call switch
      dec ecx
      jnz first
      int3
    second:
      add eax, 2
      call switch
      jmp second
    switch:
      xchg esp, [0x20000]
      ret`,
  },
  {
    name: "the stack moved inside a function and back",
    eax: 300,
    source:
      "xor eax, eax\nmov ecx, 300\na: call f\ndec ecx\njnz a\nint3\nf: mov edx, esp\nmov esp, 0x2c000\npush ecx\ncall g\npop ebx\nmov esp, edx\nret\ng: inc eax\nret",
  },
  {
    name: "a function that faults in the middle, is cured and goes on",
    eax: 64 * 0x5a,
    limit: 100_000,
    // Each call reads a page that the handler below maps.
    source:
      "xor eax, eax\nmov ecx, 64\nmov esi, 0x100000\na: call f\nadd esi, 0x1000\ndec ecx\njnz a\nint3\nf: call g\nadd eax, ebx\nret\ng: movzx ebx, byte ptr [esi]\nret",
    prepare: (core) => {
      const handler = assemble("push eax\nmov eax, cr2\nshr eax, 12\nmov dword ptr [0x2000 + eax * 4], 0x21007\npop eax\nadd esp, 4\niret", 0x18000);
      core.load(handler);
      core.handler(14, handler.origin);
      core.physical.u8.fill(0x5a, 0x21000, 0x22000);
      for (let page = 0x100000; page < 0x140000; page += 0x1000) core.map(page, 0, 0);
      core.flush();
    },
  },
];

/** Ring 0, with a stack wherever the program wants one. */
function start(core: Core, program: ReturnType<typeof assemble>, ring: 0 | 3, prepare?: (core: Core) => void): void {
  core.protectedMode(ring).load(program);
  core.physical.u8.fill(0, 0x20000, 0x21000);
  prepare?.(core);
}

describe.each(tiers)("$name", (tier) => {
  it.each(cases)("$name", ({ source, eax, limit, prepare }) => {
    const program = assemble(source);
    const core = tier.core();
    for (let round = 0; round < 2; round++) {
      start(core, program, tier.ring, prepare);
      const stop = core.run(limit ?? 20_000);
      expect({ kind: stop.kind, vector: stop.vector, eax: core.reg("eax") }).toEqual({ kind: "exception", vector: 3, eax });
      if (core.hot) core.promote();
    }
  });

  it("two tasks switched by a timer in the middle of their recursions", () => {
    // Each task computes Fibonacci numbers on its own stack; the handler saves all, exchanges stacks and returns into the other task.
    const program = assemble(`
        mov dword ptr [0x20000], offset second
        xor esi, esi
      first:
        mov eax, 11
        call fib
        add esi, eax
        inc dword ptr [0x20010]
        cmp dword ptr [0x20010], 12
        jb first
        mov [0x20014], esi
      wait:
        cmp dword ptr [0x20020], 12
        jb wait
        int3
      second:
        xor esi, esi
      again:
        mov eax, 10
        call fib
        add esi, eax
        inc dword ptr [0x20020]
        cmp dword ptr [0x20020], 12
        jne again
        mov [0x20024], esi
      idle:
        jmp idle
      fib:
        cmp eax, 2
        jb done
        push eax
        dec eax
        call fib
        xchg eax, [esp]
        sub eax, 2
        call fib
        pop edx
        add eax, edx
      done:
        ret`);
    const handler = assemble(
      `
        pusha
        inc dword ptr [0x20030]
        xchg esp, [0x20008]
        popa
        iret`,
      0x18000,
    );
    const core = tier.core().protectedMode(0).load(program).load(handler);
    core.handler(0x20, handler.origin);
    core.physical.u8.fill(0, 0x20000, 0x21000);
    // The second task's first frame: PUSHA's eight words, EIP, CS, EFLAGS.
    const stack = 0x2c000;
    core.physical.write4(0x20008, stack - 44);
    core.physical.write4(stack - 12, program.labels["second"]);
    core.physical.write4(stack - 8, 0x08);
    core.physical.write4(stack - 4, 0x202);
    core.R[slot.eip] = program.origin;
    let next = core.dispatcher.retired + 300;
    core.poll = () => {
      if (core.dispatcher.retired >= next) {
        core.interrupts.pending = true;
        next = core.dispatcher.retired + 137;
      }
    };
    // Slices short enough for switches to come in the middle of everything.
    let stop = core.run(150);
    for (let k = 0; k < 2000 && stop.kind === "limit"; k++) {
      stop = core.run(150);
      if (core.hot && k % 16 === 0) core.promote();
    }
    expect(stop.vector).toBe(3);
    expect(core.physical.read4(0x20014)).toBe(12 * 89);
    expect(core.physical.read4(0x20024)).toBe(12 * 55);
    expect(core.physical.read4(0x20030)).toBeGreaterThan(50);
  });
});

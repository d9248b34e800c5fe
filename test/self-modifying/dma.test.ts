/** A device writes memory: the code it overwrites is not executed any more, whoever is running. */
import { eflag } from "../../translator/contract/slots.ts";
import { scenario, sumTo } from "./scenario.ts";

scenario("started by OUT: the next instruction already sees it", {
  source: `
    xor ebx, ebx
    mov ecx, 100
    mov dx, 0x300
  again:
    mov eax, ecx
    out dx, eax
  target:
    mov eax, 0x7f7f7f7f
    add ebx, eax
    dec ecx
    jnz again
    int3`,
  prepare: (core, program) => {
    core.eflags |= eflag.iopl;
    core.portWrite = (_port, _size, value) => {
      core.physical.writeBytes(program.labels["target"] + 1, Uint8Array.from([value & 255, (value >> 8) & 255, 0, 0]));
    };
  },
  expected: { ebx: sumTo(100) },
});

scenario("at a slice's end, while a hot loop waits for it", {
  source: `
    xor ebx, ebx
  again:
    inc ebx
  target:
    mov eax, 0
    test eax, eax
    jz again
    int3`,
  prepare: (core, program) => {
    core.poll = () => {
      if (core.reg("ebx") > 2000) core.physical.writeBytes(program.labels["target"] + 1, Uint8Array.from([7]));
    };
  },
  limit: 60_000,
  expected: { eax: 7 },
});

scenario("a transfer over two pages with code, from the middle of the first", {
  source: `
    xor ebx, ebx
    mov ecx, 50
    mov dx, 0x300
  again:
    mov eax, ecx
    out dx, eax
    call f
    add ebx, eax
    call g
    add ebx, eax
    dec ecx
    jnz again
    int3
    .org 0x1ff0
  f:
    mov eax, 0
    ret
    .org 0x2010
  g:
    mov eax, 0
    ret`,
  prepare: (core, program) => {
    core.eflags |= eflag.iopl;
    core.portWrite = (_port, _size, value) => {
      const image = core.physical.readBytes(program.labels["f"], 0x40);
      image[1] = value;
      image[0x21] = value;
      core.physical.writeBytes(program.labels["f"], image);
    };
  },
  expected: { ebx: 2 * sumTo(50) },
});

/** `xlat86 dump`: what the translator makes of blocks - one by address, or the hottest after a run. */
import { inspectBlock } from "../inspector/inspect.ts";
import { printBlock } from "../inspector/print.ts";
import { createMachine, type Machine } from "../machine/machine.ts";
import type { RunOptions } from "./arguments.ts";
import { UsageError } from "./error.ts";
import { exitCode } from "./options.ts";
import { bootImages } from "./run.ts";

const defaultSeconds = 10;
const pageSize = 4096;

export async function dump(options: RunOptions): Promise<number> {
  if (options.at === undefined && options.hot === undefined) throw new UsageError("dump needs --at ADDRESS or --hot N");
  const images = bootImages("dump", options);
  const machine = createMachine({ ...images, memory: options.memory, engine: options.engine, clock: options.clock });
  try {
    if (options.at !== undefined) process.stdout.write(dumpAt(machine, options.at));
    if (options.hot !== undefined) process.stdout.write(await dumpHottest(machine, options.hot, options.timeout ?? defaultSeconds));
  } finally {
    machine.destroy();
  }
  return exitCode.success;
}

/** The block at a linear address, in the mode the kernel is entered in. */
function dumpAt(machine: Machine, address: number): string {
  const page = machine.memory.translate(address);
  if (page === undefined || page >= machine.memory.size) throw new UsageError(`--at 0x${address.toString(16)}: outside the guest's memory`);
  return printBlock(inspectBlock({ bytes: bytesFrom(machine, page - (page % pageSize)), offset: page % pageSize, address, mode: machine.mode }));
}

async function dumpHottest(machine: Machine, count: number, seconds: number): Promise<string> {
  const exit = await machine.run({ timeout: seconds });
  const stats = machine.stats();
  const blocks = machine.blocks().slice(0, count);
  const texts = blocks.map((block) => {
    const offset = block.address % pageSize;
    const bytes = bytesFrom(machine, block.address - offset);
    const share = ((100 * block.executions * block.instructions) / Math.max(1, stats.instructions)).toFixed(1);
    const heading = `physical address; executed ${block.executions.toLocaleString("en-US")} times, ${share}% of all instructions`;
    return printBlock(inspectBlock({ bytes, offset, address: block.address, mode: block.mode }), heading);
  });
  const head = `The guest ran ${stats.instructions.toLocaleString("en-US")} instructions (${exit.reason}); its ${blocks.length} most executed blocks:\n\n`;
  return head + texts.join("\n");
}

/** A page of RAM and what follows it, for an instruction that goes on there. */
function bytesFrom(machine: Machine, page: number): Uint8Array {
  return machine.memory.readPhysical(page, Math.min(2 * pageSize, machine.memory.size - page));
}

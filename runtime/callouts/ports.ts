/** Callouts of IN and OUT. */
import type { Cpu } from "../cpu/cpu.ts";
import { checkPort } from "../cpu/io-permission.ts";

function portRead(cpu: Cpu, port: number, size: number): number {
  checkPort(cpu, port, size);
  cpu.portCounts[port]++;
  return cpu.board.ports.read(port, size as 1 | 2 | 4) | 0;
}

function portWrite(cpu: Cpu, port: number, size: number, value: number): void {
  checkPort(cpu, port, size);
  cpu.portCounts[port]++;
  cpu.board.ports.write(port, size as 1 | 2 | 4, value);
}

export const portImplementations = { portRead, portWrite };

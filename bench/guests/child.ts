// What the child processes of the guests suite share: their job, and how a peer's video memory becomes lines of text.

import { writeSync } from "node:fs";
import type { DriveFiles } from "./guests.ts";

export interface ScreenJob {
  drives: DriveFiles;
  boot: string;
  memoryMiB: number;
  /** Source of the expression that the screen must match. */
  landmark: string;
  /** Printed once it does. */
  said: string;
  /** After these it gives up. */
  seconds: number;
  firmware: { bios: string; vgaBios: string };
  /** Directory of SeaBIOS in the size that v86 takes: bios.bin. */
  v86Firmware: string;
}

/** Where a colour text screen is, and how large one of 80 x 25 characters with attributes is. */
export const TEXT_SCREEN = { address: 0xb8000, columns: 80, rows: 25 } as const;
export const TEXT_BYTES = 2 * TEXT_SCREEN.columns * TEXT_SCREEN.rows;
export const BLANK = 0x20;
/** How often peers without an event of their own look at it. */
export const LOOK_EVERY_MS = 50;

export function screenJob(): ScreenJob {
  return JSON.parse(process.argv[2]) as ScreenJob;
}

/** All of the text window: a console that scrolls by the CRTC's start address has its screen anywhere in it. */
export const TEXT_WINDOW_BYTES = 32 << 10;

/** The lines of a text screen, or of several one after the other, for plain ASCII landmarks. */
export function textOf(memory: Uint8Array): string {
  const line = (row: number): string => {
    const at = 2 * TEXT_SCREEN.columns * row;
    return String.fromCharCode(...Array.from({ length: TEXT_SCREEN.columns }, (_, column) => memory[at + 2 * column])).trimEnd();
  };
  return Array.from({ length: Math.floor(memory.length / (2 * TEXT_SCREEN.columns)) }, (_, row) => line(row)).join("\n");
}

/** Tells the harness that the landmark is there. */
export function say(job: ScreenJob): void {
  writeSync(1, `${job.said}\n`);
}

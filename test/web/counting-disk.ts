/** A guest that writes. */
import { bootSector } from "../guests/boot-media.ts";

/** A hard disk that counts in its second sector how often it was booted: shows "boot N, written". */
export function countingDisk(): Uint8Array {
  const print = (text: string): string => [...text].map((c) => `mov ax, ${0x0e00 + c.charCodeAt(0)}\nint 0x10`).join("\n");
  const transfer = (ah: number): string => `mov ax, ${(ah << 8) | 1}\nmov bx, 0x7e00\nmov cx, 2\nmov dx, 0x80\nint 0x13`;
  const disk = new Uint8Array(1 << 20);
  disk.set(
    bootSector(`
    ${transfer(2)}
    ${print("boot ")}
    mov al, [0x7e00]
    add al, 0x30
    mov ah, 0x0e
    int 0x10
    inc byte ptr [0x7e00]
    ${transfer(3)}
    jc stop
    ${print(", written")}
  stop:
    hlt
    jmp stop`),
  );
  return disk;
}

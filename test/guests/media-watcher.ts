/** A guest for changing media: it reads its floppy drive and its CD drive for ever, and says on screen and serial line what is there when it has become another: "A" for drive A, "C" for the CD. */
import { cdImage, diskImage, floppySize } from "./boot-media.ts";

/** Where a CD of `labelledCd` has its letter: sectors of 2048 bytes. */
const cdSector = 40;
/** SeaBIOS's number of the first CD drive. */
const cdDrive = 0xe0;

/** A hard disk, too large to be taken for a floppy. (A BIOS writes into the packet how many sectors it has read.) "A" or "C", then the first character that was read, or "-" where nothing could be. */
export const watcherDisk = (): Uint8Array =>
  diskImage(
    `
  next:
    mov ax, 0x0201
    mov bx, 0x8000
    mov cx, 1
    xor dx, dx
    int 0x13
    mov bx, 0x4100
    mov si, 0x7e00
    call seen
    mov si, offset packet
    mov word ptr [si + 2], 1
    mov ah, 0x42
    mov dl, ${cdDrive}
    int 0x13
    mov bx, 0x4301
    mov si, 0x7e01
    call seen
    xor ah, ah
    xor dx, dx
    int 0x13
    jmp next
  seen:
    mov al, 45
    jc compare
    mov al, [0x8000]
  compare:
    cmp al, [si]
    je same
    mov [si], al
    push ax
    mov al, bh
    call show
    pop ax
    call show
    mov al, 32
    call show
  same:
    ret
  show:
    mov dx, 0x3f8
    out dx, al
    push bx
    mov ah, 0x0e
    xor bx, bx
    int 0x10
    pop bx
    ret
  packet:
    .byte 16, 0
    .word 1, 0x8000, 0
    .long ${cdSector}, 0`,
    4 << 20,
  );

export function labelledFloppy(letter: string): Uint8Array {
  const bytes = new Uint8Array(floppySize);
  bytes[0] = letter.charCodeAt(0);
  return bytes;
}

export function labelledCd(letter: string): Uint8Array {
  const bytes = cdImage("hlt");
  bytes[cdSector * 2048] = letter.charCodeAt(0);
  return bytes;
}

/**
 * What a CD-ROM drive says of itself and of its medium: a disc of one session with one data track. Multimedia Commands (MMC-3) and SFF-8020i; all
 * numbers big-endian. Pure functions from the drive's state to the bytes of the reply.
 */
import { type DiskIdentity, identifyString, selectedMode, transferKind } from "./ata-identify.ts";

/** Bytes of a frame's user data, and of a whole one. */
export const frameBytes = { data: 2048, raw: 2352, header: 16 } as const;

const framesPerSecond = 75;
/** Logical block 0 is at 00:02:00. */
const pregapFrames = 150;
const leadOut = 0xaa;
/** ADR 1 (position), control 4 (data track); the lead-out has control 6 with QEMU, and so here. */
const dataTrack = 0x14;
const leadOutTrack = 0x16;
/** More than that is no CD. */
const cdFrames = 358_400;

const profile = { cdRom: 0x0008, dvdRom: 0x0010 } as const;

export const modePage = { errorRecovery: 0x01, audioControl: 0x0e, capabilities: 0x2a, all: 0x3f } as const;

const bytes16 = (value: number) => [(value >>> 8) & 0xff, value & 0xff];
const bytes32 = (value: number) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
const text = (value: string, length: number) => Array.from(value.padEnd(length).slice(0, length), (character) => character.charCodeAt(0));

/** Minute, second, frame of a block. */
export function minuteSecondFrame(block: number): number[] {
  const at = block + pregapFrames;
  const seconds = Math.floor(at / framesPerSecond);
  return [Math.floor(seconds / 60) & 0xff, seconds % 60, at % framesPerSecond];
}

function address(block: number, msf: boolean): number[] {
  return msf ? [0, ...minuteSecondFrame(block)] : bytes32(block);
}

export function inquiry(identity: DiskIdentity): number[] {
  // 05: CD-ROM; removable; ATAPI version 2, response format 1.
  return [0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0, ...text("XLAT86", 8), ...text(identity.model, 16), ...text(identity.firmware, 4)];
}

export function capacity(frames: number): number[] {
  return [...bytes32(frames - 1), ...bytes32(frameBytes.data)];
}

/** READ TOC format 0; null for a track that the disc has not. */
export function tableOfContents(frames: number, msf: boolean, startTrack: number): number[] | null {
  if (startTrack > 1 && startTrack !== leadOut) return null;
  const tracks = [...(startTrack <= 1 ? [0, dataTrack, 1, 0, ...address(0, msf)] : []), ...[0, leadOutTrack, leadOut, 0, ...address(frames, msf)]];
  return [...bytes16(2 + tracks.length), 1, 1, ...tracks];
}

/** Format 1: the last complete session begins with track 1. */
export function sessionInformation(msf: boolean): number[] {
  return [...bytes16(10), 1, 1, 0, dataTrack, 1, 0, ...address(0, msf)];
}

/** Format 2: the Q subchannel of the lead-in. */
export function fullTableOfContents(frames: number, msf: boolean): number[] {
  const point = (number: number, position: number[]) => [1, dataTrack, 0, number, 0, 0, 0, ...position];
  const points = [point(0xa0, [0, 1, 0, 0]), point(0xa1, [0, 1, 0, 0]), point(0xa2, address(frames, msf)), point(1, address(0, msf))].flat();
  return [...bytes16(2 + points.length), 1, 1, ...points];
}

/** The drive plays nothing; with `position`, where the head is said to be. */
export function subChannel(msf: boolean, position: boolean): number[] {
  const noAudioStatus = 0x15;
  const data = position ? [1, dataTrack, 1, 1, ...address(0, msf), ...address(0, msf)] : [];
  return [0, noAudioStatus, ...bytes16(data.length), ...data];
}

/** Page contents after page code and length. */
function modePages(locked: boolean): Readonly<Record<number, readonly number[]>> {
  // Reads CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM; plays audio, mode 2 forms, multisession; tray that locks and ejects.
  const features = [0x3b, 0x00, 0x71, 0x60, 0x29 | (locked ? 2 : 0), 0x00];
  const speed = 704;
  return {
    [modePage.errorRecovery]: [0x00, 0x05, 0, 0, 0, 0],
    [modePage.audioControl]: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [modePage.capabilities]: [...features, ...bytes16(speed), ...bytes16(2), ...bytes16(512), ...bytes16(speed), 0, 0, 0, 0, 0, 0],
  };
}

/** MODE SENSE(10) of the current values; null for a page there is not. */
export function modeSense(code: number, locked: boolean): number[] | null {
  const pages = modePages(locked);
  const codes = code === modePage.all ? Object.keys(pages).map(Number) : [code];
  if (!codes.every((each) => each in pages)) return null;
  const body = codes.flatMap((each) => [each, pages[each].length, ...pages[each]]);
  // Medium type: door closed, no disc, as QEMU's drive always has it.
  return [...bytes16(6 + body.length), 0x70, 0, 0, 0, 0, 0, ...body];
}

/** GET CONFIGURATION: features from `first` on; all, those that are current, or that one alone (RT 0, 1, 2). */
export function configuration(frames: number, first: number, kind: number): number[] {
  const current = frames === 0 ? 0 : frames > cdFrames ? profile.dvdRom : profile.cdRom;
  const isCurrent = (id: number) => (id === current ? 1 : 0);
  const hasMedium = frames > 0;
  const profiles = [profile.dvdRom, profile.cdRom].flatMap((id) => [...bytes16(id), isCurrent(id), 0]);
  const features: [code: number, version: number, current: boolean, data: number[]][] = [
    [0x0000, 0x02, true, profiles],
    // Core: ATAPI. Removable medium: tray, ejects, locks.
    [0x0001, 0x02, true, [...bytes32(2), 0, 0, 0, 0]],
    [0x0003, 0x02, true, [0x29, 0, 0, 0]],
    [0x0010, 0x00, hasMedium, [...bytes32(frameBytes.data), ...bytes16(1), 0, 0]],
    [0x001e, 0x00, current === profile.cdRom, []],
    [0x001f, 0x00, current === profile.dvdRom, []],
  ];
  const chosen = features.filter(([code, , isOn]) => (kind === 2 ? code === first : code >= first && (kind !== 1 || isOn)));
  const body = chosen.flatMap(([code, version, isOn, data]) => [...bytes16(code), version | (isOn ? 1 : 0), data.length, ...data]);
  return [...bytes32(4 + body.length), 0, 0, ...bytes16(current), ...body];
}

export function discInformation(): number[] {
  // Complete disc, last session complete; one session, tracks 1 to 1; unrestricted use.
  return [...bytes16(32), 0x0e, 1, 1, 1, 1, 0x20, ...new Array<number>(26).fill(0)];
}

export const mediaEvent = { none: 0, ejectRequest: 1, newMedia: 2, removal: 3 } as const;

/** GET EVENT STATUS NOTIFICATION: only media events exist. */
export function eventStatus(asksForMedia: boolean, event: number, trayOpen: boolean, hasMedium: boolean): number[] {
  const supported = 0x10;
  const mediaClass = 4;
  if (!asksForMedia) return [0, 0, 0x80, supported];
  return [...bytes16(4), mediaClass, supported, event, (trayOpen ? 1 : 0) | (hasMedium ? 2 : 0), 0, 0];
}

export function mechanismStatus(): number[] {
  return [0, 0, 0, 0, 0, 1, 0, 0];
}

export function senseData(key: number, code: number, qualifier: number): number[] {
  const current = 0x70;
  const valid = 0x80;
  return [current | valid, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0];
}

/** Turns frames of user data at the end of `buffer` into whole frames from its beginning on: sync pattern, header, data; no error correction. */
export function wrapFrames(buffer: Uint8Array, first: number, count: number): void {
  const source = count * (frameBytes.raw - frameBytes.data);
  for (let i = 0; i < count; i++) {
    const at = i * frameBytes.raw;
    const from = source + i * frameBytes.data;
    buffer.copyWithin(at + frameBytes.header, from, from + frameBytes.data);
    buffer.fill(0xff, at + 1, at + 11);
    buffer[at] = buffer[at + 11] = 0;
    buffer.set(minuteSecondFrame(first + i), at + 12);
    buffer[at + 15] = 1;
    buffer.fill(0, at + frameBytes.header + frameBytes.data, at + frameBytes.raw);
  }
}

/** IDENTIFY PACKET DEVICE, as QEMU's drive. */
export function identifyCdRom(identity: DiskIdentity, transferMode: number): Uint8Array {
  const words = new Uint16Array(256);
  const set = (at: number, ...values: number[]) => words.set(values, at);
  // Packet device, CD-ROM, removable, DRQ within 50 us, 12-byte packets.
  set(0, 0x85c0);
  identifyString(words, 10, 10, identity.serial);
  set(20, 3, 512, 4);
  identifyString(words, 23, 4, identity.firmware);
  identifyString(words, 27, 20, identity.model);
  set(48, 1, 0x0300);
  set(53, 0x0007);
  set(62, 0x07 | selectedMode(transferMode, transferKind.singleWord), 0x07 | selectedMode(transferMode, transferKind.multiword));
  set(64, 0x0003, 0xb4, 0xb4, 0x12c, 0xb4);
  set(71, 30, 30);
  set(80, 0x001e);
  set(88, 0x3f | selectedMode(transferMode, transferKind.ultra));
  return new Uint8Array(words.buffer);
}

/** The packet commands of a CD-ROM drive: a table from operation code to what it does (MMC-3, SPC-2, SFF-8020i). */
import type { AtapiCdRom } from "./atapi-cdrom.ts";
import {
  capacity,
  configuration,
  discInformation,
  eventStatus,
  frameBytes,
  fullTableOfContents,
  inquiry,
  mechanismStatus,
  modeSense,
  senseData,
  sessionInformation,
  subChannel,
  tableOfContents,
} from "./cd-replies.ts";

/** Sense key, additional sense code and its qualifier. */
export type Sense = readonly [key: number, code: number, qualifier: number];

export const senseKey = { none: 0x0, notReady: 0x2, mediumError: 0x3, illegalRequest: 0x5, unitAttention: 0x6 } as const;

export const additional = {
  none: [senseKey.none, 0x00, 0x00],
  noMedium: [senseKey.notReady, 0x3a, 0x00],
  trayOpen: [senseKey.notReady, 0x3a, 0x00],
  readError: [senseKey.mediumError, 0x11, 0x00],
  invalidOperation: [senseKey.illegalRequest, 0x20, 0x00],
  outOfRange: [senseKey.illegalRequest, 0x21, 0x00],
  invalidField: [senseKey.illegalRequest, 0x24, 0x00],
  noSavedPages: [senseKey.illegalRequest, 0x39, 0x00],
  removalPrevented: [senseKey.notReady, 0x53, 0x02],
  mediumChanged: [senseKey.unitAttention, 0x28, 0x00],
} as const satisfies Record<string, Sense>;

type Handler = (drive: AtapiCdRom, packet: Uint8Array) => void;

const operation = {
  ...{ testUnitReady: 0x00, requestSense: 0x03, inquiry: 0x12, startStopUnit: 0x1b, preventAllow: 0x1e, readCapacity: 0x25 },
  ...{ read10: 0x28, seek10: 0x2b, readSubChannel: 0x42, readToc: 0x43, getConfiguration: 0x46, getEventStatus: 0x4a },
  ...{ readDiscInformation: 0x51, modeSense10: 0x5a, read12: 0xa8, setCdSpeed: 0xbb, mechanismStatus: 0xbd, readCd: 0xbe },
} as const;

/** Answered even if there is something the host must hear first (MMC-3, 4.1.6). */
export const underAttention: ReadonlySet<number> = new Set([
  operation.requestSense,
  operation.inquiry,
  operation.getConfiguration,
  operation.getEventStatus,
]);

export const needsMedium: ReadonlySet<number> = new Set([
  operation.testUnitReady,
  operation.readCapacity,
  operation.read10,
  operation.read12,
  operation.readCd,
  operation.seek10,
  operation.readSubChannel,
  operation.readToc,
  operation.readDiscInformation,
]);

const word = (packet: Uint8Array, at: number) => (packet[at] << 8) | packet[at + 1];
const long = (packet: Uint8Array, at: number) => ((word(packet, at) << 16) | word(packet, at + 2)) >>> 0;

function readFrames(drive: AtapiCdRom, first: number, count: number, size: number): void {
  if (first + count > drive.frames) drive.reject(additional.outOfRange);
  else if (count === 0) drive.good();
  else drive.readFrames(first, count, size);
}

function replyOrReject(drive: AtapiCdRom, bytes: number[] | null, allocated: number): void {
  if (bytes === null) drive.reject(additional.invalidField);
  else drive.reply(bytes, allocated);
}

/** READ CD: byte 9 says which parts of a frame the host wants. */
function readCd(drive: AtapiCdRom, packet: Uint8Array): void {
  const parts = packet[9] & 0xf8;
  const count = (packet[6] << 16) | word(packet, 7);
  if (parts === 0 || count === 0) drive.good();
  else if (parts === 0x10) readFrames(drive, long(packet, 2), count, frameBytes.data);
  else if (parts === 0xf8) readFrames(drive, long(packet, 2), count, frameBytes.raw);
  else drive.reject(additional.invalidField);
}

function readToc(drive: AtapiCdRom, packet: Uint8Array): void {
  const msf = (packet[1] & 2) !== 0;
  // SFF-8020i has the format in the control byte, MMC in byte 2.
  const format = packet[9] >> 6 || packet[2] & 0x0f;
  const bytes =
    format === 0
      ? tableOfContents(drive.frames, msf, packet[6])
      : format === 1
        ? sessionInformation(msf)
        : format === 2
          ? fullTableOfContents(drive.frames, msf)
          : null;
  replyOrReject(drive, bytes, word(packet, 7));
}

function startStopUnit(drive: AtapiCdRom, packet: Uint8Array): void {
  const start = (packet[4] & 1) !== 0;
  const loadOrEject = (packet[4] & 2) !== 0;
  const powerCondition = packet[4] >> 4;
  if (powerCondition === 0 && loadOrEject && !drive.moveTray(!start)) drive.reject(additional.removalPrevented);
  else drive.good();
}

function senseModes(drive: AtapiCdRom, packet: Uint8Array): void {
  const values = packet[2] >> 6;
  if (values === 3) drive.reject(additional.noSavedPages);
  else if (values !== 0) drive.reject(additional.invalidField);
  else replyOrReject(drive, modeSense(packet[2] & 0x3f, drive.trayIsLocked), word(packet, 7));
}

function getEventStatus(drive: AtapiCdRom, packet: Uint8Array): void {
  // Only polling: the drive has no way to answer later.
  if ((packet[1] & 1) === 0) return drive.reject(additional.invalidField);
  const asksForMedia = (packet[4] & 0x10) !== 0;
  const event = asksForMedia ? drive.takeEvent() : 0;
  drive.reply(eventStatus(asksForMedia, event, drive.trayIsOpen, drive.hasMedium), word(packet, 7));
}

export const packetCommands: Readonly<Record<number, Handler>> = {
  [operation.testUnitReady]: (drive) => drive.good(),
  [operation.requestSense]: (drive, packet) => drive.reply(senseData(...drive.takeSense()), packet[4]),
  [operation.inquiry]: (drive, packet) => drive.reply(inquiry(drive.identification), packet[4]),
  [operation.startStopUnit]: startStopUnit,
  [operation.preventAllow]: (drive, packet) => {
    drive.lock((packet[4] & 1) !== 0);
    drive.good();
  },
  [operation.readCapacity]: (drive) => drive.reply(capacity(drive.frames), 8),
  [operation.read10]: (drive, packet) => readFrames(drive, long(packet, 2), word(packet, 7), frameBytes.data),
  [operation.read12]: (drive, packet) => readFrames(drive, long(packet, 2), long(packet, 6), frameBytes.data),
  [operation.readCd]: readCd,
  [operation.seek10]: (drive, packet) => {
    if (long(packet, 2) >= drive.frames) drive.reject(additional.outOfRange);
    else drive.good();
  },
  [operation.readSubChannel]: (drive, packet) => {
    const wantsPosition = (packet[2] & 0x40) !== 0;
    if (wantsPosition && packet[3] !== 1) drive.reject(additional.invalidField);
    else drive.reply(subChannel((packet[1] & 2) !== 0, wantsPosition), word(packet, 7));
  },
  [operation.readToc]: readToc,
  [operation.getConfiguration]: (drive, packet) => drive.reply(configuration(drive.frames, word(packet, 2), packet[1] & 3), word(packet, 7)),
  [operation.getEventStatus]: getEventStatus,
  [operation.readDiscInformation]: (drive, packet) => {
    if ((packet[1] & 7) !== 0) drive.reject(additional.invalidField);
    else drive.reply(discInformation(), word(packet, 7));
  },
  [operation.modeSense10]: senseModes,
  [operation.setCdSpeed]: (drive) => drive.good(),
  [operation.mechanismStatus]: (drive, packet) => drive.reply(mechanismStatus(), word(packet, 8)),
};

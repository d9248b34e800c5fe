/**
 * The VGA's own registers behind ports 3B0h-3BBh and 3C0h-3DFh: their indexes, protection and flip-flop (IBM PS/2 Hardware Interface Technical
 * Reference, "Video Subsystem"). What they do is elsewhere: window.ts (CPU access), scan.ts and the renderers (display), timing.ts (status).
 */
import type { SavedState } from "../device.ts";
import { Dac } from "./dac.ts";

export const sequencerRegister = { reset: 0, clocking: 1, mapMask: 2, fontSelect: 3, memoryMode: 4 } as const;

export const crtcRegister = {
  ...{ horizontalTotal: 0x00, horizontalDisplayEnd: 0x01, horizontalRetraceStart: 0x04, horizontalRetraceEnd: 0x05, verticalTotal: 0x06 },
  ...{ overflow: 0x07, presetRowScan: 0x08, maximumScanLine: 0x09, cursorStart: 0x0a, cursorEnd: 0x0b, startHigh: 0x0c, startLow: 0x0d },
  ...{ cursorHigh: 0x0e, cursorLow: 0x0f, verticalRetraceStart: 0x10, verticalRetraceEnd: 0x11, verticalDisplayEnd: 0x12, offset: 0x13 },
  ...{ underline: 0x14, modeControl: 0x17, lineCompare: 0x18 },
} as const;

export const graphicsRegister = {
  ...{ setReset: 0, enableSetReset: 1, colorCompare: 2, dataRotate: 3, readMapSelect: 4, mode: 5, miscellaneous: 6 },
  ...{ colorDontCare: 7, bitMask: 8 },
} as const;

export const attributeRegister = { mode: 0x10, overscan: 0x11, colorPlaneEnable: 0x12, pelPanning: 0x13, colorSelect: 0x14 } as const;

/** Bits that exist; the others read as zero. */
const sequencerBits = [0x03, 0x3d, 0x0f, 0x3f, 0x0e];
const graphicsBits = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
const attributeBits = [...new Array<number>(16).fill(0x3f), 0xef, 0xff, 0x3f, 0x0f, 0x0f];
const crtcCount = 0x19;

/** Attribute address register: the palette drives the display. */
const paletteAddressSource = 0x20;
const colorAddresses = 0x01;
/** Vertical retrace end: registers 0-7 are protected, but for the line compare bit in the overflow register. */
const protect = 0x80;
const protectedCount = 8;
const overflowLineCompare = 0x10;

/** Ports from 3B0h. */
const port = {
  ...{ monoCrtcIndex: 0x04, monoCrtcData: 0x05, monoStatus: 0x0a, attribute: 0x10, attributeRead: 0x11, miscellaneous: 0x12, enable: 0x13 },
  ...{ sequencerIndex: 0x14, sequencerData: 0x15, dacMask: 0x16, dacReadIndex: 0x17, dacWriteIndex: 0x18, dacData: 0x19, featureRead: 0x1a },
  ...{ miscellaneousRead: 0x1c, graphicsIndex: 0x1e, graphicsData: 0x1f, colorCrtcIndex: 0x24, colorCrtcData: 0x25, colorStatus: 0x2a },
} as const;
/** Input status 0: the switch sense line tells of a colour monitor. */
const switchSense = 0x10;

export class VgaRegisters {
  readonly sequencer = new Uint8Array(sequencerBits.length);
  readonly crtc = new Uint8Array(crtcCount);
  readonly graphics = new Uint8Array(graphicsBits.length);
  readonly attribute = new Uint8Array(attributeBits.length);
  readonly dac: Dac;
  miscellaneous = 0;
  /** Called after the registers of CPU access (sequencer, graphics controller, miscellaneous output) were written. */
  accessChanged: () => void = () => {};

  private readonly changed: () => void;
  /** Input status 1, from the display's timing. */
  private readonly status: () => number;
  private sequencerIndex = 0;
  private crtcIndex = 0;
  private graphicsIndex = 0;
  private attributeIndex = 0;
  /** The next write to 3C0h is data. */
  private attributeData = false;
  private feature = 0;
  private enable = 0;

  constructor(status: () => number, changed: () => void) {
    this.status = status;
    this.changed = changed;
    this.dac = new Dac(changed);
  }

  /** False while the CPU may be loading the palette: the screen is blank. */
  get displaysPalette(): boolean {
    return (this.attributeIndex & paletteAddressSource) !== 0;
  }

  reset(): void {
    for (const registers of [this.sequencer, this.crtc, this.graphics, this.attribute]) registers.fill(0);
    this.dac.reset();
    this.miscellaneous = this.sequencerIndex = this.crtcIndex = this.graphicsIndex = this.attributeIndex = this.feature = this.enable = 0;
    this.attributeData = false;
    this.changed();
    this.accessChanged();
  }

  save(): SavedState {
    const { sequencer, crtc, graphics, attribute, dac, miscellaneous, feature, enable, attributeData } = this;
    return {
      ...{ sequencer: sequencer.slice(), crtc: crtc.slice(), graphics: graphics.slice(), attribute: attribute.slice(), dac: dac.save() },
      ...{ miscellaneous, feature, enable, attributeData },
      indexes: [this.sequencerIndex, this.crtcIndex, this.graphicsIndex, this.attributeIndex],
    };
  }

  restore(state: SavedState): void {
    this.sequencer.set(state.sequencer as Uint8Array);
    this.crtc.set(state.crtc as Uint8Array);
    this.graphics.set(state.graphics as Uint8Array);
    this.attribute.set(state.attribute as Uint8Array);
    this.dac.restore(state.dac as SavedState);
    this.miscellaneous = state.miscellaneous as number;
    this.feature = state.feature as number;
    this.enable = state.enable as number;
    this.attributeData = state.attributeData as boolean;
    [this.sequencerIndex, this.crtcIndex, this.graphicsIndex, this.attributeIndex] = state.indexes as number[];
    this.changed();
    this.accessChanged();
  }

  /** @param offset port - 3B0h, byte cycles */
  read(offset: number): number {
    switch (this.decode(offset)) {
      case port.attribute:
        return this.attributeIndex;
      case port.attributeRead:
        return this.attribute[this.attributeIndex & 0x1f] ?? 0;
      case port.miscellaneous:
        return switchSense;
      case port.enable:
        return this.enable;
      case port.sequencerIndex:
        return this.sequencerIndex;
      case port.sequencerData:
        return this.sequencer[this.sequencerIndex] ?? 0;
      case port.dacMask:
        return this.dac.mask;
      case port.dacReadIndex:
        return this.dac.state;
      case port.dacWriteIndex:
        return this.dac.writeIndex;
      case port.dacData:
        return this.dac.readData();
      case port.featureRead:
        return this.feature;
      case port.miscellaneousRead:
        return this.miscellaneous;
      case port.graphicsIndex:
        return this.graphicsIndex;
      case port.graphicsData:
        return this.graphics[this.graphicsIndex] ?? 0;
      case port.colorCrtcIndex:
        return this.crtcIndex;
      case port.colorCrtcData:
        return this.crtc[this.crtcIndex] ?? 0;
      case port.colorStatus:
        this.attributeData = false;
        return this.status();
      default:
        return 0xff;
    }
  }

  write(offset: number, value: number): void {
    switch (this.decode(offset)) {
      case port.attribute:
        this.writeAttribute(value);
        break;
      case port.miscellaneous:
        this.miscellaneous = value & 0xef;
        this.changed();
        this.accessChanged();
        break;
      case port.enable:
        this.enable = value & 1;
        break;
      case port.sequencerIndex:
        this.sequencerIndex = value & 7;
        break;
      case port.sequencerData:
        this.writeSequencer(value);
        break;
      case port.dacMask:
        this.dac.writeMask(value);
        break;
      case port.dacReadIndex:
        this.dac.startRead(value);
        break;
      case port.dacWriteIndex:
        this.dac.startWrite(value);
        break;
      case port.dacData:
        this.dac.writeData(value);
        break;
      case port.graphicsIndex:
        this.graphicsIndex = value & 15;
        break;
      case port.graphicsData:
        this.writeGraphics(value);
        break;
      case port.colorCrtcIndex:
        this.crtcIndex = value & 0x3f;
        break;
      case port.colorCrtcData:
        this.writeCrtc(value);
        break;
      case port.colorStatus:
        this.feature = value & 0x0b;
        break;
    }
  }

  /** The CRTC, status and feature ports are at 3Bxh or at 3Dxh, never both; gives the colour one for either. */
  private decode(offset: number): number {
    if (offset >= port.attribute && offset <= port.graphicsData) return offset;
    const isColor = (this.miscellaneous & colorAddresses) !== 0;
    if (offset === port.colorCrtcIndex || offset === port.colorCrtcData || offset === port.colorStatus) return isColor ? offset : -1;
    if (offset === port.monoCrtcIndex || offset === port.monoCrtcData || offset === port.monoStatus) return isColor ? -1 : offset + 0x20;
    return -1;
  }

  private writeAttribute(value: number): void {
    if (this.attributeData) {
      const index = this.attributeIndex & 0x1f;
      if (index < attributeBits.length) this.attribute[index] = value & attributeBits[index];
    } else this.attributeIndex = value & 0x3f;
    this.attributeData = !this.attributeData;
    this.changed();
  }

  private writeSequencer(value: number): void {
    const index = this.sequencerIndex;
    if (index >= sequencerBits.length) return;
    this.sequencer[index] = value & sequencerBits[index];
    if (index !== sequencerRegister.mapMask) this.changed();
    this.accessChanged();
  }

  private writeGraphics(value: number): void {
    const index = this.graphicsIndex;
    if (index >= graphicsBits.length) return;
    this.graphics[index] = value & graphicsBits[index];
    if (index === graphicsRegister.mode || index === graphicsRegister.miscellaneous) this.changed();
    this.accessChanged();
  }

  private writeCrtc(value: number): void {
    const index = this.crtcIndex;
    if (index >= crtcCount) return;
    if (index < protectedCount && (this.crtc[crtcRegister.verticalRetraceEnd] & protect) !== 0) {
      if (index !== crtcRegister.overflow) return;
      this.crtc[index] = (this.crtc[index] & ~overflowLineCompare) | (value & overflowLineCompare);
    } else this.crtc[index] = value;
    this.changed();
  }
}

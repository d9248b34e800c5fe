/**
 * Decodes guest code into blocks of the code cache, and keeps the handlers of the shapes met on the way. The layout of a block is described in code-cache.ts.
 */
import { isLinearCode, type ModeKey, mode, modeWidth } from "../../translator/contract/mode-key.ts";
import { segment, slot } from "../../translator/contract/slots.ts";
import { decodeFailure, type ShapeCode, type Translator } from "../../translator/contract/translator.ts";
import type { LinearMemory } from "../memory/linear.ts";
import { type CodeCache, modeMask, shapeBits } from "./code-cache.ts";
import { compile, type HostNames } from "./compile.ts";
import { Layouts } from "./layouts.ts";
import { firstRegionShape, firstShape, type Handler, maximumBlockInstructions, maximumShapes, pseudo, wrapping } from "./pseudo-shapes.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { singleStep } = mode;

/** Times that an instruction of a block is repaired before the block runs again: once for each byte of an immediate. */
const mostRepairs = 4;

/** Times that blocks are repaired in vain until they are let die at once, and in how many of so many writes (a power of two) they are from then on. */
const mostWasted = 4;
const wastedPeriod = 64;
const wastedRefused = wastedPeriod - mostRepairs;

/** Stands for a shape whose code was not made yet; never run. */
const missing: Handler = () => {
  throw new Error("a shape without a handler");
};

export class BlockBuilder {
  /** Tier 0 in WebAssembly, told of every shape. */
  wasm: { add(number: number): void; forget(): void } | undefined;
  /** The superinstruction that two neighbours are fused to as they are decoded, or -1 (Translator.fuse, fusionOf). */
  fuseNext: ((first: number, second: number) => number) | undefined;
  private readonly handlers: Handler[];
  /** Words of an instruction by shape number: shape word, fields, links. */
  readonly sizes: number[] = [];
  /** Guest instructions by shape number. */
  readonly instructions: number[] = [];

  private readonly cache: CodeCache;
  private readonly C: Int32Array;
  private readonly R: Int32Array;
  private readonly memory: LinearMemory;
  private readonly translator: Translator;
  private readonly host: HostNames;
  private readonly makeRoom: () => void;
  /** There are too many shapes: `forgetShapes` is to be called when nothing of the guest is under way. */
  crowded: () => void = () => {};
  private readonly straddleBytes = new Uint8Array(32);
  private readonly layouts = new Layouts();
  /** Fields of the instructions that are being fused. */
  private readonly fields = new Int32Array(256);
  /** Links of the block that is being decoded: place, page offset that it leads to, whether that wraps around. */
  private readonly exits: number[] = [];
  /** A block's words while they are made anew. */
  private readonly words = new Int32Array(2048);
  /** Blocks that were repaired, by header: their executions then, and the instruction. */
  private readonly repaired = new Map<number, { readonly executions: number; readonly at: number; readonly times: number }>();
  /**
   * By header, how often blocks there died before they ran what had been repaired: a generator that writes one function over another reaches an opcode in the end. Those decoded in the place of a dead one
   * have its header.
   */
  private readonly wasted = new Map<number, number>();
  /** Page offset of the last of the instructions that `decodeParts` decoded. */
  private lastPart = 0;
  private readonly openBus = new Uint8Array(0x1000).fill(0xff);

  /**
   * @param handlers by shape number; filled at full length at once, for an array that grew by gaps would be a dictionary
   * @param makeRoom drops all translated code: the cache is full
   */
  constructor(
    cache: CodeCache,
    R: Int32Array,
    memory: LinearMemory,
    translator: Translator,
    host: HostNames,
    handlers: Handler[],
    makeRoom: () => void,
  ) {
    this.R = R;
    this.cache = cache;
    this.C = cache.C;
    this.memory = memory;
    this.translator = translator;
    this.host = host;
    this.handlers = handlers.fill(missing);
    this.makeRoom = makeRoom;
  }

  /** Gives a pseudo-instruction its handler. */
  define(number: number, size: number, handler: Handler): void {
    this.handlers[number] = handler;
    this.sizes[number] = size;
    this.instructions[number] = 1;
  }

  /**
   * Decodes the block at `linear` = location `address` (memory/physical.ts); R[page] is that of its page. Raises #PF where an instruction goes on in a page that cannot be fetched.
   * @param identity what the block is to be found under: its mode key, for an `edge` block with the number of its place in the segment
   */
  decode(linear: number, address: number, key: ModeKey, identity: number): number {
    const { C, cache, memory, translator, layouts } = this;
    const { physical } = memory;
    if (translator.shapeCount > maximumShapes) this.crowded();
    if (cache.isFull) this.makeRoom();
    const page = address & ~0xfff;
    const isRam = physical.isRam(address);
    const bytes = isRam ? physical.u8 : this.fetchOutsideRam(address - (address % 0x1000));
    const base = isRam ? page >>> 0 : 0;
    const start = address & 0xfff;
    const limit = key & singleStep ? 1 : maximumBlockInstructions;
    const isLinear = isLinearCode(key);
    const begun = cache.begin(isLinear);
    let at = begun + 2;
    let offset = start;
    let count = 0;
    const { exits } = this;
    exits.length = 0;
    const { fields } = this;
    let secondPage = -1;
    let ended = false;
    let isShared = true;
    /** What is to be stored next, for another instruction may be fused with it: its shape, where it begins, where its last part does, and how many `fields` it has. */
    let last = -1;
    let from = 0;
    let lastPart = 0;
    let fieldCount = 0;
    while (count < limit && offset < 0x1000) {
      let shape = translator.decode(bytes, base + offset, base + 0x1000, key, offset);
      if (shape === decodeFailure.truncated) {
        if (count > 0) break;
        if (!isLinear && this.isLastOfSegment()) {
          // What is behind must not even be looked at. A segment of another limit may let the instruction go on.
          isShared = false;
          C[at++] = pseudo.tooLong | (offset << 16);
          count++;
          offset = 0x1000;
          ended = true;
          break;
        }
        // The instruction goes on in the next page: fetch it now (which may fault, as the processor's fetch would).
        const next = memory.translateFetch(((linear & ~0xfff) + 0x1000) | 0);
        const tail = 0x1000 - offset;
        this.straddleBytes.set(physical.copyAt(address - start + offset, tail));
        this.straddleBytes.set(physical.copyAt(next, 16), tail);
        shape = translator.decode(this.straddleBytes, 0, tail + 16, key, offset);
        secondPage = next;
        C[at] = pseudo.straddle | (offset << 16);
        C[at + 1] = next;
        at += 2;
      }
      if (shape < 0) {
        if (last >= 0) at = this.store(last, at, from, lastPart, offset);
        last = -1;
        C[at++] = (shape === decodeFailure.tooLong ? pseudo.tooLong : pseudo.undefinedOpcode) | (offset << 16);
        count++;
        offset += translator.length;
        ended = true;
        break;
      }
      const fused = last < 0 || this.fuseNext === undefined ? -1 : this.fuseNext(last, shape);
      if (fused >= 0) shape = fused;
      else {
        if (last >= 0) at = this.store(last, at, from, lastPart, offset);
        from = offset;
        fieldCount = 0;
      }
      const { length } = translator;
      for (let k = 0; k < translator.fieldCount; k++) fields[fieldCount++] = translator.fields[k];
      last = shape;
      lastPart = offset;
      offset += length;
      count++;
      const number = shape + firstShape;
      if (layouts.places[number] === 0) this.addShape(shape);
      if ((layouts.ends[number] & 1) !== 0) {
        ended = true;
        break;
      }
      if (secondPage >= 0) break;
    }
    if (last >= 0) at = this.store(last, at, from, lastPart, offset);
    if (!ended) {
      C[at] = pseudo.fall | ((offset & 0xffff) << 16);
      exits.push(at + 1, offset, 0);
      at += 2;
    }
    // Code that is written anew all the time must not fill the cache.
    const dead = isLinear && isRam && secondPage < 0 ? cache.placeOfDead(address, identity, at - begun) : 0;
    const header = dead === 0 ? begun : dead;
    const moved = header - begun;
    if (moved !== 0) C.copyWithin(header + 2, begun + 2, at);
    const end = at + moved;
    cache.take(header, end);
    for (let k = 0; k < exits.length; k += 3) this.addStub(exits[k] + moved, exits[k + 1], page, exits[k + 2]);
    if (!isLinear) {
      C[header - 4] = this.R[slot.page];
      C[header - 5] = this.R[slot.segmentLimit + segment.cs];
      C[header - 6] = this.R[slot.segmentBase + segment.cs];
    }
    if (isRam && isShared) cache.finish(header, end, address, identity, offset - start, count);
    else cache.finishOnce(header, end, key, offset - start, count);
    if (isRam && secondPage >= 0 && physical.isRam(secondPage)) cache.coverSecondPage(secondPage >>> 12, header, offset - 0x1000);
    return header;
  }

  /**
   * Stores the instruction or superinstruction of shape `shape` at word `at`, with `fields`, and notes its links.
   * @param from page offset of its first byte, of the last part of it, of what is behind it
   * @returns the word after it
   */
  private store(shape: number, at: number, from: number, lastPart: number, next: number): number {
    const { C, fields, layouts } = this;
    const number = shape + firstShape;
    const { words } = layouts;
    const place = layouts.places[number];
    const end = place + words[place];
    C[at++] = number | (from << 16);
    for (let k = place + 1; k <= end; k++) C[at++] = fields[words[k]];
    if ((layouts.ends[number] & 2) === 0) return at;
    for (const exit of this.translator.shape(shape).exits) {
      const offset = exit.kind === "next" ? next : exit.kind === "self" ? lastPart : fields[exit.field];
      this.exits.push(at++, offset, exit.kind === "field" && exit.wraps ? wrapping : 0);
    }
    return at;
  }

  /** Whether the code segment ends with R[page] or before. */
  private isLastOfSegment(): boolean {
    const { R } = this;
    return (R[slot.page] + 0xfff) >>> 0 >= R[slot.segmentLimit + segment.cs] >>> 0;
  }

  /** The page at `page` outside RAM (a jump into the void): what the bus answers. */
  private fetchOutsideRam(page: number): Uint8Array {
    const { physical } = this.memory;
    if (!physical.hasWindow(page)) return this.openBus;
    return physical.copyAt(page, 0x1000);
  }

  /**
   * Fuses neighbouring instructions of the block at `header` into superinstructions, in place: the words become fewer, the links stay what they are. The block must
   * not be under way. Nothing is done for blocks outside RAM or with an instruction that straddles pages.
   */
  fuse(header: number): void {
    const { C, translator, fields, words } = this;
    const address = C[header - 3];
    const { physical } = this.memory;
    if (address === -1 || !physical.isRam(address)) return;
    const page = (address & ~0xfff) >>> 0;
    const key = C[header - 2] & modeMask;
    const end = C[header - 1];
    let top = 0;
    /** Places of the links of the last instruction, before and after. */
    let oldLinks = 0;
    let newLinks = 0;
    let linkCount = 0;
    /** What is being put together: its shape and page offset; its fields are in `fields`. */
    let shape = -1;
    let from = 0;
    let fieldCount = 0;
    const emit = (): void => {
      if (shape < 0) return;
      const code = translator.shape(shape);
      words[top++] = (shape + firstShape) | (from << 16);
      for (const field of code.layout) words[top++] = fields[field];
      newLinks = top;
      linkCount = code.exits.length;
      for (let k = 0; k < linkCount; k++) words[top++] = C[oldLinks + k];
      shape = -1;
    };
    for (let p = header + 2; p < end; p += this.sizes[C[p] & shapeBits]) {
      const number = C[p] & shapeBits;
      const size = this.sizes[number];
      if (number === pseudo.straddle) return;
      if (number < firstShape) {
        emit();
        for (let k = 0; k < size; k++) words[top + k] = C[p + k];
        if (number === pseudo.fall) {
          linkCount = 1;
          oldLinks = p + 1;
          newLinks = top + 1;
        }
        top += size;
        continue;
      }
      let offset = C[p] >>> 16;
      let next = -1;
      for (let part = this.instructions[number]; part > 0; part--) {
        next = translator.decode(physical.u8, page + offset, page + 0x1000, key, offset);
        const together = shape < 0 ? -1 : translator.fuse(shape, next);
        if (together < 0) {
          emit();
          from = offset;
          fieldCount = 0;
        }
        shape = together < 0 ? next : together;
        fields.set(translator.fields.subarray(0, translator.fieldCount), fieldCount);
        fieldCount += translator.fieldCount;
        offset += translator.length;
      }
      oldLinks = p + size - translator.shape(next).exits.length;
    }
    emit();
    if (top >= end - header - 2) return;
    const start = header + 2;
    for (let k = 0; k < linkCount; k++) {
      // A stub knows the word that leads to it.
      const stub = ~C[oldLinks + k];
      const shape = C[stub + 2] & shapeBits;
      if ((shape === pseudo.stub || shape === pseudo.crossPage || shape === pseudo.crossSegmented) && C[stub + 4] === oldLinks + k)
        C[stub + 4] = start + newLinks + k;
    }
    for (let k = 0; k < top; k++) C[start + k] = words[k];
    C[header - 1] = start + top;
    for (let p = start; p < start + top; p += this.sizes[C[p] & shapeBits]) {
      const number = C[p] & shapeBits;
      if (this.handlers[number] === missing) this.addShape(number - firstShape);
    }
  }

  /**
   * Bytes [from, to) of the page of the block at `header` were written: renews it. Code that patches its immediates is not decoded anew each time, and a block under way goes on with
   * what was written. A block that did not run since it was repaired may be one that nobody runs any more, and is not again, but for the rest of the same instruction; nor is one where that
   * was in vain most times.
   */
  repair(header: number, from: number, to: number): boolean {
    const executions = this.C[header + 1];
    const last = this.repaired.get(header);
    if (last !== undefined && last.executions !== executions) this.wasted.delete(header);
    else if (this.isWasteful(header)) return false;
    const at = this.renew(header, from, to);
    if (at === 0) return false;
    const times = last?.executions === executions ? last.times + 1 : 1;
    if (times > mostRepairs || (times > 1 && last?.at !== at)) return false;
    this.repaired.set(header, { executions, at, times });
    return true;
  }

  /** Whether the block at `header` is better let die at once. */
  private isWasteful(header: number): boolean {
    const wasted = this.wasted.get(header) ?? 0;
    if (wasted < mostWasted) return false;
    this.wasted.set(header, wasted + 1);
    return ((wasted - mostWasted) & (wastedPeriod - 1)) < wastedRefused;
  }

  /**
   * Stores the new fields of the instructions that bytes [from, to) of the page of the block at `header` belong to, where those are still of the same shape and length and go nowhere
   * else.
   * @returns index of the last of them, or 0: one is not
   */
  renew(header: number, from: number, to: number): number {
    const { C, translator } = this;
    const page = (C[header - 3] & ~0xfff) >>> 0;
    const key = C[header - 2] & modeMask;
    const end = C[header - 1];
    const behind = (C[header - 3] & 0xfff) + (C[header - 2] >>> modeWidth);
    let at = header;
    for (let p = header + 2; p < end; ) {
      const number = C[p] & shapeBits;
      const offset = C[p] >>> 16;
      const q = p + this.sizes[number];
      if (offset >= to || number === pseudo.fall) break;
      const next = q < end ? C[q] >>> 16 : behind;
      if (next > from) {
        if (number < firstShape || this.decodeParts(page, offset, next, key, this.instructions[number]) + firstShape !== number) return 0;
        const { layout, exits } = translator.shape(number - firstShape);
        // Links lead on from the last part.
        if (exits.length > 0 && to > this.lastPart) return 0;
        for (let k = 0; k < layout.length; k++) C[p + 1 + k] = this.fields[layout[k]];
        at = p;
      }
      p = q;
    }
    return at;
  }

  /** The shape of the `count` instructions from page offset `offset` to `end`, fused; -1 if they are none, or longer or shorter. Their fields are in `fields`. */
  private decodeParts(page: number, offset: number, end: number, key: ModeKey, count: number): number {
    const { translator, fields } = this;
    let shape = -1;
    let at = offset;
    let fieldCount = 0;
    for (let k = 0; k < count; k++) {
      this.lastPart = at;
      const part = translator.decode(this.memory.physical.u8, page + at, page + 0x1000, key, at);
      if (part < 0) return -1;
      shape = k === 0 ? part : translator.fusionOf(shape, part);
      if (shape < 0) return -1;
      for (let n = 0; n < translator.fieldCount; n++) fields[fieldCount++] = translator.fields[n];
      at += translator.length;
    }
    return at === end ? shape : -1;
  }

  /** The block at `header` is no more. */
  died(header: number): void {
    const last = this.repaired.get(header);
    if (last === undefined) return;
    this.repaired.delete(header);
    const wasted = this.wasted.get(header) ?? 0;
    if (last.executions === this.C[header + 1] && wasted < mostWasted) this.wasted.set(header, wasted + 1);
  }
  /** Nor is any. */
  clear(): void {
    this.repaired.clear();
    this.wasted.clear();
  }

  /**
   * Makes a stub for page offset `offset`, pointed to by the link word `link`.
   * @param wraps `wrapping` if the target's EIP is taken modulo 64 KiB
   */
  addStub(link: number, offset: number, page: number, wraps = 0): void {
    const { C } = this;
    const at = this.cache.takeStub();
    C[at] = 0;
    C[at + 1] = 0;
    C[at + 2] = pseudo.stub | (wraps << 16);
    C[at + 3] = offset;
    C[at + 4] = link;
    C[at + 7] = page;
    C[link] = ~at;
  }

  private addShape(shape: number): void {
    const code = this.translator.shape(shape);
    const number = shape + firstShape;
    if (this.wasm === undefined) this.compileHandler(number, code);
    else {
      this.wasm.add(number);
      // For single steps, and if it is not for WebAssembly.
      this.handlers[number] = (p) => {
        this.compileHandler(number, code);
        const handler = this.handlers[number];
        return handler(p);
      };
    }
    this.sizes[number] = code.size;
    this.instructions[number] = code.instructions;
    this.layouts.add(number, code);
  }

  private compileHandler(number: number, code: ShapeCode): void {
    this.handlers[number] = compile<Handler>(code.text, ["R", "C", ...code.freeNames.filter((n) => n !== "R" && n !== "C")], this.host);
  }

  /** Drops the shapes with all code, nothing of which is under way: a guest has a few thousand, one that means harm (or chance) can have every combination of prefixes there is. */
  forgetShapes(): void {
    this.makeRoom();
    this.translator.forgetShapes();
    this.wasm?.forget();
    this.handlers.fill(missing, firstShape, firstRegionShape);
    this.layouts.clear();
    this.sizes.length = firstShape;
    this.instructions.length = firstShape;
  }
}

/** Register behaviour, from the IBM PS/2 Hardware Interface Technical Reference ("Video Subsystem") and FreeVGA. */
import { describe, expect, test } from "vitest";
import { crtcPort, graphicsPort, modes, sequencerPort, setMode, VgaRig } from "./support.ts";

describe("ports", () => {
  test("the CRTC, status and feature ports are at 3Dxh or 3Bxh by bit 0 of miscellaneous output", () => {
    const rig = new VgaRig();
    rig.out(0x3c2, 0x01);
    expect(rig.in(0x3cc)).toBe(0x01);
    rig.set(0x3d4, 0x0e, 0x12);
    rig.set(0x3b4, 0x0e, 0x34);
    expect(rig.get(0x3d4, 0x0e)).toBe(0x12);
    expect(rig.in(0x3b5)).toBe(0xff);
    rig.out(0x3da, 0x02);
    expect(rig.in(0x3ca)).toBe(0x02);
    rig.out(0x3c2, 0x00);
    expect(rig.in(0x3d5)).toBe(0xff);
    expect(rig.get(0x3b4, 0x0e)).toBe(0x12);
    rig.out(0x3ba, 0x01);
    expect(rig.in(0x3ca)).toBe(0x01);
  });

  test("a 16-bit write to an index port writes index and data", () => {
    const rig = new VgaRig();
    rig.out(sequencerPort, 0x0502, 2);
    expect(rig.in(sequencerPort)).toBe(2);
    expect(rig.in(sequencerPort + 1)).toBe(5);
    expect(rig.in(sequencerPort, 2)).toBe(0x0502);
  });

  test("bits that do not exist read as zero", () => {
    const rig = new VgaRig();
    rig.out(0x3c2, 0x01);
    for (const [index, mask] of [0x03, 0x3d, 0x0f, 0x3f, 0x0e].entries()) {
      rig.set(sequencerPort, index, 0xff);
      expect(rig.get(sequencerPort, index)).toBe(mask);
    }
    for (const [index, mask] of [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff].entries()) {
      rig.set(graphicsPort, index, 0xff);
      expect(rig.get(graphicsPort, index)).toBe(mask);
    }
  });
});

describe("CRTC", () => {
  test("bit 7 of register 11h protects registers 0-7, but for the line compare bit in 7", () => {
    const rig = new VgaRig();
    rig.out(0x3c2, 0x01);
    for (let i = 0; i < 8; i++) rig.set(crtcPort, i, 0x40 + i);
    rig.set(crtcPort, 0x11, 0x80);
    for (let i = 0; i < 8; i++) rig.set(crtcPort, i, 0xff);
    for (let i = 0; i < 7; i++) expect(rig.get(crtcPort, i)).toBe(0x40 + i);
    expect(rig.get(crtcPort, 7)).toBe(0x57);
    rig.set(crtcPort, 7, 0xef);
    expect(rig.get(crtcPort, 7)).toBe(0x47);
    rig.set(crtcPort, 0x12, 0x99);
    expect(rig.get(crtcPort, 0x12)).toBe(0x99);
    rig.set(crtcPort, 0x11, 0x00);
    rig.set(crtcPort, 0, 0xff);
    expect(rig.get(crtcPort, 0)).toBe(0xff);
  });
});

describe("attribute controller", () => {
  test("3C0h takes index and data in turn; reading the status port starts over with the index", () => {
    const rig = new VgaRig();
    rig.out(0x3c2, 0x01);
    rig.in(0x3da);
    rig.out(0x3c0, 0x02);
    rig.out(0x3c0, 0x15);
    rig.out(0x3c0, 0x03);
    rig.out(0x3c0, 0x16);
    rig.out(0x3c0, 0x02);
    expect(rig.in(0x3c0)).toBe(0x02);
    expect(rig.in(0x3c1)).toBe(0x15);
    // Reading does not turn the flip-flop: this is data.
    rig.out(0x3c0, 0x17);
    expect(rig.in(0x3c1)).toBe(0x17);
    rig.out(0x3c0, 0x04);
    rig.in(0x3da);
    rig.out(0x3c0, 0x03);
    expect(rig.in(0x3c1)).toBe(0x16);
  });

  test("the status port of the address not chosen does not reset the flip-flop", () => {
    const rig = new VgaRig();
    rig.out(0x3c2, 0x01);
    rig.in(0x3da);
    rig.out(0x3c0, 0x05);
    rig.in(0x3ba);
    rig.out(0x3c0, 0x2a);
    expect(rig.in(0x3c1)).toBe(0x2a);
  });

  test("the screen is blank while bit 5 of the index is clear", () => {
    const rig = new VgaRig();
    expect(rig.vga.kind).toBe("blank");
    setMode(rig, modes.text80x25);
    expect(rig.vga.kind).toBe("text");
    rig.in(0x3da);
    rig.out(0x3c0, 0x00);
    expect(rig.vga.kind).toBe("blank");
    expect([rig.vga.width, rig.vga.height]).toEqual([720, 400]);
    expect(rig.vga.render(true).pixels.slice(0, 4)).toEqual(Uint8ClampedArray.of(0, 0, 0, 255));
  });
});

describe("DAC", () => {
  test("an entry is written with its third component and the index moves on; reads likewise", () => {
    const rig = new VgaRig();
    rig.out(0x3c8, 0x10);
    for (const value of [0x01, 0x02, 0xff, 0x3f, 0x20, 0x10]) rig.out(0x3c9, value);
    expect(rig.in(0x3c8)).toBe(0x12);
    rig.out(0x3c7, 0x10);
    expect([1, 2, 3, 4, 5, 6].map(() => rig.in(0x3c9))).toEqual([0x01, 0x02, 0x3f, 0x3f, 0x20, 0x10]);
    // Two components only: the entry stays.
    rig.out(0x3c8, 0x10);
    rig.out(0x3c9, 0x09);
    rig.out(0x3c9, 0x09);
    rig.out(0x3c7, 0x10);
    expect([1, 2, 3].map(() => rig.in(0x3c9))).toEqual([0x01, 0x02, 0x3f]);
  });

  test("3C7h reads 3 after a read index, 0 after a write index; the index wraps", () => {
    const rig = new VgaRig();
    rig.out(0x3c7, 0xff);
    expect(rig.in(0x3c7) & 3).toBe(3);
    rig.out(0x3c8, 0xff);
    expect(rig.in(0x3c7) & 3).toBe(0);
    for (const value of [1, 2, 3, 4, 5, 6]) rig.out(0x3c9, value);
    rig.out(0x3c7, 0x00);
    expect([1, 2, 3].map(() => rig.in(0x3c9))).toEqual([4, 5, 6]);
  });

  test("the mask is applied to every pixel", () => {
    const rig = new VgaRig();
    setMode(rig, modes.vga320x200x256);
    rig.out(0x3c8, 0x01);
    for (const value of [0x3f, 0, 0, 0, 0x3f, 0]) rig.out(0x3c9, value);
    rig.poke(0xa0000, 0x02);
    expect(VgaRig.pixel(rig.vga.render(true), 0, 0)).toBe(0x00ff00);
    rig.poke(0xa0000, 0x81);
    rig.out(0x3c6, 0x0f);
    expect(VgaRig.pixel(rig.vga.render(true), 0, 0)).toBe(0xff0000);
    expect(rig.in(0x3c6)).toBe(0x0f);
  });
});

describe("input status 1 follows the beam", () => {
  test("retrace and display enable over a frame of 640x480 at 60 Hz", () => {
    const rig = new VgaRig();
    setMode(rig, modes.vga640x480x16);
    // 25.175 MHz, 800 dots a line, 525 lines, retrace in lines 490 and 491 (VESA DMT, 640x480 at 60 Hz).
    const lineTime = (800 / 25.175e6) * 1e9;
    const seen = { retraceLines: 0, displayedLines: 0, rises: 0 };
    let before = false;
    for (let line = 0; line < 525; line++) {
      rig.clock.runTo(Math.ceil((line + 0.1) * lineTime));
      const status = rig.in(0x3da);
      const retrace = (status & 8) !== 0;
      if (retrace) seen.retraceLines++;
      if (retrace && !before) {
        seen.rises++;
        expect(line).toBe(490);
      }
      before = retrace;
      if ((status & 1) === 0) seen.displayedLines++;
      else expect(line).toBeGreaterThanOrEqual(480);
      rig.clock.runTo(Math.ceil((line + 0.9) * lineTime));
      expect(rig.in(0x3da) & 1, "horizontal blanking").toBe(1);
    }
    expect(seen).toEqual({ retraceLines: 2, displayedLines: 480, rises: 1 });
  });

  test("70 Hz in text mode; a CRTC that was never set up has retraces too", () => {
    for (const [set, hertz] of [
      [true, 70.09],
      [false, 60],
    ] as const) {
      const rig = new VgaRig();
      rig.out(0x3c2, 0x01);
      if (set) setMode(rig, modes.text80x25);
      let rises = 0;
      let before = 0;
      for (let time = 0; time < 1e9; time += 20_000) {
        rig.clock.runTo(time);
        const retrace = rig.in(0x3da) & 8;
        if (retrace !== 0 && before === 0) rises++;
        before = retrace;
      }
      expect(Math.abs(rises - hertz)).toBeLessThan(1.1);
    }
  });
});

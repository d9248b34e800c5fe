/** Drives, boot order and scripts as they are written on the command line. */
import { describe, expect, it } from "vitest";
import { parseArguments, type RunOptions } from "../../src/cli/arguments.ts";
import { chooseConsole } from "../../src/cli/console.ts";

function options(...argv: string[]): RunOptions {
  const invocation = parseArguments(argv);
  if (invocation.action !== "command") throw new Error("no command");
  expect(invocation.command).toBe("run");
  return invocation.options;
}
const drives = (...argv: string[]) => options("run", ...argv).drives.map(({ option: _, ...drive }) => drive);
const disk = { media: "disk", readOnly: false, snapshot: false };

describe("drives", () => {
  it("have their places by name, with one dash or two, with or without a command", () => {
    const wanted = [
      { place: "hda", path: "a.img", ...disk },
      { place: "hdc", path: "x.iso", ...disk, media: "cdrom" },
      { place: "fda", path: "y.img", ...disk },
      { place: "virtio", path: "v.qcow2", ...disk, format: "qcow2", readOnly: true },
      { place: "virtio", path: "w", ...disk },
    ];
    expect(drives("--hda", "a.img", "--cdrom", "x.iso", "--fda", "y.img", "--virtio", "v.qcow2,format=qcow2,readonly", "--virtio", "w")).toEqual(
      wanted,
    );
    expect(options("-hda", "a.img", "-cdrom", "x.iso", "-fda=y.img").drives.map((d) => d.place)).toEqual(["hda", "hdc", "fda"]);
  });

  it("as QEMU's -drive", () => {
    expect(drives("-drive", "file=a.img,format=raw")).toEqual([{ place: "hda", path: "a.img", ...disk, format: "raw" }]);
    expect(drives("-drive", "file=a.img,if=virtio,id=x,cache=none")).toEqual([{ place: "virtio", path: "a.img", ...disk }]);
    expect(drives("-drive", "file=f.img,if=floppy,index=1,readonly=on")).toEqual([{ place: "fdb", path: "f.img", ...disk, readOnly: true }]);
    expect(drives("-drive", "file=a,,b.iso,media=cdrom,index=2,snapshot=off")).toEqual([{ place: "hdc", path: "a,b.iso", ...disk, media: "cdrom" }]);
    expect(drives("-drive", "file=a,bus=1,unit=1")).toMatchObject([{ place: "hdd" }]);
    // Without an index the next that is free, around the ones with a place of their own.
    expect(drives("-drive", "file=b", "-drive", "file=c", "--hda", "a", "-cdrom", "d").map((d) => `${d.place}=${d.path}`)).toEqual([
      "hda=a",
      "hdc=d",
      "hdb=b",
      "hdd=c",
    ]);
  });

  it.each([
    [["--hda", "a", "--drive", "file=b,index=0"], /--drive file=b,index=0: --hda a is the first IDE drive \(hda\) already/],
    [["--cdrom", "a", "--hdc", "b"], /--hdc b: --cdrom a is the third IDE drive/],
    [["--drive", "a.img"], /--drive a\.img: expected file=FILE/],
    [["--drive", "file=a,if=scsi"], /if=scsi: expected ide, virtio or floppy/],
    [["--drive", "file=a,format=vmdk"], /format=vmdk: expected raw or qcow2/],
    [["--drive", "file=a,index=4"], /index=4: expected 0 to 3/],
    [["--drive", "file=a,index=x"], /index=x: expected a number/],
    [["--drive", "file=a,media=tape"], /media=tape: expected disk or cdrom/],
    [["--drive", "file=a,readonly=maybe"], /readonly=maybe: expected on or off/],
    [["--virtio", "a,b"], /unknown word "b"; write a comma in a file's name twice/],
    [["--hda", ""], /--hda needs a value: --hda FILE/],
    [["--boot", "x"], /--boot x: expected the letters c/],
    [["--boot", "cc"], /each once/],
    [["--boot", "menu=maybe"], /menu=maybe: expected on or off/],
    [["--boot", "once=d"], /unknown word "once"/],
    [["--display", "gtk"], /--display gtk: expected one of text, web, none/],
    [["--at", "5"], /--at needs --screenshot FILE\.png or --screen-text FILE/],
    [["--screenshot", "x.png", "--at", "soon"], /--at soon: expected a number of seconds/],
    [["--type", "{Frob nicate}"], /--type \{Frob nicate\}: .*no key "Frob nicate"/],
    [["--type", "x{Foo}"], /--type x\{Foo\}: \{Foo\}: no key "Foo"; expected names such as Enter/],
    [["--drive", "file=a,if=floppy,media=cdrom"], /media=cdrom: a CD drive is on if=ide/],
    [["--drive", "file=a,if=virtio,media=cdrom"], /media=cdrom: a CD drive is on if=ide/],
    [["--boot", "="], /--boot =: expected words such as order=dc or menu=on/],
    [["--boot", "order="], /expected the letters c/],
    [["--type", "naïve"], /no key of a US keyboard makes "ï"/],
    [["--type", "x", "--after", "/(/"], /--after \/\(\/: /],
  ] as const)("%s is refused", (argv, message) => {
    expect(() => options("run", ...argv)).toThrow(message);
  });
});

describe("boot order", () => {
  it.each([
    ["d", { order: "d" }],
    ["cda", { order: "cda" }],
    ["order=dc,menu=on", { order: "dc", menuWait: 2500 }],
    ["menu=on,splash-time=100", { menuWait: 100 }],
    ["menu=off,strict=on", {}],
  ])("--boot %s", (text, wanted) => expect(options("run", "--boot", text).boot).toEqual(wanted));
});

describe("--type and --after", () => {
  const script = (...argv: string[]) => options("run", ...argv).script;

  it("pair in order, whichever comes first", () => {
    const wanted = [
      { type: "root\n", after: "login:" },
      { type: "ls\t\x1b\\", after: "# " },
    ];
    expect(script("--type", "root\\n", "--after", "login:", "--type", "ls\\t\\e\\\\", "--after", "# ")).toEqual(wanted);
    expect(script("--after", "login:", "--type", "root\\n", "--after", "# ", "--type", "ls\\t\\x1b\\\\")).toEqual(wanted);
  });

  it("takes regular expressions, texts without a condition, and conditions without a text", () => {
    expect(script("--type", "{F12}", "--type", "2", "--after", "/boot device/i")).toEqual([{ type: "{F12}" }, { type: "2", after: /boot device/i }]);
    expect(script("--after", "done")).toEqual([{ after: "done" }]);
  });
});

describe("what the terminal shows", () => {
  const choose = (isTerminal: boolean, ...argv: string[]) => chooseConsole(options("run", ...argv), isTerminal);

  it("is the screen of a PC with drives, at a terminal; else serial port 0", () => {
    expect(choose(true, "--hda", "x")).toEqual({ display: "text", serial: { kind: "none" } });
    expect(choose(false, "--hda", "x")).toEqual({ display: "none", serial: { kind: "stdio" } });
    expect(choose(true, "--kernel", "x", "--hda", "y")).toEqual({ display: "none", serial: { kind: "stdio" } });
    expect(choose(true, "--hda", "x", "--serial", "stdio")).toEqual({ display: "none", serial: { kind: "stdio" } });
    expect(choose(true, "--hda", "x", "-nographic")).toEqual({ display: "none", serial: { kind: "stdio" } });
    expect(choose(true, "--hda", "x", "--serial", "file:log")).toEqual({ display: "text", serial: { kind: "file", path: "log" } });
    expect(choose(false, "--kernel", "x", "--display", "text")).toEqual({ display: "text", serial: { kind: "none" } });
  });

  it("cannot be both", () => {
    expect(() => choose(true, "--hda", "x", "--display", "text", "--serial", "stdio")).toThrow(/the terminal can show one of them/);
  });

  it("is nothing where a page does, but the serial port if asked for", () => {
    expect(choose(true, "--hda", "x", "--display", "web")).toEqual({ display: "web", serial: { kind: "none" } });
    expect(choose(true, "--hda", "x", "--display", "web", "--serial", "stdio")).toEqual({ display: "web", serial: { kind: "stdio" } });
  });
});

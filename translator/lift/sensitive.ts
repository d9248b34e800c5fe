/**
 * Sensitive instructions: those that read or change the state of the machine rather than of the program, so that a guest must not execute them as
 * they are. Popek and Goldberg's criterion asks that every sensitive instruction trap in user mode; on x86 many do not (the set that Robin and Irvine
 * list), which is why this VMM scans code and patches each into a callout instead of deprivileging it and waiting for the trap.
 *
 * One row an instruction. Each callout belongs to exactly one row, so that a count by callout is a count by reason; the rows generate the chapter of
 * the documentation, and the lifts of the instructions named in `rows` are what calls them.
 */
import type { CalloutName } from "../contract/callouts.ts";

export interface SensitiveRow {
  readonly mnemonic: string;
  /** Names of the decoder's rows (opcode-row.ts). */
  readonly rows: readonly string[];
  /** The forms that are meant, in assembly. */
  readonly forms: string;
  readonly why: string;
  /**
   * What a processor does with it at CPL 3, IOPL 0: "always" traps; "conditional": some of its executions trap (by IOPL, gate, or bit map) and others
   * do not; "never": it runs and shows or silently ignores.
   */
  readonly traps: "always" | "conditional" | "never";
  readonly callouts: readonly CalloutName[];
}

export const sensitiveRows: readonly SensitiveRow[] = [
  // The Robin and Irvine set: sensitive, unprivileged.
  {
    mnemonic: "SGDT",
    rows: ["sgdt"],
    forms: "SGDT m",
    traps: "never",
    callouts: ["storeGdt"],
    why: "stores the base and limit of the real GDT, which the VMM owns",
  },
  {
    mnemonic: "SIDT",
    rows: ["sidt"],
    forms: "SIDT m",
    traps: "never",
    callouts: ["storeIdt"],
    why: "stores the base and limit of the real IDT, which the VMM owns",
  },
  {
    mnemonic: "SLDT",
    rows: ["sldt"],
    forms: "SLDT r/m",
    traps: "never",
    callouts: ["storeLdt"],
    why: "stores the selector of the real LDT",
  },
  {
    mnemonic: "STR",
    rows: ["str"],
    forms: "STR r/m",
    traps: "never",
    callouts: ["storeTask"],
    why: "stores the real task register's selector, whose RPL also betrays the ring",
  },
  {
    mnemonic: "SMSW",
    rows: ["smsw"],
    forms: "SMSW r/m",
    traps: "never",
    callouts: ["storeMachineStatusWord"],
    why: "shows CR0 (PE, TS, PG) as the machine has it, not as the guest set it",
  },
  {
    mnemonic: "PUSHF",
    rows: ["pushf"],
    forms: "PUSHF, PUSHFD",
    traps: "never",
    callouts: ["systemFlags", "readFlags"],
    why: "shows the real IF and IOPL; in virtual-8086 mode depends on IOPL",
  },
  {
    mnemonic: "POPF",
    rows: ["popf"],
    forms: "POPF, POPFD",
    traps: "never",
    callouts: ["restoreFlags", "popFlags"],
    why: "silently keeps IF when CPL > IOPL, and IOPL when CPL > 0: the guest believes it changed them",
  },
  {
    mnemonic: "LAR",
    rows: ["lar"],
    forms: "LAR r, r/m",
    traps: "never",
    callouts: ["loadAccessRights"],
    why: "answers from the real descriptor tables, by the real CPL",
  },
  {
    mnemonic: "LSL",
    rows: ["lsl"],
    forms: "LSL r, r/m",
    traps: "never",
    callouts: ["loadSegmentLimit"],
    why: "answers from the real descriptor tables, by the real CPL",
  },
  {
    mnemonic: "VERR",
    rows: ["verr"],
    forms: "VERR r/m",
    traps: "never",
    callouts: ["verifyRead"],
    why: "answers whether the real CPL may read a segment",
  },
  {
    mnemonic: "VERW",
    rows: ["verw"],
    forms: "VERW r/m",
    traps: "never",
    callouts: ["verifyWrite"],
    why: "answers whether the real CPL may write a segment",
  },
  {
    mnemonic: "MOV r/m, Sreg",
    rows: ["mov.sreg"],
    forms: "MOV r/m, Sreg",
    traps: "never",
    callouts: ["readSegment"],
    why: "a selector's RPL (CS and SS: the CPL) shows the ring the guest really runs in",
  },
  {
    mnemonic: "PUSH Sreg",
    rows: ["push.sreg"],
    forms: "PUSH ES, CS, SS, DS, FS, GS",
    traps: "never",
    callouts: ["readSegmentToPush"],
    why: "a selector's RPL (CS and SS: the CPL) shows the ring the guest really runs in",
  },
  {
    mnemonic: "MOV Sreg, r/m",
    rows: ["mov.sreg"],
    forms: "MOV Sreg, r/m",
    traps: "conditional",
    callouts: ["loadSegment", "loadExtraSegment"],
    why: "reads a descriptor of the real tables and checks it against the real CPL",
  },
  {
    mnemonic: "POP Sreg",
    rows: ["pop.sreg"],
    forms: "POP ES, SS, DS, FS, GS",
    traps: "conditional",
    callouts: ["popSegment", "popExtraSegment"],
    why: "reads a descriptor of the real tables and checks it against the real CPL",
  },
  {
    mnemonic: "LDS, LES, LFS, LGS, LSS",
    rows: ["lds", "les", "lfs", "lgs", "lss"],
    forms: "LxS r, m",
    traps: "conditional",
    callouts: ["loadFarPointer", "loadExtraFarPointer"],
    why: "loads a segment register, as MOV Sreg does",
  },
  {
    mnemonic: "CALL far",
    rows: ["call.far"],
    forms: "CALL ptr16:16/32, CALL m16:16/32",
    traps: "conditional",
    callouts: ["farCall"],
    why: "compares CPL, RPL and DPL, may go through gates to inner rings or switch tasks, and pushes the real CS",
  },
  {
    mnemonic: "JMP far",
    rows: ["jmp.far"],
    forms: "JMP ptr16:16/32, JMP m16:16/32",
    traps: "conditional",
    callouts: ["farJump"],
    why: "compares CPL, RPL and DPL, may switch tasks",
  },
  {
    mnemonic: "RET far",
    rows: ["ret.far"],
    forms: "RETF, RETF imm16",
    traps: "conditional",
    callouts: ["farReturn"],
    why: "changes ring by the RPL of a selector on the stack and clears data segments",
  },
  {
    mnemonic: "INT n",
    rows: ["int"],
    forms: "INT imm8",
    traps: "conditional",
    callouts: ["softwareInterrupt"],
    why: "enters the real IDT's gate, checked against CPL; depends on IOPL in virtual-8086 mode",
  },
  {
    mnemonic: "INT3",
    rows: ["int3"],
    forms: "INT3",
    traps: "conditional",
    callouts: ["breakpointInterrupt"],
    why: "enters the real IDT's gate 3, checked against CPL",
  },
  {
    mnemonic: "INTO",
    rows: ["into"],
    forms: "INTO",
    traps: "conditional",
    callouts: ["overflowInterrupt"],
    why: "enters the real IDT's gate 4, checked against CPL, if OF is set",
  },
  {
    mnemonic: "ICEBP",
    rows: ["icebp"],
    forms: "INT1 (F1)",
    traps: "conditional",
    callouts: ["debugInterrupt"],
    why: "enters the real IDT's gate 1 whatever its DPL",
  },
  {
    mnemonic: "IRET",
    rows: ["iret"],
    forms: "IRET, IRETD",
    traps: "conditional",
    callouts: ["interruptReturn"],
    why: "restores EFLAGS, silently keeping IF and IOPL as POPF does; changes ring, mode or task",
  },
  // Sensitive to IOPL and permission maps.
  {
    mnemonic: "CLI",
    rows: ["cli"],
    forms: "CLI",
    traps: "conditional",
    callouts: ["clearInterruptFlag"],
    why: "masks the machine's interrupts where CPL <= IOPL",
  },
  {
    mnemonic: "STI",
    rows: ["sti"],
    forms: "STI",
    traps: "conditional",
    callouts: ["setInterruptFlag"],
    why: "unmasks the machine's interrupts where CPL <= IOPL",
  },
  {
    mnemonic: "IN",
    rows: ["in"],
    forms: "IN AL/AX/EAX, imm8/DX",
    traps: "conditional",
    callouts: ["portRead"],
    why: "reads a device; CPL <= IOPL or the I/O permission bit map allows it",
  },
  {
    mnemonic: "OUT",
    rows: ["out"],
    forms: "OUT imm8/DX, AL/AX/EAX",
    traps: "conditional",
    callouts: ["portWrite"],
    why: "commands a device; CPL <= IOPL or the I/O permission bit map allows it",
  },
  {
    mnemonic: "INS",
    rows: ["ins"],
    forms: "INSB, INSW, INSD, with REP",
    traps: "conditional",
    callouts: ["ins"],
    why: "reads a device; CPL <= IOPL or the I/O permission bit map allows it",
  },
  {
    mnemonic: "OUTS",
    rows: ["outs"],
    forms: "OUTSB, OUTSW, OUTSD, with REP",
    traps: "conditional",
    callouts: ["outs"],
    why: "commands a device; CPL <= IOPL or the I/O permission bit map allows it",
  },
  {
    mnemonic: "RDTSC",
    rows: ["rdtsc"],
    forms: "RDTSC",
    traps: "conditional",
    callouts: ["readTimeStamp"],
    why: "shows the machine's time, not the guest's; traps with CR4.TSD",
  },
  {
    mnemonic: "RDPMC",
    rows: ["rdpmc"],
    forms: "RDPMC",
    traps: "conditional",
    callouts: ["readPerformanceCounter"],
    why: "shows the machine's counters; traps unless CR4.PCE",
  },
  {
    mnemonic: "CPUID",
    rows: ["cpuid"],
    forms: "CPUID",
    traps: "never",
    callouts: ["cpuid"],
    why: "describes the real processor, with features the virtual one does not have",
  },
  {
    mnemonic: "SYSENTER",
    rows: ["sysenter"],
    forms: "SYSENTER",
    traps: "never",
    callouts: ["sysenter"],
    why: "enters ring 0 at the address in the machine's MSRs",
  },
  // Privileged.
  {
    mnemonic: "SYSEXIT",
    rows: ["sysexit"],
    forms: "SYSEXIT",
    traps: "always",
    callouts: ["sysexit"],
    why: "leaves ring 0 with flat segments of ring 3",
  },
  {
    mnemonic: "LGDT",
    rows: ["lgdt"],
    forms: "LGDT m",
    traps: "always",
    callouts: ["loadGdt"],
    why: "replaces the descriptor table",
  },
  {
    mnemonic: "LIDT",
    rows: ["lidt"],
    forms: "LIDT m",
    traps: "always",
    callouts: ["loadIdt"],
    why: "replaces the interrupt table",
  },
  {
    mnemonic: "LLDT",
    rows: ["lldt"],
    forms: "LLDT r/m",
    traps: "always",
    callouts: ["loadLdt"],
    why: "replaces the local descriptor table",
  },
  {
    mnemonic: "LTR",
    rows: ["ltr"],
    forms: "LTR r/m",
    traps: "always",
    callouts: ["loadTask"],
    why: "sets the task register and marks the TSS busy",
  },
  {
    mnemonic: "MOV from CRn",
    rows: ["mov.cr"],
    forms: "MOV r32, CR0/CR2/CR3/CR4",
    traps: "always",
    callouts: ["readControl"],
    why: "shows the machine's control registers; CR3 would be the shadow tables'",
  },
  {
    mnemonic: "MOV to CRn",
    rows: ["mov.cr"],
    forms: "MOV CR0/CR2/CR3/CR4, r32",
    traps: "always",
    callouts: ["writeControl"],
    why: "changes mode, paging and address space",
  },
  {
    mnemonic: "LMSW",
    rows: ["lmsw"],
    forms: "LMSW r/m",
    traps: "always",
    callouts: ["loadMachineStatusWord"],
    why: "changes PE, MP, EM and TS of CR0",
  },
  {
    mnemonic: "CLTS",
    rows: ["clts"],
    forms: "CLTS",
    traps: "always",
    callouts: ["clearTaskSwitched"],
    why: "changes TS of CR0",
  },
  {
    mnemonic: "MOV from DRn",
    rows: ["mov.dr"],
    forms: "MOV r32, DR0-DR7",
    traps: "always",
    callouts: ["readDebug"],
    why: "shows the machine's breakpoints",
  },
  {
    mnemonic: "MOV to DRn",
    rows: ["mov.dr"],
    forms: "MOV DR0-DR7, r32",
    traps: "always",
    callouts: ["writeDebug"],
    why: "sets the machine's breakpoints",
  },
  {
    mnemonic: "INVLPG",
    rows: ["invlpg"],
    forms: "INVLPG m",
    traps: "always",
    callouts: ["invalidatePage"],
    why: "drops a translation: the shadow tables must follow",
  },
  {
    mnemonic: "INVD",
    rows: ["invd"],
    forms: "INVD",
    traps: "always",
    callouts: ["invalidateCaches"],
    why: "drops the machine's caches, unwritten data included",
  },
  {
    mnemonic: "WBINVD",
    rows: ["wbinvd"],
    forms: "WBINVD",
    traps: "always",
    callouts: ["writeBackCaches"],
    why: "writes back and drops the machine's caches",
  },
  {
    mnemonic: "HLT",
    rows: ["hlt"],
    forms: "HLT",
    traps: "always",
    callouts: ["halt"],
    why: "stops the processor until an interrupt",
  },
  {
    mnemonic: "RDMSR",
    rows: ["rdmsr"],
    forms: "RDMSR",
    traps: "always",
    callouts: ["readMsr"],
    why: "shows the machine's model-specific registers",
  },
  {
    mnemonic: "WRMSR",
    rows: ["wrmsr"],
    forms: "WRMSR",
    traps: "always",
    callouts: ["writeMsr"],
    why: "changes the machine's model-specific registers",
  },
];

/** Number of the row (its index in `sensitiveRows`) by callout, for counting VM exits. */
export const sensitiveRowOf: Readonly<Partial<Record<CalloutName, number>>> = Object.fromEntries(
  sensitiveRows.flatMap((row, index) => row.callouts.map((callout) => [callout, index])),
);

const trapText = { always: "always (#GP)", conditional: "sometimes", never: "**never**" } as const;

/** The section on sensitive instructions of the documentation, in Markdown. */
export function renderSensitiveTable(): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "| instruction | forms | why it is sensitive | traps at CPL 3 | callout |",
    "|---|---|---|---|---|",
    ...sensitiveRows.map((row) => {
      const callouts = row.callouts.map((name) => `\`${name}\``).join(", ");
      return `| ${cell(row.mnemonic)} | ${cell(row.forms)} | ${cell(row.why)} | ${trapText[row.traps]} | ${callouts} |`;
    }),
    "",
  ].join("\n");
}

/** One row of the opcode tables: a form of an instruction, as the SDM's opcode maps list it. */
export interface OpcodeRow {
  /** Position in the list of all rows; stable within a build, used as part of a shape's key. */
  readonly index: number;
  /** Lower-case mnemonic as the SDM writes it ("add", "movs", "cmovz", "fadd", "paddd"). Forms with distinct meaning that share a
   *  mnemonic in assembly are told apart by a suffix after a dot: "mov.cr", "mov.dr", "mov.sreg", "call.far", "jmp.far", "movsd.sse".
   *  Rows that differ in their operands alone share the name; all names are `rowNames` of opcode-map.ts. */
  readonly name: string;
  /** Operand codes in the SDM's notation, as in "Eb,Gb" (SDM vol. 2, appendix A.2). */
  readonly operands: string;
  /** LOCK is allowed with a memory destination. */
  readonly lockable: boolean;
  /** Ends a basic block (anything that may change EIP other than by falling through, or changes the mode key). */
  readonly endsBlock: boolean;
}
